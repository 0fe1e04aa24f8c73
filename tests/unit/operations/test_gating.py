"""HTTP, prometheus and command gates, and all of them together."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Sequence

import msgspec
import pytest

from fleet.errors import UnavailableError
from fleet.model.gate import ClusterGate, CommandGate, GateAnswer, GateOrder, HttpGate, NodeGate, PrometheusGate
from fleet.model.inquiry import CommandEnd, Reply, Sample
from fleet.operations.gating.gates import FleetGates
from fleet.testing import MemoryCommands, MemoryGates, MemoryMetrics, MemoryWeb
from fleet.testing.contracts.gates import GatesContract
from tests.unit.operations.gating import NODES, Ground, order

URL = "https://ops:hunter2@shop.example/healthz?token=t0ps3cret"
SHOWN = "http https://shop.example/healthz?…"
HTTP = HttpGate(timeout=30, url=URL)
OK, BUSY, ELSEWHERE = Reply(200, 0.2), Reply(503, 0.1), Reply(trouble="redirect", reason="more than 5 redirects")
REFUSED = Reply(trouble="unreachable", reason="connection refused")


def http(*replies: Reply, gate: HttpGate = HTTP) -> tuple[GateAnswer, MemoryWeb, float]:
    """The answer, who was asked, and how many seconds it took."""
    ground = Ground()
    ground.web = MemoryWeb({gate.url: replies}, ground.clock)
    (answer,) = ground.ask(gate)
    return answer, ground.web, ground.clock.now() - 1000


def test_a_url_that_answers_as_expected() -> None:
    answer, web, _ = http(OK)
    assert answer == GateAnswer(SHOWN, "passed", "200 in 0.2 s")
    assert web.asked == [(URL, True)]


def test_it_is_asked_again_while_that_may_help() -> None:
    answer, _, seconds = http(REFUSED, BUSY, Reply(500, 0.1), OK)
    assert answer == GateAnswer(SHOWN, "passed", "200 in 0.2 s, tried 4 times")
    assert 3.5 <= seconds < 4.5


@pytest.mark.parametrize(
    ("reply", "outcome", "reason"),
    [
        (BUSY, "failed", "503, not 200"),
        (REFUSED, "failed", "connection refused"),
        (Reply(404, 0.1, proxy="proxy:3128"), "failed", "404, not 200 (by way of the proxy proxy:3128)"),
        (Reply(trouble="unresolved", reason="its name does not resolve"), "unknown", "its name does not resolve"),
    ],
)
def test_it_fails_when_its_time_is_over(reply: Reply, outcome: str, reason: str) -> None:
    answer, web, seconds = http(reply)
    assert (answer.outcome, answer.reason) == (outcome, reason)
    assert 25 <= seconds <= 30.5
    assert len(web.asked) > 5
    assert f"tried {len(web.asked)} times" in answer.measured


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (ELSEWHERE, "failed"),
        (Reply(trouble="untrusted", reason="its certificate is not trusted: self-signed certificate"), "unknown"),
        (Reply(trouble="unusable", reason="the URL cannot be used"), "unknown"),
    ],
)
def test_what_no_time_mends_is_asked_once(reply: Reply, outcome: str) -> None:
    answer, web, seconds = http(reply)
    assert (answer.outcome, answer.reason, seconds, len(web.asked)) == (outcome, reply.reason, 0, 1)


def test_an_answer_after_the_deadline_is_none() -> None:
    answer, web, seconds = http(Reply(200, seconds=31.0))
    assert (answer.outcome, answer.reason, seconds) == ("failed", "no whole answer in 30 s", 30)
    assert len(web.asked) == 1


def test_an_expected_redirect_is_not_followed() -> None:
    gate = HttpGate(timeout=5, url="http://shop.example/", expect=302)
    answer, web, _ = http(Reply(302, 0.1), gate=gate)
    assert answer.outcome == "passed"
    assert web.asked == [("http://shop.example/", False)]


# HTTP gates that ask each node

EACH = HttpGate(timeout=30, url="http://{node.address}:8080/{node.site}/{node.name}/{wave}?{{x}}")
URLS = {
    "lyon-s": "http://10.0.0.1:8080/lyon/lyon-s/pilot?{x}",
    "lyon-a": "http://10.0.0.2:8080/lyon/lyon-a/pilot?{x}",
    "lyon-b": "http://10.0.0.3:8080/lyon/lyon-b/pilot?{x}",
    "nice-s": "http://10.0.1.1:8080/nice/nice-s/pilot?{x}",
    "nice-x": "http://[fd00::7]:8080/nice/nice-x/pilot?{x}",
}


def test_each_node_is_asked() -> None:
    ground = Ground()
    ground.web = MemoryWeb({url: [OK] for url in URLS.values()} | {URLS["nice-x"]: [Reply(200, 3.0)]})
    (answer,) = ground.ask(EACH)
    assert answer == GateAnswer(
        "http http://{node.address}:8080/{node.site}/{node.name}/{wave}?…",
        "passed",
        "200 from 5 nodes, the slowest in 3.0 s",
    )
    assert sorted(url for url, _ in ground.web.asked) == sorted(URLS.values())


def test_who_does_not_pass_is_told() -> None:
    ground = Ground()
    ground.web = MemoryWeb({url: [OK] for url in URLS.values()} | {URLS["lyon-a"]: [BUSY]}, ground.clock)
    (answer,) = ground.ask(EACH)
    assert (answer.outcome, answer.ill) == ("failed", {"lyon-a": "503, not 200"})
    assert answer.reason == "1 of 5 nodes did not pass: lyon-a: 503, not 200"
    assert answer.measured == "200 from 4 nodes, the slowest in 0.2 s"


def test_some_that_cannot_be_asked_are_no_failure_but_no_pass() -> None:
    ground = Ground()
    odd = Reply(trouble="untrusted", reason="its certificate is not trusted: expired")
    ground.web = MemoryWeb({url: [OK] for url in URLS.values()} | {URLS["lyon-a"]: [odd]}, ground.clock)
    assert ground.ask(EACH)[0].outcome == "unknown"


def test_the_address_of_a_sandbox_is_nobody() -> None:
    """The machine that has it, if there is one, has not been changed."""
    ground = Ground(sandbox=True)
    (answer,) = ground.ask(EACH)
    assert (answer.outcome, answer.measured) == ("passed", "5 sandboxes not asked: no machine has that address")
    assert ground.web.asked == []
    ground.web = MemoryWeb({f"http://h/{name}": [OK] for name in NODES})
    (answer,) = ground.ask(HttpGate(timeout=5, url="http://h/{node.name}"))
    assert (answer.outcome, len(ground.web.asked)) == ("passed", 5)


def test_a_node_that_only_dns_knows() -> None:
    ground = Ground()
    node = ground.node("nice-x")
    way = msgspec.structs.replace(node.connection, address="nice-x.shop.example")
    plain = msgspec.structs.replace(node, addresses=(), connection=way)
    ground.intent = msgspec.structs.replace(
        ground.intent, fleet=msgspec.structs.replace(ground.intent.fleet, nodes=[plain])
    )
    ground.web = MemoryWeb({"http://nice-x.shop.example/": [OK]})
    assert ground.ask(HttpGate(timeout=5, url="http://{node.address}/"))[0].outcome == "passed"


# Prometheus

PROM = "https://me:hunter2@prom.example"


def prometheus(*samples: Sample, least: float | None = None, most: float | None = None) -> tuple[GateAnswer, int]:
    ground = Ground()
    ground.metrics = MemoryMetrics({"q": samples})
    (answer,) = ground.ask(PrometheusGate(timeout=30, url=PROM, query="q", least=least, most=most))
    return answer, len(ground.metrics.asked)


@pytest.mark.parametrize(
    ("value", "least", "most", "why"),
    [
        (0.004, None, 0.01, ""),
        (0.01, None, 0.01, ""),
        (0.011, None, 0.01, "0.011 is more than 0.01"),
        (0.98, 0.99, None, "0.98 is less than 0.99"),
        (0.5, 0.1, 0.9, ""),
        (math.inf, 0.99, None, "the query gives +inf, which no bound allows for"),
        (-math.inf, None, 0.01, "the query gives -inf, which no bound allows for"),
        (math.inf, 0.99, math.inf, ""),
    ],
)
def test_bounds(value: float, least: float | None, most: float | None, why: str) -> None:
    answer, _ = prometheus(Sample(value), least=least, most=most)
    assert (answer.gate, answer.outcome) == ("prometheus https://prom.example", "failed" if why else "passed")
    assert (answer.measured, answer.reason) == (f"{value:g}", why)


def test_nan_is_no_pass() -> None:
    answer, _ = prometheus(Sample(math.nan), most=0.01)
    assert (answer.outcome, answer.measured) == ("unknown", "nan")
    assert answer.reason == "the query gives NaN: there was nothing to divide, or nothing to average"


def test_a_number_that_is_none_is_asked_for_once() -> None:
    reason = "the query gives 3 series, not one: sum() them, or ask for less"
    answer, times = prometheus(Sample(reason=reason), most=1)
    assert (answer.outcome, answer.reason, times) == ("unknown", reason, 1)
    assert prometheus(Sample(5.0), most=1)[1] == 1


def test_a_prometheus_that_is_away_is_asked_again() -> None:
    away = Sample(reason="connection refused", trouble="unreachable")
    answer, times = prometheus(away, away, Sample(0.5), most=1)
    assert (answer.outcome, answer.measured, times) == ("passed", "0.5, tried 3 times", 3)
    answer, times = prometheus(away, most=1)
    assert (answer.outcome, answer.reason) == ("unknown", "connection refused")
    assert times > 5


def test_what_prometheus_warns_of_is_told() -> None:
    answer, _ = prometheus(Sample(0.5, warning="store eu-1 is away"), most=1)
    assert answer.measured == "0.5 (Prometheus warns: store eu-1 is away)"


def test_what_a_server_repeats_is_cleared() -> None:
    ground = Ground()
    url = "https://me:hunter2@prom.example/?token=t0p%20secret"
    ground.metrics = MemoryMetrics({"q": [Sample(reason="400, no tenant for t0p secret of me:hunter2")]})
    (answer,) = ground.ask(PrometheusGate(timeout=30, url=url, query="q", most=1))
    assert answer == GateAnswer("prometheus https://prom.example/?…", "unknown", reason="400, no tenant for … of …")


# Commands


def command(end: CommandEnd, *words: str) -> tuple[GateAnswer, MemoryCommands]:
    words = words or ("./smoke.sh", "{wave}")
    ground = Ground()
    ground.commands = MemoryCommands({tuple(word.replace("{wave}", "pilot") for word in words): end})
    (answer,) = ground.ask(CommandGate(timeout=45, command=words), nodes=["nice-x", "lyon-a"])
    return answer, ground.commands


def test_what_a_command_is_told() -> None:
    answer, commands = command(CommandEnd(0, 1.25, "hello\n12 tills sell\n\n", "/x/.fleet/gates/7f3c.log"))
    assert answer == GateAnswer("command ./smoke.sh pilot", "passed", "exit 0 in 1.2 s: 12 tills sell")
    (order,) = commands.orders
    assert (order.command, order.seconds, order.log) == (("./smoke.sh", "pilot"), 45, "7f3c-pilot-after-1")
    assert order.stdin.endswith(b"}\n")
    assert json.loads(order.stdin) == {
        "fleet": "acme",
        "commit": "4be1f02" + "0" * 33,
        "rollout": "7f3c",
        "wave": "pilot",
        "phase": "after",
        "nodes": [
            {"name": "lyon-a", "site": "lyon", "address": "10.0.0.2"},
            {"name": "nice-x", "site": "nice", "address": "fd00::7"},
        ],
    }


@pytest.mark.parametrize(
    ("end", "outcome", "measured", "reason"),
    [
        (
            CommandEnd(3, 0.5, "till-7 is down\n", "/x/7.log"),
            "failed",
            "exit 3 in 0.5 s",
            "exit 3: till-7 is down (its output: /x/7.log)",
        ),
        (CommandEnd(-11, 0.5), "failed", "ended by SIGSEGV in 0.5 s", "ended by SIGSEGV"),
        (CommandEnd(-64, 0.5), "failed", "ended by SIGRTMAX in 0.5 s", "ended by SIGRTMAX"),
        (
            CommandEnd(None, 45, "waiting for till-7\n", reason="it did not end within 45 s", is_late=True),
            "failed",
            "",
            "it did not end within 45 s: waiting for till-7",
        ),
        (
            CommandEnd(reason="it cannot be run: permission denied"),
            "unknown",
            "",
            "it cannot be run: permission denied",
        ),
        (
            CommandEnd(1, 0.5, "curl https://u:p@h/x?token=1 failed\x1b[0m\n"),
            "failed",
            "exit 1 in 0.5 s",
            "exit 1: curl https://h/x?… failed[0m",
        ),
    ],
)
def test_how_a_command_ended(end: CommandEnd, outcome: str, measured: str, reason: str) -> None:
    answer, _ = command(end)
    assert (answer.outcome, answer.measured, answer.reason) == (outcome, measured, reason)


def test_a_url_among_its_words_is_shown_without_its_secret() -> None:
    answer, commands = command(CommandEnd(0, 1), "curl", "-f", "https://u:p@h/x?token=1", '{"wave": "{wave}"}')
    assert answer.gate == 'command curl -f https://h/x?… {"wave": "pilot"}'
    assert commands.orders[0].command[2:] == ("https://u:p@h/x?token=1", '{"wave": "pilot"}')


# Together


class TestFleetGates(GatesContract):
    @pytest.fixture
    def ground(self) -> Ground:
        ground = Ground()
        ground.web = MemoryWeb({"http://h/": [BUSY]}, ground.clock)
        return ground

    @pytest.fixture
    def gates(self, ground: Ground) -> FleetGates:
        return ground.gates()

    @pytest.fixture
    def order(self) -> GateOrder:
        return order(
            NodeGate(timeout=5), HttpGate(timeout=5, url="http://h/"), CommandGate(timeout=5, command=("true",))
        )

    @pytest.fixture
    def outcomes(self) -> Sequence[str]:
        return ["passed", "failed", "passed"]


class TestMemoryGates(GatesContract):
    @pytest.fixture
    def gates(self) -> MemoryGates:
        gate = ClusterGate(timeout=5)
        failed = GateAnswer("cluster", "failed", reason="lyon/lyon-a is not Ready")
        return MemoryGates({gate: [failed]})

    @pytest.fixture
    def order(self) -> GateOrder:
        return order(NodeGate(timeout=5), ClusterGate(timeout=5))

    @pytest.fixture
    def outcomes(self) -> Sequence[str]:
        return ["passed", "failed"]


def test_gates_are_asked_at_the_same_time() -> None:
    ground, meet = Ground(), threading.Barrier(3, timeout=20)

    class Meeting(MemoryCommands):
        def run(self, order):
            meet.wait()
            return super().run(order)

    ground.commands = Meeting()
    answers = ground.ask(*(CommandGate(timeout=5, command=(name,)) for name in "abc"))
    assert [answer.gate for answer in answers] == ["command a", "command b", "command c"]
    assert {order.log for order in ground.commands.orders} == {f"7f3c-pilot-after-{at}" for at in (1, 2, 3)}


def test_before_a_wave_those_are_left_out_that_ask_each_node() -> None:
    ground = Ground()
    ground.web = MemoryWeb({URL: [OK]}, ground.clock)
    answers = ground.ask(NodeGate(timeout=5), EACH, HTTP, phase="before")
    assert [answer.measured for answer in answers] == ["asked after the wave alone"] * 2 + ["200 in 0.2 s"]
    assert ground.hand.tasks == []
    assert ground.web.asked == [(URL, True)]


def test_a_node_that_left_the_spec_meanwhile_is_not_asked() -> None:
    ground = Ground()
    ground.web = MemoryWeb({"http://h/nice-x": [OK]})
    nodes = ["nice-x", "gone-1"]
    node, http = ground.ask(NodeGate(timeout=5), HttpGate(timeout=5, url="http://h/{node.name}"), nodes=nodes)
    assert (node.outcome, node.measured) == (
        "passed",
        "1 of 1 node well, 1 unit looked at, 1 node not in the spec any more",
    )
    assert http.measured == "200 from 1 node, the slowest in 0.2 s, 1 node not in the spec any more"
    assert [asked for _, asked in ground.hand.tasks] == [("nice-x",)]


def test_what_cannot_be_asked_is_no_error() -> None:
    ground = Ground()

    def run(*_: object) -> None:
        raise UnavailableError("this system has no folder in memory", "mount a tmpfs")

    ground.hand.run = run  # type: ignore[method-assign, assignment]
    (answer,) = ground.ask(NodeGate(timeout=5))
    assert answer == GateAnswer("node", "unknown", reason="this system has no folder in memory (mount a tmpfs)")


def test_a_bug_is_none_of_the_gate() -> None:
    ground = Ground()
    ground.metrics = MemoryMetrics({})
    with pytest.raises(KeyError):
        ground.ask(PrometheusGate(timeout=5, url=PROM, query="q", most=1))


def test_who_hangs_is_left_behind_when_it_is_to_stop() -> None:
    """An API server that does not answer, say: nothing can be cut there."""
    ground, over = Ground(), threading.Event()

    class Hanging(MemoryCommands):
        def run(self, order):
            over.wait(60)
            return super().run(order)

    ground.commands = Hanging()
    ground.web = MemoryWeb({URL: [OK]})
    gates = ground.gates()
    threading.Timer(0.3, gates.stop_now).start()
    began = time.monotonic()
    try:
        answers = gates.ask(order(CommandGate(timeout=60, command=("x",)), HTTP))
    finally:
        over.set()
    assert time.monotonic() - began < 15
    assert [(answer.outcome, answer.reason) for answer in answers] == [("unknown", "it was stopped"), ("passed", "")]
