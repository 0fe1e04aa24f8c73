"""Equal changes of many nodes become one group: ten thousand nodes never mean ten thousand lines."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import msgspec

from fleet.diff.lines import diff_lines, printable
from fleet.diff.naming import without_names
from fleet.model.change import Change, NodeChange
from fleet.model.plan import ChangeGroup

_ORDER = (
    "first", "k3s", "updates", "reboot", "config", "label", "taint", "file", "folder", "artifact", "unit", "package", "user", "sysctl", "fact",
)  # fmt: skip
_RANK = {kind: rank for rank, kind in enumerate(_ORDER)}
_SAMPLE = 3
_SHA = 64
# Bounds of one plan. Beyond them a path is one group without a diff.
_MAX_DIFFS = 500
_MAX_BYTES = 256 * 1024 * 1024

_NO_DIFF: tuple[str, ...] = ()
_TOO_MANY = ("  the lines differ from node to node",)
# One thing to a person: the unit is called otherwise on an agent.
_K3S_UNITS = {"k3s-agent.service": "k3s.service"}
_RECORD = Change("fact", "edit", "record")

Text = Callable[[str], bytes | None]


def groups(changes: Iterable[NodeChange], text: Text) -> tuple[ChangeGroup, ...]:
    """Groups of equal Changes, K3s first, then by kind, number of nodes and subject.

    Contents that differ per node and change in the same lines are one group, with that diff; its Change then has an
    empty `before` and `after`. Lines that differ in the names of node and site alone count as the same, and show
    `{node.name}` and `{site.name}`. `text` gives a content by its id (`content_id`), None where nobody kept it; it is
    asked once for each pair of contents. Only edits have a diff: what comes or goes whole is one group per path.
    """
    board = _Board(text)
    for node in changes:
        for change in node.changes or (_RECORD,):
            board.add(node, change)
    return tuple(sorted(board.groups(), key=_sort_key))


def _sort_key(group: ChangeGroup) -> tuple[int, int, str, str, str, tuple[str, ...]]:
    change = group.change
    return _RANK[change.kind], -group.nodes, change.subject, change.before, change.after, group.diff


class _Bucket:
    """Nodes with one Change. `change` loses its contents' ids once two different ones are in here."""

    __slots__ = ("change", "diff", "is_edit", "nodes", "restarts", "sample", "sites")

    def __init__(self, change: Change, *, is_edit: bool) -> None:
        self.change = change
        self.is_edit = is_edit
        self.restarts = set(change.restarts)
        self.diff: tuple[str, ...] = ()
        self.nodes = 0
        self.sites: set[str] = set()
        self.sample: list[str] = []

    def add(self, node: NodeChange, change: Change) -> None:
        self.nodes += 1
        self.sites.add(node.site)
        if len(self.sample) < _SAMPLE:
            self.sample.append(node.node)
        if change is self.change:
            return
        self.restarts.update(change.restarts)
        if change.before != self.change.before or change.after != self.change.after:
            self.change = _bare(self.change)

    def nameless(self) -> tuple[str, ...]:
        """The diff without the names that all nodes in here have: of the one node, of the one site."""
        node = self.sample[0] if self.nodes == 1 else ""
        site = next(iter(self.sites)) if len(self.sites) == 1 else ""
        return tuple(without_names("\n".join(self.diff), node, site).split("\n"))

    def absorb(self, other: _Bucket) -> None:
        self.nodes += other.nodes
        self.sites |= other.sites
        self.sample = (self.sample + other.sample)[:_SAMPLE]
        self.restarts |= other.restarts
        self.change = _bare(self.change)

    def group(self) -> ChangeGroup:
        change = msgspec.structs.replace(self.change, restarts=tuple(sorted(self.restarts)))
        return ChangeGroup(change, self.nodes, len(self.sites), printable(self.diff), tuple(self.sample))


def _bare(change: Change) -> Change:
    """The Change without the ids of contents, in which nodes of one group may differ."""
    return Change(change.kind, change.action, change.subject, "", "", change.restarts, change.reloads)


def _key(change: Change, *, is_content: bool) -> Change:
    """What makes Changes of two nodes one: contents count by their diff, K3s's unit by either of its names."""
    if not is_content and not any(unit in _K3S_UNITS for unit in change.restarts):
        return change
    before, after = ("", "") if is_content else (change.before, change.after)
    restarts = tuple(sorted({_K3S_UNITS.get(unit, unit) for unit in change.restarts}))
    return Change(change.kind, change.action, change.subject, before, after, restarts, change.reloads)


def _is_content(change: Change) -> bool:
    """Whether before and after are ids of contents, not words."""
    return change.kind in {"file", "config"} and (len(change.before) == _SHA or len(change.after) == _SHA)


class _Board:
    """Buckets by what makes Changes equal, and the diffs seen so far."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._buckets: dict[tuple[Change, bytes], _Bucket] = {}
        self._diffs: dict[tuple[str, str], tuple[bytes, tuple[str, ...]]] = {}
        self._distinct: dict[str, set[str]] = {}
        self._too_many: set[str] = set()
        self._bytes = 0

    def add(self, node: NodeChange, change: Change) -> None:
        mark, diff = b"", _NO_DIFF
        is_content = _is_content(change)
        is_edit = is_content and change.action == "edit"
        if is_edit:
            mark, diff = self._diff(node, change)
        key = (_key(change, is_content=is_content), mark)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(change, is_edit=is_edit)
            bucket.diff = diff
        bucket.add(node, change)

    def groups(self) -> Iterable[ChangeGroup]:
        """Paths that turned out to have too many diffs are put together again, and so are diffs alike but for names."""
        merged: dict[tuple[Change, str], _Bucket] = {}
        for (change, _), bucket in self._buckets.items():
            if not bucket.is_edit:
                yield bucket.group()
                continue
            shown = _TOO_MANY if change.subject in self._too_many else bucket.nameless()
            key = (change, "\n".join(shown))
            if (home := merged.get(key)) is None:
                merged[key] = bucket
                if change.subject in self._too_many:
                    bucket.diff = _TOO_MANY
            else:
                home.diff = shown
                home.absorb(bucket)
        for bucket in merged.values():
            yield bucket.group()

    def _diff(self, node: NodeChange, change: Change) -> tuple[bytes, tuple[str, ...]]:
        pair = (change.before, change.after)
        if change.subject in self._too_many:
            return b"", _NO_DIFF
        found = self._diffs.get(pair)
        if found is None:
            lines = self._lines(*pair)
            text = "\n".join(lines)
            mark = hashlib.sha256(text.encode()).digest()
            found = self._diffs[pair] = mark, lines
            distinct = self._distinct.setdefault(change.subject, set())
            distinct.add(without_names(text, node.node, node.site))
            if len(distinct) > _MAX_DIFFS or self._bytes > _MAX_BYTES:
                self._too_many.add(change.subject)
        return found

    def _lines(self, before: str, after: str) -> tuple[str, ...]:
        old, new = self._text(before), self._text(after)
        if old is None or new is None:
            return ("  the old content is not kept here" if old is None else "  the new content is not kept here",)
        self._bytes += len(old) + len(new)
        return diff_lines(old, new) or ("  a secret in it has a new value",)
