"""A change in four waves over shops in several sites, on a day on which much goes wrong, watched from outside."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.hosts.checkout import Running
from tests.hosts.waves.availability import Gap, broken, by_minute
from tests.hosts.waves.street import BUDGET, SMALL, Street

pytestmark = pytest.mark.timeout(900)
WAVES = ["pilot", "offices", "half", "everyone"]


def wait_for_batch_of(running: Running, name: str) -> None:
    running.wait_until(lambda event: event["event"] == "BatchStarted" and name in event["nodes"])


def nodes_of(story: list[dict[str, Any]], kind: str) -> list[str]:
    return sorted(event["node"] for event in story if event["event"] == kind)


def test_a_bad_day(street: Street, record_property: Callable[[str, object], None]) -> None:
    """Hosts are off before it, one is lost in the middle, the controller is killed, and all come through in the end; no site
    ever has more shops closed than its budget lets.

    On the small street the lost host is cut off before anything reaches it, on the large one in the middle of its change.
    """
    plan, lost, checkout = street.plan, street.plan.lost, street.checkout
    commit, is_small = street.greet("hello"), street.plan is SMALL
    with street.probes() as probes:
        probes.wait(street.hosts, up=True)
        switched_off = time.monotonic()
        for name in plan.off:
            street.hosts[name].kill()
        probes.wait(plan.off, up=False)
        checkout.plan("--refresh")

        first = checkout.start("apply", "--yes", "--json")
        rollout = first.wait_for("RolloutStarted")["rollout_id"]
        if is_small:
            wait_for_batch_of(first, lost)
            street.hosts[lost].link_down()
            cut = time.monotonic()
        first.wait_for("ApprovalAwaited", wave="half")
        checkout.fleet("rollout", "approve", rollout)
        batch = first.wait_for("BatchStarted")
        probes.wait_any_down({*batch["nodes"]} - {*plan.off})
        first.kill()
        assert first.end().code < 0

        second = checkout.start("rollout", "resume", rollout, "--json")
        if not is_small:
            wait_for_batch_of(second, lost)
            probes.wait_any_down([lost])
            street.hosts[lost].link_down()
            cut = time.monotonic()
        said = second.end()
        assert said.code == 0, said.text
        assert said.events("RolloutTakenOver")[0]["batches"] == [batch["batch_id"]]

        street.hosts[lost].link_up()
        for name in plan.off:
            street.hosts[name].start()
        back = probes.wait([*plan.off, lost], up=True)
        late = checkout.fleet("rollout", "catch-up", "--yes", "--json")
        probes.wait(street.hosts, up=True)

    ours = [*(Gap(name, switched_off, back) for name in plan.off), Gap(lost, cut, back)]
    over = broken(probes.gaps, street.sites, ours, BUDGET)
    assert over == []
    story = checkout.fleet("rollout", "show", rollout, "--json").events()
    assert [event["wave"] for event in story if event["event"] == "WaveFinished"] == WAVES
    passed = [(event["phase"], event["wave"]) for event in story if event["event"] == "GatesPassed"]
    assert passed == [(phase, wave) for wave in WAVES for phase in ("before", "after")]
    assert story[-1]["event"] == "RolloutFinished"
    assert nodes_of(story, "NodeUnreachable") == sorted([*plan.off, lost])
    assert nodes_of(story, "NodeBlocked") == sorted(plan.blocked)
    caught_up = nodes_of(late.events(), "NodeApplied")
    assert caught_up == sorted([*plan.off, lost, *plan.blocked])
    assert sorted([*nodes_of(story, "NodeApplied"), *caught_up]) == sorted(street.hosts)

    assert set(street.greetings().values()) == {"hello"}
    assert street.applications(commit) == dict.fromkeys(street.hosts, 1), "each host was changed once"
    assert {gap.name for gap in probes.gaps} == {*street.hosts}, "a shop is closed while it restarts, and is seen to be"
    assert checkout.plan("--refresh")["changing"] == 0
    minutes = by_minute(probes.answers, street.sites)
    (second_rollout,) = [event["rollout_id"] for event in late.events("RolloutStarted")]
    for each in (rollout, second_rollout):
        print(checkout.fleet("rollout", "show", each).out)
    print(f"the fewest open shops in each minute: {minutes}")
    record_property("hosts", len(street.hosts))
    record_property("sites", len(street.sites))
    record_property("caught_up", len(caught_up))
    record_property("probes", len(probes.answers))
    record_property("over_budget", len(over))
