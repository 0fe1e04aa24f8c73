"""Where SshAccess looks on a server, by what the spec says of K3s there; and what wiring makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.adapters.kubernetes import KubernetesCluster
from fleet.k3s.ports import own_address
from fleet.model.node import Node
from fleet.wiring import Wiring
from tests.specs import ONE, document, resolved


def server(config: str) -> Node:
    fleet = document("Fleet", "acme", f"k3s: {{version: v1.36.3+k3s1, config: {{{config}}}}}")
    (node,) = resolved(fleet, document("Site", "lyon-1", ONE)).nodes
    return node


@pytest.mark.parametrize(
    ("config", "target"),
    [
        ("", "127.0.0.1:6443"),
        ("https-listen-port: 7443", "127.0.0.1:7443"),
        ("bind-address: 0.0.0.0", "127.0.0.1:6443"),
        ("bind-address: '::'", "127.0.0.1:6443"),
        ("bind-address: 10.20.1.11", "10.20.1.11:6443"),
        ("bind-address: 'fd00::11'", "[fd00::11]:6443"),
    ],
)
def test_where_the_api_server_listens(config: str, target: str) -> None:
    assert own_address(server(config).settings.k3s.config) == target


def test_wiring_opens_nothing_yet(tmp_path: Path) -> None:
    with Wiring(tmp_path).cluster(server(""), b"") as cluster:
        assert isinstance(cluster, KubernetesCluster)
