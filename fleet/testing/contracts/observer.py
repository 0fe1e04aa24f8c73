# ruff: noqa: S101 - a contract suite is made of asserts
from __future__ import annotations

from fleet.model.batch import Observation
from fleet.ports.applier import Observer


class ObserverContract:
    """Wants two fixtures: `observer`, and `seen`: what an observation of each of some nodes has to tell (any order)."""

    def test_each_node_is_answered_for_once(self, observer: Observer, seen: tuple[Observation, ...]) -> None:
        answers = list(observer.observe([expected.node for expected in seen]))
        assert sorted(answer.node for answer in answers) == sorted(expected.node for expected in seen)
        assert {answer.node: answer for answer in answers} == {expected.node: expected for expected in seen}

    def test_of_no_nodes_nothing_is_told(self, observer: Observer) -> None:
        assert list(observer.observe([])) == []
