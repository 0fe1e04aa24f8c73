"""KubernetesCluster on a real API server: the suite that every Cluster passes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fleet.adapters.kubernetes import DirectAccess, KubernetesCluster
from fleet.testing import MemoryClock
from fleet.testing.contracts.cluster import ClusterContract
from tests.lab.apiserver.server import ApiServer


class TestKubernetesCluster(ClusterContract):
    @pytest.fixture
    def cluster(self, api: ApiServer) -> Iterator[KubernetesCluster]:
        with KubernetesCluster(DirectAccess("lyon-1-a", lambda: api.kubeconfig().encode()), MemoryClock()) as cluster:
            yield cluster
