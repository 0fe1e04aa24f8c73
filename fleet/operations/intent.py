"""What git says: a tree loaded, resolved and ready to be rendered. Every operation starts here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import msgspec

from fleet.errors import MistakesError, SpecError, UsageError
from fleet.k3s.version import HELD
from fleet.load import load, to_problems
from fleet.model.fleet import ResolvedFleet
from fleet.model.learned import Learned, LearnedNode
from fleet.model.lock import Lock
from fleet.model.manifest import read_manifest
from fleet.model.node import Connection, Node
from fleet.model.problem import Mistake, Place, Problem
from fleet.model.record import HeldBack, Record
from fleet.model.spec.document import Spec
from fleet.model.tree import Tree
from fleet.ports.records import Records
from fleet.render import RENDERER
from fleet.resolve import doubts, origins, resolve

if TYPE_CHECKING:
    from fleet.render import Renderer, RenderError

T = TypeVar("T")

MAX_FAULTS = 100
"""Faults of templates that are shown at once: each may come from thousands of nodes."""


class Intent(msgspec.Struct, frozen=True, eq=False, dict=True):
    """One tree, as it was meant. `records` are what nodes last told, without manifests; `texts` are our templates.
    `unanswered`: what was sent to nodes since, and no answer came; `silent` are those that did not answer the last look, whoever
    took it. `policy`: the RolloutPolicy that was asked for instead
    of the fleet's own.
    """

    tree: Tree
    spec: Spec
    fleet: ResolvedFleet
    learned: Learned
    records: Mapping[str, Record]
    texts: Mapping[str, str]
    sandbox: str = ""
    unanswered: Mapping[str, tuple[str, ...]] = {}
    policy: str = ""
    held_back: Mapping[str, HeldBack] = {}
    silent: frozenset[str] = frozenset()

    @cached_property
    def renderer(self) -> Renderer:
        """Made when something is rendered."""
        from fleet.render.renderer import Renderer

        spec = self.spec
        return Renderer(self.fleet, spec.lock, spec.secrets_lock.secrets, spec.files, self.texts)

    def held(self, node: str) -> str:
        """The digest of the last whole bundle that a node told of, empty for one that never had one."""
        record = self.records.get(node)
        return "" if record is None else record.last_digest

    def expected(self, node: str) -> str:
        """As in `BatchOrder.expect`: what the node last told, or what has been sent to it since."""
        return ",".join((self.held(node), *self.unanswered.get(node, ())))

    def learned_of(self, nodes: Iterable[str]) -> dict[str, Mapping[str, str]]:
        """What these nodes have told for others, as `Records.learned`."""
        known = {node: self.records[node].learned for node in nodes if node in self.records}
        return {node: told for node, told in known.items() if told}

    def is_waiting(self, node: str) -> bool:
        """Whether the node is being adopted, and paths on it wait to be taken."""
        record = self.records.get(node)
        return record is not None and bool(record.waiting)

    def is_done(self, node: str, wanted: str) -> bool:
        """A node is done if and only if its own record holds the wanted digest, and what it holds is as that says. One that
        was sent something else since, and did not answer, may hold that by now, and so may its Node.
        """
        record = self.records.get(node)
        is_sure = {wanted}.issuperset(self.unanswered.get(node, ()))
        return record is not None and record.holds(wanted) and is_sure

    def held_back_by(self, node: str, wanted: str) -> str:
        """The rollout because of which the node is not brought to a bundle; empty for none."""
        held = self.held_back.get(node)
        return held.rollout if held and held.digest == wanted else ""

    def held_versions(self, records: Records) -> frozenset[str]:
        """The K3s versions that nodes last told: a minor between them and the spec's has to be walked through."""
        texts = records.manifests({record.digest for record in self.records.values() if record.digest})
        return frozenset(version for text in texts.values() if (version := _k3s_version(text)))

    @property
    def lock(self) -> Lock:
        return self.spec.lock


def read_intent(  # noqa: PLR0913, PLR0917 - what an intent is made of
    tree: Tree,
    records: Records,
    texts: Mapping[str, str],
    home: str,
    sandbox: str = "",
    policy: str = "",
    retrying: str = "",
) -> Intent:
    """Load, resolve and make ready to render. Raises SpecError with every mistake, placed in its file, and UsageError for a
    `policy` that the spec does not have; empty for the fleet's own. What the rollout `retrying` holds back is not held back.

    With `sandbox`, every node is a folder below it; without, those whose spec says so are folders below `home`.
    """
    spec = _following(load(tree), policy)
    known = records.all()
    held_back = {node: held for node, held in records.held_back().items() if held.rollout != retrying}
    learned = _learned(known, records)
    try:
        fleet = resolve(spec, learned)
    except MistakesError as error:
        raise SpecError(to_problems(error.mistakes, tree.files), spec.documents) from None
    fleet = _sandboxed(fleet, sandbox, everything=True) if sandbox else _sandboxed(fleet, home, everything=False)
    silent = frozenset(records.silent())
    return Intent(tree, spec, fleet, learned, known, texts, sandbox, records.unanswered(), policy, held_back, silent)


def _following(spec: Spec, policy: str) -> Spec:
    """The spec as if its fleet named that policy."""
    if not policy:
        return spec
    if policy not in spec.policies:
        close = get_close_matches(policy, spec.policies, n=1)
        there = f"There are {', '.join(sorted(spec.policies))}." if spec.policies else "The spec has none."
        raise UsageError(
            f"no RolloutPolicy is called {policy}", f"Did you mean `{close[0]}`? {there}" if close else there
        )
    fleet = msgspec.structs.replace(spec.fleet.spec, rollout_policy=policy)
    return msgspec.structs.replace(spec, fleet=msgspec.structs.replace(spec.fleet, spec=fleet))


def warnings(intent: Intent) -> tuple[Problem, ...]:
    """What is doubtful in the spec, but allowed."""
    found = (*intent.spec.warnings, *intent.fleet.warnings, *doubts(intent.spec, intent.fleet))
    return to_problems(found, intent.tree.files)


def check_locked(intent: Intent) -> None:
    """Raises UsageError where a plan would need what fleet.lock does not pin, or was made by another renderer."""
    if intent.fleet.unlocked:
        raise UsageError(
            f"fleet.lock does not pin {', '.join(intent.fleet.unlocked)}",
            "Run `fleet lock`, look at the change, and commit fleet.lock.",
        )
    if intent.lock.renderer > RENDERER:
        raise UsageError(
            f"fleet.lock was written for renderer {intent.lock.renderer}, this fleet has {RENDERER}",
            "Use the newer fleet that the repository is kept with.",
        )


def _sandboxed(fleet: ResolvedFleet, folder: str, *, everything: bool) -> ResolvedFleet:
    """The fleet with its sandboxes below `folder`: nothing of them is reached over the network."""
    way = Connection(type="sandbox", address=folder, port=0, user="", become=False)
    if not everything and all(node.connection.type == "ssh" for node in fleet.nodes):
        return fleet
    nodes = [
        msgspec.structs.replace(node, connection=way) if everything or node.connection.type == "sandbox" else node
        for node in fleet.nodes
    ]
    return msgspec.structs.replace(fleet, nodes=nodes)


def each_rendered(intent: Intent, nodes: Iterable[Node], make: Callable[[Node], T]) -> Sequence[T]:
    """`make` for each node. Raises SpecError with every distinct fault of a template, up to MAX_FAULTS."""
    from fleet.render import RenderError

    made: list[T] = []
    faults: dict[tuple[object, ...], RenderError] = {}
    for node in nodes:
        try:
            made.append(make(node))
        except RenderError:
            for each in intent.renderer.faults(node):
                fault = each.fault
                faults.setdefault((fault.file, fault.line, fault.message, each.path), each)
            if len(faults) >= MAX_FAULTS:
                break
    if faults:
        raise SpecError([_problem(intent, error) for error in faults.values()], intent.spec.documents)
    return made


def _problem(intent: Intent, error: RenderError) -> Problem:
    """A fault at the template's line, or at the line of the spec that holds the content."""
    fault = error.fault
    told = f"{fault.message} (for {error.path} of {error.node.name})"
    if fault.file and fault.line:
        return Problem(fault.file, fault.line, 1, "", told, fault.hint)
    place = _place(intent, error.node, error.path)
    (problem,) = to_problems([Mistake(place, told, fault.hint)], intent.tree.files)
    if fault.line and _is_literal_block(intent, problem):
        # Its text starts on the line below its key, and keeps its lines. Any other scalar is told as a whole.
        return msgspec.structs.replace(problem, line=problem.line + fault.line, column=1)
    return problem


def _is_literal_block(intent: Intent, problem: Problem) -> bool:
    lines = intent.tree.files.get(problem.file, b"").splitlines()
    return 0 < problem.line <= len(lines) and lines[problem.line - 1][problem.column - 1 :].startswith(b"|")


def _k3s_version(text: str) -> str:
    try:
        return read_manifest(text).facts.k3s_version
    except (msgspec.MsgspecError, ValueError):
        return ""


def _place(intent: Intent, node: Node, path: str) -> Place:
    """Where the spec says what is in a file: one of the OS's, or a manifest of K3s."""
    name = path.rpartition("/")[2].removesuffix(".yaml")
    said = {
        f"{thing}.{field}"
        for thing in (f"os.files[{path}]", f"k3s.manifests[{name}]")
        for field in ("content", "template", "source")
    }
    for origin in origins(intent.spec, intent.learned, node):
        if origin.path in said:
            return origin.place
    return node.place


def _learned(known: Mapping[str, Record], records: Records) -> Learned:
    nodes = {
        name: LearnedNode(
            record.machine_id,
            record.arch,  # type: ignore[arg-type]
            k3s_version=record.learned.get(HELD, ""),
            is_applied=bool(record.last_digest),
        )
        for name, record in known.items()
    }
    return Learned(nodes=nodes, clusters=dict(records.clusters()))
