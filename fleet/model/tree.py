"""A Tree: paths and bytes of a GitOps repository at one commit, or of a working tree."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Revision(msgspec.Struct, frozen=True):
    """Which state of git a tree is. `commit` is the full id, empty outside git; `dirty` marks uncommitted changes."""

    commit: str = ""
    branch: str = ""
    subject: str = ""
    signer: str = ""
    dirty: bool = False

    @property
    def short(self) -> str:
        if not self.commit:
            return "a folder outside git"
        return self.commit[:7] + (" and uncommitted changes" if self.dirty else "")


class Tree(msgspec.Struct, frozen=True):
    """`files` maps a relative path with `/` to its bytes; it may read them when asked (bounded in size)."""

    files: Mapping[str, bytes]
    revision: Revision = Revision()
    root: str = ""
    """The folder on disk, for relative `file:` mirrors; empty when the tree was read out of git."""
