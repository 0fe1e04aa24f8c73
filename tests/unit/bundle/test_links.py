"""A write never leaves the root, and never follows a link that somebody else made."""

from __future__ import annotations

import os
from typing import Any

import pytest


def test_a_link_in_the_place_of_a_file_is_refused_and_not_followed(desk: Any) -> None:
    outside = desk.place / "outside"
    outside.write_text("theirs")
    desk.path("/etc/a").symlink_to(outside)
    desk.file("/etc/a", b"ours")
    assert "/etc/a: is a symbolic link" in desk.refused()
    assert outside.read_text() == "theirs"
    assert desk.path("/etc/a").is_symlink()


def test_a_link_put_over_a_managed_file_is_replaced_and_not_followed(desk: Any) -> None:
    outside = desk.place / "outside"
    outside.write_text("theirs")
    desk.file("/etc/a", b"ours")
    desk.ok()
    desk.path("/etc/a").unlink()
    desk.path("/etc/a").symlink_to(outside)
    assert [c["path"] for c in desk.ok()["changes"]] == ["/etc/a"]
    assert not desk.path("/etc/a").is_symlink()
    assert desk.path("/etc/a").read_bytes() == b"ours"
    assert outside.read_text() == "theirs"


@pytest.mark.parametrize("target", ["/data", "../../../../../../../data", "../data"])
def test_a_linked_folder_is_followed_inside_the_root_only(desk: Any, target: str) -> None:
    desk.path("/data").mkdir()
    desk.path("/var").mkdir()
    desk.path("/var/rancher").symlink_to(target)
    desk.file("/var/rancher/server/psa.yaml", b"x")
    desk.ok()
    assert desk.path("/data/server/psa.yaml").read_bytes() == b"x"
    assert desk.ok()["changed"] is False


def test_a_linked_folder_never_leads_out_of_the_root(desk: Any) -> None:
    outside = desk.place / "outside"
    outside.mkdir()
    desk.path("/var").mkdir()
    desk.path("/var/out").symlink_to(outside)
    desk.file("/var/out/a", b"x")
    desk.run()
    assert list(outside.iterdir()) == []


def test_a_linked_folder_is_followed_only_if_root_or_we_made_it(desk: Any) -> None:
    """Only root can make a link of another user; who is not root sees that an own one is followed."""
    desk.path("/data").mkdir()
    desk.path("/home").mkdir()
    link = desk.path("/home/eve")
    link.symlink_to("/data")
    desk.file("/home/eve/a", b"x")
    if os.geteuid() == 0:
        os.lchown(link, 1234, 1234)
        assert "`eve` on the way is a link made by user 1234" in desk.refused()
        assert list(desk.path("/data").iterdir()) == []
        os.lchown(link, 0, 0)
    desk.ok()
    assert desk.path("/data/a").read_bytes() == b"x"


def test_links_in_a_circle_end(desk: Any) -> None:
    desk.path("/etc/x").symlink_to("y")
    desk.path("/etc/y").symlink_to("x")
    desk.file("/etc/x/a", b"x")
    assert desk.refused() == "look: /etc/x/a: Too many levels of symbolic links"


def test_a_hard_link_is_not_written_through(desk: Any) -> None:
    other = desk.path("/etc/other")
    other.write_bytes(b"theirs")
    os.link(other, desk.path("/etc/a"))
    desk.file("/etc/a", b"ours")
    desk.ok()
    assert other.read_bytes() == b"theirs"


def test_a_temp_left_as_a_link_is_not_followed(desk: Any, fleet_bundle: Any) -> None:
    outside = desk.place / "outside"
    outside.write_text("theirs")
    desk.path("/etc/" + fleet_bundle.temp_name("a")).symlink_to(outside)
    desk.file("/etc/a", b"ours")
    desk.ok()
    assert outside.read_text() == "theirs"
    assert desk.path("/etc/a").read_bytes() == b"ours"
