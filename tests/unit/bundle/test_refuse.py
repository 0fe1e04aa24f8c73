"""When a node may not be written to, nothing at all is written; and what is wrong with a bundle is said."""

from __future__ import annotations

import fcntl
import json
from typing import Any

import pytest

MACHINE = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32
WRONG = "b1:" + "0" * 64


@pytest.fixture
def held(desk: Any) -> Any:
    """A node that holds a first bundle; the desk has written a second one."""
    desk.file("/etc/a", b"one")
    desk.ok(commit="4be1f02", controller="ops")
    desk.file("/etc/a", b"two")
    return desk


def test_another_machine_is_never_written_to(desk: Any) -> None:
    desk.file("/etc/a", b"one")
    before = desk.snapshot()
    said = desk.refused(machine_id=OTHER, take_over="even so")
    assert said == f"machine-id: enrolled is {OTHER}, this machine has {MACHINE}"
    assert desk.snapshot() == before
    desk.ok(machine_id=MACHINE)


def test_expect_another_digest_is_refused_and_names_who_holds_it(held: Any) -> None:
    before, first = held.snapshot(), held.record()["digest"]
    said = held.refused(expect=WRONG)
    assert said.startswith(f"expect: the node was to hold {WRONG} and holds {first} (commit 4be1f02 by ops)")
    assert held.snapshot() == before


def test_expect_the_held_digest_passes(held: Any) -> None:
    held.ok(expect=held.record()["digest"])
    assert held.path("/etc/a").read_bytes() == b"two"


def test_one_of_several_that_it_may_hold_passes(held: Any) -> None:
    """What was sent to it before, and no answer came."""
    assert held.refused(expect=f"none,{WRONG}").startswith(
        f"expect: the node was to hold none or {WRONG} and holds b1:"
    )
    held.ok(expect=f"{WRONG},{held.record()['digest']}")


def test_expect_nothing_on_a_node_that_holds_something(held: Any) -> None:
    assert held.refused(expect="none").startswith("expect: the node was to hold none and holds b1:")


def test_expect_something_on_a_node_that_holds_nothing(desk: Any) -> None:
    desk.file("/etc/a", b"one")
    before = desk.snapshot()
    said = desk.refused(expect=WRONG)
    assert said == f"expect: the node was to hold {WRONG} and holds none; give a reason to take it over"
    assert desk.snapshot() == before
    desk.ok(expect="none")


def test_a_node_that_holds_the_wanted_digest_is_never_refused(held: Any) -> None:
    held.ok()
    assert held.ok(expect=WRONG)["changed"] is False


def test_a_node_whose_last_run_did_not_end_is_known_by_no_digest_or_by_the_one_before(held: Any) -> None:
    first = held.record()["digest"]
    for expect, passes in ((WRONG, False), ("none", True), (first, True)):
        record = {**held.record(), "digest": "", "partial": True, "base": first, "wanted": "b1:" + "1" * 64}
        held.path("/var/lib/fleet/record.json").write_text(json.dumps(record))
        assert bool(held.run(expect=expect).get("failed")) is not passes


def test_take_over_passes_and_is_recorded(held: Any) -> None:
    first = held.record()["digest"]
    held.ok(expect=WRONG, take_over="the other controller burnt down")
    assert held.record()["taken_over"] == {
        "reason": "the other controller burnt down",
        "fleet": "acme",
        "digest": first,
    }


def test_another_fleet_is_refused(held: Any) -> None:
    held.fleet = "globex"
    before = held.snapshot()
    assert held.refused() == "fleet: fleet `acme` holds this node, not `globex`; give a reason to take it over"
    assert held.snapshot() == before
    held.ok(take_over="sold")
    assert held.record()["fleet"] == "globex"


def test_another_node_name_is_refused(held: Any) -> None:
    held.node = "lyon-1-b"
    assert held.refused().startswith("node: this machine is node `lyon-1-a`, not `lyon-1-b`")


def test_a_cloned_disk_is_refused(held: Any) -> None:
    held.path("/etc/machine-id").write_text(OTHER + "\n")
    assert held.refused() == (
        f"machine-id: the record is of machine {MACHINE}, this is {OTHER}; give a reason to take it over"
    )


def test_a_record_that_is_damaged_is_refused(held: Any) -> None:
    held.path("/var/lib/fleet/record.json").write_text('{"digest": ')
    assert held.refused().startswith("record: /var/lib/fleet/record.json: cannot be read")
    held.ok(take_over="disk was bad")
    assert held.record()["digest"] == held.digest()


def test_a_second_run_at_the_same_time_is_refused(held: Any) -> None:
    with held.path("/var/lib/fleet/lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert held.refused() == "lock: /var/lib/fleet/lock: another run is at work on this node"
        assert held.refused(check=True) == "lock: /var/lib/fleet/lock: another run is at work on this node"
    assert held.path("/etc/a").read_bytes() == b"one"
    held.ok()


def test_a_manifest_that_was_changed_on_the_way_is_refused(desk: Any) -> None:
    desk.file("/etc/a", b"one")
    opts = desk.options()
    path = desk.place / "bundles" / "lyon-1-a.json"
    bundle = json.loads(path.read_text())
    bundle["manifest"]["files"][0]["path"] = "/etc/b"
    path.write_text(json.dumps(bundle))
    result = desk.module.run(opts)
    assert result["step"] == "bundle"
    assert "expected " + desk.digest() in result["msg"]
    assert not desk.path("/var").exists()


def test_a_blob_that_was_changed_on_the_way_is_refused(desk: Any) -> None:
    desk.file("/etc/a", b"one")
    name = desk.files[0]["sha256"]
    (desk.place / "files" / name[:2] / name).write_bytes(b"two")
    assert desk.refused() == f"bundle: /etc/a: content {name} arrived damaged"
    assert not desk.path("/var").exists()


@pytest.mark.parametrize(
    "path",
    [
        "etc/a",
        "/etc/../a",
        "/etc//a",
        "//etc/a",
        "/etc/a/",
        "/etc/./a",
        "/etc/a\nb",
        "/proc/sys/kernel/panic",
        "/sys/a",
        "/dev/sda",
        "/var/lib/fleet/record.json",
        "/",
    ],
)
def test_a_path_that_may_not_be_managed_is_refused(desk: Any, path: str) -> None:
    desk.file(path, b"x")
    assert desk.refused().startswith("bundle: ")
    assert not desk.path("/var").exists()


@pytest.mark.parametrize("mode", ["644", "0o644", "0688", "rw-r--r--", ""])
def test_a_mode_that_is_not_four_octal_digits_is_refused(desk: Any, mode: str) -> None:
    desk.file("/etc/a", b"x", mode=mode)
    assert desk.refused() == f"bundle: /etc/a: mode `{mode}` is not four octal digits"


def test_a_path_that_is_named_twice_is_refused(desk: Any) -> None:
    desk.file("/etc/a", b"x")
    desk.artifact("/etc/a", b"y", [])
    assert desk.refused() == "bundle: /etc/a: named twice"


def test_the_bundle_of_another_node_is_refused(desk: Any) -> None:
    desk.file("/etc/a", b"x")
    assert desk.refused(node="paris-1-a") == "bundle: it is the bundle of `lyon-1-a`, not of `paris-1-a`"


def test_a_folder_where_a_file_shall_be_is_refused(desk: Any) -> None:
    desk.path("/etc/a").mkdir()
    desk.file("/etc/a", b"x")
    assert desk.refused() == "look: /etc/a: is not a regular file"


def test_a_file_where_a_folder_shall_be_is_refused(desk: Any) -> None:
    desk.path("/etc/a").write_text("theirs")
    desk.folders = [{"path": "/etc/a"}]
    assert desk.refused() == "look: /etc/a: is not a folder"
    desk.folders = []
    desk.file("/etc/a/b", b"x")
    assert "`a` on the way is not a folder" in desk.refused()
    assert desk.path("/etc/a").read_text() == "theirs"


def test_a_root_that_is_not_absolute_is_refused(desk: Any) -> None:
    desk.file("/etc/a", b"x")
    assert desk.refused(root="node") == "root: node: is not an absolute path"


def test_a_damaged_payload_is_refused(desk: Any) -> None:
    opts = {**desk.options(), "bundle": "", "payload": "H4sIAAAA"}
    assert desk.module.run(opts)["msg"].startswith("bundle: payload: cannot be read: ")


def test_arguments_are_checked(fleet_bundle: Any) -> None:
    read = fleet_bundle.read_arguments
    opts = read({"node": "a", "epoch": "7", "read": "yes", "commit": 4, "_ansible_check_mode": True})
    assert (opts["node"], opts["epoch"], opts["read"], opts["commit"], opts["check"]) == ("a", 7, True, "4", True)
    assert (opts["root"], opts["unit_timeout"], opts["diff"], opts["secrets"]) == ("/", 300, False, {})
    for wrong in ({"nod": "a"}, {"epoch": "x"}, {"read": "perhaps"}, {"secrets": "x"}, {"node": ["a"]}):
        with pytest.raises(fleet_bundle.Failure):
            read(wrong)
