"""Pytest fixtures that give tests real hosts: `from tests.lab.fixtures import lab_pool` in a conftest.py.

All tests of a run share one lab, however many conftest files import this. Hosts are booted when they are first asked
for; one that an earlier test has had is reset to a freshly installed system.

    def test_it(lab_pool):
        first, second = lab_pool.lease(2)
        lab_pool.lab.ssh(first, "sudo", "true")
"""

import pytest

from tests.lab.host import Host
from tests.lab.k3s_layer import k3s_layer
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

    def lease(self, count: int, *, full_k3s: bool = False) -> list[Host]:
        """Hosts host1 ... hostN, booted, clean, linked, and the mirror whole; whoever had them before has them no more.

        `full_k3s`: what the mirror serves as K3s is, on these hosts, a real etcd and a real API server. Else it is the
        light stand-in.
        """
        layer = k3s_layer() if full_k3s else None
        lab = self.lab
        lab.mirror.mend()
        stale = [host for host in lab.hosts[:count] if host.name in self._used or host.layer != layer]
        for host in stale:
            host.layer = layer
        lab.reset(stale)
        hosts = lab.grow(count, layer)
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
