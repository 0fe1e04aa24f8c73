from __future__ import annotations

from collections.abc import Mapping


class MemoryOutputs:
    """`printed` are lines by batch and node; a batch that is not there is not kept."""

    def __init__(self, printed: Mapping[str, Mapping[str, tuple[str, ...]]] | None = None, kept: int = 20) -> None:
        self._printed = printed or {}
        self.kept = kept

    def of(self, batch_id: str, node: str) -> tuple[str, ...] | None:
        batch = self._printed.get(batch_id)
        return None if batch is None else batch.get(node, ())
