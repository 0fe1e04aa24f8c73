"""Saved plans: `fleet.plan/v1`, JSON, 0600. Apply makes the plan again and refuses any difference (decision 8)."""

from __future__ import annotations

import msgspec

from fleet.errors import RefusedError, UsageError
from fleet.model.plan import Plan

FORMAT = "fleet.plan/v1"


class _Saved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    plan: Plan


def encoded(plan: Plan) -> bytes:
    return msgspec.json.format(msgspec.json.encode(_Saved(FORMAT, plan), order="deterministic"), indent=1) + b"\n"


def decoded(data: bytes, name: str) -> Plan:
    """Raises UsageError for what is no plan of this version."""
    try:
        saved = msgspec.json.decode(data, type=_Saved)
    except msgspec.MsgspecError as error:
        raise UsageError(f"{name} is no plan of fleet: {error}", "Make one: fleet plan --out FILE.") from None
    if saved.format != FORMAT:
        raise UsageError(f"{name} is a plan of format {saved.format}, expected {FORMAT}", "Make it again.")
    return saved.plan


def refuse_difference(saved: Plan, fresh: Plan) -> None:
    """Raises RefusedError unless git and the nodes are as they were when the plan was saved."""
    for what, before, now in (
        ("the commit", saved.revision.commit, fresh.revision.commit),
        ("the spec's files", saved.tree_digest, fresh.tree_digest),
        ("the sandbox", saved.sandbox, fresh.sandbox),
    ):
        if before != now:
            raise RefusedError(f"{what} changed since the plan was saved", "Make a new one: fleet plan --out FILE.")
    old = {change.node: (change.base, change.wanted) for change in saved.nodes}
    new = {change.node: (change.base, change.wanted) for change in fresh.nodes}
    differing = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    if differing:
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        raise RefusedError(
            f"{', '.join(differing[:3])}{more} would change otherwise than the saved plan says",
            "Something was applied meanwhile. Make a new one: fleet plan --out FILE.",
        )
