"""What is tried on 20 hosts alone: a pilot that breaks, and where the time of a rollout goes."""

import json
import math
import time
from collections.abc import Callable

import pytest

from tests.hosts.checkout import BIN
from tests.hosts.waves.availability import broken
from tests.hosts.waves.shares import Playbooks, share, told
from tests.hosts.waves.street import BUDGET, Street
from tests.lab.network import NAMESPACES

pytestmark = pytest.mark.timeout(900)
MOST = 10
"""Percent of a rollout's time that may lie outside Ansible, gates and soaks."""
Note = Callable[[str, object], None]


def test_where_the_time_of_a_rollout_goes(street: Street, record_property: Note) -> None:
    """From the start of `fleet apply` to its end, less the wait for an approval, which is a person's."""
    street.greet("time")
    lab, checkout = street.lab, street.checkout
    with street.probes() as probes, Playbooks(NAMESPACES / lab.network.controller) as playbooks:
        began = time.time()
        running = checkout.start("apply", "--yes", "--json")
        rollout = running.wait_for("ApprovalAwaited")["rollout_id"]
        checkout.fleet("rollout", "approve", rollout)
        said = running.end()
        wall = (began, time.time())
    assert said.code == 0, said.text
    exported = checkout.run([str(BIN / "fleet"), "journal", "export"]).out.splitlines()
    entries = [line for line in map(json.loads, exported) if line["line"] == "event" and line["rollout"] == rollout]
    spans = told(entries)
    by_playbooks, by_batches = share(wall, spans, playbooks.spans), share(wall, spans, spans["batch"])
    for name, each in (("ansible-playbook", by_playbooks), ("batches", by_batches)):
        print(
            f"by {name}: {each.wall:.1f} s, of these {each.ansible:.1f} s Ansible, {each.gates:.1f} s gates, "
            f"{each.soaks:.1f} s soaks alone; outside {each.outside:.2f} s, {each.percent:.1f} % "
            f"({each.percent_of_work:.1f} % without soaks)"
        )
    assert broken(probes.gaps, street.sites, [], BUDGET) == []
    assert len(spans["batch"]) > len(street.sites), "waves, and within them one host of a site after the other"
    record_property("rollout_seconds", round(by_playbooks.wall))
    record_property("ansible_seconds", round(by_playbooks.ansible))
    record_property("gates_seconds", round(by_playbooks.gates))
    record_property("soaks_seconds", round(by_playbooks.soaks))
    record_property("outside_per_mille", math.ceil(10 * by_playbooks.percent))
    record_property("outside_without_soaks_per_mille", math.ceil(10 * by_playbooks.percent_of_work))
    record_property("outside_batches_per_mille", math.ceil(10 * by_batches.percent))
    assert by_playbooks.percent <= MOST


def test_a_pilot_that_breaks_leaves_the_others_untouched(street: Street) -> None:
    """By inode and times of all that is managed, and by each shop's own answers."""
    (pilot,) = [name for name in street.hosts if name.startswith("lyon-office")]
    before = {name: street.moment(name) for name in street.hosts if name != pilot}
    held = street.hosts[pilot].read("/etc/shop/greeting")
    street.checkout.edit("files/shop.py", "time.sleep(3)", 'raise SystemExit("no till")')
    street.checkout.commit("Break the shop")
    with street.probes() as probes:
        said = street.checkout.fleet("apply", "--yes", "--json", code=4)
        probes.wait(street.hosts, up=True)
    assert {event["node"] for event in said.events("NodeFailed")} == {pilot}
    assert [name for event in said.events("BatchStarted") for name in event["nodes"]] == [pilot, pilot]
    assert said.events("RollbackBegun")
    assert {name: moment for name, moment in before.items() if street.moment(name) != moment} == {}
    assert {gap.name for gap in probes.gaps} <= {pilot}
    assert street.hosts[pilot].read("/etc/shop/greeting") == held
    street.checkout.edit("files/shop.py", 'raise SystemExit("no till")', "time.sleep(3)")
    street.checkout.commit("Mend the shop")
