"""The two sites of tests/hosts on hosts with the full stand-in for K3s: real etcd members, real API servers."""

import pytest

from tests.hosts.checkout import BIN
from tests.hosts.ground import NAMES, Ground, make_ground
from tests.lab.fixtures import LabPool

V34 = "v1.34.2+k3s1"


@pytest.fixture(scope="session")
def formed(lab_pool: LabPool, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """Both clusters, formed by one apply on freshly installed hosts. Tests change it, each for those after it."""
    hosts = lab_pool.lease(len(NAMES), full_k3s=True)
    ground = make_ground(lab_pool.lab, hosts, tmp_path_factory.mktemp("clusters"), V34)
    ground.checkout.run([str(BIN / "fleet"), "apply", "--yes"], seconds=600)
    return ground
