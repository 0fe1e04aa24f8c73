"""An enrolled node keeps its site, its cluster and its role.

Source: spec.md, Coming and going: "A change of an enrolled node's site or role is refused: retire and enrol".
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.model.bundle import BundleFacts
from fleet.model.verdict import Verdict

RULE = "moved-node"


def judge(picture: Picture) -> Iterator[Verdict]:
    """One verdict for all nodes that move alike: a renamed site is one mistake."""
    moved: dict[str, list[str]] = {}
    for change in picture.changes:
        before, after = picture.now.get(change.node), picture.wanted.get(change.node)
        if before is not None and after is not None and (move := _move(before, after)):
            moved.setdefault(move, []).append(change.node)
    for move, names in moved.items():
        more = f" (and of {len(names) - 1:,} more nodes)" if len(names) > 1 else ""
        yield Verdict(
            RULE,
            "refused",
            names[0],
            move + more,
            "Put it back: an enrolled node keeps its site and role; other hardware takes another name.",
            picture.nodes[names[0]].place,
        )


def _move(before: BundleFacts, after: BundleFacts) -> str:
    """What changes, in words; what an old record does not tell is no change."""
    pairs = ((name, getattr(before, name), getattr(after, name)) for name in ("site", "role", "cluster"))
    moves = [(name, old, new) for name, old, new in pairs if old and old != new]
    if len(moves) > 1 and moves[-1][0] == "cluster":
        # It follows from the site or the role.
        moves = moves[:-1]
    return ", ".join(f"{name} {old} -> {new or 'none'}" for name, old, new in moves)
