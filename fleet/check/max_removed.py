"""Too many nodes gone from the spec at once are taken for a mistake: a table that was cut short.

Source: spec.md, Coming and going.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

from fleet.check.picture import Picture
from fleet.model.verdict import Verdict

RULE = "max-removed"

_NAMED = 3


def judge(picture: Picture) -> Iterator[Verdict]:
    gone = picture.given.removed
    if not gone:
        return
    enrolled = max(len(picture.given.records), len(gone))
    said = picture.fleet.max_removed
    allowed = _allowed(said, enrolled)
    if len(gone) > allowed:
        more = f" and {len(gone) - _NAMED:,} more" if len(gone) > _NAMED else ""
        yield Verdict(
            RULE,
            "refused",
            picture.fleet.name,
            f"{len(gone):,} of {enrolled:,} enrolled nodes are gone from the spec ({', '.join(gone[:_NAMED])}{more}), "
            f"maxRemoved {said} allows {allowed:,}",
            "Put them back where a file was cut short, or raise maxRemoved in the Fleet document.",
        )


def _allowed(said: str, enrolled: int) -> int:
    """A count, or a share of the enrolled nodes, rounded up: of a small fleet one node may always go."""
    if said.endswith("%"):
        return math.ceil(Fraction(said[:-1]) * enrolled / 100)
    return int(said)
