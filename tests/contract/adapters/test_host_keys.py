"""SshHostKeys: the suite that every HostKeys passes, and the ways that only the real ssh goes."""

from __future__ import annotations

import getpass
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from fleet.adapters.ssh.host_keys import SshHostKeys
from fleet.errors import UnavailableError
from fleet.model.host_key import ShownKey
from fleet.model.node import Node
from fleet.testing.contracts.host_keys import HostKeysContract
from tests.specs import document, resolved
from tests.ssh.host import Host, make_key, serving


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Host]]:
    """The second one has an RSA key besides."""
    folder = tmp_path_factory.mktemp("ssh")
    make_key(folder / "rsa", "rsa")
    with serving(folder / "a") as first, serving(folder / "b", folder / "rsa") as second:
        yield first, second


@pytest.fixture
def closed() -> Iterator[int]:
    """A port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def nodes_at(*ways: str) -> Sequence[Node]:
    """Nodes a, b, c… with these connections at 127.0.0.1."""
    listed = "".join(
        f"  - {{name: {name}, role: none, address: 10.0.0.{at}, connection: {{address: 127.0.0.1, {way}}}}}\n"
        for at, (name, way) in enumerate(zip("abcdef", ways, strict=False), 1)
    )
    return resolved(document("Fleet", "acme", ""), document("Site", "lyon", f"nodes:\n{listed}")).nodes


def only(nodes: Sequence[Node], known_hosts: str = "") -> ShownKey:
    (shown,) = SshHostKeys().read(nodes, known_hosts.encode())
    return shown


def key_of(shown: ShownKey) -> str:
    assert not shown.unreachable, shown
    return f"{shown.algorithm} {shown.key}"


class TestSshHostKeys(HostKeysContract):
    @pytest.fixture
    def host_keys(self) -> SshHostKeys:
        return SshHostKeys(forks=2)

    @pytest.fixture
    def nodes(self, hosts: tuple[Host, Host], closed: int) -> Sequence[Node]:
        return nodes_at(*(f"port: {port}" for port in (hosts[0].port, hosts[1].port, closed)))

    @pytest.fixture
    def keys(self, hosts: tuple[Host, Host]) -> Mapping[str, str]:
        return {"a": hosts[0].host_key, "b": hosts[1].host_key}


def test_why_in_sshs_own_words(closed: int) -> None:
    words = f"ssh: connect to host 127.0.0.1 port {closed}: Connection refused"
    assert only(nodes_at(f"port: {closed}")) == ShownKey("a", unreachable=words)


def test_ssh_keyscan_sees_the_same(hosts: tuple[Host, Host]) -> None:
    seen = subprocess.run(
        ["ssh-keyscan", "-t", "ed25519", "-p", str(hosts[0].port), "127.0.0.1"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert seen == f"[127.0.0.1]:{hosts[0].port} {key_of(only(nodes_at(f'port: {hosts[0].port}')))}\n"


def test_of_several_keys_a_host_shows_the_one_that_is_pinned(hosts: tuple[Host, Host], tmp_path: Path) -> None:
    second = hosts[1]
    nodes = nodes_at(f"port: {second.port}")
    another = make_key(tmp_path / "another", "rsa")
    assert only(nodes).algorithm == "ssh-ed25519"
    assert only(nodes, f"[127.0.0.1]:{second.port} {another}\n").algorithm == "ssh-rsa"
    assert only(nodes, second.pinned).algorithm == "ssh-ed25519"
    assert only(nodes, f"[127.0.0.1]:22 {another}\n").algorithm == "ssh-ed25519", "of another port"


@pytest.fixture
def agent(hosts: tuple[Host, Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An agent that holds the key which the first host lets in: ssh asks no HOME for one."""
    socket_path = str(tmp_path / "agent")
    process = subprocess.Popen(["ssh-agent", "-D", "-a", socket_path], stdout=subprocess.DEVNULL)
    monkeypatch.setenv("SSH_AUTH_SOCK", socket_path)
    deadline = time.monotonic() + 30
    while not Path(socket_path).exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    subprocess.run(["ssh-add", "-q", str(hosts[0].client_key)], check=True)
    yield
    process.terminate()
    process.wait()


@pytest.mark.usefixtures("agent")
def test_a_jump_host_is_believed_only_with_its_pinned_key(hosts: tuple[Host, Host], tmp_path: Path) -> None:
    bastion, behind = hosts
    nodes = nodes_at(f"port: {behind.port}, jumpHost: '{getpass.getuser()}@127.0.0.1:{bastion.port}'")
    assert key_of(only(nodes, bastion.pinned)) == behind.host_key
    wrong = f"[127.0.0.1]:{bastion.port} {make_key(tmp_path / 'wrong')}\n"
    for known_hosts in ("", wrong):
        refused = only(nodes, known_hosts)
        assert refused.unreachable
        assert refused.key == ""


def test_a_jump_host_is_shown_the_key_that_the_spec_names(hosts: tuple[Host, Host]) -> None:
    """No agent holds it, and `ssh -J` would not show it."""
    bastion, behind = hosts
    way = f"port: {behind.port}, jumpHost: '{getpass.getuser()}@127.0.0.1:{bastion.port}'"
    assert only(nodes_at(way), bastion.pinned).unreachable
    nodes = nodes_at(f"{way}, privateKey: {str(bastion.client_key)!r}")
    assert key_of(only(nodes, bastion.pinned)) == behind.host_key
    assert only(nodes, "").unreachable


def test_a_proxy_command_is_the_way(hosts: tuple[Host, Host]) -> None:
    """It leads to the second host, whatever the address says."""
    relay = (
        "import os,socket,sys,threading as t;s=socket.create_connection(('127.0.0.1',int(sys.argv[1])));"
        "t.Thread(target=lambda:[s.sendall(d) for d in iter(lambda:os.read(0,4096),b'')],daemon=True).start();"
        "[os.write(1,d) for d in iter(lambda:s.recv(4096),b'')]"
    )
    way = f'{sys.executable} -c "{relay}" {hosts[1].port}'
    nodes = nodes_at(f"port: {hosts[0].port}, proxyCommand: {way!r}".replace("\\'", "''"))
    assert key_of(only(nodes)) == hosts[1].host_key
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert key_of(only(nodes)) == hosts[1].host_key, "under nohup the relay outlives its ssh"
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_folder_for_temporary_files_with_a_space_in_its_name(
    hosts: tuple[Host, Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my files").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "my files"))
    assert key_of(only(nodes_at(f"port: {hosts[0].port}"))) == hosts[0].host_key
    assert list((tmp_path / "my files").iterdir()) == []


def test_a_machine_without_ssh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="ssh is not installed"):
        only(nodes_at("port: 22"))
    assert list(SshHostKeys().read([], b"")) == []
