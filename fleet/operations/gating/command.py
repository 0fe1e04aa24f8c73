"""Command gates: a program on the controller."""

from __future__ import annotations

import signal

import msgspec

from fleet.formats.urls import shown
from fleet.model.gate import CommandGate, GateAnswer
from fleet.model.inquiry import CommandEnd, CommandOrder
from fleet.operations.gating.answers import Outcome, named, took
from fleet.operations.gating.scene import Scene
from fleet.ports.commands import Commands

_MAX_LINE = 200


class ToldNode(msgspec.Struct, frozen=True):
    name: str
    site: str
    address: str


class Told(msgspec.Struct, frozen=True):
    """What a command reads on its standard input, as one line of JSON."""

    fleet: str
    commit: str
    rollout: str
    wave: str
    phase: str
    nodes: tuple[ToldNode, ...]


class CommandAsker:
    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    def ask(self, gate: CommandGate, scene: Scene) -> GateAnswer:
        """Once: what trying again is good for, the command knows."""
        order = scene.order
        command = tuple(word.replace("{wave}", order.wave) for word in gate.command)
        log = f"{order.check_id}-{scene.place + 1}"
        end = self._commands.run(CommandOrder(command, _told(scene), gate.timeout, log))
        return _judged(named(gate, order.wave), end)


def _told(scene: Scene) -> bytes:
    order, intent = scene.order, scene.intent
    nodes = (
        ToldNode(node.name, node.site, node.addresses[0] if node.addresses else node.connection.address)
        for node in scene.nodes
    )
    told = Told(intent.fleet.name, intent.tree.revision.commit, order.rollout_id, order.wave, order.phase, tuple(nodes))
    return msgspec.json.encode(told) + b"\n"


def _judged(name: str, end: CommandEnd) -> GateAnswer:
    line = next((each.strip() for each in reversed(end.tail.splitlines()) if each.strip()), "")
    line = shown("".join(letter for letter in line if letter.isprintable()))
    line = line if len(line) <= _MAX_LINE else f"{line[: _MAX_LINE - 1]}…"
    ending = "" if end.code is None else _ending(end.code)
    measured = f"{ending} in {took(end.seconds)}" if ending else ""
    if end.code == 0:
        return GateAnswer(name, "passed", f"{measured}{line and f': {line}'}")
    outcome: Outcome = "unknown" if end.code is None and not end.is_late else "failed"
    reason = f"{end.reason or ending}{line and f': {line}'}{end.log and f' (its output: {end.log})'}"
    return GateAnswer(name, outcome, measured, reason)


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit {code}"
    try:
        return f"ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"ended by signal {-code}"
