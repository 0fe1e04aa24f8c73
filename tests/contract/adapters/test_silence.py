"""Which hosts do not answer, by real sockets: closed ports, black holes, ports without a voice, and servers that speak."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread

import pytest

from fleet.adapters.ssh.silence import Place, silent
from fleet.model.node import Node
from tests.specs import document, resolved
from tests.ssh.host import serving

SOON, LATE = 0.5, 60.0


def node(port: int, way: str = "", address: str = "127.0.0.1", name: str = "a") -> Node:
    more = f", {way}" if way else ""
    listed = f"  - {{name: {name}, role: none, address: 10.0.0.1, connection: {{address: '{address}', port: {port}{more}}}}}\n"
    (found,) = resolved(document("Fleet", "acme", ""), document("Site", "lyon", f"nodes:\n{listed}")).nodes
    return found


@pytest.fixture
def closed() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def mute() -> Iterator[int]:
    """The kernel takes connections here, and nobody ever says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield server.getsockname()[1]


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A queue that is full: first packets are dropped, as by a host that is off."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, ExitStack() as held:
        for _ in range(4):
            filling = held.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def talking(stack: ExitStack, words: Sequence[bytes], after: float = 0.0, host: str = "127.0.0.1") -> int:
    """The port of a server that says these words to each who comes, and hangs up."""
    server = stack.enter_context(socket.create_server((host, 0)))

    def serve() -> None:
        try:
            while True:
                with server.accept()[0] as client:
                    time.sleep(after)
                    for each in words:
                        client.sendall(each)
        except OSError:
            return

    Thread(target=serve, daemon=True).start()
    return int(server.getsockname()[1])


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def test_an_ssh_server_answers(tmp_path: Path) -> None:
    with serving(tmp_path) as host:
        assert silent([node(host.port)], LATE) == {}


def test_a_port_where_nobody_listens_is_told_at_once(closed: int) -> None:
    began = time.monotonic()

    assert silent([node(closed)], LATE) == {"a": f"no answer on 127.0.0.1:{closed}: Connection refused"}
    assert time.monotonic() - began < LATE / 2


def test_a_host_that_drops_what_comes_is_given_up_in_time(black_hole: int) -> None:
    assert silent([node(black_hole)], SOON) == {"a": f"no answer on 127.0.0.1:{black_hole} within 0.5 s"}


def test_a_port_that_takes_connections_and_says_nothing_is_given_up_in_time(mute: int) -> None:
    assert silent([node(mute)], SOON) == {
        "a": f"127.0.0.1:{mute} takes connections, and no SSH server spoke there within 0.5 s"
    }


def test_one_that_answers_late_but_in_time_is_there(stack: ExitStack) -> None:
    assert silent([node(talking(stack, [b"SSH-2.0-slow\r\n"], after=0.7))], LATE) == {}


@pytest.mark.parametrize("words", [[], [b"HTTP/1.1 400 Bad Request\r\n"]])
def test_whatever_answers_is_for_ssh_to_judge(stack: ExitStack, words: list[bytes]) -> None:
    """One that hangs up, as sshd does when too many come at once, and one that is no SSH server at all."""
    assert silent([node(talking(stack, words))], LATE) == {}


@pytest.mark.parametrize("listens", ["127.0.0.1", "127.0.0.2"])
def test_any_address_of_a_name_will_do(stack: ExitStack, listens: str) -> None:
    port = talking(stack, [b"SSH-2.0-one\r\n"], host=listens)

    def two(_: str, port: int, **kind: int) -> Sequence[Place]:
        return [place for at in (1, 2) for place in socket.getaddrinfo(f"127.0.0.{at}", port, **kind)]

    assert silent([node(port, address="two.invalid")], LATE, two) == {}


def test_a_name_that_is_looked_up_for_ever_is_not_waited_for(stack: ExitStack) -> None:
    there = node(talking(stack, [b"SSH-2.0-there\r\n"]), name="there")
    known = Event()

    def hangs(name: str, port: int, **kind: int) -> Sequence[Place]:
        assert name != "slow.invalid" or known.wait(LATE), "the one that looks it up is not waited for"
        return socket.getaddrinfo("127.0.0.1", port, **kind)

    found = silent([node(22, address="slow.invalid"), there], SOON, hangs)
    known.set()

    assert found == {"a": "no answer on slow.invalid:22 within 0.5 s"}


def test_an_address_of_ipv6_is_told_as_such() -> None:
    with socket.socket(socket.AF_INET6) as taken:
        taken.bind(("::1", 0))
        port = taken.getsockname()[1]

        assert silent([node(port, address="::1")], LATE) == {"a": f"no answer on [::1]:{port}: Connection refused"}


def test_a_name_that_nobody_knows_is_for_ssh_to_tell() -> None:
    assert silent([node(22, address="host.invalid")], LATE) == {}


@pytest.mark.parametrize("way", ["jumpHost: ops@bastion", "proxyCommand: nc %h %p", "type: sandbox"])
def test_what_only_ssh_gets_to_is_not_tried(way: str) -> None:
    """The same address may be another machine in this network."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        assert silent([node(stranger.getsockname()[1], way)], SOON) == {}

        stranger.setblocking(False)
        with pytest.raises(BlockingIOError):
            stranger.accept()


@pytest.mark.parametrize(
    ("told", "is_silent"),
    [
        ("hostname 127.0.0.1\nport 22\n", True),
        ("hostname 127.0.0.1\nproxyjump none\nproxycommand none\n", True),
        ("hostname 127.0.0.1\nproxyjump bastion\n", False),
        ("hostname 127.0.0.1\nproxycommand nc %h %p\n", False),
        ("hostname inner.example\n", False),
    ],
)
def test_a_way_that_the_users_own_configuration_knows_is_left_to_ssh(
    closed: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_silent: bool
) -> None:
    """A stand-in for `ssh -G`: the real one finds the user's configuration by the password file alone."""
    (tmp_path / "told").write_text(told)
    (tmp_path / "ssh").write_text(f'#!/bin/sh\n[ "$1" = -G ] && exec cat {tmp_path}/told\n')
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    assert bool(silent([node(closed)], LATE)) is is_silent


def test_without_ssh_nothing_is_called_silent(closed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert silent([node(closed)], LATE) == {}


def test_many_black_holes_take_no_longer_than_one(black_hole: int, stack: ExitStack) -> None:
    there = talking(stack, [b"SSH-2.0-there\r\n"])

    def took(count: int) -> float:
        nodes = [node(there, name="there"), *(node(black_hole, name=f"off-{at}") for at in range(count))]
        began = time.monotonic()
        assert set(silent(nodes, 2.0)) == {f"off-{at}" for at in range(count)}
        return time.monotonic() - began

    assert took(30) < 3 * took(1)
