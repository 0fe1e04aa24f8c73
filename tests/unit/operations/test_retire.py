"""node retire: who may be given back, by which spec, and what is forgotten once the host itself said so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from fleet.errors import UnavailableError, UsageError
from fleet.model.batch import NodeAnswer, NodeTask
from fleet.model.host import HostEvent, NodeRetired, NodeUntouched
from fleet.model.learned import LearnedCluster
from fleet.model.record import Record
from fleet.operations.intent import Intent
from fleet.operations.retire import RetireHands, RetireOptions, retire
from fleet.testing import MemoryHand, MemoryRecords
from tests.specs import FLEET, document
from tests.unit.operations.hosts import ED, LYON, PLAIN, Repository, held
from tests.unit.render.ground import COMMIT, intent

FIRST, SECOND = "1" * 40, "2" * 40
ONLY_A = document("Site", "lyon", "nodes: [{name: a, role: none, address: 10.0.0.1}]")
DONE = {
    "changes": [
        {"path": "/etc/motd", "action": "restore", "kind": "file"},
        {"path": "/etc/ours", "action": "remove", "kind": "file"},
        {"path": "/srv", "action": "remove", "kind": "folder"},
        {"path": "/etc/kept", "action": "keep"},
    ]
}
ASKED, GONE = RetireOptions(), RetireOptions(is_gone=True)


class Ground:
    """Git says `now`, and `before` at each commit; `calls` are the commits that were asked for, in order."""

    def __init__(
        self,
        *records: Record,
        now: Sequence[str] = (PLAIN, ONLY_A),
        before: Mapping[str, Sequence[str]] | None = None,
        answers: Mapping[str, NodeAnswer] | None = None,
        known_hosts: str = "",
    ) -> None:
        self.records = MemoryRecords(records)
        self.hand = MemoryHand(answers)
        self.repository = Repository()
        self.before = {COMMIT: (PLAIN, LYON)} if before is None else before
        self.read: list[str] = []
        self.projects: list[Intent] = []
        self.now = intent(*now, files={"known_hosts": known_hosts}, records=self.records)

    def at(self, commit: str) -> Intent:
        self.read.append(commit)
        if commit not in self.before:
            raise UsageError(f"/work/acme has no revision `{commit}`")
        return intent(*self.before[commit], records=self.records, commit=commit)

    def hand_for(self, before: Intent) -> MemoryHand:
        self.projects.append(before)
        return self.hand

    def retire(self, *names: str, options: RetireOptions = ASKED) -> list[HostEvent]:
        hands = RetireHands(self.at, self.hand_for, self.records, self.repository)
        return list(retire(names, self.now, hands, options))


def refused(call: Callable[[], object]) -> UsageError:
    with pytest.raises(UsageError) as caught:
        call()
    return caught.value


def test_a_node_that_left_is_given_back_by_the_spec_that_it_was_applied_from() -> None:
    ground = Ground(held("a"), held("b", "b1:bb"), held("c"), answers={"b": NodeAnswer("b", "done", result=DONE)})
    assert ground.retire("b") == [NodeRetired("b", restored=("/etc/motd",), removed=("/etc/ours", "/srv"))]
    assert ground.hand.tasks == [(NodeTask("retire", expect={"b": "b1:bb"}), ("b",))]
    assert ground.read == [COMMIT]
    assert [node.name for node in ground.projects[0].fleet.nodes] == ["a", "b", "c"]
    assert set(ground.records.all()) == {"a", "c"}


def test_what_it_is_expected_to_hold_is_the_last_whole_bundle() -> None:
    ground = Ground(held("b", "", base="b1:old"), held("c", "", waiting=("/etc/motd",)))
    ground.retire("b", "c")
    assert ground.hand.tasks[0][0].expect == {"b": "b1:old", "c": ""}


def test_a_node_that_the_spec_has_is_not_given_back_and_nobody_is_asked() -> None:
    ground = Ground(held("a"), held("b"))
    error = refused(lambda: ground.retire("b", "a"))
    assert str(error) == "a is a node of the fleet"
    assert error.hint == "Take it out of the spec and commit that first, then retire it."
    assert (ground.read, ground.hand.tasks, set(ground.records.all())) == ([], [], {"a", "b"})


def test_every_wrong_name_is_told_at_once() -> None:
    ground = Ground(held("b"), now=(PLAIN, LYON))
    assert str(refused(lambda: ground.retire("x", "b", "c", "y"))) == (
        "b, c are nodes of the fleet; no node x or y was ever applied from here"
    )
    error = refused(lambda: ground.retire("x"))
    assert str(error) == "no node x was ever applied from here"
    assert error.hint == "fleet plan names the nodes that left the spec."


@pytest.mark.parametrize("outcome", ["failed", "unreachable"])
def test_a_host_that_did_not_give_itself_back_is_not_forgotten(outcome: str) -> None:
    answers = {"b": NodeAnswer("b", outcome, "no route to host", result=DONE)}  # type: ignore[arg-type]
    ground = Ground(held("b"), held("c"), answers=answers, known_hosts=f"10.0.0.2,10.0.0.3 ssh-ed25519 {ED}\n")
    assert ground.retire("b", "c") == [
        NodeUntouched("b", outcome, "no route to host"),  # type: ignore[arg-type]
        NodeRetired("c", unpinned=("10.0.0.3",)),
    ]
    assert set(ground.records.all()) == {"b"}
    assert ground.repository.written == [("known_hosts", f"10.0.0.2 ssh-ed25519 {ED}\n", "Forget the host keys of c")]


def test_an_answer_that_cannot_be_read_gives_nothing_back() -> None:
    ground = Ground(held("b"), held("c"), answers={"b": NodeAnswer("b", "done", result={"changes": "all"})})
    first, second = ground.retire("b", "c")
    assert isinstance(first, NodeUntouched)
    assert first.reason.startswith("what it tells of itself cannot be read: ")
    assert (second, set(ground.records.all())) == (NodeRetired("c"), {"b"})


def test_each_node_by_its_own_commit_and_each_commit_is_read_once() -> None:
    ground = Ground(
        held("b", commit=FIRST), held("c", "b1:cc", commit=SECOND), held("d", commit=FIRST),
        before={
            FIRST: (PLAIN, LYON.replace("name: c", "name: d")),
            SECOND: (PLAIN, LYON),
        },
    )  # fmt: skip
    assert [event.node for event in ground.retire("b", "c", "d")] == ["b", "d", "c"]
    assert ground.read == [FIRST, SECOND]
    assert [(task.expect, nodes) for task, nodes in ground.hand.tasks] == [
        ({"b": "b1:aa", "d": "b1:aa"}, ("b", "d")),
        ({"c": "b1:cc"}, ("c",)),
    ]


def test_a_node_that_is_named_twice_is_given_back_once() -> None:
    ground = Ground(held("b"))
    assert ground.retire("b", "b") == [NodeRetired("b")]
    assert ground.hand.tasks[0][1] == ("b",)


@pytest.mark.parametrize(
    ("commit", "said"),
    [
        ("", "b was applied from no commit"),
        (FIRST, f"/work/acme has no revision `{FIRST}`"),
        (SECOND, "commit 2222222 does not have b"),
    ],
)
def test_without_the_spec_that_had_it_nobody_is_touched(commit: str, said: str) -> None:
    """Not even those whose commit is there: all is looked up first."""
    ground = Ground(
        held("c"), held("b", commit=commit), before={COMMIT: (PLAIN, LYON), SECOND: (PLAIN, ONLY_A)},
        known_hosts=f"10.0.0.3 ssh-ed25519 {ED}\n",
    )  # fmt: skip
    error = refused(lambda: ground.retire("c", "b"))
    assert str(error) == f"how to reach b is not to be found out: {said}"
    assert "--gone" in error.hint
    assert (ground.hand.tasks, set(ground.records.all()), ground.repository.written) == ([], {"b", "c"}, [])


def test_hardware_that_is_gone_is_forgotten_and_nobody_is_asked() -> None:
    ground = Ground(held("b"), held("c", commit=""), known_hosts=f"10.0.0.2 ssh-ed25519 {ED}\n")
    assert ground.retire("b", "c", options=GONE) == [
        NodeRetired("b", was_asked=False, unpinned=("10.0.0.2",)),
        NodeRetired("c", was_asked=False),
    ]
    assert (ground.hand.tasks, ground.projects, dict(ground.records.all())) == ([], [], {})
    assert ground.repository.written == [("known_hosts", "", "Forget the host keys of b")]


def test_gone_and_no_spec_that_had_it() -> None:
    ground = Ground(held("b", commit=FIRST), known_hosts=f"10.0.0.2 ssh-ed25519 {ED}\n")
    assert ground.retire("b", options=GONE) == [NodeRetired("b", was_asked=False)]
    assert (dict(ground.records.all()), ground.repository.written) == ({}, [])


def test_a_place_that_another_node_is_reached_at_now_keeps_its_key() -> None:
    moved = document("Site", "lyon", "nodes: [{name: new, role: none, address: 10.0.0.2}]")
    ground = Ground(
        held("b"), held("c"), now=(PLAIN, moved), known_hosts=f"10.0.0.2 ssh-ed25519 {ED}\n10.0.0.3 ssh-ed25519 {ED}\n"
    )
    assert ground.retire("b", "c") == [NodeRetired("b"), NodeRetired("c", unpinned=("10.0.0.3",))]
    assert ground.repository.written[0][1] == f"10.0.0.2 ssh-ed25519 {ED}\n"


def test_all_keys_go_in_one_commit_or_in_none() -> None:
    text = f"# shops\n10.0.0.2 ssh-ed25519 {ED}\n10.0.0.3 ssh-ed25519 {ED}\n"
    ground = Ground(held("b"), held("c"), known_hosts=text)
    ground.retire("b", "c")
    assert ground.repository.written == [("known_hosts", "# shops\n", "Forget the host keys of b, c")]
    ground = Ground(held("b"), held("c"), known_hosts=text)
    ground.retire("b", "c", options=RetireOptions(commit=False))
    assert ground.repository.written == [("known_hosts", "# shops\n", "")]


def test_nothing_is_written_where_no_key_was_pinned() -> None:
    ground = Ground(held("b"), known_hosts="# shops\n")
    ground.retire("b")
    assert ground.repository.written == []


def test_the_keys_of_those_that_are_done_go_also_when_the_rest_breaks() -> None:
    ground = Ground(held("b"), held("c"), known_hosts=f"10.0.0.2 ssh-ed25519 {ED}\n10.0.0.3 ssh-ed25519 {ED}\n")

    def breaking(task: NodeTask, nodes: Sequence[str]):
        yield NodeAnswer(nodes[0], "done")
        raise UnavailableError(f"no room for {task.playbook}")

    ground.hand.run = breaking  # type: ignore[method-assign]
    with pytest.raises(UnavailableError, match="no room"):
        ground.retire("b", "c")
    assert set(ground.records.all()) == {"c"}
    assert ground.repository.written == [("known_hosts", f"10.0.0.3 ssh-ed25519 {ED}\n", "Forget the host keys of b")]


def test_who_stops_listening_leaves_nothing_half_written() -> None:
    ground = Ground(held("b"), held("c"), known_hosts=f"10.0.0.2,10.0.0.3 ssh-ed25519 {ED}\n")
    hands = RetireHands(ground.at, ground.hand_for, ground.records, ground.repository)
    events = retire(["b", "c"], ground.now, hands, ASKED)
    assert next(events).node == "b"
    events.close()  # type: ignore[attr-defined]
    assert set(ground.records.all()) == {"c"}
    assert ground.repository.written == [("known_hosts", f"10.0.0.3 ssh-ed25519 {ED}\n", "Forget the host keys of b")]


CLUSTER = """
nodes:
  - {name: s, role: server, arch: amd64, address: 10.0.0.1}
  - {name: t, role: agent, arch: amd64, address: 10.0.0.2}
"""


def test_a_node_of_k3s_stays_in_kubernetes_until_somebody_takes_it_out() -> None:
    """A cluster of which no member is left has never been: its name founds itself anew."""
    existed = LearnedCluster(existed=True, datastore="sqlite")
    ground = Ground(held("s"), held("t"), now=(FLEET,), before={COMMIT: (FLEET, document("Site", "lyon", CLUSTER))})
    ground.records.learn_clusters({"lyon": existed, "oslo": existed})
    assert ground.retire("t") == [NodeRetired("t", left=("Kubernetes still lists it: kubectl delete node t",))]
    assert ground.records.clusters() == {"lyon": existed, "oslo": existed}
    ground.retire("s")
    assert ground.records.clusters() == {"lyon": LearnedCluster(), "oslo": existed}
