"""Where the spec comes from."""

from __future__ import annotations

from typing import Protocol

from fleet.model.tree import Revision, Tree


class Source(Protocol):
    """Raises `SpecError` for a symlink that leads out of the repository, `UnavailableError` when git fails."""

    def read(self, revision: str = "") -> Tree:
        """The tree at `revision`, or the working tree (marked dirty where it differs from HEAD) when empty."""
        ...

    def write(self, path: str, data: bytes, message: str) -> str:
        """Puts a file into the working tree, whole, and commits it alone where there is a message and a repository.
        The commit's id, "" for none. Raises `UnavailableError` where git does not take it: the file is there then.
        """
        ...

    def head(self) -> Revision:
        """What HEAD is and whether the working tree differs from it; empty outside git."""
        ...
