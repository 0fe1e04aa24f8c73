"""ansible-runner's events in, results out."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.adapters.ansible.answers import BatchAnswers, event_of, gathered, observation_of, record_of, unanswered
from fleet.model.batch import BatchOrder, BatchResult, NodeResult, Observation
from fleet.model.record import Record

BUNDLE = "edgefleet.fleet.fleet_bundle"
RECORD = {"node": "a", "fleet": "acme", "machine_id": "m", "digest": "b1:new", "format": "fleet.record/v1"}


def event(kind: str, host: str = "a", action: str = BUNDLE, task: str = "Task", **res: Any) -> dict[str, Any]:
    ignore = res.pop("ignore_errors", None)
    data = {"host": host, "task": task, "task_action": action, "res": res, "ignore_errors": ignore, "play": "x"}
    return {"event": kind, "event_data": data, "uuid": "u", "counter": 1, "stdout": ""}


def stats(failures: dict[str, int] | None = None, dark: dict[str, int] | None = None) -> dict[str, Any]:
    return {
        "event": "playbook_on_stats",
        "event_data": {"failures": failures or {}, "dark": dark or {}, "ok": {"a": 1}},
    }


def last(*raw: dict[str, Any], nodes: tuple[str, ...] = ("a",)) -> dict[str, NodeResult]:
    answers = BatchAnswers(nodes)
    return {result.node: result for one in raw for result in answers.take(event_of(one))}


APPLIED = event(
    "runner_on_ok", digest="b1:new", changed=True, changes=[{}, {}], restarted=["k3s.service"], record=RECORD,
    warnings=["slow"],
)  # fmt: skip
IN = NodeResult(
    "a",
    "applied",
    2,
    "b1:new",
    record=Record("a", "acme", "m", "b1:new"),
    restarted=("k3s.service",),
    warnings=("slow",),
)


def test_a_bundle_that_came_in_is_the_answer() -> None:
    assert last(APPLIED, stats()) == {"a": IN}


def test_a_bundle_that_was_there_already_changed_nothing() -> None:
    assert last(event("runner_on_ok", digest="b1:new", changed=False, changes=[]))["a"].changed == 0


@pytest.mark.parametrize(
    "raw",
    [
        event("runner_on_ok", action="ansible.builtin.debug", msg="hello"),
        event("runner_on_start"),
        event("runner_on_failed", ignore_errors=True, msg="no matter"),
        event("runner_on_failed", host="stranger", msg="x"),
        event("runner_item_on_failed", msg="x"),
        {"event": "playbook_on_start", "event_data": {"playbook": "site.yml"}},
        {"event": "verbose"},
        {"event": "warning", "event_data": {}},
    ],
)
def test_other_events_say_nothing_about_a_node(raw: dict[str, Any]) -> None:
    assert last(raw) == {}


def test_a_later_failure_has_the_last_word() -> None:
    found = last(APPLIED, event("runner_on_failed", action="command", task="Wait", msg="too late"), stats({"a": 1}))
    assert (found["a"].outcome, found["a"].reason) == ("failed", "Wait: too late")


def test_a_failure_that_was_rescued_is_none() -> None:
    failed = event("runner_on_failed", action="apt", task="Install", msg="lists are old")
    assert last(failed, APPLIED, stats())["a"] == IN
    assert last(APPLIED, failed, stats())["a"] == IN


def test_a_rescue_that_fails_too_gives_the_reason() -> None:
    first = event("runner_on_failed", action="apt", task="Install", msg="lists are old")
    second = event("runner_on_failed", action="apt", task="Update", msg="mirror is away")
    assert last(first, second, stats({"a": 1}))["a"].reason == "Update: mirror is away"


def test_the_task_fail_repeats_and_never_replaces_a_reason() -> None:
    first = event("runner_on_failed", msg="expect: it holds b1:x")
    repeated = event("runner_on_failed", action="ansible.builtin.fail", task="Say so", msg="a failed")
    assert last(first, repeated)["a"].reason == "expect: it holds b1:x"
    assert last(repeated)["a"].reason == "Say so: a failed"


def test_a_node_that_was_left_alone_says_for_whom() -> None:
    found = last(event("runner_on_skipped", msg="lyon-s failed in this run: what depends on it is left as it is"))
    assert found["a"].outcome == "failed"
    assert found["a"].reason.startswith("lyon-s failed in this run")


def test_a_failed_bundle_keeps_what_it_says_of_the_node() -> None:
    raw = event(
        "runner_on_failed", msg="units: x.service: did not start: exit 1", step="units", at="x.service", changed=True,
        changes=[{}], record=RECORD | {"digest": ""},
    )  # fmt: skip
    assert last(raw)["a"] == NodeResult(
        "a", "failed", 1, reason="x.service did not start: exit 1", record=Record("a", "acme", "m", "")
    )


@pytest.mark.parametrize("step", ["expect", "fleet", "node", "machine-id"])
def test_what_a_node_holds_that_refused_is_not_kept(step: str) -> None:
    raw = event("runner_on_failed", msg="expect: it holds b1:other", step=step, record=RECORD | {"digest": "b1:other"})
    assert last(raw)["a"].record is None


def test_a_node_that_failed_to_get_what_it_holds_already_keeps_what_differs() -> None:
    changes = [{"kind": "file", "path": "/a"}, {"kind": "unit", "path": "x.service"}]
    raw = event("runner_on_failed", msg="x", step="units", at="x", digest="b1:new", record=RECORD, changes=changes)
    record = last(raw)["a"].record
    assert record is not None
    assert record.differs == ("/a", "x.service")


def test_a_run_is_complete_when_its_statistics_came() -> None:
    answers = BatchAnswers(("a",))
    answers.take(event_of(APPLIED))
    assert not answers.is_complete
    answers.take(event_of(stats()))
    assert answers.is_complete


@pytest.mark.parametrize(
    "value", [None, {}, {"node": ""}, [], "x", {"node": "a"}, {"node": "a", "fleet": [], "digest": 1}]
)
def test_a_record_of_another_shape_is_none(value: object) -> None:
    assert record_of("a", value) is None


TEMPLATE = "{{ lookup('pipe', 'id') }}"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("machine_id", TEMPLATE),
        ("digest", TEMPLATE),
        ("digest", f"b1:{TEMPLATE}"),
        ("base", TEMPLATE),
        ("arch", TEMPLATE),
        ("commit", "--upload-pack=id"),
        ("node", "b"),
    ],
)
def test_a_record_that_could_do_harm_elsewhere_is_none(field: str, value: str) -> None:
    """It is a node that says it: this goes into a project that Ansible reads, and to git; and no node speaks for another."""
    assert record_of("a", RECORD) is not None
    assert record_of("a", {**RECORD, field: value}) is None
    assert last(event("runner_on_ok", digest="b1:new", record={**RECORD, field: value}))["a"].record is None


def test_results_stand_in_the_order_of_the_nodes_and_the_last_line_counts() -> None:
    order = BatchOrder("r-1", "r", 1, ("c", "a", "b"))
    lines = [NodeResult("a", "applied"), NodeResult("b", "failed", reason="x"), NodeResult("a", "failed", reason="y")]
    assert gathered(order, lines, unanswered("[ERROR]: boom")) == BatchResult(
        "r-1",
        (
            NodeResult("c", "failed", reason="the run ended before it answered: [ERROR]: boom"),
            NodeResult("a", "failed", reason="y"),
            NodeResult("b", "failed", reason="x"),
        ),
    )
    assert unanswered("") == "the run ended before it answered"


def test_a_look_gives_record_facts_and_what_differs() -> None:
    seen = event("runner_on_ok", record=RECORD, machine_id="m", arch="arm64", changes=[{"kind": "file", "path": "/a"}])
    assert observation_of(event_of(seen)) == Observation(
        "a", Record("a", "acme", "m", "b1:new"), "m", "arm64", differs=("/a",)
    )
    bare = event("runner_on_ok", record={}, machine_id="m", arch="amd64", changes=[])
    assert observation_of(event_of(bare)) == Observation("a", machine_id="m", arch="amd64")
    away = event("runner_on_unreachable", msg="Failed to connect to the host via ssh: ssh: no route")
    assert observation_of(event_of(away)) == Observation("a", unreachable="ssh: no route")
    broken = event("runner_on_failed", msg="sudo: a password is required")
    assert observation_of(event_of(broken)) == Observation("a", unreachable="sudo: a password is required")
    assert observation_of(event_of(stats())) is None


@pytest.mark.parametrize(
    ("clock", "warnings"),
    [
        (0.0, ("its clock is 20,785 days behind",)),
        (1_795_824_000.0 - 60, ("its clock is 60 s behind",)),
        (1_795_824_000.0 - 59, ()),
        (1_795_824_000.0 + 200, ()),
        (1_795_824_000.0 + 500, ("its clock is 5 min ahead",)),
        (None, ()),
        ("soon", ()),
    ],
)
def test_a_clock_that_is_off_is_told_whatever_time_the_task_took(clock: object, warnings: tuple[str, ...]) -> None:
    raw = event("runner_on_ok", digest="b1:new", changed=False, changes=[], clock=clock)
    raw["event_data"] |= {"start": "2026-11-28T00:00:00.000000", "end": "2026-11-28T00:03:20.000000"}
    assert last(raw)["a"].warnings == warnings


@pytest.mark.parametrize("told", [{"machine_id": TEMPLATE}, {"arch": TEMPLATE}, {"machine_id": 7}, {"arch": ["arm64"]}])
def test_facts_that_are_none_are_not_believed(told: dict[str, Any]) -> None:
    seen = observation_of(
        event_of(event("runner_on_ok", record=RECORD, **{"machine_id": "m", "arch": "arm64", **told}))
    )
    assert seen is not None
    assert seen.unreachable.startswith("what it tells of itself cannot be read: ")
    assert (seen.record, seen.machine_id, seen.arch) == (None, "", "")
