from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fleet.model.batch import NodeAnswer, NodeTask


class MemoryHand:
    """Answers with what it was given; on a node that it was not told of, the task is done. `tasks` holds every call."""

    def __init__(self, answers: Mapping[str, NodeAnswer] | None = None) -> None:
        self.answers = dict(answers or {})
        self.tasks: list[tuple[NodeTask, tuple[str, ...]]] = []
        self._is_stopped = False

    def run(self, task: NodeTask, nodes: Sequence[str]) -> Iterator[NodeAnswer]:
        self.tasks.append((task, tuple(nodes)))
        for node in nodes:
            if self._is_stopped:
                yield NodeAnswer(node, "failed", "it was stopped")
                continue
            yield self.answers.get(node) or NodeAnswer(node, "done")

    def stop_now(self) -> None:
        self._is_stopped = True
