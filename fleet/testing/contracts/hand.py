# ruff: noqa: S101 - a contract suite is made of asserts
from __future__ import annotations

from fleet.model.batch import NodeAnswer, NodeTask
from fleet.ports.applier import Hand


class HandContract:
    """Wants three fixtures: `hand`, a `task` for it, and `told`: the answer of each of some nodes (any order), of which one
    is done with a result, one failed and one was not to be reached. Times and steps may be added.
    """

    def test_each_node_is_answered_for_once(self, hand: Hand, task: NodeTask, told: tuple[NodeAnswer, ...]) -> None:
        answers = list(hand.run(task, [expected.node for expected in told]))
        assert sorted(answer.node for answer in answers) == sorted(expected.node for expected in told)
        found = {answer.node: (answer.outcome, answer.reason) for answer in answers}
        assert found == {expected.node: (expected.outcome, expected.reason) for expected in told}

    def test_the_result_is_told_of_who_is_done(self, hand: Hand, task: NodeTask, told: tuple[NodeAnswer, ...]) -> None:
        (wanted,) = (answer for answer in told if answer.outcome == "done")
        (answer,) = hand.run(task, [wanted.node])
        assert wanted.result
        assert wanted.result.items() <= answer.result.items()

    def test_only_who_is_named_is_asked(self, hand: Hand, task: NodeTask, told: tuple[NodeAnswer, ...]) -> None:
        for expected in told:
            assert [answer.node for answer in hand.run(task, [expected.node])] == [expected.node]

    def test_of_no_nodes_nothing_is_told(self, hand: Hand, task: NodeTask) -> None:
        assert list(hand.run(task, [])) == []

    def test_after_it_was_told_to_stop_nothing_is_done(
        self, hand: Hand, task: NodeTask, told: tuple[NodeAnswer, ...]
    ) -> None:
        hand.stop_now()
        names = [expected.node for expected in told]
        wanted = [(name, "failed", "it was stopped") for name in names]
        assert [(answer.node, answer.outcome, answer.reason) for answer in hand.run(task, names)] == wanted
