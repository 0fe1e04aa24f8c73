"""What tests/hosts/waves takes for a budget that is broken, and that its prober sees one: else that test could not fail."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.hosts.waves.availability import Answer, Crowd, Gap, Probes, broken, by_minute, crowds, gaps

SITES = {"yard": ("a", "b", "c"), "shed": ("d",)}


def answers(name: str, said: str, begin: float = 0.0) -> list[Answer]:
    """One a second, each after a tenth; `.` is none."""
    return [
        Answer(name, begin + at, begin + at + 0.1, "" if each == "." else "welcome") for at, each in enumerate(said)
    ]


def test_a_gap_lasts_from_the_first_to_the_last_probe_without_an_answer() -> None:
    assert gaps(answers("a", "xx...xx")) == [Gap("a", 2.1, 4)]
    assert gaps(answers("a", "x..")) == [Gap("a", 1.1, 2)], "also where it does not end"


def test_one_probe_says_not_for_how_long() -> None:
    assert gaps(answers("a", "x.x.x")) == []


def test_services_of_a_site_that_are_down_together_are_a_crowd() -> None:
    found = gaps(
        [*answers("a", "x...xxx"), *answers("b", "xx...xx"), *answers("c", "xxxxx.."), *answers("d", "x...xxx")]
    )
    assert crowds(found, SITES["yard"]) == [
        Crowd(1.1, frozenset("a")), Crowd(2.1, frozenset("ab")), Crowd(5.1, frozenset("c")),
    ]  # fmt: skip
    assert broken(found, SITES, [], 1) == [Crowd(2.1, frozenset("ab"))]
    assert broken(found, SITES, [], 2) == []


def test_what_we_switched_off_ourselves_uses_the_budget_up_and_is_no_fault() -> None:
    both = gaps([*answers("a", "......x"), *answers("b", "......x"), *answers("c", "xxx...x")])
    cut = [Gap("a", 0, 6), Gap("b", 0, 6)]
    assert broken(both[:2], SITES, cut, 1) == []
    assert [crowd.names for crowd in broken(both, SITES, cut, 1)] == [frozenset("abc")]
    late = [Gap("a", 0, 6), Gap("b", 3, 6)]
    assert broken(both, SITES, late, 1)[0].names == frozenset("ab"), "b was down before we cut it off"


def test_by_minute_tells_the_fewest() -> None:
    said = [*answers("a", "x.x" + "x" * 60), *answers("b", "x.x" + "x" * 60), *answers("d", "x" * 63)]
    assert by_minute(said, {"yard": "ab", "shed": "d"}) == {"yard": [0, 2], "shed": [1, 1]}


class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"welcome\n")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def opened(port: int = 0) -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Shop) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_the_prober_sees_who_is_down_and_who_is_down_with_it() -> None:
    with opened() as first, opened() as second:
        ports = {"a": first, "b": second}
    with Probes({name: f"127.0.0.1:{port}" for name, port in ports.items()}) as probes:
        with opened(first), opened(second):
            probes.wait("ab", up=True)
        probes.wait("ab", up=False)
        probes.wait("ab", up=False)
        with opened(second):
            probes.wait("b", up=True)
            assert probes.wait_any_down("ab") == "a"
    assert {gap.name for gap in probes.gaps} == {"a", "b"}
    assert frozenset("ab") in {crowd.names for crowd in broken(probes.gaps, SITES, [], 1)}
    assert {answer.text for answer in probes.answers} == {"", "welcome"}


def test_a_prober_that_breaks_is_not_silent() -> None:
    with pytest.raises(AssertionError, match="the prober broke"), Probes({"a": "127.0.0.1:none"}) as probes:
        probes._reader.join()
