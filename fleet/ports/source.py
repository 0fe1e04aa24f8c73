"""Where the spec comes from."""

from __future__ import annotations

from typing import Protocol

from fleet.model.tree import Revision, Tree


class Source(Protocol):
    """Raises `SpecError` for a symlink that leads out of the repository, `UnavailableError` when git fails."""

    def read(self, revision: str = "") -> Tree:
        """The tree at `revision`, or the working tree (marked dirty where it differs from HEAD) when empty."""
        ...

    def head(self) -> Revision:
        """What HEAD is and whether the working tree differs from it; empty outside git."""
        ...
