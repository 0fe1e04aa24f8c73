"""A street of 8 shops, or with FLEET_STREET=20 (`make soak LANE=waves`) one of 20, and more that is tried on it.

Runs last of tests/hosts: what ran there before had the same hosts, and has them no more.
"""

import os
from collections.abc import Iterator

import pytest

from tests.hosts.waves.street import LARGE, SMALL, Street, make_street
from tests.lab.fixtures import LabPool, lab_pool

__all__ = ["lab_pool"]
IS_LARGE = os.environ.get("FLEET_STREET") == "20"
collect_ignore = [] if IS_LARGE else ["test_large_street.py"]


@pytest.fixture(scope="session")
def built(lab_pool: LabPool, tmp_path_factory: pytest.TempPathFactory) -> Street:
    """Every shop open, with the first greeting."""
    plan = LARGE if IS_LARGE else SMALL
    street = make_street(lab_pool.lab, lab_pool.lease(plan.size), plan, tmp_path_factory.mktemp("street"))
    street.checkout.fleet("apply", "--yes", "--policy", "opening")
    return street


@pytest.fixture
def street(built: Street) -> Iterator[Street]:
    """With a page that says that all is well."""
    page = built.lab.mirror.www / "health"
    page.write_text("well\n")
    yield built
    page.unlink()
