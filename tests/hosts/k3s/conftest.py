"""The two sites of tests/hosts on hosts with the full stand-in for K3s: real etcd members, real API servers."""

import os

import pytest

from tests.hosts.checkout import BIN
from tests.hosts.ground import NAMES, Ground, make_ground
from tests.hosts.k3s.asked import V34
from tests.lab.fixtures import LabPool
from tests.turn import turn

APART = ("test_air_gap.py", "test_leaks.py", "test_reset.py", "test_waves.py")


@pytest.fixture(scope="session")
def formed(lab_pool: LabPool, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """Both clusters, formed by one apply on freshly installed hosts. Tests change it, each for those after it."""
    hosts = lab_pool.lease(len(NAMES), full_k3s=True)
    ground = make_ground(lab_pool.lab, hosts, tmp_path_factory.mktemp("clusters"), V34)
    ground.checkout.run([str(BIN / "fleet"), "apply", "--yes"], seconds=600)
    return ground


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files with hosts of their own go first: what is leased after `formed` was made is taken from it. They take long: one
    of them in a run, another one with each commit; all with FLEET_EVERY_CLUSTER=1, or where a file is named.
    """
    items.sort(key=lambda item: "formed" in getattr(item, "fixturenames", ()))
    if os.environ.get("FLEET_EVERY_CLUSTER") == "1" or any(".py" in argument for argument in config.args):
        return
    now = APART[turn(len(APART))]
    left = [item for item in items if item.path.name in APART and item.path.name != now]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"clusters: {now}, of {', '.join(APART)}; and all that share hosts")
