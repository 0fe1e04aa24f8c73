"""A resolved fleet: what `resolve` makes of a Spec."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fleet.model.cluster import Cluster
from fleet.model.crowd import Downloads
from fleet.model.drain import DrainRule
from fleet.model.node import Node
from fleet.model.policy import RolloutPolicy
from fleet.model.problem import Mistake
from fleet.model.site import ResolvedSite
from fleet.model.window import Schedule


class Proxy(msgspec.Struct, frozen=True):
    http: str = ""
    https: str = ""
    no_proxy: tuple[str, ...] = ()


class Walk(msgspec.Struct, frozen=True):
    """A cluster that goes to K3s `step` now, and to `wanted` after that: no minor is left out."""

    cluster: str
    step: str
    wanted: str


class ResolvedFleet(msgspec.Struct, frozen=True, eq=False):
    """`nodes` in the order of site name, within a site as written. `unenforced` says what is declared but not acted on yet.

    `unlocked` names versions and channels that fleet.lock does not pin: nothing can be planned with them.
    `pending` counts nodes per value that only the node can tell ("arch").
    """

    name: str
    nodes: Sequence[Node]
    clusters: dict[str, Cluster]
    sites: dict[str, ResolvedSite]
    mirrors: tuple[str, ...] = ()
    downloads: Downloads = Downloads()
    proxy: Proxy = Proxy()
    max_removed: str = "1%"
    unenforced: tuple[str, ...] = ()
    unlocked: tuple[str, ...] = ()
    pending: dict[str, int] = {}
    warnings: tuple[Mistake, ...] = ()
    policy: RolloutPolicy | None = None
    """How a change goes out; None: in one wave."""
    schedule: Schedule | None = None
    """When nodes may be rebooted; None where no policy says."""
    drain: DrainRule = DrainRule()
    """How a server whose K3s becomes another version gives its pods away."""
    walking: tuple[Walk, ...] = ()
