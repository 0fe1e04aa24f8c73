"""Labels that a kubelet may give its own Node (reference of kubelet, --node-labels)."""

import pytest

from fleet.k3s.node_labels import kubelet_refuses


@pytest.mark.parametrize(
    "key",
    [
        "app",
        "acme.example/app",
        "notkubernetes.io/app",
        "kubernetes.io.acme.example/app",
        "kubernetes.io/arch",
        "topology.kubernetes.io/zone",
        "node.kubernetes.io/pool",
        "acme.node.kubernetes.io/pool",
        "kubelet.kubernetes.io/x",
    ],
)
def test_taken(key: str) -> None:
    assert not kubelet_refuses(key)


@pytest.mark.parametrize(
    "key",
    [
        "kubernetes.io/app",
        "k8s.io/app",
        "node-role.kubernetes.io/till",
        "acme.k8s.io/app",
        "topology.kubernetes.io/rack",
        "mynode.kubernetes.io/pool",
    ],
)
def test_refused(key: str) -> None:
    assert kubelet_refuses(key)
