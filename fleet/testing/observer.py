from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fleet.model.batch import Observation


class MemoryObserver:
    """Answers with what it was given; a node that it was not told of has no record. `asked` holds every question."""

    def __init__(self, observations: Mapping[str, Observation] | None = None) -> None:
        self.observations = dict(observations or {})
        self.asked: list[tuple[str, ...]] = []

    def observe(self, nodes: Sequence[str]) -> Iterator[Observation]:
        self.asked.append(tuple(nodes))
        for node in nodes:
            yield self.observations.get(node) or Observation(node)
