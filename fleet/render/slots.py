"""Slots: the files of a bundle, made once for many nodes where they can be.

All nodes of one shape share the same tuple of slots. A fixed slot is encoded once; one that differs from node to node
makes only its content and its sha256 anew, between an encoded head and tail.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import msgspec

from fleet.model.bundle import BundleFile
from fleet.model.node import Node
from fleet.render.content import Content, ContentError
from fleet.render.manifest import encoded


class Made(msgspec.Struct, frozen=True):
    """A file of one node: its entry, the entry's canonical text, and the blob (None where secrets are inside)."""

    file: BundleFile
    entry: bytes
    blob: bytes | None


class Slot(Protocol):
    @property
    def path(self) -> str: ...

    def entry(self, node: Node) -> bytes:
        """The canonical text of the file's entry for this node."""
        ...

    def made(self, node: Node) -> Made: ...


class FixedSlot:
    """A file that is the same on every node of the shape."""

    __slots__ = ("_made", "path")

    def __init__(self, file: BundleFile, content: Content, secret_mode: str = "") -> None:
        self.path = file.path
        self._made = made(file, content, secret_mode)

    def entry(self, node: Node) -> bytes:  # noqa: ARG002 - the same for every node
        return self._made.entry

    def made(self, node: Node) -> Made:  # noqa: ARG002 - the same for every node
        return self._made


class BrokenSlot:
    """A file that no node of the shape can have. It says so when it is asked, so that the others are looked at too."""

    __slots__ = ("_fault", "path")

    def __init__(self, path: str, fault: ContentError) -> None:
        self.path = path
        self._fault = fault

    def entry(self, node: Node) -> bytes:  # noqa: ARG002 - the same for every node
        raise self._fault.with_traceback(None)

    def made(self, node: Node) -> Made:  # noqa: ARG002 - the same for every node
        raise self._fault.with_traceback(None)


class NodeSlot:
    """A file whose content depends on the node."""

    __slots__ = ("_content", "_file", "_head", "_secret_mode", "_tail", "path")

    def __init__(self, file: BundleFile, content: Callable[[Node], Content], secret_mode: str = "") -> None:
        self.path = file.path
        self._secret_mode = secret_mode
        self._file = file
        self._content = content
        whole = encoded(msgspec.structs.replace(file, validate=""))
        self._head = whole[:-1] + b',"sha256":"'
        self._tail = b"}" if not file.validate else b',"validate":' + encoded(file.validate) + b"}"

    def entry(self, node: Node) -> bytes:
        content = self._content(node)
        is_text = content.__class__ is tuple and len(content) == 1 and content[0].__class__ is str
        data = content[0].encode() if is_text else _bytes(content)  # type: ignore[union-attr]  # the line before
        if data is None:
            return made(self._file, content, self._secret_mode).entry
        size = b',"size":%d' % len(data) if data else b""
        return self._head + hashlib.sha256(data).hexdigest().encode() + b'"' + size + self._tail

    def made(self, node: Node) -> Made:
        return made(self._file, self._content(node), self._secret_mode)


def made(file: BundleFile, content: Content, secret_mode: str = "") -> Made:
    """`file` with its content filled in. A content with secrets is kept as segments, any other as a blob.

    `secret_mode`, where it is given, is the file's mode if there is a secret in it. Raises ContentError for a secret
    in a file that everybody may read.
    """
    data = _bytes(content)
    if data is None:
        mode = secret_mode or file.mode
        if int(mode, 8) & 0o007:
            raise ContentError(
                f"holds a secret, and mode {mode} lets everybody read it", "Say 0600, or 0640 and a group."
            )
        filled = msgspec.structs.replace(file, segments=content, mode=mode)
        return Made(filled, encoded(filled), None)
    filled = msgspec.structs.replace(file, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    return Made(filled, encoded(filled), data)


def _bytes(content: Content) -> bytes | None:
    """The bytes of a content without secrets."""
    if isinstance(content, bytes):
        return content
    if not content:
        return b""
    if len(content) == 1 and isinstance(content[0], str):
        return content[0].encode()
    return None


def clashes(slots: Iterable[Slot]) -> Iterator[Slot]:
    """A path that is said twice: users' own files were merged by path, so that one of the two is fleet's."""
    seen: set[str] = set()
    for slot in slots:
        if slot.path in seen:
            fault = ContentError(f"{slot.path} is a file that fleet writes itself", "Say it under `k3s:` instead.")
            yield BrokenSlot(slot.path, fault)
        seen.add(slot.path)
