"""What ansible-playbook printed of each batch, kept for people: a folder a rollout, of the newest ones."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from fleet.adapters.disk import cannot, make_private_folder

KEPT_ROLLOUTS = 20
_BATCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_SECTION = re.compile(r"^(?:PLAY|TASK|RUNNING HANDLER) \[.*\*$|^PLAY RECAP \*+$|^PLAY \*+$")
_RESULT = re.compile(r"^(?:\[?[a-zA-Z]+\]?: )\[([^\]\s]+)(?: -> [^\]]+)?\]")
_RECAP = re.compile(r"^(\S+)\s+: ok=\d+ ")


class AnsibleOutputs:
    """Fills `ports.Outputs`. `folder` holds FOLDER/ROLLOUT/BATCH.txt (0600)."""

    def __init__(self, folder: Path, kept: int = KEPT_ROLLOUTS) -> None:
        self._folder = folder
        self.kept = kept

    def of(self, batch_id: str, node: str) -> tuple[str, ...] | None:
        """Raises UsageError or UnavailableError where the disk refuses."""
        if not _BATCH.fullmatch(batch_id):
            return None
        path = _place(self._folder, batch_id)
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise cannot("read", path, error) from None
        return of_node(text, node)


def keep(output: Path, folder: Path, batch_id: str, kept: int) -> None:
    """Gives the output of a batch a second name in `folder`, and takes away what older rollouts printed. Raises OSError."""
    if kept < 1:
        return
    target = _place(folder, batch_id)
    if is_new := not target.parent.is_dir():
        make_private_folder(folder)
        make_private_folder(target.parent)
    target.unlink(missing_ok=True)
    try:
        os.link(output, target)
    except OSError:  # a file system without links
        shutil.copyfile(output, target)
    if is_new:
        _forget(folder, kept)


def of_node(text: str, node: str) -> tuple[str, ...]:
    """The results of one node, each under the name of its task. What is printed right before a result (its error, its
    difference) belongs to it, and so do the lines of a result that is printed over several.
    """
    lines: list[str] = []
    for title, body in _sections(text.splitlines()):
        if found := _recap(body, node) if title.startswith("PLAY RECAP") else list(_results(body, node)):
            lines += [title.rstrip("* "), *found]
    return tuple(lines)


def _sections(lines: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    title, body = "", list[str]()
    for text in lines:
        if _SECTION.match(text):
            yield title, body
            title, body = text, []
        else:
            body.append(text)
    yield title, body


def _results(body: Sequence[str], node: str) -> Iterator[str]:
    before: list[str] = []
    rest = iter(body)
    for text in rest:
        match = _RESULT.match(text)
        if match is None:
            before.append(text)
            continue
        result = [text]
        if text.endswith("=> {"):
            for more in rest:
                result.append(more)
                if more.startswith("}"):
                    break
        if match[1] == node:
            yield from (line for line in (*before, *result) if line.strip())
        before = []


def _recap(body: Sequence[str], node: str) -> list[str]:
    return [text.rstrip() for text in body if (match := _RECAP.match(text)) and match[1] == node]


def _place(folder: Path, batch_id: str) -> Path:
    return folder / (batch_id.rpartition("-")[0] or batch_id) / f"{batch_id}.txt"


def _forget(folder: Path, kept: int) -> None:
    """The folder of the newest rollout is there already."""
    by_age = sorted(
        (path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime_ns, reverse=True
    )
    for path in by_age[kept:]:
        with contextlib.suppress(OSError):
            shutil.rmtree(path)
