"""A cluster's API server, by the `kubernetes` client (extra `edgefleet[kubernetes]`), over ssh or directly."""

from fleet.adapters.kubernetes.access import Access, DirectAccess, Endpoint
from fleet.adapters.kubernetes.cluster import KubernetesCluster
from fleet.adapters.kubernetes.connection import Patience
from fleet.adapters.kubernetes.tunnel import SshAccess

__all__ = ["Access", "DirectAccess", "Endpoint", "KubernetesCluster", "Patience", "SshAccess"]
