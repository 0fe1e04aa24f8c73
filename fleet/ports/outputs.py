"""What the tool that changes nodes printed while it did, for people to read afterwards."""

from __future__ import annotations

from typing import Protocol


class Outputs(Protocol):
    @property
    def kept(self) -> int:
        """Of so many rollouts, the newest ones, output is kept."""
        ...

    def of(self, batch_id: str, node: str) -> tuple[str, ...] | None:
        """The lines about a node, in their order, without a secret. None where nothing is kept of the batch."""
        ...
