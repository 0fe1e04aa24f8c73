"""HttpWeb against real sockets: whatever a server does, an answer comes in time and says what it was."""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.adapters.gates import HttpWeb
from fleet.model.inquiry import Reply
from fleet.testing.contracts.gates import WebContract
from tests.contract.adapters.web_server import OK, WebServer, self_signed, until

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "no_proxy", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as running:
        yield running


@pytest.fixture
def web() -> HttpWeb:
    return HttpWeb()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class TestHttpWeb(WebContract):
    @pytest.fixture
    def good(self, server: WebServer) -> str:
        return f"{server.url}/status/204"

    @pytest.fixture
    def absent(self) -> str:
        return f"http://127.0.0.1:{closed_port()}/ok"

    @pytest.fixture
    def mute(self, server: WebServer) -> str:
        return f"{server.url}/mute"


@pytest.mark.parametrize("path", ["mute", "drip", "drip-body", "continue"])
def test_a_server_that_takes_its_time_is_left(server: WebServer, web: HttpWeb, path: str) -> None:
    """Also one that sends a byte now and then: the whole exchange has one deadline."""
    began = time.monotonic()
    reply = web.get(f"{server.url}/{path}", 0.6)
    assert 0.5 < time.monotonic() - began < 5
    assert (reply.status, reply.trouble, reply.reason) == (0, "late", "no whole answer in 0.6 s")
    until(lambda: server.open == 0)  # and its connection is closed


@pytest.mark.parametrize(
    ("path", "trouble", "reason"),
    [
        ("hang-up", "unreachable", "it hung up without an answer"),
        ("reset", "unreachable", "connection reset by peer"),
        ("cut", "broken", "its answer is cut off"),
        ("ssh", "broken", "what it answers is no HTTP"),
        ("headers", "broken", "what it answers is no HTTP"),
    ],
)
def test_what_is_no_whole_answer(server: WebServer, web: HttpWeb, path: str, trouble: str, reason: str) -> None:
    reply = web.get(f"{server.url}/{path}", 5)
    assert (reply.status, reply.trouble, reply.reason) == (0, trouble, reason)


@pytest.mark.parametrize("path", ["large", "endless"])
def test_of_a_large_body_the_beginning_is_read(server: WebServer, web: HttpWeb, path: str) -> None:
    reply = web.get(f"{server.url}/{path}", 5)
    assert (reply.status, reply.trouble) == (200, "")
    assert 64 * 1024 < len(reply.body) <= 80 * 1024


def test_a_host_that_takes_no_connection(web: HttpWeb) -> None:
    """TEST-NET-1 (RFC 5737): nobody answers, or the network says at once that there is no way."""
    reply = web.get("http://192.0.2.1/healthz", 0.5)
    assert reply.trouble in {"late", "unreachable"}
    assert reply.seconds < 5


def test_a_name_that_does_not_resolve(web: HttpWeb) -> None:
    reply = web.get("http://no-such-host.invalid/healthz", 5)
    assert (reply.trouble, reply.reason) in {
        ("unresolved", "its name does not resolve"), ("late", "no whole answer in 5 s")
    }  # fmt: skip


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "http://", "127.0.0.1/healthz", "http://127.0.0.1:99999/"])
def test_what_is_no_url(web: HttpWeb, url: str) -> None:
    reply = web.get(url, 5)
    assert (reply.status, reply.trouble) == (0, "unusable")


def test_urls_are_in_no_log(server: WebServer, web: HttpWeb, caplog: pytest.LogCaptureFixture) -> None:
    """urllib3 logs each at level debug, and warns of headers that it cannot read with the whole URL."""
    caplog.set_level("DEBUG")
    for path in ("ok", "odd-headers", "hang-up", "loop"):
        server.answers[f"/{path}?token=hunter2"] = lambda taken, _, path=path: server._answer(f"/{path}", taken, 0)
        web.get(f"{server.url}/{path}?token=hunter2", 5)
    assert len(server.seen) == 9
    assert [said for said in caplog.messages if "token" in said or "127.0.0.1" in said] == []


# Redirects


def test_redirects_are_followed_within_a_host(server: WebServer, web: HttpWeb) -> None:
    assert web.get(f"{server.url}/hop/5", 5).status == 200
    assert server.paths == ["/hop/5", "/hop/4", "/hop/3", "/hop/2", "/hop/1", "/ok"]


@pytest.mark.parametrize("path", ["loop", "hop/6"])
def test_redirects_without_an_end(server: WebServer, web: HttpWeb, path: str) -> None:
    reply = web.get(f"{server.url}/{path}", 5)
    assert (reply.trouble, reply.reason) == ("redirect", "more than 5 redirects")
    assert len(server.seen) == 6


def test_another_host_is_not_asked(server: WebServer, web: HttpWeb) -> None:
    """A page for logging in says 200 to everybody. And it would be told the password."""
    with WebServer(address="127.0.0.2") as other:
        reply = web.get(f"{server.url.replace('//', '//ops:hunter2@')}/to/{other.url}/ok", 5)
    assert (reply.trouble, reply.reason) == ("redirect", "it redirects to another host, 127.0.0.2")
    assert other.seen == []


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("ftp://127.0.0.1/x", "it redirects to what is neither http nor https"),
        ("file:///etc/passwd", "it redirects to what is neither http nor https"),
        ("http://[::1", "it redirects to what is no URL"),
    ],
)
def test_what_is_never_followed(server: WebServer, web: HttpWeb, target: str, reason: str) -> None:
    server.answers["/there"] = lambda taken, _: server.redirect(taken, target)
    reply = web.get(f"{server.url}/there", 5)
    assert (reply.trouble, reply.reason) == ("redirect", reason)


def test_another_port_of_the_host_is_told_the_password_as_well(server: WebServer, web: HttpWeb) -> None:
    """http sends to https so."""
    with WebServer() as other:
        assert web.get(f"{server.url.replace('//', '//ops:hunter2@')}/to/{other.url}/ok", 5).status == 200
        wanted = f"authorization: Basic {base64.b64encode(b'ops:hunter2').decode()}"
        assert [wanted in head for head in (server.seen[0], other.seen[0])] == [True, True]


def test_a_redirect_can_be_the_answer(server: WebServer, web: HttpWeb) -> None:
    assert web.get(f"{server.url}/loop", 5, follows=False).status == 302
    assert len(server.seen) == 1


# TLS


def test_a_certificate_that_nobody_vouches_for(web: HttpWeb, tmp_path: Path) -> None:
    with WebServer(self_signed(tmp_path / "tls")) as server:
        reply = web.get(f"{server.url}/ok", 5)
    assert (reply.status, reply.trouble) == (0, "untrusted")
    assert reply.reason == "its certificate is not trusted: self-signed certificate"
    assert server.seen == []


def test_certificates_are_those_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = self_signed(tmp_path / "tls")
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "cert.pem"))
    with WebServer(folder) as server:
        assert HttpWeb().get(f"{server.url}/ok", 5).status == 200
        other = HttpWeb().get(f"{server.url.replace('127.0.0.1', 'localhost')}/ok", 5)
        assert other.trouble == "untrusted"
        assert "localhost" in other.reason
        late = HttpWeb().get(f"{server.url}/drip", 0.6)  # the deadline holds below TLS, too
        assert late.trouble == "late"
        down = HttpWeb().get(f"{server.url}/to/http://127.0.0.1:{server.port}/ok", 5)
        assert down.reason == "it redirects from https to http"


def test_no_tls_where_tls_is_expected(web: HttpWeb) -> None:
    def plain(listening: socket.socket) -> None:
        taken, _ = listening.accept()
        with taken:
            taken.recv(100)
            taken.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=plain, args=(listening,), daemon=True).start()
        reply = web.get(f"https://127.0.0.1:{listening.getsockname()[1]}/ok", 5)
    assert reply.trouble == "broken"
    assert reply.reason.startswith("TLS failed: ")


# Proxies, IPv6


def test_proxies_of_the_environment_are_asked_and_named(
    server: WebServer, web: HttpWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"{server.url.replace('//', '//me:hunter2@')}")
    server.answers["http://shop.example/healthz"] = lambda taken, _: taken.sendall(OK)
    reply = web.get("http://shop.example/healthz", 5)
    assert (reply.status, reply.proxy) == (200, f"127.0.0.1:{server.port}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert web.get(f"{server.url}/ok", 5).proxy == ""


def test_a_proxy_that_is_away(web: HttpWeb, monkeypatch: pytest.MonkeyPatch) -> None:
    port = closed_port()
    monkeypatch.setenv("http_proxy", f"http://me:hunter2@127.0.0.1:{port}")
    reply = web.get("http://shop.example/healthz", 5)
    assert (reply.trouble, reply.reason, reply.proxy) == (
        "unreachable", "the proxy: connection refused", f"127.0.0.1:{port}"
    )  # fmt: skip


def test_a_proxy_that_does_not_let_it_through(server: WebServer, web: HttpWeb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", server.url)
    server.answers["shop.example:443"] = lambda taken, _: taken.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
    reply = web.get("https://shop.example/healthz", 5)
    assert (reply.trouble, reply.reason) == ("broken", "the proxy: it makes no tunnel: 403 Forbidden")


def test_the_deadline_holds_behind_a_proxy(server: WebServer, web: HttpWeb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", server.url)
    server.answers["shop.example:443"] = lambda taken, _: taken.recv(1)  # type: ignore[assignment, return-value]
    reply = web.get("https://shop.example/healthz", 0.5)
    assert (reply.trouble, reply.reason) == ("late", "no whole answer in 0.5 s")
    until(lambda: server.open == 0)


def test_ipv6(web: HttpWeb) -> None:
    try:
        running = WebServer(address="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    with running as server:
        assert web.get(f"{server.url}/ok", 5).status == 200
    assert f"host: [::1]:{server.port}" in server.seen[0].lower()


# Stopping


def test_all_that_is_being_asked_is_given_up(server: WebServer, web: HttpWeb) -> None:
    replies: list[Reply] = []
    asking = [threading.Thread(target=lambda: replies.append(web.get(f"{server.url}/mute", 60))) for _ in range(5)]
    for each in asking:
        each.start()
    until(lambda: server.open == 5)
    web.stop_now()
    for each in asking:
        each.join(2)
    assert [reply.trouble for reply in replies] == ["stopped"] * 5
    until(lambda: server.open == 0)
    assert web.get(f"{server.url}/ok", 5).trouble == "stopped"
    assert "/ok" not in server.paths


def test_no_file_is_left_open(server: WebServer, web: HttpWeb) -> None:
    def ask_all() -> int:
        for path in ("ok", "loop", "cut", "drip", "reset", "endless"):
            web.get(f"{server.url}/{path}", 0.3)
        until(lambda: server.open == 0)
        return len(list(Path("/proc/self/fd").iterdir()))

    before = ask_all()
    until(lambda: ask_all() <= before)
