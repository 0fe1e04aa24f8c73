"""What rules look at: the whole picture of a plan, before and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from fleet.model.bundle import BundleFacts
from fleet.model.change import NodeChange
from fleet.model.fleet import ResolvedFleet
from fleet.model.lock import Lock
from fleet.model.record import Record

How = Literal["silent", "emptied"]
Missing = Mapping[str, How]
"""How nodes are missing, by name."""


class CheckInput(msgspec.Struct, frozen=True, eq=False):
    """`now` holds the facts of recorded manifests, `wanted` those of the bundles of all nodes in scope, by node.

    `tokens` are the fingerprints of the K3s tokens that members of touched clusters hold, by node and then by secret,
    `fingerprints` those of secrets.lock. `removed` are nodes that have a record and left the spec. `at` is seconds since
    1970, 0 where nobody says it. `missing` are nodes that were asked just now and gave no answer, or hold nothing of what
    they held before.
    """

    fleet: ResolvedFleet
    changes: tuple[NodeChange, ...]
    now: Mapping[str, BundleFacts]
    wanted: Mapping[str, BundleFacts]
    records: Mapping[str, Record]
    lock: Lock
    tokens: Mapping[str, Mapping[str, str]] = {}
    fingerprints: Mapping[str, str] = {}
    removed: tuple[str, ...] = ()
    at: float = 0.0
    missing: Missing = {}
