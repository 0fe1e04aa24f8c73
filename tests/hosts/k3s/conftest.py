"""The two sites of tests/hosts on hosts with the full stand-in for K3s: real etcd members, real API servers."""

import pytest

from tests.hosts.checkout import BIN
from tests.hosts.ground import NAMES, Ground, make_ground
from tests.hosts.k3s.asked import V34
from tests.lab.fixtures import LabPool


@pytest.fixture(scope="session")
def formed(lab_pool: LabPool, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """Both clusters, formed by one apply on freshly installed hosts. Tests change it, each for those after it."""
    hosts = lab_pool.lease(len(NAMES), full_k3s=True)
    ground = make_ground(lab_pool.lab, hosts, tmp_path_factory.mktemp("clusters"), V34)
    ground.checkout.run([str(BIN / "fleet"), "apply", "--yes"], seconds=600)
    return ground


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with hosts of their own go first: what is leased after `formed` was made is taken from it."""
    items.sort(key=lambda item: "formed" in getattr(item, "fixturenames", ()))
