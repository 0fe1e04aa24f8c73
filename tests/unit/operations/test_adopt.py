"""node adopt: what is refused before a host is looked at, what waits there, and what is kept of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fleet.errors import RefusedError, SpecError, UsageError
from fleet.model.batch import NodeAnswer, NodeTask
from fleet.model.host import HostEvent, NodeAdopted, NodeUntouched, Waiting
from fleet.model.plan import EVERYTHING
from fleet.model.record import Record
from fleet.operations.adopt import EVERY_PATH, AdoptOptions, adopt
from fleet.operations.intent import Intent
from fleet.operations.plan import plan
from fleet.testing import MemoryHand, MemoryRecords
from tests.specs import FLEET, document
from tests.unit.operations.hosts import LYON, PLAIN, held, secrets_lock
from tests.unit.render.ground import intent

PLAINLY = AdoptOptions()
WAITING = Record("a", "acme", "m1", "", waiting=("/etc/motd",))
TOLD = {
    "waiting": ["/etc/motd", "/etc/mode"],
    "changes": [
        {"path": "/etc/motd", "kind": "file", "action": "update", "what": ["content"]},
        {"path": "/etc/mode", "kind": "file", "action": "restyle", "what": ["mode", "owner"]},
        {"path": "/etc/new", "kind": "file", "action": "create", "what": ["absent"]},
        {"path": "/usr/local/bin/k3s", "kind": "artifact", "action": "update"},
        {"path": "/srv/data", "kind": "folder", "action": "create"},
        {"path": "/etc/seed", "kind": "seed", "action": "create"},
        {"path": "a.service", "kind": "unit", "action": "enable"},
    ],
    "diff": [{"before_header": "/etc/motd", "after_header": "/etc/motd", "before": "theirs\n", "after": "ours\n"}],
    "record": {"node": "a", "fleet": "acme", "machine_id": "m1", "digest": "", "waiting": ["/etc/motd", "/etc/mode"]},
}


def done(node: str = "a", told: object = TOLD) -> MemoryHand:
    return MemoryHand({node: NodeAnswer(node, "done", result=told)})  # type: ignore[arg-type]


def adopted(
    made: Intent, hand: MemoryHand, records: MemoryRecords, options: AdoptOptions = PLAINLY, nodes: Sequence[str] = ("a",)
) -> list[HostEvent]:  # fmt: skip
    named = [node for node in made.fleet.nodes if node.name in nodes]
    return list(adopt(made, named, hand, records, options))


def test_what_differs_waits_and_what_was_written_is_told() -> None:
    records = MemoryRecords()
    (event,) = adopted(intent(PLAIN, LYON), done(), records)
    assert event == NodeAdopted(
        "a",
        waiting=(
            Waiting("/etc/motd", "file", "update", ("content",), "theirs\n", "ours\n"),
            Waiting("/etc/mode", "file", "restyle", ("mode", "owner")),
        ),
        taken=("/etc/new", "/usr/local/bin/k3s", "/srv/data", "/etc/seed"),
    )
    assert dict(records.all()) == {"a": Record("a", "acme", "m1", "", waiting=("/etc/motd", "/etc/mode"))}


def test_a_host_that_is_as_git_wants_is_whole() -> None:
    records = MemoryRecords()
    told = {"record": {"node": "a", "fleet": "acme", "machine_id": "m1", "digest": "b1:aa", "manifest": "{}"}}
    assert adopted(intent(PLAIN, LYON), done(told=told), records) == [NodeAdopted("a", is_whole=True)]
    assert records.all()["a"].digest == "b1:aa"


def test_a_host_that_is_all_taken_and_still_has_to_restart_is_not_whole() -> None:
    told = {"record": {"node": "a", "fleet": "acme", "machine_id": "m1", "digest": ""}}
    assert adopted(intent(PLAIN, LYON), done(told=told), MemoryRecords()) == [NodeAdopted("a")]


def test_a_check_keeps_nothing() -> None:
    records, hand = MemoryRecords(), done()
    (event,) = adopted(intent(PLAIN, LYON), hand, records, AdoptOptions(is_check=True))
    assert isinstance(event, NodeAdopted)
    assert (event.is_check, [each.path for each in event.waiting]) == (True, ["/etc/motd", "/etc/mode"])
    assert hand.tasks[0][0].variables["fleet_check"] is True
    assert (dict(records.all()), records.saves, records._objects) == ({}, 1, {})


@pytest.mark.parametrize("take", [(), ("/etc/motd",), ("/etc/motd", "/etc/new"), (EVERY_PATH,)])
def test_the_hand_is_told_what_to_take_and_nothing_else(take: tuple[str, ...]) -> None:
    """One task for all hosts; no variable of it asks for a restart."""
    hand = MemoryHand()
    adopted(intent(PLAIN, LYON), hand, MemoryRecords(), AdoptOptions(take=take), ("a", "c"))
    assert hand.tasks == [(NodeTask("adopt", {"fleet_take": list(take), "fleet_check": False}), ("a", "c"))]


@pytest.mark.parametrize("outcome", ["failed", "unreachable"])
def test_a_host_that_did_not_take_part_is_told_and_not_recorded(outcome: str) -> None:
    records = MemoryRecords()
    own = {**TOLD, "record": {"node": "b", "fleet": "acme", "machine_id": "m2", "digest": ""}}
    answers = (NodeAnswer("a", outcome, "no route", result=TOLD), NodeAnswer("b", "done", result=own))  # type: ignore[arg-type]
    hand = MemoryHand({answer.node: answer for answer in answers})
    first, second = adopted(intent(PLAIN, LYON), hand, records, nodes=("a", "b"))
    assert first == NodeUntouched("a", outcome, "no route")  # type: ignore[arg-type]
    assert isinstance(second, NodeAdopted)
    assert (second.node, records.saves) == ("b", 2)


@pytest.mark.parametrize(
    "told",
    [
        {**TOLD, "record": {"node": "b", "fleet": "acme", "machine_id": "m1", "digest": ""}},
        {**TOLD, "record": {"node": "a", "fleet": "acme", "machine_id": "{{ x }}", "digest": ""}},
        {**TOLD, "record": {"node": "a"}},
        {"changes": [{"path": "/etc/motd"}]},
        {"waiting": "all"},
    ],
)
def test_what_cannot_be_read_is_told_and_not_kept(told: object) -> None:
    records = MemoryRecords()
    first, second = adopted(intent(PLAIN, LYON), done(told=told), records, nodes=("a", "b"))
    assert isinstance(first, NodeUntouched)
    assert first.reason.startswith("what it tells of itself cannot be read: ")
    assert (second, dict(records.all())) == (NodeAdopted("b"), {})


def test_a_record_is_kept_as_soon_as_its_host_answered() -> None:
    records = MemoryRecords()
    made = intent(PLAIN, LYON)
    events = adopt(made, made.fleet.nodes[:1], done(), records, PLAINLY)
    assert next(events).node == "a"
    assert "a" in records.all()


def refusal(made: Intent, options: AdoptOptions = PLAINLY, nodes: Sequence[str] = ("a",)) -> RefusedError:
    """Nothing is asked, and nothing kept."""
    hand, records = MemoryHand(), MemoryRecords()
    with pytest.raises(RefusedError) as caught:
        adopted(made, hand, records, options, nodes)
    assert (hand.tasks, dict(records.all()), records._objects) == ([], {}, {})
    return caught.value


def test_a_node_that_is_managed_is_not_adopted() -> None:
    made = intent(PLAIN, LYON, records=MemoryRecords([held("a"), held("c", "", base="b1:old")]))
    error = refusal(made)
    assert str(error) == "a is managed already"
    assert error.hint == "fleet plan shows what would change there."
    assert str(refusal(made, nodes=("a", "b", "c"))) == "a and 1 more is managed already"
    assert "managed already" in str(refusal(made, AdoptOptions(take=(EVERY_PATH,), is_check=True, allow_dirty=True)))
    assert adopted(made, MemoryHand(), MemoryRecords(), nodes=("b",)) == [NodeAdopted("b")]


def test_one_that_waits_may_be_adopted_again() -> None:
    made = intent(PLAIN, LYON, records=MemoryRecords([WAITING]))
    assert len(adopted(made, done(), MemoryRecords(), AdoptOptions(take=("/etc/motd",)))) == 1


def test_hosts_are_adopted_from_a_commit() -> None:
    for made, what in (
        (intent(PLAIN, LYON, dirty=True), "4be1f02 and uncommitted changes"),
        (intent(PLAIN, LYON, commit=""), "a folder outside git"),
    ):
        assert str(refusal(made)) == f"hosts are changed from a commit, and this is {what}"
        assert len(adopted(made, MemoryHand(), MemoryRecords(), AdoptOptions(allow_dirty=True))) == 1


def test_missing_secrets_are_named_before_anybody_is_asked() -> None:
    site = document(
        "Site", "lyon",
        "nodes: [{name: a, role: none, address: 10.0.0.1}]\nvars: {db: 'secret:db'}\n"
        "os: {files: [{path: /etc/x, content: '{{ vars.db }}'}]}",
    )  # fmt: skip
    assert str(refusal(intent(PLAIN, site))) == "secrets/ lacks db (for /etc/x)"
    assert len(adopted(intent(PLAIN, site, files=secrets_lock("db")), MemoryHand(), MemoryRecords())) == 1


def test_a_templates_fault_is_a_mistake_of_the_spec() -> None:
    site = document(
        "Site", "lyon",
        "nodes: [{name: a, role: none, address: 10.0.0.1}]\nos: {files: [{path: /etc/x, content: '{{ vars.x }}'}]}",
    )  # fmt: skip
    hand, records = MemoryHand(), MemoryRecords()
    with pytest.raises(SpecError) as caught:
        adopted(intent(PLAIN, site), hand, records)
    assert [(each.file, each.line) for each in caught.value.problems] == [("spec.yaml", 12)]
    assert (hand.tasks, records._objects) == ([], {})


def test_what_fleet_lock_does_not_pin_stops_it() -> None:
    site = document("Site", "lyon", "nodes: [{name: a, role: server, arch: amd64, address: 10.0.0.1}]")
    hand = MemoryHand()
    with pytest.raises(UsageError, match=r"fleet\.lock does not pin"):
        adopted(intent(document("Fleet", "acme", "k3s: {version: v1.2.3+k3s1}"), site), hand, MemoryRecords())
    assert hand.tasks == []


def test_a_node_of_k3s_has_to_be_known_by_its_architecture() -> None:
    tokens = secrets_lock("lyon.k3s-token", "lyon.k3s-agent-token")
    site = document("Site", "lyon", "nodes: [{name: a, role: server, address: 10.0.0.1}]")
    error = refusal(intent(FLEET, site, files=tokens))
    assert str(error) == "the architecture of a is not known yet"
    assert "fleet plan --refresh --node a" in error.hint
    learned = MemoryRecords([Record("a", "acme", "m1", "", arch="arm64")])
    assert len(adopted(intent(FLEET, site, files=tokens, records=learned), MemoryHand(), learned)) == 1


def test_contents_are_kept_for_later_diffs() -> None:
    site = document(
        "Site", "lyon",
        "nodes: [{name: a, role: none, address: 10.0.0.1}]\nos: {files: [{path: /etc/x, content: hello}]}",
    )  # fmt: skip
    records = MemoryRecords()
    made = intent(PLAIN, site)
    adopted(made, MemoryHand(), records)
    assert set(records._objects.values()) == {b"hello", made.renderer.sketch(made.fleet.nodes[0]).manifest}


def test_a_plan_leaves_alone_what_waits() -> None:
    records = MemoryRecords([WAITING])
    made = plan(intent(PLAIN, LYON, records=records), records, EVERYTHING)
    assert made.adopting == ("a",)
    assert [change.node for change in made.nodes] == ["b", "c"]
    assert (made.total, made.staying) == (3, 0)
