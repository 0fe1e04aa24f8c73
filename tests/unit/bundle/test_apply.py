"""Bringing a bundle onto a node: first run, second run, repair, removal."""

from __future__ import annotations

import os
from typing import Any

MACHINE = "0123456789abcdef0123456789abcdef"


def simple(desk: Any) -> None:
    desk.file("/etc/chrony/conf.d/acme.conf", b"server ntp.acme.example iburst\n", restart=["chrony.service"])
    desk.file("/etc/motd.d/fleet", b"ours\n", mode="0640")


def test_first_run_writes_files_modes_and_the_record(desk: Any) -> None:
    simple(desk)
    result = desk.ok(commit="4be1f02", controller="ops", epoch=7)
    assert result["changed"] is True
    assert [(c["path"], c["action"]) for c in result["changes"]] == [
        ("/etc/chrony/conf.d/acme.conf", "create"),
        ("/etc/motd.d/fleet", "create"),
    ]
    assert desk.contents() == {
        "/etc/machine-id": (0o644, MACHINE.encode() + b"\n"),
        "/etc/chrony/conf.d/acme.conf": (0o644, b"server ntp.acme.example iburst\n"),
        "/etc/motd.d/fleet": (0o640, b"ours\n"),
    }
    record = desk.record()
    assert record["digest"] == desk.digest() == result["digest"] == result["record"]["digest"]
    assert (record["fleet"], record["node"], record["machine_id"]) == ("acme", "lyon-1-a", MACHINE)
    assert (record["commit"], record["controller"], record["epoch"]) == ("4be1f02", "ops", 7)
    assert "partial" not in record
    assert desk.path("/var/lib/fleet/record.json").stat().st_mode & 0o7777 == 0o644
    assert result["before_digest"] == ""


def test_second_run_touches_nothing(desk: Any) -> None:
    simple(desk)
    desk.units = [{"name": "chrony.service", "enabled": True, "state": "started"}]
    desk.folders = [{"path": "/var/lib/acme", "mode": "0700"}]
    desk.ok()
    before = desk.snapshot()
    result = desk.ok(commit="another", controller="another", epoch=99)
    assert result["changed"] is False
    assert result["changes"] == []
    assert desk.snapshot() == before


def test_a_tampered_byte_is_exactly_one_change(desk: Any) -> None:
    simple(desk)
    desk.ok()
    path = desk.path("/etc/chrony/conf.d/acme.conf")
    stamp = path.stat()
    path.write_bytes(b"server ntp.acme.example iBurst\n")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    result = desk.ok()
    assert result["changes"] == [
        {"kind": "file", "path": "/etc/chrony/conf.d/acme.conf", "action": "update", "what": ["content"]}
    ]
    assert path.read_bytes() == b"server ntp.acme.example iburst\n"
    assert desk.ok()["changed"] is False


def test_only_the_mode_is_mended_without_writing_the_content(desk: Any) -> None:
    simple(desk)
    desk.ok()
    path = desk.path("/etc/motd.d/fleet")
    inode = path.stat().st_ino
    path.chmod(0o666)
    result = desk.ok()
    assert result["changes"] == [{"kind": "file", "path": "/etc/motd.d/fleet", "action": "restyle", "what": ["mode"]}]
    assert path.stat().st_mode & 0o7777 == 0o640
    assert path.stat().st_ino == inode


def test_a_file_that_is_no_longer_managed_goes(desk: Any) -> None:
    simple(desk)
    desk.ok()
    desk.files = [one for one in desk.files if one["path"] != "/etc/chrony/conf.d/acme.conf"]
    result = desk.ok()
    assert [(c["path"], c["action"]) for c in result["changes"]] == [
        ("/etc/chrony/conf.d/acme.conf", "remove"),
        ("/etc/chrony/conf.d", "remove"),
        ("/etc/chrony", "remove"),
    ]
    assert not desk.path("/etc/chrony").exists()
    assert desk.path("/etc/motd.d/fleet").exists()


def test_a_folder_with_something_foreign_in_it_stays(desk: Any) -> None:
    simple(desk)
    desk.ok()
    desk.path("/etc/chrony/theirs").write_text("keep me")
    desk.files = []
    desk.ok()
    assert desk.path("/etc/chrony/theirs").read_text() == "keep me"
    assert not desk.path("/etc/chrony/conf.d").exists()
    desk.path("/etc/chrony/theirs").unlink()
    desk.file("/etc/other", b"x")
    desk.ok()
    assert not desk.path("/etc/chrony").exists()


def test_the_original_comes_back_with_its_mode(desk: Any) -> None:
    original = desk.path("/etc/motd")
    original.write_bytes(b"theirs\n")
    original.chmod(0o604)
    os.utime(original, (1_000_000_000, 1_000_000_000))
    desk.file("/etc/motd", b"ours\n")
    desk.ok()
    assert original.read_bytes() == b"ours\n"
    desk.file("/etc/motd", b"ours again\n")
    desk.ok()
    desk.files = []
    result = desk.ok()
    assert [(c["path"], c["action"]) for c in result["changes"]] == [("/etc/motd", "restore")]
    assert original.read_bytes() == b"theirs\n"
    assert original.stat().st_mode & 0o7777 == 0o604
    assert int(original.stat().st_mtime) == 1_000_000_000
    assert list(desk.path("/var/lib/fleet/originals").iterdir()) == []


def test_an_original_that_already_matched_is_never_removed(desk: Any) -> None:
    desk.path("/etc/motd").write_bytes(b"same\n")
    desk.file("/etc/motd", b"same\n")
    assert desk.ok()["changes"][0]["kind"] == "record"
    desk.files = []
    desk.ok()
    assert desk.path("/etc/motd").read_bytes() == b"same\n"


def test_the_original_is_not_forgotten_with_the_record(desk: Any) -> None:
    desk.path("/etc/motd").write_bytes(b"theirs\n")
    desk.file("/etc/motd", b"ours\n")
    desk.ok()
    desk.path("/var/lib/fleet/record.json").unlink()
    desk.ok()
    desk.files = []
    desk.ok()
    assert desk.path("/etc/motd").read_bytes() == b"theirs\n"


def test_what_matches_without_a_record_is_adopted(desk: Any) -> None:
    simple(desk)
    desk.ok()
    desk.path("/var/lib/fleet/record.json").unlink()
    before = desk.contents()
    result = desk.ok()
    assert result["changed"] is True
    assert result["changes"] == [
        {"kind": "record", "path": "/var/lib/fleet/record.json", "action": "update", "what": []}
    ]
    assert desk.contents() == before
    assert desk.record()["digest"] == desk.digest()
    assert desk.ok()["changed"] is False


def test_a_removed_file_that_was_deleted_by_hand_is_no_change_of_its_own(desk: Any) -> None:
    simple(desk)
    desk.ok()
    desk.path("/etc/motd.d/fleet").unlink()
    desk.files = desk.files[:1]
    assert [c["kind"] for c in desk.ok()["changes"]] == ["record", "folder"]


def test_folders_have_their_mode_and_go_only_when_fleet_made_them(desk: Any) -> None:
    desk.path("/srv/theirs").mkdir(parents=True, mode=0o755)
    desk.path("/srv/theirs").chmod(0o755)
    desk.folders = [{"path": "/srv/ours", "mode": "0700"}, {"path": "/srv/theirs", "mode": "0750"}]
    result = desk.ok()
    assert [(c["path"], c["action"]) for c in result["changes"]] == [
        ("/srv/ours", "create"),
        ("/srv/theirs", "restyle"),
    ]
    assert desk.path("/srv/ours").stat().st_mode & 0o7777 == 0o700
    assert desk.path("/srv/theirs").stat().st_mode & 0o7777 == 0o750
    desk.folders = []
    desk.ok()
    assert not desk.path("/srv/ours").exists()
    assert desk.path("/srv/theirs").is_dir()


def test_files_in_a_private_folder_are_never_in_an_open_one(desk: Any) -> None:
    desk.folders = [{"path": "/var/lib/rancher", "mode": "0700"}]
    desk.file("/var/lib/rancher/server/psa.yaml", b"x")
    desk.ok()
    assert desk.path("/var/lib/rancher").stat().st_mode & 0o7777 == 0o700
    assert desk.path("/var/lib/rancher/server").stat().st_mode & 0o7777 == 0o755


def test_modes_do_not_depend_on_the_umask(desk: Any) -> None:
    old = os.umask(0o077)
    try:
        desk.file("/etc/open/wide", b"x", mode="0666")
        desk.ok()
        desk.ok(root=str(desk.place / "another"))
    finally:
        os.umask(old)
    assert (desk.place / "another").stat().st_mode & 0o7777 == 0o755
    assert desk.path("/etc/open").stat().st_mode & 0o7777 == 0o755
    assert desk.path("/etc/open/wide").stat().st_mode & 0o7777 == 0o666


def test_a_seed_is_written_once_and_never_compared(desk: Any) -> None:
    desk.file("/etc/a", b"a")
    desk.seeds = [desk.entry("/etc/rancher/k3s/join", b"K10first\n", mode="0600", seed=True)]
    result = desk.ok()
    assert ("seed", "/etc/rancher/k3s/join") in [(c["kind"], c["path"]) for c in result["changes"]]
    desk.path("/etc/rancher/k3s/join").write_bytes(b"K3s wrote its own\n")
    assert desk.ok()["changed"] is False
    desk.seeds = [desk.entry("/etc/rancher/k3s/join", b"K10second\n", mode="0600", seed=True)]
    assert desk.ok()["changed"] is False
    assert desk.path("/etc/rancher/k3s/join").read_bytes() == b"K3s wrote its own\n"


def test_a_file_that_becomes_a_seed_stays(desk: Any) -> None:
    desk.file("/etc/a", b"a")
    desk.file("/etc/join", b"1")
    desk.ok()
    desk.files, desk.seeds = desk.files[:1], [desk.files[1]]
    desk.ok()
    assert desk.path("/etc/join").read_bytes() == b"1"


def test_generations_keep_the_last_three(desk: Any) -> None:
    digests = []
    for number in range(5):
        desk.file("/etc/a", b"%d" % number)
        desk.ok()
        digests.append(desk.digest()[3:19])
    kept = sorted(path.name for path in desk.path("/var/lib/fleet/generations").iterdir())
    assert sorted(name[9:25] for name in kept) == sorted(digests[1:4])


def test_an_empty_file_and_a_name_of_255_bytes(desk: Any) -> None:
    desk.file("/etc/empty", b"")
    desk.file("/etc/" + "n" * 255, b"long")
    desk.ok()
    assert desk.path("/etc/empty").read_bytes() == b""
    assert desk.path("/etc/" + "n" * 255).read_bytes() == b"long"
    assert desk.ok()["changed"] is False


def test_a_binary_file_is_written_byte_for_byte(desk: Any) -> None:
    data = bytes(range(256)) * 300
    desk.file("/usr/local/share/raw.bin", data)
    assert desk.ok(diff=True)["diff"][0]["after"] == "(76800 bytes, not shown)\n"
    assert desk.path("/usr/local/share/raw.bin").read_bytes() == data


def test_nothing_of_ours_lies_about_afterwards(desk: Any) -> None:
    simple(desk)
    desk.files[0]["validate"] = "true {file}"
    desk.ok()
    names = {path.name for path in desk.path("/var/lib/fleet").iterdir()}
    assert names == {"lock", "record.json", "applications.jsonl"}
    assert not list(desk.root.rglob(".fleet-*"))
