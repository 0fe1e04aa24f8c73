"""Pytest fixtures that give tests real hosts: `from tests.lab.fixtures import lab_pool` in a conftest.py.

All tests of a run share one lab, however many conftest files import this. Hosts are booted when they are first asked
for; one that an earlier test has had is reset to a freshly installed system.

    def test_it(lab_pool):
        first, second = lab_pool.lease(2)
        lab_pool.lab.ssh(first, "sudo", "true")
"""

import pytest

from tests.lab.host import Host
from tests.lab.lab import Lab


class LabPool:
    """One lab, made at the first lease, and its hosts."""

    def __init__(self) -> None:
        self._lab: Lab | None = None
        self._used: set[str] = set()

    @property
    def lab(self) -> Lab:
        if self._lab is None:
            self._lab = Lab.create()
        return self._lab

    def lease(self, count: int) -> list[Host]:
        """Hosts host1 ... hostN, booted, clean, linked, and the mirror whole; whoever had them before has them no more."""
        lab = self.lab
        lab.mirror.mend()
        lab.reset([host for host in lab.hosts[:count] if host.name in self._used])
        hosts = lab.grow(count)
        self._used.update(host.name for host in hosts)
        return hosts

    def end(self) -> None:
        if self._lab is not None:
            self._lab.down()
            self._lab = None


POOL = pytest.StashKey[LabPool]()


@pytest.fixture(scope="session")
def lab_pool(pytestconfig: pytest.Config) -> LabPool:
    """The hosts of this run. Needs root, a kernel with overlayfs and TUN, and Debian's or Ubuntu's packages."""
    if POOL not in pytestconfig.stash:
        pool = LabPool()
        pytestconfig.stash[POOL] = pool
        pytestconfig.add_cleanup(pool.end)
    return pytestconfig.stash[POOL]
