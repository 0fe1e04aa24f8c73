"""What stands around the applier that changes nodes: first a Node's labels, then its server is drained, then the bundle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

from fleet.model.batch import BatchOrder, BatchResult
from fleet.model.cluster_node import ClusterNode
from fleet.model.drain import Pod
from fleet.model.node import Node
from fleet.operations.intent import Intent
from fleet.operations.preparing import keep_contents
from fleet.ports.applier import answering
from fleet.testing import MemoryApplier, MemoryCluster, MemoryRecords
from fleet.workspace.clusters import with_clusters
from tests.specs import document
from tests.unit.operations.hosts import held
from tests.unit.render.ground import intent

OLD, NEW = "v1.35.3+k3s1", "v1.35.4+k3s1"
SITE = """
nodes:
  - {name: s, role: server, arch: amd64, address: 10.0.0.1}
  - {name: t, role: server, arch: amd64, address: 10.0.0.2}
cluster: {datastore: {external: {endpointSecret: db}}}
"""


class Watched(MemoryApplier):
    """Remembers what the Node was like when the bundle came; the upgrade makes it what is wanted."""

    def __init__(self, cluster: MemoryCluster) -> None:
        super().__init__({"s": "b1:bb"})
        self.cluster = cluster
        self.seen: list[tuple[dict[str, str], bool]] = []

    def run_batch(self, order: BatchOrder) -> BatchResult:
        staged = self.cluster.staged["s"]
        self.seen.append((staged.plain().labels, staged.plain().is_cordoned))
        self.cluster.add_node(ClusterNode("s", "machine of s", NEW, is_ready=True))
        return super().run_batch(order)


def read(version: str, app: str, records: MemoryRecords) -> Intent:
    fleet = document("Fleet", "acme", f"k3s: {{version: {version}, labels: {{app: {app}}}}}")
    return intent(fleet, document("Site", "lyon", SITE), records=records)


def test_labels_come_first_then_the_server_is_drained() -> None:
    cluster, records = MemoryCluster(), MemoryRecords()
    before = read(OLD, "pos", records)
    keep_contents(before, before.fleet.nodes, records)
    for node in before.fleet.nodes:
        digest = before.renderer.sketch(node).digest
        records.save([held(node.name, digest, learned={"k3s_version": OLD})])
        cluster.add_node(ClusterNode(node.name, f"machine of {node.name}", OLD, is_ready=True), {"app": "pos"})
    cluster.add_pod("s", Pod("shop/web", "u1", controller="ReplicaSet"))
    asked: list[str] = []

    @contextmanager
    def opened(server: Node, _known_hosts: bytes) -> Iterator[MemoryCluster]:
        asked.append(server.name)
        yield cluster

    wiring = SimpleNamespace(
        cluster=opened, records=records, clock=cluster.clock, secrets=None, silent=lambda _: answering
    )
    inner = Watched(cluster)
    applier = with_clusters(wiring, read(NEW, "till", records))(inner)  # type: ignore[arg-type]
    (result,) = applier.run_batch(BatchOrder("r-1", "r", 1, ("s",), wanted={"s": "b1:bb"})).results

    assert (result.outcome, result.reason) == ("applied", "")
    assert inner.seen == [({"app": "till"}, True)]
    assert (set(asked), cluster.pods_on("s")) == ({"t"}, set())
