"""KubernetesCluster and API servers in trouble: each is mended by another try, or told in one clear line."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet.adapters.clock import SystemClock
from fleet.adapters.kubernetes import DirectAccess, KubernetesCluster, Patience
from fleet.errors import FleetError, RefusedError, UnavailableError
from fleet.model.cluster_node import NodeIdentity
from fleet.model.drain import DrainRule, NodeNotDrained, PodHeld
from fleet.testing import MemoryClock
from fleet.testing.clock import START
from tests.cluster.bad_server import DROPS, HALF, HANGS, MACHINE, NODE, POD, BadServer, Reply, status
from tests.lab.apiserver.certificates import Authority, Pair
from tests.lab.apiserver.server import KUBECONFIG, free_ports

ROOT = Path(__file__).parents[3]
A = NodeIdentity("lyon-1-a", MACHINE)
QUICK = Patience(connect=0.5, answer=0.5, total=1.5, pause=0.05)
TOO_MANY = "Cannot evict pod as it would violate the pod's disruption budget."
NEEDS = "The disruption budget pay needs 2 healthy pods and has 2 currently"


def kubeconfig(server: BadServer, admin: Pair | None = None, url: str = "") -> bytes:
    pair = admin or server.admin
    said = {"authority": server.authority.certificate, "certificate": pair.certificate, "key": pair.key}
    encoded = {name: base64.b64encode(path.read_bytes()).decode() for name, path in said.items()}
    return KUBECONFIG.format(server=url or server.url, **encoded).encode()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[BadServer]:
    with BadServer(tmp_path / "server") as running:
        yield running


@pytest.fixture
def clock() -> MemoryClock:
    return MemoryClock()


@pytest.fixture
def cluster(server: BadServer, clock: MemoryClock) -> Iterator[KubernetesCluster]:
    with KubernetesCluster(DirectAccess("lyon-1-a", lambda: kubeconfig(server)), clock) as each:
        yield each


def message(does: Callable[[], object], kind: type[FleetError] = UnavailableError) -> str:
    """One line, with the server and without anything of a key or certificate."""
    with pytest.raises(kind) as caught:
        does()
    text = f"{caught.value.message} | {caught.value.hint}"
    assert "\n" not in text
    assert "lyon-1-a" in text
    assert "PRIVATE KEY" not in text
    assert "LS0tLS1" not in text
    return text


def patiently(server: BadServer, patience: Patience = QUICK) -> KubernetesCluster:
    return KubernetesCluster(DirectAccess("lyon-1-a", lambda: kubeconfig(server)), SystemClock(), patience)


# It hangs, it drops


def test_it_hangs(server: BadServer) -> None:
    server.always("GET", HANGS)
    began = time.monotonic()
    with patiently(server) as cluster:
        said = message(cluster.nodes)
    assert "could not list the Nodes: it did not answer within 0.5 s" in said
    assert time.monotonic() - began < 10


def test_it_hangs_once(server: BadServer) -> None:
    server.in_turn("GET", HANGS)
    with patiently(server, Patience(connect=5, answer=0.5, total=20, pause=0.05)) as cluster:
        assert [node.name for node in cluster.nodes()] == ["lyon-1-a"]


def test_it_never_finishes_a_handshake(server: BadServer) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        access = DirectAccess("lyon-1-a", lambda: kubeconfig(server), url)
        with KubernetesCluster(access, SystemClock(), QUICK) as cluster:
            assert "could not list the Nodes" in message(cluster.nodes)


@pytest.mark.parametrize("trouble", [DROPS, HALF])
def test_a_connection_that_is_lost_is_made_again(server: BadServer, cluster: KubernetesCluster, trouble: Reply) -> None:
    server.in_turn("GET", trouble, trouble)
    assert [node.name for node in cluster.nodes()] == ["lyon-1-a"]
    assert len(server.asked) == 3
    server.always("GET", trouble)
    assert "could not list the Nodes: the connection was lost" in message(cluster.nodes)


def test_nobody_listens(server: BadServer, clock: MemoryClock) -> None:
    url = f"https://127.0.0.1:{free_ports(1)[0]}"
    with KubernetesCluster(DirectAccess("lyon-1-a", lambda: kubeconfig(server), url), clock) as cluster:
        assert "Connection refused" in message(cluster.nodes)
    assert clock.now() - START <= 60


# It answers, but not what was asked for


def test_it_has_too_much_to_do(server: BadServer, cluster: KubernetesCluster, clock: MemoryClock) -> None:
    busy = status(429, "TooManyRequests", "please try again later", Retry_After="7")
    server.in_turn("GET", busy, busy)
    assert len(cluster.nodes()) == 1
    assert clock.now() - START == 14


def test_it_wants_more_patience_than_there_is(
    server: BadServer, cluster: KubernetesCluster, clock: MemoryClock
) -> None:
    server.always("GET", status(429, "TooManyRequests", "please try again later", Retry_After="3600"))
    assert "could not list the Nodes: 429 TooManyRequests: please try again later" in message(cluster.nodes)
    assert clock.now() == START
    assert len(server.asked) == 1


def test_trouble_of_its_own_passes(server: BadServer, cluster: KubernetesCluster) -> None:
    server.in_turn("GET", status(500, "InternalError", "etcdserver: leader changed"), status(503, "", "starting"))
    assert len(cluster.nodes()) == 1


def test_trouble_of_its_own_does_not_pass(server: BadServer, cluster: KubernetesCluster, clock: MemoryClock) -> None:
    server.always("nodes", status(500, "InternalError", "etcdserver:\n request timed out"))
    said = message(lambda: cluster.cordon(A, "rollout"))
    assert "could not cordon the Node lyon-1-a: 500 InternalError: etcdserver: request timed out" in said
    assert 40 < clock.now() - START <= 60


def test_somebody_is_quicker(server: BadServer, cluster: KubernetesCluster) -> None:
    conflict = status(409, "Conflict", "the object has been modified")
    server.in_turn("PATCH", conflict, conflict)
    assert cluster.reconcile(A, {"app": "till"}, ["gpu=true:NoSchedule"]).name == "lyon-1-a"
    server.always("PATCH", conflict)
    said = message(lambda: cluster.reconcile(A, {"app": "till"}, []))
    assert "set labels and taints of the Node lyon-1-a: it was changed by somebody else 8 times" in said


def test_it_forbids(server: BadServer, cluster: KubernetesCluster) -> None:
    server.always("GET", status(403, "Forbidden", 'nodes is forbidden: User "x" cannot list resource "nodes"'))
    assert "refuses to list the Nodes: 403 Forbidden: nodes is forbidden" in message(cluster.nodes)
    assert len(server.asked) == 1


@pytest.mark.parametrize("body", [b"<html>Welcome to the hotel</html>", b'{"items": 7}', b"\xff\xfe", b""])
def test_something_else_answers(server: BadServer, cluster: KubernetesCluster, body: bytes) -> None:
    server.always("GET", Reply(200, body))
    assert "no API server: could not list the Nodes" in message(cluster.nodes)


def test_a_list_that_grew_too_old_is_begun_again(server: BadServer, cluster: KubernetesCluster) -> None:
    page = Reply(200, {"items": [], "metadata": {"continue": "more"}})
    server.in_turn("GET", page, status(410, "Expired", "too old"))
    assert [node.name for node in cluster.nodes()] == ["lyon-1-a"]
    assert ["continue=more" in request for request in server.asked] == [False, True, False]


# Certificates and credentials


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        (lambda ours: ours.server(ended=True), "the certificate of the API server of lyon-1-a has expired"),
        (lambda ours: Authority(ours.folder / "other").server(), "is not trusted: [SSL: CERTIFICATE_VERIFY_FAILED]"),
    ],
)
def test_a_certificate_that_is_not_believed(
    tmp_path: Path, clock: MemoryClock, certificate: Callable[[Authority], Pair], words: str
) -> None:
    with BadServer(tmp_path / "server", certificate) as server:
        access = DirectAccess("lyon-1-a", lambda: kubeconfig(server))
        with KubernetesCluster(access, clock) as cluster:
            said = message(cluster.nodes)
    assert words in said
    assert "could not list the Nodes" in said
    assert server.asked == []
    assert clock.now() == START


def test_a_name_that_is_not_in_the_certificate(server: BadServer, clock: MemoryClock) -> None:
    url = server.url.replace("127.0.0.1", "127.0.0.2")
    access = DirectAccess("lyon-1-a", lambda: kubeconfig(server), url)
    with KubernetesCluster(access, clock) as cluster:
        message(cluster.nodes)
    assert server.asked == []


def test_credentials_that_have_changed_are_read_again_once(server: BadServer, clock: MemoryClock) -> None:
    reads: list[int] = []

    def read() -> bytes:
        reads.append(1)
        return kubeconfig(server)

    with KubernetesCluster(DirectAccess("lyon-1-a", read), clock) as cluster:
        server.in_turn("GET", status(401, "Unauthorized", "Unauthorized"))
        assert len(cluster.nodes()) == 1
        assert len(reads) == 2
        server.always("GET", status(401, "Unauthorized", "Unauthorized"))
        assert "does not take the credentials: could not list the Nodes" in message(cluster.nodes)
        assert len(reads) == 3


def test_a_client_certificate_that_has_ended_is_named(server: BadServer) -> None:
    ended = server.authority.client("system:ended", "system:masters", ended=True)
    server.always("GET", status(401, "Unauthorized", "Unauthorized"))
    with KubernetesCluster(DirectAccess("lyon-1-a", lambda: kubeconfig(server, ended)), SystemClock()) as cluster:
        assert "the client certificate ended on 20" in message(cluster.nodes)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda text: text[: len(text) // 2],
        lambda _: b"- a list\n",
        lambda text: text.replace(b"current-context: default", b"current-context: other"),
        lambda text: text.replace(b"client-key-data: LS0t", b"client-key-data: !!!!"),
        lambda text: text.replace(b"client-certificate-data:", b"client-certificate:"),
    ],
)
def test_a_kubeconfig_that_is_none(server: BadServer, spoil: Callable[[bytes], bytes]) -> None:
    access = DirectAccess("lyon-1-a", lambda: spoil(kubeconfig(server)))
    with KubernetesCluster(access, MemoryClock()) as cluster:
        assert "the kubeconfig of lyon-1-a" in message(cluster.nodes)


def test_keys_lie_in_memory_and_are_forgotten(server: BadServer, clock: MemoryClock) -> None:
    with KubernetesCluster(DirectAccess("lyon-1-a", lambda: kubeconfig(server)), clock) as cluster:
        assert held() == 0
        cluster.nodes()
        assert held() == 3
    assert held() == 0


def held() -> int:
    """Files in memory that this process has open."""
    found = 0
    for path in Path("/proc/self/fd").iterdir():
        try:
            found += str(path.readlink()).startswith("/memfd:fleet-kubernetes")
        except FileNotFoundError:
            continue
    return found


def test_the_environments_proxy_is_not_asked(
    server: BadServer, cluster: KubernetesCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_ports(1)[0]}")
    assert len(cluster.nodes()) == 1


# Drains


def test_two_budgets_for_one_pod(server: BadServer, cluster: KubernetesCluster) -> None:
    words = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    server.always("eviction", status(500, "InternalError", words))
    events = list(cluster.drain(A, DrainRule(timeout=20), "rollout"))
    assert events[0] == PodHeld("lyon-1-a", "shop/web-0", "", words)
    assert isinstance(events[-1], NodeNotDrained)
    assert events[-1].reason == f"not within 20 s: shop/web-0 ({words})"


def test_the_budget_is_named_with_its_own_words(server: BadServer, cluster: KubernetesCluster) -> None:
    server.always("eviction", status(429, "TooManyRequests", TOO_MANY, "DisruptionBudget", NEEDS, Retry_After="10"))
    events = list(cluster.drain(A, DrainRule(timeout=20), "rollout"))
    assert events[0] == PodHeld("lyon-1-a", "shop/web-0", "pay", NEEDS)
    assert events[1:] == [
        NodeNotDrained("lyon-1-a", f"not within 20 s: shop/web-0 (PodDisruptionBudget pay: {NEEDS})", ("shop/web-0",))
    ]
    assert len([request for request in server.asked if "eviction" in request]) == 2, "as often as Retry-After lets"


def test_a_pod_of_the_same_name_came_meanwhile(server: BadServer, cluster: KubernetesCluster) -> None:
    """Only what was there at the beginning is evicted: the eviction carries its uid."""
    another = {"metadata": {**POD["metadata"], "uid": "p2"}}
    seen: list[str] = []

    def says(request: str) -> Reply | None:
        seen.append(request)
        if "eviction" in request:
            return status(409, "Conflict", "the UID in the precondition (p1) does not match the UID in record (p2)")
        is_later = any("eviction" in each for each in seen)
        return Reply(200, {"items": [another]}) if is_later and "/pods?" in request else None

    server.says = says
    kinds = [type(event).__name__ for event in cluster.drain(A, DrainRule(timeout=20), "rollout")]
    assert kinds == ["PodGone", "NodeDrained"]


def test_a_drain_during_which_the_server_goes_away(server: BadServer, cluster: KubernetesCluster) -> None:
    server.always("/pods?", DROPS)
    assert "could not list the pods of the Node lyon-1-a" in message(
        lambda: list(cluster.drain(A, DrainRule(), "rollout"))
    )


# The machine


def test_nothing_is_written_on_another_machine(server: BadServer, cluster: KubernetesCluster) -> None:
    said = message(lambda: cluster.reconcile(NodeIdentity("lyon-1-a", "f" * 32), {"app": "till"}, []), RefusedError)
    assert MACHINE in said
    assert [request.split()[0] for request in server.asked] == ["GET"]


def test_every_write_is_bound_to_the_node_that_was_read(server: BadServer, cluster: KubernetesCluster) -> None:
    """Or it would make a Node anew that was deleted meanwhile, or fall on another machine's."""
    cluster.reconcile(A, {"app": "till"}, ["gpu=true:NoSchedule"])
    cluster.cordon(A, "rollout")
    assert "it is still there" in message(lambda: cluster.delete(A)), "this server forgets nothing"
    list(cluster.drain(A, DrainRule(timeout=1), "rollout"))
    writes = [(request, body) for request, body in zip(server.asked, server.bodies, strict=True) if body]
    bound = [_bound(body) for request, body in writes if "node-password" not in request]
    assert bound == ["7", "n1", "n1", "n1", "n1", "p1"]


def _bound(body: dict[str, Any]) -> str:
    about = {**body.get("metadata", {}), **body.get("preconditions", {})}
    about |= body.get("deleteOptions", {}).get("preconditions", {})
    return str(about.get("uid") or about["resourceVersion"])


def test_a_node_that_registers_anew_while_it_is_deleted(server: BadServer, cluster: KubernetesCluster) -> None:
    anew = Reply(200, {**NODE, "metadata": {"name": "lyon-1-a", "uid": "n2", "resourceVersion": "9"}})
    conflict = status(409, "Conflict", "Precondition failed: UID in precondition: n1, UID in object meta: n2")
    left = [Reply(200, NODE), conflict, anew]
    server.says = lambda _: left.pop(0)
    assert "registered anew" in message(lambda: cluster.delete(A), RefusedError)
    assert len(server.asked) == 3, "its new password stays"


# The client's package


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return done.stdout.strip()


def test_the_package_is_loaded_when_it_is_needed() -> None:
    assert run("import sys, fleet.adapters.kubernetes; print('kubernetes' in sys.modules)") == "False"


def test_without_the_package(server: BadServer, tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_bytes(kubeconfig(server))
    code = f"""
import pathlib, sys
sys.modules["kubernetes"] = None
from fleet.adapters.kubernetes import DirectAccess, KubernetesCluster
from fleet.errors import UsageError
try:
    KubernetesCluster(DirectAccess("a", pathlib.Path({str(tmp_path / "kubeconfig")!r}).read_bytes)).nodes()
except UsageError as error:
    print(error, "|", error.hint)
"""
    assert run(code) == "talking to Kubernetes needs the kubernetes package | pip install 'edgefleet[kubernetes]'"
