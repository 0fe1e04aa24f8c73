"""A rollout policy, as it was written and as it was meant."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fleet.model.gate import ClusterGate, CommandGate, HttpGate, NodeGate, PrometheusGate
from fleet.model.policy import Amount, DisruptionBudget, PolicyWave, RolloutPolicy
from fleet.model.spec.selector import Selector
from fleet.model.window import Freeze, Schedule, Timing
from tests.specs import document, resolved

NAMED = document("Fleet", "acme", "rolloutPolicy: standard")
SITE = document("Site", "lyon", "nodes: [{name: a, role: none, address: 10.0.0.1}]")


def meant(said: str) -> RolloutPolicy:
    policy = resolved(NAMED, document("RolloutPolicy", "standard", said), SITE).policy
    assert policy is not None
    return policy


def test_a_fleet_that_names_no_policy_has_none() -> None:
    other = document("RolloutPolicy", "standard", "batchSize: 10")
    assert resolved(document("Fleet", "acme", ""), other, SITE).policy is None


def test_what_is_not_said_has_its_default() -> None:
    assert meant("waves: [{name: all}]") == RolloutPolicy(
        name="standard",
        unit="cluster",
        waves=(PolicyWave("all", None, None, Decimal(95), Decimal(50)),),
        success_threshold=Decimal(95),
        min_finished=Decimal(50),
        batch_size=50,
        budget=None,
        max_failures=None,
        on_failure="pause",
        offline="defer",
        timing=Timing(deadline=1800.0, offline_after=86400.0),
    )


def test_what_is_said_stands() -> None:
    policy = meant(
        """
        unit: node
        waves:
          - {name: pilot, selector: {matchLabels: {ring: pilot}}, successThreshold: 100%, minFinished: 80%}
          - {name: ramp, limit: 2.5%}
          - {name: few, limit: 3}
        successThreshold: 90%
        minFinished: 60%
        disruptionBudget: {groupBy: [site, app], maxUnavailable: 1, minAvailable: 50%}
        batchSize: 10
        maxFailures: 1%
        onFailure: continue
        """
    )
    assert policy.waves == (
        PolicyWave("pilot", Selector(match_labels={"ring": "pilot"}), None, Decimal(100), Decimal(80)),
        PolicyWave("ramp", None, Amount(Decimal("2.5"), is_share=True), Decimal(90), Decimal(60)),
        PolicyWave("few", None, Amount(Decimal(3)), Decimal(90), Decimal(60)),
    )
    assert (policy.unit, policy.success_threshold, policy.min_finished) == ("node", Decimal(90), Decimal(60))
    assert policy.budget == DisruptionBudget(("site", "app"), Amount(Decimal(50), is_share=True), Amount(Decimal(1)))
    assert (policy.batch_size, policy.max_failures) == (10, Amount(Decimal(1), is_share=True))
    assert policy.on_failure == "continue"


@pytest.mark.parametrize(
    ("amount", "total", "many"),
    [
        (Amount(Decimal(3)), 10, 3),
        (Amount(Decimal(10), is_share=True), 30, 3),  # and not 4, as floats would have it
        (Amount(Decimal(10), is_share=True), 31, 4),
        (Amount(Decimal("0.1"), is_share=True), 1000, 1),
        (Amount(Decimal(10), is_share=True), 0, 0),
    ],
)
def test_a_share_is_rounded_up(amount: Amount, total: int, many: int) -> None:
    assert amount.of(total) == many


@pytest.mark.parametrize(
    ("least", "most", "total", "away"),
    [
        (None, "1", 12, 1),
        (None, "10%", 12, 2),
        ("90%", None, 12, 1),
        ("90%", None, 5, 0),  # 4.5 stay up, so 5 do
        ("2", "5", 4, 2),
        ("9", None, 4, 0),
        (None, "50", 4, 4),
    ],
)
def test_how_many_of_a_group_may_be_away(least: str | None, most: str | None, total: int, away: int) -> None:
    def amount(said: str | None) -> Amount | None:
        return None if said is None else Amount(Decimal(said.rstrip("%")), is_share=said.endswith("%"))

    assert DisruptionBudget((), amount(least), amount(most)).allowed(total) == away


ENFORCED = """
unit: node
waves: [{name: pilot, limit: 1, successThreshold: 100%, minFinished: 50%, approval: false}]
successThreshold: 90%
minFinished: 60%
disruptionBudget: {groupBy: [site], maxUnavailable: 1}
batchSize: 10
maxFailures: 1%
"""


def test_a_plan_has_nothing_to_say_of_a_policy_that_nothing_acts_on() -> None:
    everything = """
onFailure: rollback
offlineAfter: 24h
drain: {timeout: 5m}
gates: [{type: node}]
updateSchedule: {at: "0 2 * * *", duration: 3h}
"""
    fleet = resolved(NAMED, document("RolloutPolicy", "standard", ENFORCED + everything), SITE)
    assert fleet.unenforced == ()


@pytest.mark.parametrize(
    ("said", "meant_to_be"),
    [
        ("", "pause"),
        ("onFailure: pause", "pause"),
        ("onFailure: continue", "continue"),
        ("onFailure: rollback", "rollback"),
    ],
)
def test_what_follows_a_failure(said: str, meant_to_be: str) -> None:
    assert meant(ENFORCED + said).on_failure == meant_to_be


def test_gates_have_every_default() -> None:
    said = meant("""
gates:
  - {type: node}
  - {type: cluster, timeout: 90s}
  - {type: http, url: "https://{node.address}/healthz"}
  - {type: http, url: "http://shop.example", expect: 204, contains: well, timeout: 5s}
  - {type: prometheus, url: "http://p.example", query: up, max: 0.01}
  - {type: prometheus, url: "http://p.example", query: up, min: 1, max: 2}
  - {type: command, command: [./smoke.sh, "{wave}"]}
""")
    assert said.gates == (
        NodeGate(timeout=300.0),
        ClusterGate(timeout=90.0),
        HttpGate(timeout=30.0, url="https://{node.address}/healthz", expect=200),
        HttpGate(timeout=5.0, url="http://shop.example", expect=204, contains="well"),
        PrometheusGate(timeout=30.0, url="http://p.example", query="up", most=0.01),
        PrometheusGate(timeout=30.0, url="http://p.example", query="up", least=1.0, most=2.0),
        CommandGate(timeout=300.0, command=("./smoke.sh", "{wave}")),
    )


def test_what_a_policy_says_of_time() -> None:
    said = meant("""
minSuccessTime: 10m
exponentialRate: {baseRatePerMinute: 12.5, incrementFactor: 3}
progressDeadline: 45m
offlineAfter: 2h
offlinePolicy: count
updateSchedule: {at: "0 2 * * 1-5", duration: 3h, timeZone: Europe/Dublin}
freezes: [{from: 2026-12-15, to: 2027-01-05, reason: Christmas}]
waves: [{name: pilot, limit: 1, approval: true}, {name: ramp, limit: 2, approval: false}]
""")
    christmas = (Freeze("2026-12-15", "2027-01-05", "Christmas"),)
    window = Schedule("0 2 * * 1-5", 10800.0, "Europe/Dublin", needed=2700.0, freezes=christmas)
    assert said.timing == Timing(
        window, {}, soak=600.0, rate=12.5, rate_factor=3.0, deadline=2700.0, offline_after=7200.0
    )
    assert said.offline == "count"
    assert [wave.needs_approval for wave in said.waves] == [True, False]


def test_what_a_policy_says_of_time_by_itself() -> None:
    said = meant("exponentialRate: {baseRatePerMinute: 5}")
    assert said.timing == Timing(rate=5.0, rate_factor=1.0, deadline=1800.0, offline_after=86400.0)
    assert said.offline == "defer"


def test_freezes_alone_leave_the_other_days_open() -> None:
    said = meant("freezes: [{from: 2026-12-15, to: 2027-01-05}]")
    assert said.timing.schedule == Schedule(
        "", 0.0, "site", needed=1800.0, freezes=(Freeze("2026-12-15", "2027-01-05"),)
    )
