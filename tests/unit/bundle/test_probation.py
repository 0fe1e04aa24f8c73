"""A change of the way in is confirmed, or what was there before comes back. In a sandbox; no time passes."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.calls import prelude, read, unsynced
from tests.unit.bundle.conftest import MODULE

RULES, MOTD = "/etc/nftables.conf", "/etc/motd"
PROBATION, UNDONE = "/var/lib/fleet/probation", "/var/lib/fleet/undone.json"
WAY = {
    "seconds": 3600,
    "paths": ["/etc/nftables*", "/etc/sudoers.d/*"],
    "units": ["nftables.service", "wg-quick@*.service"],
    "sysctl": ["net.ipv4.conf.*"],
}
LATE = "undone: nobody confirmed it over a new connection within 0 s: what was there before is back"
REBOOTED = "undone: the node was rebooted before it was confirmed: what was there before is back"


@pytest.fixture
def way(desk: Any) -> Any:
    """A node that holds a firewall of fleet's; another one is in its next bundle."""
    desk.path(MOTD).write_bytes(b"theirs\n")
    desk.file(RULES, b"first\n", mode="0640", reload=["nftables.service"])
    desk.file("/etc/goes/deep", b"goes\n")
    desk.units = [{"name": "nftables.service", "enabled": True, "state": "started"}]
    desk.ok()
    desk.confirm = dict(WAY)
    desk.files = [one for one in desk.files if one["path"] != "/etc/goes/deep"]
    desk.file(RULES, b"second\n", mode="0600", reload=["nftables.service"])
    desk.file(MOTD, b"ours\n")
    desk.file("/etc/new/one", b"new\n")
    desk.file("/etc/systemd/system/new.service", b"[Service]\n[Install]\nWantedBy=multi-user.target\n")
    desk.units = [*desk.units, {"name": "new.service", "enabled": True, "state": "started"}]
    return desk


def come(desk: Any, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = desk.run(program=MODULE.read_text(), **more)
    return found


def ask(desk: Any, **what: str) -> dict[str, Any]:
    """`confirm` or `put_back`, as another run."""
    found: dict[str, Any] = desk.module.run({**desk.options(), "bundle": "", **what})
    return found


def state(desk: Any) -> tuple[Any, ...]:
    """All outside, the record to the byte, and units as they are (not how often they were told something)."""
    record, units = desk.path("/var/lib/fleet/record.json"), desk.units_json()
    running = {name: one["enabled"] for name, one in units.items() if one["enabled"] or one["state"] == "started"}
    return desk.contents(), record.read_bytes() if record.exists() else b"", running


def reboot(desk: Any) -> None:
    """The node has another boot id than the plan says."""
    plan = desk.path(PROBATION + "/plan.json")
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "boot": "another"}))


# ---- what it takes to be confirmed


@pytest.mark.parametrize(
    ("change", "is_asked"),
    [
        (lambda desk: desk.file("/etc/nftables.d/a", b"a"), True),
        (lambda desk: desk.file("/etc/sudoers.d/a", b"a"), True),
        (lambda desk: desk.file("/etc/motd", b"a", restart=["wg-quick@wg0.service"]), True),
        (lambda desk: desk.file("/etc/systemd/system/nftables.service.d/a.conf", b"a"), True),
        (lambda desk: desk.file("/etc/systemd/system/wg-quick@wg0.service", b"a"), True),
        (lambda desk: desk.units.append({"name": "nftables.service", "state": "started"}), True),
        (lambda desk: desk.folders.append({"path": "/etc/sudoers.d/x"}), True),
        (lambda desk: desk.file("/etc/motd", b"a", restart=["chrony.service"]), False),
        (lambda desk: desk.file("/etc/systemd/system/chrony.service", b"a"), False),
        (lambda desk: desk.file("/srv/etc/nftables.conf", b"a"), False),
    ],
)
def test_what_is_of_the_way_in_has_to_be_confirmed(desk: Any, change: Any, *, is_asked: bool) -> None:
    desk.confirm = WAY
    change(desk)
    result = come(desk)
    assert not result.get("failed"), result["msg"]
    assert ("unconfirmed" in result) is is_asked


def test_what_goes_is_of_the_way_in_as_what_comes_is(way: Any) -> None:
    way.files = [one for one in way.files if one["path"] != RULES]
    assert "unconfirmed" in come(way)


def test_nothing_is_touched_while_what_puts_it_back_is_not_there(way: Any) -> None:
    before = way.snapshot()
    result = way.run()
    assert (result["step"], result["at"]) == ("program", RULES)
    assert way.snapshot() == before


def test_who_has_nothing_to_change_confirms_nothing(way: Any) -> None:
    come(way)
    ask(way, confirm=way.digest())
    assert come(way)["changed"] is False


@pytest.mark.parametrize("more", [{"probation": False}, {"adopt": True, "take": ["*"]}])
def test_there_is_a_way_without(desk: Any, more: dict[str, Any]) -> None:
    desk.confirm = WAY
    desk.file(RULES, b"first\n")
    assert "unconfirmed" not in come(desk, **more)
    assert not desk.path(PROBATION).exists()


def test_check_mode_has_no_part_in_it(way: Any) -> None:
    before = way.snapshot()
    assert "unconfirmed" not in way.ok(check=True)
    assert way.snapshot() == before


# ---- confirmed


def test_the_record_claims_nothing_before_the_confirmation_and_all_after_it(way: Any) -> None:
    old = way.record()["digest"]
    result = come(way)
    assert result["unconfirmed"] == {"digest": way.digest(), "seconds": 3600}
    assert way.path(RULES).read_bytes() == b"second\n"
    found = way.record()
    assert (found["digest"], found["partial"], found["base"], found["wanted"]) == ("", True, old, way.digest())
    said = ask(way, confirm=way.digest())
    assert said["digest"] == said["record"]["digest"] == way.record()["digest"] == way.digest()
    assert "partial" not in way.record()
    assert not way.path(PROBATION).exists()
    assert not list(way.path("/etc/systemd/system").rglob("fleet-undo*"))
    assert way.units_json()["nftables.service"]["reloads"] == 1


def test_confirmed_twice_is_confirmed_once(way: Any) -> None:
    come(way)
    ask(way, confirm=way.digest())
    before = way.snapshot()
    assert ask(way, confirm=way.digest())["digest"] == way.digest()
    assert way.snapshot() == before


def test_what_does_not_wait_is_not_confirmed(way: Any) -> None:
    come(way)
    said = ask(way, confirm="b1:" + "0" * 64)
    assert said["msg"] == f"confirm: b1:{'0' * 64} does not wait to be confirmed here"
    assert way.record()["digest"] == ""


def test_the_connection_by_which_it_came_confirms_nothing(way: Any) -> None:
    """A shell that is called as sshd calls its own stands for the connection."""
    shell = way.place / "sshd-session"
    shell.symlink_to("/bin/sh")
    call = f"{sys.executable} {MODULE} --root {way.root}"
    confirm = f"{call} --confirm {way.digest()}"
    done = subprocess.run(
        [shell, "-c", f"{call} --probation --bundle {way.write()} >/dev/null; {confirm}; true"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["msg"] == "confirm: this is the connection by which it came: a new one is needed"
    assert way.record()["digest"] == ""
    subprocess.run([shell, "-c", f"{confirm}; true"], capture_output=True, check=True)
    assert way.record()["digest"] == way.digest()


def test_the_same_bundle_once_more_waits_on_and_touches_nothing(way: Any) -> None:
    come(way)
    before = way.contents()
    assert way.ok()["unconfirmed"]["digest"] == way.digest()
    assert way.contents() == before
    assert ask(way, confirm=way.digest())["digest"] == way.digest()


def test_it_is_kept_where_nobody_else_reads(way: Any) -> None:
    come(way)
    assert stat.S_IMODE(way.path(PROBATION).stat().st_mode) == 0o700
    assert stat.S_IMODE(way.path(PROBATION + "/plan.json").stat().st_mode) == 0o600
    assert way.path(PROBATION + "/fleet_bundle.py").read_text() == MODULE.read_text()
    unit = way.path("/etc/systemd/system/fleet-undo.service").read_text()
    assert "ConditionPathExists=/var/lib/fleet/probation/plan.json\n" in unit
    link = way.path("/etc/systemd/system/sysinit.target.wants/fleet-undo.service")
    assert str(link.readlink()) == "/etc/systemd/system/fleet-undo.service"


# ---- undone


@pytest.mark.parametrize(
    "by", ["the next run", "its own call", "a late confirmation", "a reboot", "a run after a reboot"]
)
def test_unconfirmed_all_that_was_there_comes_back(way: Any, by: str) -> None:
    before, inode = state(way), way.path(RULES).stat().st_ino
    way.confirm["seconds"] = 3600 if "reboot" in by else 0
    come(way)
    assert state(way) != before
    if "reboot" in by:
        reboot(way)
    if by == "a reboot":
        assert ask(way, put_back="boot")["changed"] is True
    elif by == "its own call":
        assert ask(way, put_back="deadline")["changed"] is True
    said = ask(way, confirm=way.digest()) if by == "a late confirmation" else way.run()
    late = LATE.replace("0 s", "3600 s") if "reboot" in by else LATE
    assert said["msg"] == (REBOOTED if by == "a reboot" else late)
    assert (said["step"], said["changed"]) == ("undone", False)
    assert said["record"]["digest"] == way.record()["digest"]
    assert state(way) == before
    assert way.path(RULES).stat().st_ino == inode, "the very same file"
    assert not way.path("/etc/new").exists()
    assert not way.path(PROBATION).exists()
    again = 0 if by == "a reboot" else 1  # at boot nothing has read it yet
    assert way.units_json()["nftables.service"]["reloads"] == 1 + again


def test_who_is_told_once_may_try_it_again(way: Any) -> None:
    way.confirm["seconds"] = 0
    come(way)
    assert way.run()["step"] == "undone"
    way.confirm["seconds"] = 3600
    assert "unconfirmed" in come(way)
    ask(way, confirm=way.digest())
    assert not way.path(UNDONE).exists()


def test_another_bundle_comes_in_after_what_waited_was_put_back(way: Any) -> None:
    come(way)
    way.file(RULES, b"third\n", reload=["nftables.service"])
    result = come(way)
    assert result["unconfirmed"]["digest"] == way.digest()
    assert ask(way, confirm=way.digest())["digest"] == way.digest()
    assert way.path(RULES).read_bytes() == b"third\n"
    way.files = []
    come(way)
    ask(way, confirm=way.digest())
    assert way.path(MOTD).read_bytes() == b"theirs\n", "what was there before fleet is not forgotten on the way"


def test_a_timer_that_is_early_changes_nothing(way: Any) -> None:
    come(way)
    before = way.snapshot()
    assert ask(way, put_back="deadline")["changed"] is False
    assert way.snapshot() == before


def test_a_first_bundle_leaves_nothing(desk: Any) -> None:
    desk.confirm = dict(WAY, seconds=0)
    desk.path(MOTD).write_bytes(b"theirs\n")
    before = desk.contents()
    desk.file(RULES, b"first\n")
    desk.file(MOTD, b"ours\n")
    come(desk)
    ask(desk, put_back="deadline")
    assert desk.contents() == before
    assert not desk.path("/var/lib/fleet/record.json").exists()
    assert desk.run()["msg"] == LATE


def test_an_application_that_fails_is_put_back_at_once(way: Any) -> None:
    """Here by a folder where a file of the bundle is to go, which came after everything was looked at."""
    before = state(way)
    way.file("/etc/nftables.d/one", b"one", validate=f"mkdir -p {way.path('/etc/zz')} {{file}}-made")
    way.file("/etc/zz", b"last of all")
    said = come(way)
    assert said["msg"] == "write: /etc/zz: Is a directory; what was there before is back"
    assert said["record"]["digest"] == way.record()["digest"]
    way.path("/etc/zz").rmdir()
    assert state(way) == before
    assert not way.path(PROBATION).exists()
    assert not way.path(UNDONE).exists(), "whoever ordered it was told"


# ---- what never goes back


def test_another_k3s_stays_and_the_record_does_not_claim_the_old_bundle(way: Any, tmp_path: Path) -> None:
    for version in ("v1.35.3+k3s1", "v1.35.4+k3s1"):
        (tmp_path / version).write_text(version)
    old_files, new_files = [one for one in way.files if one["path"] != RULES], list(way.files)
    way.files, way.confirm = old_files, {}
    way.facts = {"k3s_version": "v1.35.3+k3s1"}
    way.file("/etc/rancher/k3s/config.yaml", b"old: true\n")
    way.file(RULES, b"first\n")
    way.artifact("/usr/local/bin/k3s", b"v1.35.3+k3s1", [(tmp_path / "v1.35.3+k3s1").as_uri()])
    way.ok()
    held = way.digest()
    way.files, way.confirm = new_files, dict(WAY, seconds=0)
    way.facts = {"k3s_version": "v1.35.4+k3s1"}
    way.file("/etc/rancher/k3s/config.yaml", b"new: true\n")
    way.artifact("/usr/local/bin/k3s", b"v1.35.4+k3s1", [(tmp_path / "v1.35.4+k3s1").as_uri()])
    come(way)
    said = way.run()
    assert said["msg"] == (
        f"{LATE}, but for K3s v1.35.3+k3s1 -> v1.35.4+k3s1, K3s's configuration, which never go back by themselves"
    )
    assert way.path(RULES).read_bytes() == b"first\n"
    assert way.path("/usr/local/bin/k3s").read_bytes() == b"v1.35.4+k3s1"
    assert way.path("/etc/rancher/k3s/config.yaml").read_bytes() == b"new: true\n"
    record = way.record()
    assert (record["digest"], record["base"], record["partial"]) == ("", held, True)
    manifest = json.loads(record["manifest"])
    assert manifest["facts"] == {"k3s_version": "v1.35.4+k3s1"}
    assert {one["path"]: one["sha256"] for one in manifest["files"]}[RULES] == way.entry(RULES, b"first\n")["sha256"]
    way.confirm["seconds"] = 3600
    come(way, expect=held)
    assert ask(way, confirm=way.digest())["digest"] == way.digest()


def test_packages_stay(way: Any) -> None:
    way.confirm["seconds"] = 0
    way.packages = [{"name": "nftables", "version": "1.0.6-2"}]
    held = way.record()["digest"]
    come(way)
    assert way.run()["msg"] == f"{LATE}, but for packages, which never go back by themselves"
    assert way.path(RULES).read_bytes() == b"first\n"
    assert (way.record()["digest"], way.record()["base"]) == ("", held)


# ---- by whoever loses power


def test_all_that_undoes_it_is_synced_before_anything_changes(way: Any) -> None:
    log = way.place / "calls"
    assert way.alone("--probation", prelude=prelude(log)).returncode == 0
    root, seen = str(way.root), read(log)
    plan = root + PROBATION + "/plan.json"
    assert unsynced(seen, plan) == []
    armed = next(at for at, call in enumerate(seen) if call.to == plan)
    first = next(at for at, call in enumerate(seen) if call.name == "rename" and call.to == root + RULES)
    claimed = [at for at, call in enumerate(seen) if call.to == root + "/var/lib/fleet/record.json"]
    assert armed < claimed[0] < first
