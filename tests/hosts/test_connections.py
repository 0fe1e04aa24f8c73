"""The ways to a host: another port, another user, IPv6, a jump host, a program; each shows its key first."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hosts.ground import Ground
from tests.lab.host import Host

NODE = "south-a"
LINE = "- {name: south-a, role: server, address: 10.77.1.15}"
RELAY = Path(__file__).with_name("relay.py")
UNPINNED = "host key is pinned for"


def connect(ground: Ground, connection: str) -> None:
    ground.checkout.edit("sites/south.yaml", LINE, LINE.replace("}", f", connection: {{{connection}}}}}"))
    ground.checkout.commit(f"Reach {NODE} by {connection}")


def fingerprint(host: Host) -> str:
    return host.run(["ssh-keygen", "-l", "-f", "/etc/ssh/ssh_host_ed25519_key.pub"]).split()[1]


@pytest.fixture
def host(ground: Ground) -> Iterator[Host]:
    """South's server. Afterwards the spec is again what it was, before the next test goes by its greetings."""
    site = ground.checkout.folder / "sites/south.yaml"
    kept = site.read_text()
    yield ground.hosts[NODE]
    site.write_text(kept)
    if ground.checkout.git("status", "--porcelain"):
        ground.checkout.commit(f"Reach {NODE} as before")


def is_reached(ground: Ground) -> bool:
    said = ground.checkout.fleet("plan", "--refresh", "--node", NODE)
    return "did not answer" not in said.text and "Nothing to do" in said.out


def unpin(ground: Ground, host: Host) -> None:
    lines = (ground.checkout.folder / "known_hosts").read_text().splitlines()
    kept = [line for line in lines if f",{host.address}," not in line]
    ground.checkout.write("known_hosts", "".join(f"{line}\n" for line in kept))
    ground.checkout.commit(f"Forget the key of {host.name}")


def test_another_port_has_a_pin_of_its_own(ground: Ground, host: Host) -> None:
    host.run(["sh", "-c", "printf 'Port 22\\nPort 2222\\n' >/etc/ssh/sshd_config.d/ports.conf"])
    host.run(["systemctl", "restart", "ssh.service"])
    unpin(ground, host)  # ssh takes a key of the host without a port for all its ports
    connect(ground, "port: 2222")
    said = ground.checkout.fleet("plan", "--refresh", "--node", NODE)
    assert UNPINNED in said.err
    said = ground.checkout.fleet("node", "trust", NODE, "--fingerprint", "SHA256:" + "A" * 43, code=2)
    assert fingerprint(host) in said.text, "what it saw is shown, and nothing is pinned"
    assert ground.checkout.git("status", "--porcelain") == ""
    ground.checkout.fleet("node", "trust", NODE, "--fingerprint", fingerprint(host))
    assert ground.checkout.git("status", "--porcelain") == "", "the pin is committed"
    assert "[10.77.1.15]:2222" in (ground.checkout.folder / "known_hosts").read_text()
    assert is_reached(ground)
    assert "2222" in host.run(["ss", "-Htn", "state", "all", "sport", "=", ":2222"])


def test_a_user_of_its_own(ground: Ground, host: Host) -> None:
    host.run(["useradd", "--create-home", "--shell=/bin/bash", "ops"])
    host.run(["cp", "-a", "/home/fleet/.ssh", "/home/ops/.ssh"])
    host.run(["chown", "-R", "ops:ops", "/home/ops/.ssh"])
    host.run(["sh", "-c", "echo 'ops ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ops"])
    connect(ground, "user: ops")
    assert is_reached(ground)
    assert "for ops from 10.77.0.1" in host.journal("ssh.service")


def test_ipv6(ground: Ground, host: Host) -> None:
    unpin(ground, host)
    connect(ground, f'address: "{host.address6}"')
    ground.checkout.fleet("node", "trust", NODE, "--fingerprint", fingerprint(host))
    assert f"\n{host.address6} " in (ground.checkout.folder / "known_hosts").read_text()
    assert is_reached(ground)
    assert "for fleet from fd77::1 " in host.journal("ssh.service")


@pytest.mark.parametrize(
    "way",
    [
        lambda ground: f"jumpHost: fleet@{ground.hosts['south-till-001'].address}",
        lambda ground: f'proxyCommand: "{sys.executable} {RELAY} {ground.hosts[NODE].address6} %p"',
    ],
    ids=["a jump host", "a program"],
)
def test_a_host_without_a_way_of_its_own(ground: Ground, host: Host, way: Callable[[Ground], str]) -> None:
    """The host drops what comes from the controller's IPv4 address; its key is read over the other way, too."""
    host.run(["ip", "route", "add", "blackhole", "10.77.0.1/32"])
    try:
        unpin(ground, host)
        connect(ground, way(ground))
        ground.checkout.fleet("node", "trust", NODE, "--fingerprint", fingerprint(host))
        assert is_reached(ground)
    finally:
        host.run(["ip", "route", "del", "blackhole", "10.77.0.1/32"])


def test_the_key_of_a_jump_host_is_asked_for_as_well(ground: Ground, host: Host) -> None:
    jump = ground.hosts["south-till-001"]
    unpin(ground, jump)
    connect(ground, f"jumpHost: fleet@{jump.address}")
    said = ground.checkout.fleet("plan", "--refresh", "--node", NODE)
    assert "did not answer (south-a): its jump host closed the connection: is that one's host key pinned" in said.err


def test_folders_with_long_names_are_no_hindrance_to_sockets(ground: Ground, tmp_path: Path) -> None:
    """A socket's path ends at 107 bytes."""
    other = ground.checkout.clone(tmp_path / ("a" * 100) / ("b" * 100))
    assert other.plan("--refresh", "--node", NODE)["changing"] == 0
