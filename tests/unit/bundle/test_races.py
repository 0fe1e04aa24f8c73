"""Two controllers at one node: what was true before the lock is looked at again under it."""

from __future__ import annotations

import fcntl
import json
from typing import Any

OTHER = "b1:" + "9" * 64
MEANWHILE = """
import fcntl
real = fcntl.flock
def flock(handle, how):
    with open({record!r}, "w") as file:
        file.write({text!r})
    return real(handle, how)
fcntl.flock = flock
"""
"""The other run ends right before this one gets the lock."""


def meanwhile(desk: Any, **record: Any) -> str:
    text = json.dumps({**desk.record(), **record})
    return MEANWHILE.format(record=str(desk.path("/var/lib/fleet/record.json")), text=text)


def test_a_digest_that_came_meanwhile_is_not_overwritten(desk: Any) -> None:
    desk.file("/etc/x", b"one\n")
    desk.ok()
    held = desk.digest()
    desk.file("/etc/x", b"two\n")
    done = desk.alone("--expect", held, prelude=meanwhile(desk, digest=OTHER))
    result = json.loads(done.stdout)
    assert (done.returncode, result["step"], result["changed"]) == (1, "expect", False)
    assert result["msg"].startswith(f"expect: the node was to hold {held} and holds {OTHER}")
    assert desk.path("/etc/x").read_bytes() == b"one\n"
    assert desk.record()["digest"] == OTHER


def test_a_fleet_that_took_the_node_meanwhile_keeps_it(desk: Any) -> None:
    desk.file("/etc/x", b"one\n")
    desk.ok()
    desk.file("/etc/x", b"two\n")
    result = json.loads(desk.alone(prelude=meanwhile(desk, fleet="other")).stdout)
    assert result["msg"] == "fleet: fleet `other` holds this node, not `acme`; give a reason to take it over"
    assert desk.path("/etc/x").read_bytes() == b"one\n"


def test_what_the_other_run_manages_is_taken_away_by_its_record(desk: Any) -> None:
    desk.file("/etc/x", b"one\n")
    desk.ok()
    desk.path("/etc/theirs").write_bytes(b"of the other run\n")
    files = {**desk.record()["files"], "/etc/theirs": {"kind": "file"}}
    assert desk.alone(prelude=meanwhile(desk, files=files)).returncode == 0
    assert not desk.path("/etc/theirs").exists()


def test_a_lock_is_for_one_even_where_the_other_would_share_it(desk: Any) -> None:
    desk.file("/etc/x", b"one\n")
    desk.ok()
    desk.file("/etc/x", b"two\n")
    with desk.path("/var/lib/fleet/lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        assert desk.refused() == "lock: /var/lib/fleet/lock: another run is at work on this node"
    assert desk.path("/etc/x").read_bytes() == b"one\n"
    desk.ok()
