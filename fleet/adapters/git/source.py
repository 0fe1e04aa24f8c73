"""GitSource: a folder as it is, or as it was at a revision."""

from __future__ import annotations

import os
from pathlib import Path

from fleet.adapters.disk import write_atomic
from fleet.adapters.git.command import GitFailedError, run, unavailable
from fleet.adapters.git.commit import committed
from fleet.adapters.git.folder import SKIPPED, listed, walked
from fleet.errors import UnavailableError, UsageError
from fleet.model.tree import Revision, Tree

# Commit, decorations, whether the signature holds, who signed, subject. git asks gpg or ssh only when there is a
# signature at all.
_FORMAT = "--format=%H%x00%D%x00%G?%x00%GS%x00%s"
_GOOD = frozenset({"G", "U"})


class GitSource:
    """Fills `ports.Source`. `root` is the fleet's folder: a repository, a folder inside one, or a folder outside git.

    A working tree costs three runs of git (status, ls-files, log), a revision two and one that lives with its Tree.
    """

    def __init__(self, root: Path, without: str = "") -> None:
        """`without` is a folder below `root` that is no part of the fleet: a sandbox that somebody put there."""
        self._root = Path(os.path.realpath(root))
        self._without = without

    def read(self, revision: str = "") -> Tree:
        """Raises SpecError (links that lead out, files that are too large), UnavailableError (git does not answer),
        UsageError (no such folder or revision).
        """
        if not self._root.is_dir():
            raise UsageError(f"no such folder: {self._root}", "name the spec's folder with -C DIR")
        if revision:
            return self._commit(revision)
        top = _top(self._root)
        if top is None:
            return Tree(walked(self._root, self._without), Revision(), str(self._root))
        try:
            return self._working_tree(top)
        except GitFailedError as error:
            raise unavailable(top, error.words) from None

    def write(self, path: str, data: bytes, message: str) -> str:
        """See the port. Nothing else that is changed or staged goes along, and the user's own hooks do not run."""
        write_atomic(self._root / path, data, 0o644)
        top = _top(self._root)
        if top is None or not message:
            return ""
        try:
            run(self._root, "add", "--", path)
            run(self._root, "commit", "--quiet", "--message", message, "--only", "--", path)
            return run(self._root, "rev-parse", "HEAD").decode().strip()
        except GitFailedError as error:
            raise UnavailableError(
                f"{path} is written, and git did not commit it: {error.words.splitlines()[-1]}", "Commit it yourself."
            ) from None

    def head(self) -> Revision:
        """What HEAD is and whether the working tree differs from it, without listing files."""
        if _top(self._root) is None:
            return Revision()
        try:
            return self._revision()
        except GitFailedError as error:
            raise unavailable(self._root, error.words) from None

    def _working_tree(self, top: Path) -> Tree:
        revision = self._revision()
        names = run(self._root, "ls-files", "-c", "-o", "--exclude-standard", "-z", "--", ".").split(b"\0")
        files = listed(self._root, top, filter(None, names), self._without)
        return Tree(files, revision, str(self._root))

    def _revision(self) -> Revision:
        status = run(
            self._root, "status", "--porcelain=v2", "--branch", "-z", "--no-renames", "--no-ahead-behind",
            "--untracked-files=normal", "--ignore-submodules=dirty", "--", ".", *(f":!{name}" for name in (*sorted(SKIPPED), self._without) if name),
        )  # fmt: skip
        branch, has_commit, dirty = _status(status)
        if not has_commit:
            return Revision(branch=branch, dirty=dirty)
        commit, _, signer, subject = _log(self._root, "HEAD")
        return Revision(commit, branch, subject, signer, dirty)

    def _commit(self, revision: str) -> Tree:
        if revision.startswith("-") or ".." in revision or "\0" in revision:
            raise UsageError(f"not a revision: `{revision}`", "name a commit, a branch or a tag")
        top = _top(self._root) or self._root  # a bare repository has no .git inside
        try:
            commit, decorations, signer, subject = _log(self._root, f"{revision}^{{commit}}")
        except GitFailedError as error:
            if "unknown revision" in error.words or "bad revision" in error.words or "ambiguous" in error.words:
                raise UsageError(
                    f"{top} has no revision `{revision}`", "name a commit, a branch or a tag; or fetch it first"
                ) from None
            raise unavailable(top, error.words) from None
        prefix = self._root.relative_to(top).as_posix().removeprefix(".")
        try:
            files = committed(self._root, commit, f"{prefix}/" if prefix else "")
        except GitFailedError as error:
            raise unavailable(top, error.words) from None
        return Tree(files, Revision(commit, _branch(revision, decorations), subject, signer))


def _top(folder: Path) -> Path | None:
    """The repository that a folder is in: the first one upwards with a `.git`, be it a folder or a worktree's file."""
    for candidate in (folder, *folder.parents):
        if (candidate / ".git").exists():
            return candidate
    return None


def _status(output: bytes) -> tuple[str, bool, bool]:
    """Branch ("" when detached), whether there is a commit, whether anything differs from it."""
    branch, has_commit, dirty = "", True, False
    for line in filter(None, output.split(b"\0")):
        words = line.decode("utf-8", errors="replace").split(" ", 2)
        if words[0] != "#":
            dirty = True
        elif words[1] == "branch.oid":
            has_commit = words[2] != "(initial)"
        elif words[1] == "branch.head" and words[2] != "(detached)":
            branch = words[2]
    return branch, has_commit, dirty


def _log(folder: Path, revision: str) -> tuple[str, str, str, str]:
    """Commit id, decorations, signer ("" without a good signature), subject."""
    output = run(folder, "log", "-1", "--decorate=full", _FORMAT, revision, "--").decode("utf-8", errors="replace")
    commit, decorations, verdict, signer, subject = output.rstrip("\n").split("\0")
    return commit, decorations, signer if verdict in _GOOD else "", subject


def _branch(revision: str, decorations: str) -> str:
    """The branch that a revision named, "" when it named something else."""
    names = [name.strip() for name in decorations.split(",")]
    if revision == "HEAD":
        heads = (name for name in names if name.startswith("HEAD -> refs/heads/"))
        return next(heads, "").removeprefix("HEAD -> refs/heads/")
    wanted = f"refs/heads/{revision.removeprefix('refs/heads/')}"
    return (
        revision.removeprefix("refs/heads/") if any(name.removeprefix("HEAD -> ") == wanted for name in names) else ""
    )
