"""The etcd of a living cluster never loses so many servers at once that it loses its quorum.

Source: etcd.io, "Failure tolerance"; k3s-io/docs datastore/ha-embedded.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.k3s.rules import quorum
from fleet.model.cluster import Cluster
from fleet.model.verdict import Verdict

RULE = "quorum"
_HOW = {"silent": "does not answer", "emptied": "holds nothing any more"}


def judge(picture: Picture) -> Iterator[Verdict]:
    """Servers that left the spec are still members until they are retired, one after the other.

    A cluster that is gone as a whole is a closed shop: max-removed counts it. Restarts cost no quorum, since
    apply restarts one server at a time; with two members even that stops the API for a moment. Servers that are missing
    are told of whatever the plan changes: only people can bring such a cluster back.
    """
    gone: dict[str, list[str]] = {}
    for name in picture.given.removed:
        facts = picture.now.get(name)
        if facts is not None and facts.role == "server" and facts.datastore == "etcd":
            gone.setdefault(facts.cluster, []).append(name)
    for name in sorted(gone.keys() & picture.fleet.clusters.keys()):
        yield _left(picture, picture.fleet.clusters[name], sorted(gone[name]))
    for cluster in picture.touched:
        yield from _pair(picture, cluster)
    for name in sorted({picture.nodes[name].cluster for name in picture.given.missing if name in picture.nodes}):
        if name:
            yield from _lost(picture, picture.fleet.clusters[name])


def _left(picture: Picture, cluster: Cluster, gone: list[str]) -> Verdict:
    staying = sum(1 for _ in picture.living(cluster))
    members = staying + len(gone)
    need = quorum(members)
    if staying < need or len(gone) > 1:
        message = f"{len(gone)} of {members} etcd servers left the spec at once ({', '.join(gone)})"
        hint = "Put all but one back: a server leaves etcd and Kubernetes before the next one goes."
        return Verdict(
            RULE, "refused", cluster.name, f"{message}: {staying} stay, quorum needs {need}", hint, cluster.place
        )
    return Verdict(
        RULE,
        "warning",
        cluster.name,
        f"{gone[0]} left the spec and is still one of {members} members of etcd",
        "Take it out of etcd and Kubernetes before another server goes (k3s kubectl delete node).",
        cluster.place,
    )


def _pair(picture: Picture, cluster: Cluster) -> Iterator[Verdict]:
    living = [name for name in cluster.servers if picture.current(name) is not None]
    if cluster.datastore != "etcd" or len(living) != 2:
        return
    restarting = {c.node for c in picture.changes if c.cluster == cluster.name and "k3s.service" in c.restarts}
    if restarting & set(living):
        yield Verdict(
            RULE,
            "warning",
            cluster.name,
            "K3s restarts on one of 2 etcd servers, and both are needed: its API stands still until that one is back",
            "Let the third server join first, or choose a quiet hour.",
            cluster.place,
        )


def _lost(picture: Picture, cluster: Cluster) -> Iterator[Verdict]:
    """Silent about a cluster of which no server is left: that is a site without a link, or judged by join-target."""
    missing = {name: picture.given.missing[name] for name in cluster.servers if name in picture.given.missing}
    up = sum(1 for name in cluster.servers if name not in missing and picture.current(name) is not None)
    members = up + sum(1 for name, how in missing.items() if how == "emptied" or name in picture.given.records)
    if cluster.datastore != "etcd" or not 0 < up < quorum(members):
        return
    said = ", ".join(f"{name} {_HOW[how]}" for name, how in missing.items())
    yield Verdict(
        RULE,
        "warning",
        cluster.name,
        f"etcd has lost its quorum, {quorum(members)} of {members}: {said}",
        "Bring back those that are only away. Else what is left to do is a restore, by hand: docs/k3s.md#restore. "
        "Until then no server can join.",
        cluster.place,
    )
