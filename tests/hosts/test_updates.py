"""OS updates on real hosts: by day of the archive, recorded, and reboots in the window, confirmed by a new boot id."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.hosts.ground import Ground
from tests.lab.apt import NEW, OLD, make_repository, service, tool
from tests.lab.host import Host

FIRST, SECOND = "2026-11-01", "2026-11-02"
ALWAYS, NEVER = '{at: "* * * * *", duration: 3h}', '{at: "0 0 29 2 1", duration: 1m, timeZone: UTC}'
NODES = ("south-a", "south-till-001")


@pytest.fixture
def south(ground: Ground) -> Iterator[Ground]:
    """Site south with an archive of two days: on the first its hosts have all, on the second a security update more."""
    www = ground.lab.mirror.www
    make_repository(www / f"apt-{FIRST}", (tool(OLD), service(OLD)), label="fleet lab security")
    make_repository(www / f"apt-{SECOND}", (tool(OLD), service(OLD), service(NEW)), label="fleet lab security")
    make_repository(www / "apt-plain", (service(OLD), service(NEW)), label="fleet lab")
    for name in NODES:
        host = ground.hosts[name]
        host.run(["sh", "-c", "echo 'deb [trusted=yes] http://10.77.0.1/apt ./' >/etc/apt/sources.list.d/lab.list"])
        host.run(["apt-get", "update", "-q"])
        host.run(["apt-get", "install", "-qy", "--allow-downgrades", f"fleet-lab-service={OLD}"], timeout=120)
        host.run(["rm", "-f", "/var/lib/fleet/updates.json", "/run/reboot-required"])
    yield ground
    for name in NODES:
        ground.hosts[name].run(["rm", "-f", "/run/reboot-required", "/var/lib/fleet/updates.json"])
        ground.hosts[name].run(["apt-get", "purge", "-qy", "fleet-lab-service"], timeout=120)


def want(ground: Ground, updates: str) -> None:
    write_updates(ground, updates)
    profiles = "[base, {name: upkeep, selector: {matchLabels: {site: south}}}]"
    ground.checkout.edit("fleet.yaml", "  profiles: [base]", f"  profiles: {profiles}")
    ground.checkout.commit("Keep the south up to date")


def write_updates(ground: Ground, updates: str) -> None:
    head = "apiVersion: fleet/v1alpha1\nkind: Profile\nmetadata: {name: upkeep}\n"
    ground.checkout.write("profiles/upkeep.yaml", f"{head}spec:\n  os: {{updates: {updates}}}\n")


def write_policy(ground: Ground, schedule: str) -> None:
    head = "apiVersion: fleet/v1alpha1\nkind: RolloutPolicy\nmetadata: {name: nightly}\n"
    ground.checkout.write("policy.yaml", f"{head}spec: {{updateSchedule: {schedule}, progressDeadline: 60s}}\n")


def of_day(day: str, mode: str = "security", reboot: str = "never") -> str:
    source = '"deb [trusted=yes] http://10.77.0.1/apt-{snapshot} ./"'
    return f"{{mode: {mode}, snapshot: {day}, sources: [{source}], reboot: {reboot}}}"


def version(host: Host) -> str:
    return host.run(["dpkg-query", "-W", "-f=${Version}", "fleet-lab-service"])


def updates(host: Host) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.read("/var/lib/fleet/updates.json"))
    return found


def boot_id(host: Host) -> str:
    return host.read("/proc/sys/kernel/random/boot_id").strip()


def test_updates_are_taken_once_for_each_day_and_recorded(south: Ground) -> None:
    want(south, of_day(FIRST))
    said = south.checkout.fleet("plan", code=3)
    assert f"+ OS updates: security of {FIRST} from deb" in said.out, said.text
    south.checkout.fleet("apply", "--yes")
    assert {version(south.hosts[name]) for name in NODES} == {OLD}
    assert updates(south.hosts["south-a"])["done"] == f"security {FIRST}"
    assert updates(south.hosts["south-a"])["changed"] == []

    write_updates(south, of_day(SECOND))
    south.checkout.commit("Another day")
    said = south.checkout.fleet("apply", "--yes", "--json")
    applied = {event["node"]: event for event in said.events("NodeApplied")}
    assert {name: event["updated"] for name, event in applied.items()} == dict.fromkeys(NODES, 1)
    change = {"name": "fleet-lab-service", "before": OLD, "after": NEW}
    for name in NODES:
        assert version(south.hosts[name]) == NEW
        assert updates(south.hosts[name])["changed"] == [change]
    node = json.loads(south.checkout.fleet("node", "show", "south-a", "--json").out)
    assert node["record"]["updates"]["changed"] == [change]

    south.lab.mirror.stop()
    try:
        said = south.checkout.fleet("plan", "--refresh")
        assert "Nothing to do" in said.out
        south.greet("south-a", "nothing of updates")
        south.checkout.fleet("apply", "--yes")  # what was taken is not taken again, and no archive is asked
    finally:
        south.lab.mirror.start()


def test_only_what_comes_from_a_security_archive_unless_all_is_wanted(south: Ground) -> None:
    """Without a day, updates are taken when somebody asks. What a power cut left half installed is finished first."""
    host = south.hosts["south-till-001"]
    host.run(
        ["sh", "-c", "cd /tmp && apt-get download -q fleet-lab-service=1.0-1 && dpkg --unpack fleet-lab-service*.deb"]
    )
    assert host.run(["dpkg-query", "-W", "-f=${db:Status-Status}", "fleet-lab-service"]) == "unpacked"
    source = '"deb [trusted=yes] http://10.77.0.1/apt-plain ./"'
    want(south, f"{{mode: security, sources: [{source}]}}")
    south.checkout.fleet("apply", "--yes")
    assert {version(south.hosts[name]) for name in NODES} == {OLD}
    assert host.run(["dpkg-query", "-W", "-f=${db:Status-Status}", "fleet-lab-service"]) == "installed"
    assert "Nothing to do" in south.checkout.fleet("plan").out
    said = south.checkout.fleet("plan", "--updates", code=3)
    assert "OS updates: security, as of today" in said.out

    south.checkout.edit("profiles/upkeep.yaml", "mode: security", "mode: all")
    south.checkout.commit("All of them")
    south.checkout.fleet("apply", "--updates", "--yes")
    assert {version(south.hosts[name]) for name in NODES} == {NEW}


def test_an_archive_that_does_not_answer_is_told_and_nothing_is_claimed(south: Ground) -> None:
    want(south, of_day("2026-11-30"))
    said = south.checkout.fleet("apply", "--yes", "--json", code=4)
    failed = {event["node"]: event["reason"] for event in said.events("NodeFailed")}
    assert "Take OS updates: updates: " in failed["south-a"], failed
    assert "apt-2026-11-30" in failed["south-a"]
    assert south.checkout.plan()["changing"] == 2

    write_updates(south, f"{{mode: all, snapshot: {FIRST}}}")
    south.checkout.commit("Another archive")
    found = south.hosts["south-a"].run(["apt-get", "--version"]).split()[1]
    if found.startswith(("1.", "2.0", "2.2", "2.4", "2.6")):
        said = south.checkout.fleet("apply", "--yes", "--json", code=4)
        (reason,) = {event["reason"] for event in said.events("NodeFailed")}
        assert reason == f"Take OS updates: updates: apt {found} knows no snapshots: name `sources:` for them"


def test_a_reboot_waits_for_its_window_and_is_confirmed_by_a_new_boot_id(south: Ground) -> None:
    want(south, of_day(FIRST))
    before = {name: boot_id(south.hosts[name]) for name in NODES}
    for name in NODES:
        south.hosts[name].run(["sh", "-c", "touch /run/reboot-required; echo libc6 >/run/reboot-required.pkgs"])
    south.checkout.fleet("apply", "--yes")
    assert {name: boot_id(south.hosts[name]) for name in NODES} == before
    assert updates(south.hosts["south-a"])["reboot"] == "for libc6"
    write_updates(south, of_day(FIRST, reboot="window"))
    write_policy(south, NEVER)
    south.checkout.edit("fleet.yaml", "spec:", "spec:\n  rolloutPolicy: nightly")
    south.checkout.commit("A window that is shut")
    said = south.checkout.fleet("plan")
    assert "to be rebooted in their window" in said.out, said.text
    assert "a reboot is due on 2 nodes" in south.checkout.fleet("status").out

    write_policy(south, ALWAYS)
    south.checkout.commit("The window opens")
    said = south.checkout.fleet("plan", code=3)
    assert "~ reboot for libc6  2 nodes, 1 site" in said.out, said.text
    said = south.checkout.fleet("apply", "--yes", "--json")
    assert {event["node"]: event["rebooted"] for event in said.events("NodeApplied")} == dict.fromkeys(NODES, True)
    for name in NODES:
        now = boot_id(south.hosts[name])
        assert now != before[name]
        assert updates(south.hosts[name])["rebooted"] == now
        assert south.hosts[name].unit_show(south.k3s_unit(name), "ActiveState") == {"ActiveState": "active"}
    assert "Nothing to do" in south.checkout.fleet("plan").out
    assert "reboot" not in south.checkout.fleet("status").out
