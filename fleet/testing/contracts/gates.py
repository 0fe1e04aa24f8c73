# ruff: noqa: S101 - a contract suite is made of asserts
from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import msgspec

from fleet.model.gate import GateAnswer, GateOrder, asks_each_node
from fleet.model.inquiry import CommandOrder
from fleet.ports.commands import Commands
from fleet.ports.gates import Gates
from fleet.ports.web import Web


class GatesContract:
    """Wants three fixtures: `gates`; an `order` to be asked after a wave, with a gate that passes and asks each node, and one
    that fails; and the `outcomes` of its gates.
    """

    def test_each_gate_is_answered_for_in_its_order(
        self, gates: Gates, order: GateOrder, outcomes: Sequence[str]
    ) -> None:
        answers = gates.ask(order)
        assert [each.outcome for each in answers] == list(outcomes)
        assert all(each.gate for each in answers)
        assert all(bool(each.reason) == (each.outcome != "passed") for each in answers)

    def test_answers_are_told_on_one_line_and_can_be_kept(self, gates: Gates, order: GateOrder) -> None:
        for answer in gates.ask(order):
            assert msgspec.json.decode(msgspec.json.encode(answer), type=GateAnswer) == answer
            texts = (answer.gate, answer.measured, answer.reason, *answer.ill.values())
            assert [text for text in texts if "\n" in text] == []

    def test_before_a_wave_no_node_is_asked(self, gates: Gates, order: GateOrder) -> None:
        each = tuple(gate for gate in order.gates if asks_each_node(gate))
        before = msgspec.structs.replace(order, phase="before", gates=each)
        assert each
        assert [(answer.outcome, answer.ill) for answer in gates.ask(before)] == [("passed", {})] * len(each)

    def test_of_no_gates_nothing_is_told(self, gates: Gates, order: GateOrder) -> None:
        assert list(gates.ask(msgspec.structs.replace(order, gates=()))) == []

    def test_after_it_was_told_to_stop_nothing_is_known(self, gates: Gates, order: GateOrder) -> None:
        gates.stop_now()
        assert {(each.outcome, len(each.ill)) for each in gates.ask(order)} == {("unknown", 0)}


class WebContract:
    """Wants four fixtures: `web`, and the URLs `good`, which answers 204, `absent`, where nobody takes the connection, and
    `mute`, which takes it and never answers.
    """

    def test_a_status_is_told(self, web: Web, good: str) -> None:
        reply = web.get(good, 10)
        assert (reply.status, reply.trouble, reply.reason) == (204, "", "")

    def test_where_nobody_is_that_is_told(self, web: Web, absent: str) -> None:
        reply = web.get(absent, 10)
        assert (reply.status, reply.trouble, reply.reason) == (0, "unreachable", "connection refused")

    def test_who_never_answers_is_left_in_time(self, web: Web, mute: str) -> None:
        began = time.monotonic()
        reply = web.get(mute, 0.5)
        assert time.monotonic() - began < 5
        assert (reply.status, reply.trouble, reply.reason) == (0, "late", "no whole answer in 0.5 s")

    def test_after_it_was_told_to_stop_nobody_is_asked(self, web: Web, good: str) -> None:
        web.stop_now()
        assert (web.get(good, 10).trouble, web.get(good, 10).status) == ("stopped", 0)


class CommandsContract:
    """Wants five fixtures: `commands`, and programs by their words: `good` exits with 0, `bad` with 3, `absent` is not there,
    `endless` does not end by itself.
    """

    def test_the_exit_code_is_told(self, commands: Commands, good: Sequence[str], bad: Sequence[str]) -> None:
        assert [commands.run(_order(words)).code for words in (good, bad)] == [0, 3]

    def test_what_cannot_be_run_has_none(self, commands: Commands, absent: Sequence[str]) -> None:
        end = commands.run(_order(absent))
        assert (end.code, end.is_late) == (None, False)
        assert end.reason.startswith("it cannot be run: ")

    def test_what_does_not_end_is_ended(self, commands: Commands, endless: Sequence[str]) -> None:
        end = commands.run(_order(endless, 0.5))
        assert (end.code, end.is_late, end.reason) == (None, True, "it did not end within 0.5 s")

    def test_it_stops_at_once_and_begins_nothing_more(
        self, commands: Commands, endless: Sequence[str], good: Sequence[str]
    ) -> None:
        threading.Timer(0.5, commands.stop_now).start()
        began = time.monotonic()
        ends = [commands.run(_order(endless, 60)), commands.run(_order(good))]
        assert time.monotonic() - began < 20
        assert [(end.code, end.is_late, end.reason) for end in ends] == [(None, False, "it was stopped")] * 2


def _order(words: Sequence[str], seconds: float = 20) -> CommandOrder:
    return CommandOrder(tuple(words), b"{}\n", seconds, "7f3c-1")
