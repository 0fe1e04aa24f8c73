"""KubernetesCluster over ssh: the real ssh, a real SSH server on 127.0.0.1, and the real API server behind it.

Where root is asked for, `id` and `sudo` on the server are stand-ins: tests run as root, which asks nobody.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.adapters.clock import SystemClock
from fleet.adapters.kubernetes import KubernetesCluster, Patience, SshAccess
from fleet.errors import RefusedError, UnavailableError
from fleet.model.cluster_node import ClusterNode, NodeIdentity
from fleet.model.drain import DrainRule, NodeDrained, Pod
from fleet.model.node import Node
from tests.cluster.stage import ApiServerStage
from tests.lab.apiserver.server import ApiServer, free_ports
from tests.specs import document, resolved
from tests.ssh.host import Host, make_key, serving

ROOT = Path(__file__).parents[2]
A = NodeIdentity("lyon-1-a", "6f1d2c3b4a5968778695a4b3c2d1e0f1")
QUICK = Patience(connect=2, answer=5, total=8, pause=0.05)
SUDO = """\
#!/bin/sh
# As sudo -S: one line of its input is the password. It notes how it was called.
echo "$*" >> "$0.calls"
case "$1" in
  -n) [ -e "$0.free" ] || { echo "sudo: a password is required" >&2; exit 1; }; shift ;;
  -S) shift; [ "$1" = -p ] && shift 2
      IFS= read -r word || { echo "sudo: no password was provided" >&2; exit 1; }
      [ "$word" = "open sesame" ] || { echo "Sorry, try again." >&2
        IFS= read -r word || { echo "sudo: 1 incorrect password attempt" >&2; exit 1; }; } ;;
esac
exec "$@"
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """`id` there says that its user is nobody special; `sudo` is the stand-in beside it."""
    folder = tmp_path_factory.mktemp("ssh")
    stand_ins = folder / "bin"
    stand_ins.mkdir()
    for name, text in (("sudo", SUDO), ("id", "#!/bin/sh\necho 1000\n")):
        (stand_ins / name).write_text(text)
        (stand_ins / name).chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{stand_ins}:{os.environ['PATH']}")
        with serving(folder / "a") as running:
            yield running


@pytest.fixture
def sudo(host: Host) -> Iterator[Path]:
    path = host.client_key.parents[1] / "bin" / "sudo"
    yield path
    for made in path.parent.glob("sudo.*"):
        made.unlink()


@pytest.fixture
def k3s_yaml(api: ApiServer, tmp_path: Path) -> Path:
    path = tmp_path / "k3s.yaml"
    path.write_text(api.kubeconfig("https://127.0.0.1:6443"))
    return path


@pytest.fixture
def open_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def server_node(host: Host, api_port: int, k3s_yaml: Path, way: str = "become: false") -> Node:
    said = f"connection: {{address: 127.0.0.1, port: {host.port}, privateKey: {str(host.client_key)!r}, {way}}}"
    listed = f"nodes:\n  - {{name: lyon-1-a, role: server, arch: amd64, address: 10.0.0.1, {said}}}\n"
    config = f"https-listen-port: {api_port}, write-kubeconfig: {str(k3s_yaml)!r}"
    fleet = document("Fleet", "acme", f"k3s: {{version: v1.36.3+k3s1, config: {{{config}}}}}")
    (node,) = resolved(fleet, document("Site", "lyon", listed)).nodes
    return node


def cluster_over(access: SshAccess) -> KubernetesCluster:
    return KubernetesCluster(access, SystemClock(), QUICK)


def ssh_children(of: int | None = None) -> list[int]:
    """Processes called ssh whose parent this process is, or another one."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if name.partition("(")[2] == "ssh" and int(rest.split()[1]) == (of or os.getpid()):
            found.append(int(stat.parent.name))
    return found


def test_all_that_is_done_to_a_node(api: ApiServer, stage: ApiServerStage, host: Host, k3s_yaml: Path, open_files: Path) -> None:  # fmt: skip
    stage.add_node(ClusterNode(A.name, A.machine_id, "v1.36.3+k3s1", is_ready=True))
    stage.add_pod(A.name, Pod("shop/web-0", "", controller="ReplicaSet"))
    access = SshAccess(server_node(host, api.port, k3s_yaml), host.pinned.encode())
    with cluster_over(access) as cluster:
        assert ssh_children() == []
        assert [node.is_ready for node in cluster.nodes()] == [True]
        (ssh,) = ssh_children()
        cluster.reconcile(A, {"app": "till"}, ["gpu=true:NoSchedule"])
        assert list(cluster.drain(A, DrainRule(timeout=20), "rollout"))[-1] == NodeDrained(A.name, 1)
        assert not cluster.uncordon(A).is_cordoned
        assert cluster.datastore().is_serving
        cluster.delete(A)
        assert cluster.nodes() == []
        assert ssh_children() == [ssh], "one connection for all"
        written = [path.read_text() for path in open_files.rglob("*") if path.is_file()]
        assert not any("PRIVATE KEY" in text or "LS0tLS1" in text for text in written)
        port = int(access.open().url.rpartition(":")[2])
    assert ssh_children() == []
    assert list(open_files.iterdir()) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_it_is_closed_after_an_error_too(api: ApiServer, host: Host, k3s_yaml: Path, open_files: Path) -> None:
    access = SshAccess(server_node(host, api.port, k3s_yaml), host.pinned.encode())
    with pytest.raises(RefusedError, match="no such Node"), cluster_over(access) as cluster:
        cluster.cordon(A, "rollout")
    assert ssh_children() == []
    assert list(open_files.iterdir()) == []


def test_a_controller_that_is_killed_leaves_no_ssh_behind(api: ApiServer, host: Host, k3s_yaml: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
from tests.cluster.test_ssh import SshAccess, cluster_over, server_node
from tests.ssh.host import Host
host = Host({host.port}, {host.host_key!r}, Path({str(host.client_key)!r}))
cluster = cluster_over(SshAccess(server_node(host, {api.port}, Path({str(k3s_yaml)!r})), host.pinned.encode()))
print(len(cluster.nodes()), flush=True)
time.sleep(600)
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=env, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "0\n"
        (ssh,) = ssh_children(process.pid)
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while Path(f"/proc/{ssh}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_connection_that_breaks_is_made_again(api: ApiServer, host: Host, k3s_yaml: Path) -> None:
    access = SshAccess(server_node(host, api.port, k3s_yaml), host.pinned.encode())
    with cluster_over(access) as cluster:
        cluster.nodes()
        (first,) = ssh_children()
        os.kill(first, signal.SIGKILL)
        assert cluster.nodes() == []
        (second,) = ssh_children()
        assert second != first


def test_the_api_server_behind_it_is_down(host: Host, k3s_yaml: Path) -> None:
    access = SshAccess(server_node(host, free_ports(1)[0], k3s_yaml), host.pinned.encode())
    with cluster_over(access) as cluster:
        with pytest.raises(UnavailableError, match="the API server of lyon-1-a could not list the Nodes"):
            cluster.nodes()
        assert len(ssh_children()) == 1, "the way is there: it is not made anew each time"


def test_a_host_key_that_is_not_the_pinned_one(api: ApiServer, host: Host, k3s_yaml: Path, tmp_path: Path) -> None:
    wrong = f"[127.0.0.1]:{host.port} {make_key(tmp_path / 'wrong')}\n"
    for known_hosts in (b"", wrong.encode()):
        access = SshAccess(server_node(host, api.port, k3s_yaml), known_hosts)
        with (
            cluster_over(access) as cluster,
            pytest.raises(UnavailableError, match=r"could not connect on lyon-1-a: .*Host key verification failed"),
        ):
            cluster.nodes()
    assert ssh_children() == []


def test_no_k3s_there(api: ApiServer, host: Host, tmp_path: Path) -> None:
    access = SshAccess(server_node(host, api.port, tmp_path / "none.yaml"), host.pinned.encode())
    with (
        cluster_over(access) as cluster,
        pytest.raises(UnavailableError, match=r"could not read .*none.yaml on lyon-1-a: cat: .*No such file"),
    ):
        cluster.nodes()
    assert ssh_children() == []


def test_through_a_jump_host(api: ApiServer, host: Host, k3s_yaml: Path, tmp_path: Path) -> None:
    (tmp_path / "behind").mkdir()
    for name in ("client-key", "client-key.pub"):
        shutil.copy(host.client_key.with_name(name), tmp_path / "behind" / name)
    with serving(tmp_path / "behind") as behind:
        node = server_node(
            behind, api.port, k3s_yaml, f"become: false, jumpHost: '{getpass.getuser()}@127.0.0.1:{host.port}'"
        )
        both = (host.pinned + behind.pinned).encode()
        with cluster_over(SshAccess(node, both)) as cluster:
            assert cluster.nodes() == []
        with (
            cluster_over(SshAccess(node, behind.pinned.encode())) as cluster,
            pytest.raises(UnavailableError, match="could not connect on lyon-1-a"),
        ):
            cluster.nodes()
    assert ssh_children() == []


def test_a_way_that_hangs(api: ApiServer, host: Host, k3s_yaml: Path, tmp_path: Path) -> None:
    sleeper = shutil.copy(shutil.which("sleep") or "", tmp_path / "sleeper")
    node = server_node(host, api.port, k3s_yaml, f"become: false, proxyCommand: {sleeper} 300")
    access = SshAccess(node, host.pinned.encode(), open_seconds=1)
    began = time.monotonic()
    with cluster_over(access) as cluster, pytest.raises(UnavailableError, match="it said nothing for 1 s"):
        cluster.nodes()
    assert time.monotonic() - began < 15
    assert ssh_children() == []
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if f"{sleeper}".encode() in read(path)]


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


# Root


def over_sudo(api: ApiServer, host: Host, k3s_yaml: Path, password: bytes | None) -> KubernetesCluster:
    become = None if password is None else lambda: password
    node = server_node(host, api.port, k3s_yaml, "become: true")
    return cluster_over(SshAccess(node, host.pinned.encode(), become=become))


def test_sudo_that_asks_nothing(api: ApiServer, host: Host, k3s_yaml: Path, sudo: Path) -> None:
    Path(f"{sudo}.free").touch()
    with over_sudo(api, host, k3s_yaml, None) as cluster:
        assert cluster.nodes() == []
    assert Path(f"{sudo}.calls").read_text() == f"-n cat {k3s_yaml}\n"


def test_sudo_that_asks(api: ApiServer, host: Host, k3s_yaml: Path, sudo: Path) -> None:
    with over_sudo(api, host, k3s_yaml, b"open sesame\n") as cluster:
        assert cluster.nodes() == []
        (ssh,) = ssh_children()
        assert b"sesame" not in Path(f"/proc/{ssh}/cmdline").read_bytes()
        assert b"sesame" not in Path(f"/proc/{ssh}/environ").read_bytes()
    assert Path(f"{sudo}.calls").read_text() == f"-S -p  cat {k3s_yaml}\n"


@pytest.mark.parametrize(
    ("password", "words"), [(None, "a password is required"), (b"guess", "1 incorrect password attempt")]
)
def test_sudo_that_refuses(
    api: ApiServer, host: Host, k3s_yaml: Path, sudo: Path, password: bytes | None, words: str
) -> None:
    began = time.monotonic()
    with over_sudo(api, host, k3s_yaml, password) as cluster, pytest.raises(UnavailableError) as caught:
        cluster.nodes()
    assert caught.value.message == f"could not read {k3s_yaml} on lyon-1-a: sudo: {words}"
    assert time.monotonic() - began < 10
    assert ssh_children() == []
