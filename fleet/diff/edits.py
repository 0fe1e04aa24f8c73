"""What is otherwise on a node behind fleet's back, as Changes: the same bundle puts it right."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from fleet.k3s import paths
from fleet.model.bundle import Bundle
from fleet.model.change import Change, ChangeKind

BEFORE = "changed on the node"
AFTER = "as in git"


def edits(differing: Iterable[str], wanted: Bundle, told: Collection[str] = ()) -> tuple[Change, ...]:
    """A Change for each path or unit that a look at the node found otherwise than its record says, by path.

    `told` are those that change anyway: the bundle brings them whole. One that the bundle does not hold goes with it.
    """
    found = {file.path: Change(_kind(file.path), "edit", file.path, BEFORE, AFTER, file.restart, file.reload)
             for file in wanted.files}  # fmt: skip
    found |= {
        each.path: Change("artifact", "edit", each.path, BEFORE, AFTER, each.restart) for each in wanted.artifacts
    }
    found |= {folder.path: Change("folder", "edit", folder.path, BEFORE, AFTER) for folder in wanted.folders}
    found |= {unit.name: Change("unit", "edit", unit.name, BEFORE, AFTER) for unit in wanted.units}
    return tuple(found[path] for path in sorted(differing) if path in found and path not in told)


def _kind(path: str) -> ChangeKind:
    return "config" if path == paths.CONFIG else "file"
