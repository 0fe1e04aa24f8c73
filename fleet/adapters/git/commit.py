"""The files of one commit: listed by one `git ls-tree`, read by one `git cat-file --batch` that lives with them."""

from __future__ import annotations

import posixpath
import subprocess
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import msgspec

from fleet.adapters.git import bounds
from fleet.adapters.git.command import command_line, environment, missing, run
from fleet.errors import SpecError, UnavailableError
from fleet.model.problem import Problem

_LINK = "120000"
_SUBMODULE = "160000"
_MAX_HOPS = 40  # as many links in a row as Linux follows


class Blob(msgspec.Struct, frozen=True, gc=False):
    """One entry of a tree: its mode as git writes it, its object id and its size in bytes."""

    mode: str
    id: str
    size: int


class Objects:
    """One `git cat-file --batch`, started at the first question and ended with its owner."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, blob: Blob) -> bytes:
        source, sink = self._pipes()
        try:
            sink.write(blob.id.encode("ascii") + b"\n")
            sink.flush()
            header = source.readline().split()
            if len(header) != 3 or header[1] != b"blob":
                raise UnavailableError(
                    f"git has no object {blob.id} in {self._folder}: is the clone shallow or broken?"
                )
            data = source.read(int(header[2]))
            source.read(1)
        except BrokenPipeError:
            raise UnavailableError(f"git ended while objects of {self._folder} were read") from None
        return data

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._process is None:
            try:
                self._process = subprocess.Popen(
                    command_line(self._folder, ["cat-file", "--batch"]),
                    env=environment(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
            except FileNotFoundError:
                raise missing() from None
            weakref.finalize(self, _end, self._process)
        source, sink = self._process.stdout, self._process.stdin
        if source is None or sink is None:
            raise UnavailableError(f"git gave no pipes to read objects of {self._folder} from")
        return source, sink


def _end(process: subprocess.Popen[bytes]) -> None:
    """cat-file ends by itself when its questions end."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    process.wait()


class CommitFiles(Mapping[str, bytes]):
    """Paths relative to the fleet's folder, in order; each content is read out of git when asked for."""

    def __init__(self, objects: Objects, blobs: Mapping[str, Blob]) -> None:
        self._objects = objects
        self._blobs = {path: blobs[path] for path in sorted(blobs)}
        self._meter = bounds.Meter()

    def __getitem__(self, path: str) -> bytes:
        blob = self._blobs[path]
        if blob.size > bounds.MAX_FILE_BYTES:
            raise bounds.too_large(path, blob.size)
        self._meter.count(path, blob.size)
        return self._objects.read(blob)

    def __iter__(self) -> Iterator[str]:
        return iter(self._blobs)

    def __len__(self) -> int:
        return len(self._blobs)

    def __contains__(self, path: object) -> bool:
        return path in self._blobs


def committed(folder: Path, commit: str, prefix: str) -> CommitFiles:
    """The files of `commit` below `prefix` (`""` or `a/b/`). Raises SpecError with every mistake.

    Links are followed inside the commit exactly as on disk: a link to a file is that file, one to a folder or to
    nothing is left out, one that leads out is a mistake.
    """
    entries: dict[str, Blob] = {}
    problems: list[Problem] = []
    lines = run(folder, "ls-tree", "-r", "-l", "-z", "--full-tree", commit).split(b"\0")
    if len(lines) > bounds.MAX_FILES:
        raise bounds.too_many()
    for line in filter(None, lines):
        head, _, raw = line.partition(b"\t")
        try:
            path = raw.decode("utf-8")
        except UnicodeDecodeError:
            problems.append(bounds.unreadable_name(raw))
            continue
        mode, _, identity, size = head.decode("ascii").split()
        if mode != _SUBMODULE:
            entries[path] = Blob(mode, identity, int(size))
    objects = Objects(folder)
    blobs: dict[str, Blob] = {}
    for path, blob in entries.items():
        if not path.startswith(prefix):
            continue
        own = path[len(prefix) :]
        if own.count("/") > bounds.MAX_DEPTH:
            problems.append(bounds.too_deep(own))
        elif blob.mode != _LINK:
            blobs[own] = blob
        elif (target := _target(path, own, entries, objects, problems)) is not None:
            blobs[own] = target
    if problems:
        raise SpecError(sorted(problems))
    return CommitFiles(objects, blobs)


def _target(path: str, own: str, entries: Mapping[str, Blob], objects: Objects, problems: list[Problem]) -> Blob | None:
    for _ in range(_MAX_HOPS):
        blob = entries.get(path)
        if blob is None or blob.mode != _LINK:
            return blob
        if blob.size > bounds.MAX_FILE_BYTES:
            raise bounds.too_large(own, blob.size)
        target = objects.read(blob).decode("utf-8", errors="backslashreplace")
        if target.startswith("/"):
            problems.append(bounds.absolute_link(own, target))
            return None
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if path == ".." or path.startswith("../"):
            problems.append(bounds.leads_out(own, target))
            return None
    return None
