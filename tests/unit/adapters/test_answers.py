"""What ansible-runner's events say about each node."""

from typing import Any

from fleet.adapters.ansible.answers import BatchAnswers, event_of, observation_of
from fleet.model.batch import NodeResult, Observation
from fleet.model.record import Record

TOLD = {"node": "a", "fleet": "acme", "machine_id": "m1", "digest": "b1:aa", "format": "fleet.record/v1"}
EDITED = [
    {"kind": "file", "path": "/etc/motd", "action": "update", "what": ["content"]},
    {"kind": "unit", "path": "acme.service", "action": "start", "what": []},
    {"kind": "sysctl", "path": "vm.swappiness", "action": "update", "what": ["value"]},
    {"kind": "folder", "path": "/var/lib/acme", "action": "restyle", "what": ["mode"]},
]


def event(kind: str, **result: Any) -> Any:
    data = {"host": "a", "task": "Bring", "task_action": "edgefleet.fleet.fleet_bundle", "res": result}
    return event_of({"event": kind, "event_data": data})


def failure(record: dict[str, Any], digest: str) -> NodeResult:
    (result,) = BatchAnswers(["a"]).take(
        event("runner_on_failed", failed=True, msg="fetch: no source", step="fetch", at="", digest=digest,
              changes=EDITED, record=record)
    )  # fmt: skip
    return result


def test_a_look_tells_which_paths_differ():
    found = observation_of(
        event("runner_on_ok", record=TOLD, machine_id="m1", arch="amd64", changes=EDITED, digest="b1:aa")
    )
    record = Record("a", "acme", "m1", "b1:aa")
    assert found == Observation("a", record, "m1", "amd64", differs=("/etc/motd", "acme.service", "/var/lib/acme"))


def test_a_node_that_was_not_mended_is_still_known_to_differ():
    assert failure(TOLD, "b1:aa").record == Record(
        "a", "acme", "m1", "b1:aa", differs=("/etc/motd", "acme.service", "/var/lib/acme")
    )


def test_what_an_update_would_have_changed_is_no_difference_from_the_record():
    assert failure(TOLD, "b1:bb").record == Record("a", "acme", "m1", "b1:aa")


def test_a_bundle_that_came_in_half_leaves_what_was_before_it():
    half = {**TOLD, "digest": "", "partial": True, "base": "b1:aa", "wanted": "b1:bb"}
    assert failure(half, "b1:bb").record == Record("a", "acme", "m1", "", base="b1:aa", wanted="b1:bb")


def test_a_node_that_refuses_will_refuse_again():
    """Its record is another controller's: kept here, the next apply would expect it, and overrule that unseen."""
    (result,) = BatchAnswers(["a"]).take(
        event("runner_on_failed", failed=True, msg="expect: the node was to hold b1:aa and holds b1:cc", step="expect",
              at="", digest="b1:bb", changes=[], record={**TOLD, "digest": "b1:cc"})
    )  # fmt: skip
    assert (result.outcome, result.record) == ("failed", None)


def test_a_refusal_says_what_to_do_about_it():
    held = "b1:" + "c" * 64
    words = f"expect: the node was to hold none and holds {held} (commit 4be1f02 by ops@desk); give a reason to take it over"
    (result,) = BatchAnswers(["a"]).take(event("runner_on_failed", failed=True, msg=words, step="expect", at=""))
    assert result.reason == (
        "expect: the node was to hold none and holds b1:cccccccccccc (commit 4be1f02 by ops@desk); "
        "fleet plan --refresh shows what would change now, --take-over REASON overrules what it holds"
    )
