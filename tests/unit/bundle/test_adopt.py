"""A host that is in use already: what is as wanted is managed, what differs waits, and nothing is restarted."""

from __future__ import annotations

from typing import Any

import pytest

UNIT = b"[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"


@pytest.fixture
def used(desk: Any) -> Any:
    """/etc/same is as wanted, /etc/mode but for its mode, /etc/other holds something else, /etc/absent is not there."""
    desk.path("/etc/same").write_bytes(b"same\n")
    desk.path("/etc/same").chmod(0o644)
    desk.path("/etc/mode").write_bytes(b"mode\n")
    desk.path("/etc/mode").chmod(0o600)
    desk.path("/etc/other").write_bytes(b"theirs\n")
    for name in ("same", "mode", "absent"):
        desk.file(f"/etc/{name}", name.encode() + b"\n")
    desk.file("/etc/other", b"ours\n", restart=["a.service"])
    desk.file("/etc/systemd/system/a.service", UNIT, restart=["a.service"])
    desk.units = [{"name": "a.service", "enabled": True, "state": "started"}]
    return desk


DIFFERS = ["/etc/absent", "/etc/mode", "/etc/other", "/etc/systemd/system/a.service"]


def test_nothing_is_written_but_the_record(used: Any) -> None:
    before = used.contents()
    result = used.ok(adopt=True)
    assert result["waiting"] == DIFFERS
    assert used.contents() == before
    record = used.record()
    assert (record["digest"], record["waiting"], sorted(record["files"])) == ("", DIFFERS, ["/etc/same"])
    assert record["files"]["/etc/same"]["original"] is True
    assert not used.path("/var/lib/fleet/units.json").exists()


def test_a_check_tells_what_differs_and_writes_nothing(used: Any) -> None:
    before = used.snapshot()
    result = used.ok(adopt=True, check=True, diff=True)
    assert result["waiting"] == DIFFERS
    assert {(change["path"], change["action"]) for change in result["changes"]} >= {
        ("/etc/absent", "create"), ("/etc/mode", "restyle"), ("/etc/other", "update"),
    }  # fmt: skip
    shown = {one["before_header"]: one for one in result["diff"]}
    assert (shown["/etc/other"]["before"], shown["/etc/other"]["after"]) == ("theirs\n", "ours\n")
    assert used.snapshot() == before


def test_file_by_file(used: Any) -> None:
    used.ok(adopt=True)
    result = used.ok(adopt=True, take=["/etc/other"])
    assert result["waiting"] == ["/etc/absent", "/etc/mode", "/etc/systemd/system/a.service"]
    assert used.path("/etc/other").read_bytes() == b"ours\n"
    assert used.path("/etc/mode").stat().st_mode & 0o777 == 0o600
    assert not used.path("/etc/absent").exists()
    assert used.record()["digest"] == ""
    used.ok(adopt=True, take=["/etc/mode"])
    assert used.path("/etc/mode").stat().st_mode & 0o777 == 0o644


def test_what_waits_is_not_overwritten_by_a_run(used: Any) -> None:
    used.ok(adopt=True)
    before = used.snapshot()
    assert used.refused() == "adopt: /etc/absent: 4 of its paths wait to be taken: fleet node adopt"
    assert used.refused(check=True).startswith("adopt: ")
    assert used.refused(take_over="because").startswith("adopt: ")
    assert used.snapshot() == before


def test_all_at_once_and_what_reads_it_is_restarted_by_the_next_run_alone(used: Any) -> None:
    result = used.ok(adopt=True, take=["*"])
    assert result["waiting"] == result["restarted"] == []
    assert used.path("/etc/other").read_bytes() == b"ours\n"
    assert used.path("/etc/absent").read_bytes() == b"absent\n"
    assert not used.path("/var/lib/fleet/units.json").exists()
    record = used.record()
    assert (record["digest"], record["wanted"], "waiting" in record) == ("", used.digest(), False)
    assert record["pending"]["restart"] == ["a.service"]
    used.path("/var/lib/fleet/units.json").write_text('{"a.service": {"state": "started", "enabled": true, "starts": 0, '
                                                      '"restarts": 0, "reloads": 0}}')  # fmt: skip
    assert used.ok(expect="none")["restarted"] == ["a.service"]
    assert used.record()["digest"] == used.digest()


def test_a_host_that_is_as_wanted_is_done_at_once(used: Any) -> None:
    used.ok(adopt=True, take=["*"])
    used.ok()
    for name in ("record.json", "lock"):
        used.path(f"/var/lib/fleet/{name}").unlink()
    before = used.contents()
    assert used.ok(adopt=True)["waiting"] == []
    assert used.record()["digest"] == used.digest()
    assert used.contents() == before
    assert used.ok()["changed"] is False


def test_a_unit_that_does_not_run_leaves_it_to_the_next_run(used: Any) -> None:
    used.ok(adopt=True, take=["*"])
    used.ok()
    for name in ("record.json", "units.json"):
        used.path(f"/var/lib/fleet/{name}").unlink()
    used.ok(adopt=True)
    assert used.record()["digest"] == ""
    used.ok()
    assert used.units_json()["a.service"]["starts"] == 1


def test_a_path_that_does_not_differ_cannot_be_taken(used: Any) -> None:
    before = used.snapshot()
    assert used.refused(adopt=True, take=["/etc/othr"]) == (
        "adopt: /etc/othr: does not wait here: nothing of it differs, or it is not in the bundle"
    )
    after = {name: one for name, one in used.snapshot().items() if not name.startswith("var")}
    assert after == {name: one for name, one in before.items() if not name.startswith("var")}


def test_a_node_that_is_managed_is_not_adopted(desk: Any) -> None:
    desk.file("/etc/a", b"a")
    desk.ok()
    assert desk.refused(adopt=True) == "adopt: it is managed already"


def test_given_back_it_is_as_it_was(used: Any) -> None:
    before = used.contents()
    used.ok(adopt=True, take=["/etc/other", "/etc/absent"])
    used.ok(retire=True, fleet="acme", node="lyon-1-a")
    assert used.contents() == before
    assert not used.path("/var/lib/fleet").exists()
