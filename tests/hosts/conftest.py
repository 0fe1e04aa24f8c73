"""The ground of these tests: two sites, applied once from nothing, and as git has them before each test."""

import pytest

from tests.hosts.ground import NAMES, First, Ground, make_ground
from tests.lab.fixtures import LabPool, lab_pool

__all__ = ["lab_pool"]


@pytest.fixture(scope="session")
def clean(lab_pool: LabPool, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """Freshly installed hosts and a committed spec: nothing is applied until `first` does it."""
    hosts = lab_pool.lease(len(NAMES))
    return make_ground(lab_pool.lab, hosts, tmp_path_factory.mktemp("hosts"))


@pytest.fixture(scope="session")
def first(clean: Ground) -> First:
    """The first apply of all."""
    return clean.apply_first()


@pytest.fixture
def ground(clean: Ground, first: First) -> Ground:
    """Every host as git has it."""
    clean.settle()
    return clean
