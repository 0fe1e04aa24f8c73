"""FleetGates with what it asks outside for real: many nodes at once, time that passes, and answers without secrets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from fleet.adapters.clock import SystemClock
from fleet.adapters.gates import HttpWeb, LocalCommands, PrometheusMetrics
from fleet.model.gate import CommandGate, GateAnswer, GateOrder, HttpGate, NodeGate, PrometheusGate
from fleet.operations.gating.gates import FleetGates, GateHands
from fleet.operations.gating.http import AT_ONCE
from fleet.testing import MemoryHand, MemoryRecords
from fleet.testing.contracts.gates import GatesContract
from tests.contract.adapters.prometheus_server import PrometheusServer, vector
from tests.contract.adapters.web_server import OK, WebServer, self_signed
from tests.specs import document
from tests.unit.render.ground import intent

BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as running:
        yield running


@pytest.fixture
def count() -> int:
    return 3


@pytest.fixture
def gates(tmp_path: Path, count: int) -> FleetGates:
    nodes = "".join(
        f"  - {{name: till-{at}, role: none, address: 10.{at // 250}.0.{at % 250 + 1}}}\n" for at in range(count)
    )
    made = intent(document("Fleet", "acme", ""), document("Site", "lyon", f"nodes:\n{nodes}"))
    web, records = HttpWeb(), MemoryRecords()
    commands = LocalCommands(tmp_path, tmp_path / ".fleet/gates")
    return FleetGates(made, GateHands(web, PrometheusMetrics(web), commands, MemoryHand(), records, SystemClock()))


def order(*gates: object, count: int = 3) -> GateOrder:
    return GateOrder("c-1", "7f3c", 1, "after", "pilot", tuple(f"till-{at}" for at in range(count)), gates)  # type: ignore[arg-type]


class TestFleetGates(GatesContract):
    @pytest.fixture
    def order(self, server: WebServer) -> GateOrder:
        each = HttpGate(timeout=2, url=f"{server.url}/ok?node={{node.name}}")
        for at in range(3):
            server.answers[f"/ok?node=till-{at}"] = lambda taken, _: taken.sendall(OK)
        wrong = HttpGate(timeout=2, url=f"{server.url}/status/503")
        return order(each, wrong, CommandGate(timeout=5, command=("true",)))

    @pytest.fixture
    def outcomes(self) -> Sequence[str]:
        return ["passed", "failed", "passed"]


class TestManyNodes:
    @pytest.fixture
    def count(self) -> int:
        return 600

    def test_so_many_at_once_and_who_waits_keeps_nobody_waiting(self, server: WebServer, gates: FleetGates) -> None:
        """Each is busy twice: asked one after the other, these pauses alone would take 15 minutes."""
        for at in range(600):
            server.answers[f"/till-{at}"] = lambda taken, before: taken.sendall(BUSY if before < 2 else OK)
        began = time.monotonic()
        (answer,) = gates.ask(order(HttpGate(timeout=60, url=f"{server.url}/{{node.name}}"), count=600))
        assert (answer.outcome, answer.ill) == ("passed", {})
        assert len(server.seen) == 1800
        assert time.monotonic() - began < 40
        assert server.most_open <= AT_ONCE

    def test_those_that_hang_do_not_take_the_others_time(self, server: WebServer, gates: FleetGates) -> None:
        """Each node's time begins when it is asked first."""
        for at in range(600):
            slow: Callable[[socket.socket, int], object] = lambda taken, _: taken.recv(1)  # noqa: E731
            well: Callable[[socket.socket, int], object] = lambda taken, _: taken.sendall(OK)  # noqa: E731
            server.answers[f"/till-{at}"] = slow if at < 150 else well  # type: ignore[assignment]
        (answer,) = gates.ask(order(HttpGate(timeout=1.5, url=f"{server.url}/{{node.name}}"), count=600))
        assert answer.outcome == "failed"
        assert set(answer.ill) == {f"till-{at}" for at in range(150)}
        assert answer.reason == "150 of 600 nodes did not pass: 150 nodes, such as till-0: no whole answer in 1.5 s"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("mute", "no whole answer in 1.5 s"),
        ("drip", "no whole answer in 1.5 s"),
        ("drip-body", "no whole answer in 1.5 s"),
        ("loop", "more than 5 redirects"),
        ("status/500", "500, not 200"),
        ("hang-up", "it hung up without an answer"),
        ("reset", "connection reset by peer"),
        ("cut", "its answer is cut off"),
    ],
)
def test_a_bad_day_of_a_url(server: WebServer, gates: FleetGates, path: str, reason: str) -> None:
    began = time.monotonic()
    (answer,) = gates.ask(order(HttpGate(timeout=1.5, url=f"{server.url}/{path}")))
    assert (answer.outcome, answer.reason) == ("failed", reason)
    assert time.monotonic() - began < 10


def test_an_error_page_that_says_200_passes_only_where_no_text_is_asked_for(
    server: WebServer, gates: FleetGates
) -> None:
    url = f"{server.url}/error-page"
    (answer,) = gates.ask(order(HttpGate(timeout=1.5, url=url)))
    assert answer.outcome == "passed"
    (answer,) = gates.ask(order(HttpGate(timeout=1.5, url=url, contains="ok")))
    assert (answer.outcome, answer.reason) == ("failed", "200 without the text 'ok'")
    (answer,) = gates.ask(order(HttpGate(timeout=1.5, url=f"{server.url}/ok", contains="ok")))
    assert answer.outcome == "passed"


def test_a_service_that_restarts_is_waited_for(gates: FleetGates) -> None:
    """Nobody takes the connection, then it is busy, then it is there."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    def come_back() -> None:
        with socket.create_server(("127.0.0.1", port)) as listening:
            for said in (BUSY, OK):
                connected, _ = listening.accept()
                with connected:
                    connected.recv(65536)
                    connected.sendall(said)

    timer = threading.Timer(1.0, come_back)
    timer.start()
    (answer,) = gates.ask(order(HttpGate(timeout=20, url=f"http://127.0.0.1:{port}/healthz")))
    timer.join()
    assert answer.outcome == "passed"
    assert answer.measured.endswith(" times")


def test_a_certificate_that_nobody_vouches_for_is_not_known(gates: FleetGates, tmp_path: Path) -> None:
    with WebServer(self_signed(tmp_path / "tls")) as server:
        (answer,) = gates.ask(order(HttpGate(timeout=30, url=f"{server.url}/ok")))
    assert (answer.outcome, answer.reason) == ("unknown", "its certificate is not trusted: self-signed certificate")


def test_no_secret_is_in_any_answer(server: WebServer, gates: FleetGates) -> None:
    base = server.url.replace("//", "//ops:hunter2@")
    urls = [f"{base}/{path}?token=hunter2" for path in ("ok", "loop", "cut", "status/500", "reset", "to/hunter2")]
    urls += [
        "http://ops:hunter2@no-such.invalid/?token=hunter2",
        "http://ops:hunter2@127.0.0.1:1/",
        "ftp://a:hunter2@b/",
    ]
    asked = [HttpGate(timeout=0.5, url=url) for url in urls]
    asked += [HttpGate(timeout=0.5, url=f"{url}&n={{node.name}}") for url in urls[:6]]
    prometheus = [PrometheusGate(timeout=0.5, url=url, query="up", most=1) for url in urls]
    answers = gates.ask(order(*asked, *prometheus))
    assert len(answers) == 24
    assert b"hunter2" not in msgspec.json.encode(answers)
    assert [answer for answer in answers if answer.outcome == "passed"] == []


def test_prometheus_and_a_command(gates: FleetGates, tmp_path: Path) -> None:
    (tmp_path / "smoke.sh").write_text('#!/bin/sh\ncat > told.json\necho "$1: 12 tills sell"\n')
    (tmp_path / "smoke.sh").chmod(0o755)
    with PrometheusServer() as server:
        server.data["q"] = vector("0.004")
        gate = PrometheusGate(timeout=5, url=server.url, query="q", most=0.01)
        answers = gates.ask(order(gate, CommandGate(timeout=5, command=("./smoke.sh", "{wave}"))))
    assert answers[0] == GateAnswer(f"prometheus {server.url}", "passed", "0.004")
    assert answers[1].gate == "command ./smoke.sh pilot"
    assert answers[1].measured.endswith(": pilot: 12 tills sell")
    assert b'"name":"till-2"' in (tmp_path / "told.json").read_bytes()


def test_everything_ends_when_it_is_to_stop(server: WebServer, gates: FleetGates) -> None:
    threading.Timer(0.5, gates.stop_now).start()
    began = time.monotonic()
    answers = gates.ask(
        order(
            HttpGate(timeout=60, url=f"{server.url}/mute"),
            HttpGate(timeout=60, url=f"{server.url}/status/503"),
            HttpGate(timeout=60, url=f"{server.url}/mute?{{node.name}}"),
            PrometheusGate(timeout=60, url=f"{server.url}/drip", query="q", most=1),
            CommandGate(timeout=60, command=("sleep", "600")),
        )
    )
    assert time.monotonic() - began < 10
    assert {(answer.outcome, answer.reason, len(answer.ill)) for answer in answers} == {
        ("unknown", "it was stopped", 0)
    }
    assert [each.outcome for each in gates.ask(order(NodeGate(timeout=5)))] == ["unknown"]
