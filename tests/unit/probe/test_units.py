"""fleet_probe: what it tells of units, run as Ansible runs it, with a stand-in for systemctl."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fleet.model.diagnosis import Probe, UnitState

ROOT = Path(__file__).parents[3]
MODULE = ROOT / "playbooks/ansible_collections/edgefleet/fleet/plugins/modules/fleet_probe.py"
UP = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "Type": "simple", "Result": "success"}
K3S = {**UP, "Type": "notify", "NRestarts": "0", "ActiveEnterTimestampMonotonic": "90061284"}


class Host:
    """A folder with a systemctl on its PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        (folder / "bin/systemctl").symlink_to(Path(__file__).with_name("systemctl.py"))
        self.script = folder / "units"

    def probe(self, *scripted: object, **arguments: object) -> dict[str, Any]:
        self.script.write_text("".join(f"{line if line == 'dead' else json.dumps(line)}\n" for line in scripted))
        done = subprocess.run(
            [sys.executable, str(MODULE)],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_remote_tmp": str(self.folder), **arguments}}),
            env={**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}", "UNITS_SCRIPT": str(self.script)},
            capture_output=True,
            text=True,
            check=False,
        )
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    def units(self, *scripted: object, **arguments: object) -> dict[str, UnitState]:
        return msgspec.convert(self.probe(*scripted, **arguments)["probe"], Probe).units

    @property
    def calls(self) -> list[str]:
        path = self.script.with_suffix(".calls")
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def unit(host: Host, before: dict[str, str], after: dict[str, str] | None = None) -> UnitState:
    found = host.units({"x.service": before}, {"x.service": after or before}, units=["x.service"], watch=0.01)
    return found["x.service"]


def test_units_are_told_in_one_call_each_time(host: Host) -> None:
    known = {"k3s.service": K3S, "chrony.service": UP}
    found = host.units(known, units=["k3s.service", "chrony.service", "gone.service"])
    assert host.calls == ["k3s.service chrony.service gone.service"]
    assert found == {
        "k3s.service": UnitState("loaded", "active", "running"),
        "chrony.service": UnitState("loaded", "active", "running"),
        "gone.service": UnitState("not-found", "inactive", "dead"),
    }
    host.units(known, units=["k3s.service"], watch=0.01)
    assert host.calls[1:] == ["k3s.service"] * 2


@pytest.mark.parametrize(
    ("before", "after", "is_restarting"),
    [
        (K3S, K3S, False),
        (K3S, {**K3S, "NRestarts": "1"}, True),
        (K3S, {**K3S, "ActiveEnterTimestampMonotonic": "99061284"}, True),
        ({**K3S, "NRestarts": "4"}, {**K3S, "NRestarts": "4"}, False),
        ({**K3S, "ActiveState": "activating"}, {**K3S, "ActiveEnterTimestampMonotonic": "99061284"}, False),
        ({**K3S, "NRestarts": "4"}, {**K3S, "NRestarts": "0"}, False),
        (UP, UP, False),
    ],
)
def test_one_that_is_started_again_meanwhile(
    host: Host, before: dict[str, str], after: dict[str, str], *, is_restarting: bool
) -> None:
    found = unit(host, before, after)
    assert (found.active, found.is_restarting) == ("active", is_restarting)
    assert found.restarts == int(after.get("NRestarts", "0"))


def test_one_that_waits_for_its_next_start(host: Host) -> None:
    state = {**K3S, "ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code", "NRestarts": "12"}
    assert unit(host, state) == UnitState("loaded", "activating", "auto-restart", "exit-code", 12)


@pytest.mark.parametrize(
    ("more", "is_over"),
    [
        ({"ExecMainExitTimestampMonotonic": "5", "Result": "success"}, True),
        ({"ExecMainExitTimestampMonotonic": "5", "Result": "exit-code"}, False),
        ({"ExecMainExitTimestampMonotonic": "0", "Result": "success"}, False),
        ({"ExecMainExitTimestampMonotonic": "5", "Result": "success", "Type": "simple"}, False),
    ],
)
def test_one_that_runs_once_is_over_when_it_has_run(host: Host, more: dict[str, str], *, is_over: bool) -> None:
    assert (
        unit(host, {**UP, "Type": "oneshot", "ActiveState": "inactive", "SubState": "dead", **more}).is_over is is_over
    )


def test_a_systemd_that_does_not_answer_is_a_failure(host: Host) -> None:
    said = host.probe("dead", units=["x.service"])
    assert (said["failed"], said["msg"]) == (
        True, "systemd does not tell of its units: Failed to get properties: Connection timed out"
    )  # fmt: skip


def test_without_units_systemd_is_not_asked(host: Host) -> None:
    assert host.units({}) == {}
    assert host.calls == []


@pytest.mark.parametrize(
    ("written", "state"),
    [
        ('{"x.service": {"enabled": true, "state": "started"}}', UnitState("loaded", "active")),
        ('{"x.service": {"enabled": true, "state": "stopped"}}', UnitState("loaded", "inactive")),
        ("{}", UnitState("not-found", "inactive")),
        ("{cut", UnitState("not-found", "inactive")),
        (None, UnitState("not-found", "inactive")),
    ],
)
def test_in_a_sandbox_what_would_have_been_started(host: Host, written: str | None, state: UnitState) -> None:
    if written is not None:
        (host.folder / "var/lib/fleet").mkdir(parents=True)
        (host.folder / "var/lib/fleet/units.json").write_text(written)
    assert host.units({}, root=str(host.folder), units=["x.service"], watch=600) == {"x.service": state}
    assert host.calls == []
