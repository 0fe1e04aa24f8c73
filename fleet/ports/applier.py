"""The hand that changes nodes, and the eye that reads their records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from fleet.model.batch import BatchOrder, BatchResult, NodeAnswer, NodeTask, Observation

ProjectWriter = Callable[[Path, Sequence[str]], None]
"""Writes a complete Ansible project for just the named nodes into a fresh folder (render.project does it)."""

Silent = Callable[[Sequence[str]], Mapping[str, str]]
"""Which of the named nodes do not answer now, and why: asked before each batch, and answered within seconds."""


def answering(_: Sequence[str]) -> Mapping[str, str]:
    """A `Silent` to which everybody answers."""
    return {}


class Applier(Protocol):
    """`run_batch` is idempotent (design, decision 7): intent first; a finished artifact is returned; a live child
    of an earlier epoch is adopted or ended before the batch runs again; else it runs. Blocks until the batch ends.
    """

    def run_batch(self, order: BatchOrder) -> BatchResult: ...

    def stop_now(self) -> None:
        """Ends running children at once (second ^C). Their nodes are found again by the next run."""
        ...


class Hand(Protocol):
    def run(self, task: NodeTask, nodes: Sequence[str]) -> Iterator[NodeAnswer]:
        """Does one task on each node; yields in the order in which answers come."""
        ...

    def stop_now(self) -> None:
        """Runs end at once, from any thread; of a node that has not answered, that is told. Nothing is run any more."""
        ...


class Observer(Protocol):
    def observe(self, nodes: Sequence[str]) -> Iterator[Observation]:
        """Reads each node's record; yields in the order in which answers come."""
        ...
