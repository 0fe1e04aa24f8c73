# ruff: noqa: S101 - a contract suite is made of asserts
from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from fleet.model.batch import BatchOrder
from fleet.ports.applier import Applier


class ApplierContract:
    """Wants three fixtures: `applier`; `order`, of at least two nodes that can be reached and brought forward; and
    `holds`, which tells the digest that a node holds, "" for none.
    """

    def test_every_node_is_brought_forward_and_answered_for_in_order(
        self, applier: Applier, order: BatchOrder, holds: Callable[[str], str]
    ) -> None:
        result = applier.run_batch(order)
        assert result.batch_id == order.batch_id
        assert tuple(found.node for found in result.results) == order.nodes
        for found in result.results:
            assert (found.outcome, found.reason) == ("applied", "")
            assert found.digest
            assert found.digest == holds(found.node)
            assert found.record is not None
            assert (found.record.node, found.record.digest) == (found.node, found.digest)

    def test_a_batch_that_has_ended_is_answered_again_whatever_the_epoch(
        self, applier: Applier, order: BatchOrder
    ) -> None:
        first = applier.run_batch(order)
        assert applier.run_batch(order) == first
        assert applier.run_batch(replace(order, epoch=order.epoch + 1)) == first

    def test_the_nodes_of_a_batch_may_be_asked_for_again_in_another_one(
        self, applier: Applier, order: BatchOrder, holds: Callable[[str], str]
    ) -> None:
        first = applier.run_batch(order)
        again = replace(order, batch_id=f"{order.rollout_id}-9999", expect={node: holds(node) for node in order.nodes})
        for before, after in zip(first.results, applier.run_batch(again).results, strict=True):
            assert (after.outcome, after.changed, after.digest) == ("applied", 0, before.digest)

    def test_a_node_that_is_ordered_back_holds_what_it_held(
        self, applier: Applier, order: BatchOrder, holds: Callable[[str], str]
    ) -> None:
        applier.run_batch(order)
        held = {node: holds(node) for node in order.nodes}
        node, *others = order.nodes
        back = replace(order, batch_id=f"{order.rollout_id}-9999", expect=held, undo={node: "b1:before"})
        result = applier.run_batch(back)
        assert {one.node: (one.outcome, one.digest) for one in result.results} == {
            node: ("applied", "b1:before"),
            **{other: ("applied", held[other]) for other in others},
        }
        assert (holds(node), [holds(other) for other in others]) == ("b1:before", [held[other] for other in others])
