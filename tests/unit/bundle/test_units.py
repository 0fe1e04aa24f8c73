"""Units: what is done to them, once each, and only when something that they read has changed."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

UNIT = b"[Service]\nExecStart=/usr/local/bin/k3s server\n[Install]\nWantedBy=multi-user.target\n"


def state(*, enabled: bool = True, active: bool = True, starting: bool = False) -> dict[str, bool]:
    return {"enabled": enabled, "plain": enabled, "active": active, "starting": starting}


@pytest.mark.parametrize(
    ("unit", "now", "restart", "reload", "expected"),
    [
        ({"enabled": True, "state": "started"}, state(), False, False, []),
        ({"enabled": True, "state": "started"}, state(enabled=False, active=False), False, False, ["enable", "start"]),
        ({"enabled": False, "state": "stopped"}, state(), False, False, ["disable", "stop"]),
        ({"enabled": False, "state": "stopped"}, state(), True, True, ["disable", "stop"]),
        ({"enabled": False, "state": "stopped"}, state(enabled=False, active=False), True, True, []),
        ({"state": "started"}, state(), True, False, ["restart"]),
        ({"state": "started"}, state(), False, True, ["reload"]),
        ({"state": "started"}, state(), True, True, ["restart"]),
        ({"state": "started"}, state(active=False), True, True, ["start"]),
        ({"state": "started"}, state(active=False, starting=True), True, False, ["restart"]),
        ({}, state(enabled=False), True, False, ["restart"]),
        ({}, state(active=False), True, True, []),
        ({"enabled": True}, state(active=False), True, True, []),
    ],
)
def test_steps(
    fleet_bundle: Any, *, unit: dict[str, Any], now: dict[str, bool], restart: bool, reload: bool, expected: list[str]
) -> None:
    units = [{"name": "x.service", **unit}] if unit else []
    names = {"x.service"}
    steps = fleet_bundle.unit_steps(units, {"x.service": now}, names if restart else set(), names if reload else set())
    assert steps == [(verb, ["x.service"]) for verb in expected]


def k3s(desk: Any) -> None:
    desk.file("/etc/systemd/system/k3s.service", UNIT, restart=["k3s.service"])
    desk.file("/etc/rancher/k3s/config.yaml", b"a: 1\n", mode="0600", restart=["k3s.service"])
    desk.file("/etc/rancher/k3s/reloaded", b"1\n", reload=["k3s.service"])
    desk.units = [{"name": "k3s.service", "enabled": True, "state": "started"}]


def counts(desk: Any) -> tuple[int, int, int]:
    unit = desk.units_json()["k3s.service"]
    return unit["starts"], unit["restarts"], unit["reloads"]


def test_a_new_unit_is_enabled_and_started_once(desk: Any) -> None:
    k3s(desk)
    result = desk.ok()
    assert [(c["path"], c["action"]) for c in result["changes"] if c["kind"] == "unit"] == [
        ("k3s.service", "enable"),
        ("k3s.service", "start"),
    ]
    assert (result["restarted"], result["reloaded"]) == ([], [])
    link = desk.path("/etc/systemd/system/multi-user.target.wants/k3s.service")
    assert str(link.readlink()) == "/etc/systemd/system/k3s.service"
    assert desk.units_json() == {
        "k3s.service": {"enabled": True, "state": "started", "starts": 1, "restarts": 0, "reloads": 0}
    }
    assert desk.ok()["changed"] is False


def test_two_changed_files_restart_once_and_restart_wins_over_reload(desk: Any) -> None:
    k3s(desk)
    desk.ok()
    desk.file("/etc/rancher/k3s/reloaded", b"2\n", reload=["k3s.service"])
    result = desk.ok()
    assert (result["restarted"], result["reloaded"], counts(desk)) == ([], ["k3s.service"], (1, 0, 1))
    for path in ("/etc/systemd/system/k3s.service", "/etc/rancher/k3s/config.yaml"):
        desk.file(path, UNIT + b"# 2\n", mode="0600", restart=["k3s.service"])
    desk.file("/etc/rancher/k3s/reloaded", b"3\n", reload=["k3s.service"])
    result = desk.ok()
    assert (result["restarted"], result["reloaded"], counts(desk)) == (["k3s.service"], [], (1, 1, 1))
    assert [c["kind"] for c in result["changes"]] == ["file", "file", "file"]


def test_a_file_that_nothing_reads_restarts_nothing(desk: Any) -> None:
    k3s(desk)
    desk.ok()
    desk.file("/etc/motd", b"hello\n")
    assert desk.ok()["restarted"] == []
    assert counts(desk) == (1, 0, 0)


def test_a_removed_file_restarts_its_reader(desk: Any) -> None:
    k3s(desk)
    desk.ok()
    desk.files = [one for one in desk.files if one["path"] != "/etc/rancher/k3s/config.yaml"]
    assert desk.ok()["restarted"] == ["k3s.service"]


def test_check_mode_says_which_units_would_restart(desk: Any) -> None:
    k3s(desk)
    desk.ok()
    desk.file("/etc/rancher/k3s/config.yaml", b"a: 2\n", mode="0600", restart=["k3s.service"])
    assert desk.ok(check=True)["restarted"] == ["k3s.service"]
    assert counts(desk) == (1, 0, 0)


def test_a_unit_that_was_stopped_by_hand_is_started(desk: Any) -> None:
    k3s(desk)
    desk.ok()
    units = desk.units_json()
    units["k3s.service"]["state"] = "stopped"
    desk.path("/var/lib/fleet/units.json").write_text(json.dumps(units))
    result = desk.ok()
    assert [(c["kind"], c["path"], c["action"]) for c in result["changes"]] == [("unit", "k3s.service", "start")]
    assert desk.ok()["changed"] is False


def test_links_that_a_killed_run_made_or_took_away_are_seen(desk: Any) -> None:
    """units.json is written at the end of a run; a sandbox has nobody else to ask what is enabled."""
    k3s(desk)
    desk.ok()
    link = desk.path("/etc/systemd/system/multi-user.target.wants/k3s.service")
    link.unlink()
    assert [c["action"] for c in desk.ok()["changes"]] == ["enable"]
    assert link.is_symlink()
    units = desk.path("/var/lib/fleet/units.json")
    units.write_text(json.dumps({"k3s.service": {**desk.units_json()["k3s.service"], "enabled": False}}))
    desk.files, desk.units = [], []
    desk.ok()
    assert not desk.path("/etc/systemd/system").exists()


def test_a_unit_whose_file_goes_is_stopped_and_disabled(desk: Any) -> None:
    k3s(desk)
    desk.ok()
    desk.files, desk.units = [], []
    desk.ok()
    assert desk.units_json()["k3s.service"]["state"] == "stopped"
    assert desk.units_json()["k3s.service"]["enabled"] is False
    assert not desk.path("/etc/systemd/system").exists()


def test_a_pending_restart_is_done_by_the_next_run(desk: Any) -> None:
    k3s(desk)
    desk.ok()
    record = desk.record()
    digest = record["digest"]
    record.update(digest="", partial=True, base=digest, wanted=digest)
    record["pending"] = {"restart": ["k3s.service"], "reload": [], "daemon_reload": True}
    desk.path("/var/lib/fleet/record.json").write_text(json.dumps(record))
    assert desk.ok()["restarted"] == ["k3s.service"]
    assert "pending" not in desk.record()
    assert desk.record()["digest"] == digest
    assert desk.ok()["changed"] is False


SYSTEMCTL = """#!{python}
import json, sys, pathlib
here = pathlib.Path(__file__).parent
units = json.loads((here / "units.json").read_text())
args = [one for one in sys.argv[1:] if not one.startswith("-")]
with open(here / "log", "a") as log:
    if args[0] not in ("show", "reset-failed"):
        log.write(" ".join(args) + "\\n")
verb, names = args[0], args[1:]
if verb == "show":
    names = names[1:]  # the value of -p
    for name in names:
        unit = units.get(name, {{"LoadState": "not-found", "ActiveState": "inactive"}})
        print("Id=" + name)
        for key, value in unit.items():
            if key != "dies":
                print(key + "=" + value)
        print()
elif verb in ("start", "restart", "reload-or-restart"):
    for name in names:
        if name not in units:
            sys.exit("Failed to start " + name + ": Unit not found.")
        dies = units[name].get("dies")
        units[name].update(ActiveState="failed" if dies else "active", Result="exit-code" if dies else "success")
        if dies == "said":
            (here / "units.json").write_text(json.dumps(units))
            sys.exit("Job for " + name + " failed.")
elif verb in ("enable", "disable"):
    for name in names:
        units[name]["UnitFileState"] = verb + "d"
elif verb == "stop":
    for name in names:
        units[name]["ActiveState"] = "inactive"
(here / "units.json").write_text(json.dumps(units))
"""


class Fake:
    """A systemctl and a journalctl of our own on PATH, which keep units in a file and log what they are asked."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place = place
        for name, text in (
            ("systemctl", SYSTEMCTL.format(python=sys.executable)),
            ("journalctl", "#!/bin/sh\necho the last line of $8\n"),
        ):
            path = place / name
            path.write_text(text)
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")

    def units(self, **units: dict[str, str]) -> None:
        loaded = {"Type": "simple", "LoadState": "loaded", "SubState": "x", "UnitFileState": "enabled"}
        whole = {f"{name}.service": {**loaded, **unit} for name, unit in units.items()}
        (self.place / "units.json").write_text(json.dumps(whole))

    def log(self) -> list[str]:
        path = self.place / "log"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    (tmp_path / "bin").mkdir()
    return Fake(tmp_path / "bin", monkeypatch)


def test_systemd_states(fleet_bundle: Any, fake: Fake) -> None:
    fake.units(
        up={"ActiveState": "active"},
        down={"ActiveState": "inactive", "UnitFileState": "disabled"},
        once={"ActiveState": "inactive", "Type": "oneshot", "InactiveEnterTimestampMonotonic": "12"},
        fresh={"ActiveState": "inactive", "Type": "oneshot", "InactiveEnterTimestampMonotonic": "0"},
        hung={"ActiveState": "activating", "UnitFileState": "static"},
    )
    names = ["up", "down", "once", "fresh", "hung"]
    states = fleet_bundle.Systemd(5).states([f"{name}.service" for name in names])
    seen = {name: (one["enabled"], one["active"], one["starting"]) for name, one in states.items()}
    assert seen == {
        "up.service": (True, True, False),
        "down.service": (False, False, False),
        "once.service": (True, True, False),
        "fresh.service": (True, False, False),
        "hung.service": (True, False, True),
    }


def test_systemd_steps_are_carried_out_in_order(fleet_bundle: Any, fake: Fake) -> None:
    fake.units(a={"ActiveState": "active"}, b={"ActiveState": "inactive"}, c={"ActiveState": "active"})
    steps = [("enable", ["b.service"]), ("stop", ["c.service"]), ("restart", ["a.service"]), ("start", ["b.service"])]
    assert fleet_bundle.carry_out_units(fleet_bundle.Systemd(5), steps) == {}
    assert fake.log() == ["enable b.service", "stop c.service", "restart a.service", "start b.service"]


@pytest.mark.parametrize("dies", ["said", "silent"])
def test_a_unit_that_does_not_start_is_told(fleet_bundle: Any, fake: Fake, dies: str) -> None:
    fake.units(a={"ActiveState": "inactive", "dies": dies, "ExecMainStatus": "1"}, b={"ActiveState": "inactive"})
    manager = fleet_bundle.Systemd(5)
    bad = fleet_bundle.carry_out_units(manager, [("start", ["a.service", "b.service"])])
    assert bad == {"a.service": "did not start: failed, x, exit-code, exit 1"}
    assert manager.journal("a.service") == "the last line of a.service"


def test_a_unit_that_is_not_there_is_told(fleet_bundle: Any, fake: Fake) -> None:
    fake.units()
    bad = fleet_bundle.carry_out_units(fleet_bundle.Systemd(5), [("start", ["gone.service"])])
    assert list(bad) == ["gone.service"]


def test_a_unit_that_hangs_is_waited_for_no_longer_than_told(fleet_bundle: Any, fake: Fake) -> None:
    fake.units(a={"ActiveState": "activating"})
    assert fleet_bundle.Systemd(2).wait(["a.service"]) == {"a.service": "activating, x, exit unknown"}


def test_a_unit_that_ends_and_is_started_again_is_not_taken_for_one_that_runs(
    fleet_bundle: Any, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each look it happens to be active."""
    looks: list[int] = []

    def look(self: Any, names: list[str]) -> dict[str, Any]:
        looks.append(1)
        restarts = {"b.service": "0", "calms.service": str(min(len(looks), 3)), "loops.service": str(len(looks))}
        return {name: state(restarts[name]) for name in names}

    def state(restarts: str) -> dict[str, Any]:
        return {"looping": False, "restarts": restarts, "settled": True, "why": ""}

    monkeypatch.setattr(fleet_bundle.Systemd, "states", look)
    monkeypatch.setattr(fleet_bundle, "LOOP_SECONDS", 6)
    manager = fleet_bundle.Systemd(30)
    assert manager.wait(["b.service", "calms.service"]) == {}
    assert len(looks) == 4
    assert manager.wait(["b.service", "loops.service"]) == {"loops.service": "it ends, and is started again and again"}


def test_a_unit_that_fails_keeps_the_digest_back_and_is_restarted_next_time(
    desk: Any, fleet_bundle: Any, fake: Fake
) -> None:
    """The files are in place and known as managed, the digest is not claimed, the restart stays pending."""

    class Real(fleet_bundle.Apply):
        def open_manager(self) -> Any:
            return fleet_bundle.Systemd(5)

    def run() -> dict[str, Any]:
        opts = desk.options()
        work = Real(opts, *fleet_bundle.read_bundle(opts))
        return work.run().result()

    desk.file("/etc/chrony.conf", b"one", restart=["chrony.service"])
    desk.units = [{"name": "chrony.service", "enabled": True, "state": "started"}]
    fake.units(chrony={"ActiveState": "active"})
    run()
    first = desk.digest()
    fake.units(chrony={"ActiveState": "active", "dies": "said", "ExecMainStatus": "1"})
    desk.file("/etc/chrony.conf", b"two", restart=["chrony.service"])
    with pytest.raises(fleet_bundle.Failure) as caught:
        run()
    assert str(caught.value) == (
        "units: chrony.service: did not start: failed, x, exit-code, exit 1\nthe last line of chrony.service"
    )
    record = desk.record()
    assert (record["digest"], record["partial"], record["base"]) == ("", True, first)
    assert record["wanted"] == desk.digest()
    assert record["pending"] == {"restart": ["chrony.service"], "reload": [], "daemon_reload": False}
    assert desk.path("/etc/chrony.conf").read_bytes() == b"two"
    fake.units(chrony={"ActiveState": "active"})
    assert run()["restarted"] == ["chrony.service"]
    assert desk.record()["digest"] == desk.digest()
    assert "pending" not in desk.record()
    assert run()["changed"] is False
    assert fake.log() == ["restart chrony.service"] * 3


def test_a_new_unit_file_is_known_to_systemd_before_it_is_started(desk: Any, fleet_bundle: Any, fake: Fake) -> None:
    class Real(fleet_bundle.Apply):
        def open_manager(self) -> Any:
            return fleet_bundle.Systemd(5)

    desk.file("/etc/systemd/system/a.service", UNIT)
    desk.units = [{"name": "a.service", "enabled": True, "state": "started"}]
    fake.units(a={"ActiveState": "inactive", "UnitFileState": "disabled"})
    opts = desk.options()
    Real(opts, *fleet_bundle.read_bundle(opts)).run()
    assert fake.log() == ["daemon-reload", "enable a.service", "start a.service"]
