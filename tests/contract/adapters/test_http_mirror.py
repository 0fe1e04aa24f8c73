"""HttpMirror against real servers on 127.0.0.1, and folders."""

from __future__ import annotations

import base64
import http.server
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.adapters.mirror import HttpMirror
from fleet.errors import UnavailableError


class Handler(http.server.BaseHTTPRequestHandler):
    """Each path is one behaviour; `seen` counts requests by path."""

    seen: dict[str, int]
    authorization: list[str]

    def do_GET(self) -> None:
        count = self.seen[self.path] = self.seen.get(self.path, 0) + 1
        self.authorization.append(self.headers.get("Authorization", ""))
        name = self.path.strip("/").split("/")
        if name[0] == "text":
            self._answer(200, b"0123456789")
        elif name[0] == "flaky":
            self._answer(200 if count == 3 else 503, b"at last")
        elif name[0] == "busy":
            self._answer(503, b"")
        elif name[0] == "hop":
            self._redirect("/text" if name[1] == "1" else f"/hop/{int(name[1]) - 1}")
        elif name[0] == "to":
            self._redirect({"ftp": "ftp://127.0.0.1/x", "file": "file:///etc/passwd"}[name[1]])
        elif name[0] == "endless":
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b"x" * 65536)
        elif name[0] == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"only this")
        elif name[0] == "unsized":
            self.send_response(200)
            self.end_headers()
        else:
            self._answer(404, b"")

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _redirect(self, target: str) -> None:
        self.send_response(302)
        self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that goes away in the middle is what some tests are about."""


@pytest.fixture
def handler() -> type[Handler]:
    return type("Recording", (Handler,), {"seen": {}, "authorization": []})


@pytest.fixture
def base(handler: type[Handler], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def mirror(tmp_path: Path) -> HttpMirror:
    return HttpMirror(tmp_path, connect=2, read=1)


def refusal(mirror: HttpMirror, url: str, limit: int = 1000) -> str:
    with pytest.raises(UnavailableError) as raised:
        mirror.fetch(url, limit)
    return raised.value.message


def test_a_text_is_fetched_and_measured(mirror: HttpMirror, base: str) -> None:
    assert mirror.fetch(f"{base}/text", 10) == b"0123456789"
    assert mirror.size(f"{base}/text") == 10
    assert mirror.size(f"{base}/unsized") == 0


@pytest.mark.parametrize(("path", "limit"), [("text", 9), ("endless", 100_000)])
def test_more_than_the_limit_is_an_error(mirror: HttpMirror, base: str, path: str, limit: int) -> None:
    found = refusal(mirror, f"{base}/{path}", limit)
    assert found == f"{base}/{path}: expected at most {limit:,} bytes, found more"


def test_an_absent_file_names_the_url_and_the_status(mirror: HttpMirror, base: str, handler: type[Handler]) -> None:
    assert refusal(mirror, f"{base}/absent") == f"{base}/absent: HTTP 404 Not Found"
    assert handler.seen == {"/absent": 1}
    with pytest.raises(UnavailableError, match="HTTP 404"):
        mirror.size(f"{base}/absent")


def test_a_busy_mirror_is_asked_twice_more(mirror: HttpMirror, base: str, handler: type[Handler]) -> None:
    assert mirror.fetch(f"{base}/flaky", 100) == b"at last"
    assert handler.seen == {"/flaky": 3}
    assert "HTTP 503" in refusal(mirror, f"{base}/busy")


def test_redirects_are_followed_a_few_times(mirror: HttpMirror, base: str) -> None:
    assert mirror.fetch(f"{base}/hop/5", 100) == b"0123456789"
    assert refusal(mirror, f"{base}/hop/6") == f"{base}/hop/6: more than 5 redirects"


@pytest.mark.parametrize(("kind", "target"), [("ftp", "ftp://127.0.0.1/x"), ("file", "file:///etc/passwd")])
def test_a_redirect_to_something_else_is_refused(mirror: HttpMirror, base: str, kind: str, target: str) -> None:
    assert refusal(mirror, f"{base}/to/{kind}") == f"{base}/to/{kind}: it redirects to {target}, which is not https"


def test_a_redirect_from_https_to_http_is_refused(
    mirror: HttpMirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", tmp_path / "key",
         "-out", tmp_path / "cert"], check=True, capture_output=True,
    )  # fmt: skip
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert"))

    class Downgrade(Handler):
        seen: dict[str, int] = {}  # noqa: RUF012 - one test's own
        authorization: list[str] = []  # noqa: RUF012 - one test's own

        def do_GET(self) -> None:
            self._answer(200, b"safe") if self.path == "/safe" else self._redirect("http://localhost:1/text")

    server = Server(("127.0.0.1", 0), Downgrade)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        url = f"https://localhost:{server.server_port}"
        assert mirror.fetch(f"{url}/safe", 100) == b"safe"
        found = refusal(mirror, f"{url}/down")
        monkeypatch.delenv("SSL_CERT_FILE")
        untrusted = refusal(HttpMirror(tmp_path, connect=2, read=1), f"{url}/safe")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert found == f"{url}/down: it redirects to http://localhost:1/text, which is not https"
    assert "certificate verify failed" in untrusted


def test_a_mirror_that_is_away_is_told_by_its_reason(mirror: HttpMirror) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/x"
        found = refusal(mirror, url)
    assert found.startswith(f"{url}: ")
    assert found.endswith("Connection refused")


def test_a_mirror_that_says_nothing_is_left_after_a_while(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        found = refusal(HttpMirror(tmp_path, connect=0.2, read=0.2), f"http://127.0.0.1:{silent.getsockname()[1]}/x")
    assert "timed out" in found
    assert time.monotonic() - began < 8


def test_an_answer_that_is_cut_short_is_an_error(mirror: HttpMirror, base: str) -> None:
    assert refusal(mirror, f"{base}/cut").startswith(f"{base}/cut: ")


def test_a_password_in_a_url_is_used_and_never_shown(mirror: HttpMirror, base: str, handler: type[Handler]) -> None:
    url = base.replace("http://", "http://ann:pa%20ss@")
    assert mirror.fetch(f"{url}/text", 100) == b"0123456789"
    assert handler.authorization == ["Basic " + base64.b64encode(b"ann:pa ss").decode()]
    assert refusal(mirror, f"{url}/absent") == f"{base}/absent: HTTP 404 Not Found"


def test_the_environments_proxy_is_used(mirror: HttpMirror, base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", base)
    assert refusal(mirror, "http://mirror.invalid/text") == "http://mirror.invalid/text: HTTP 404 Not Found"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert mirror.fetch(f"{base}/text", 100) == b"0123456789"


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "mirror/x", "http://", "http://[::1/x", ""])
def test_what_is_no_mirror_is_told_so(mirror: HttpMirror, url: str) -> None:
    assert refusal(mirror, url)


def test_folders_are_mirrors_too(mirror: HttpMirror, tmp_path: Path) -> None:
    folder = tmp_path / "mirror" / "v1.35.4+k3s1"
    folder.mkdir(parents=True)
    (folder / "k3s").write_bytes(b"12345")
    for url in ("file:mirror", "file:./mirror", f"file:{tmp_path}/mirror", f"file://{tmp_path}/mirror"):
        assert mirror.fetch(f"{url}/v1.35.4+k3s1/k3s", 5) == b"12345"
        assert mirror.size(f"{url}/v1.35.4+k3s1/k3s") == 5
    assert refusal(mirror, "file:mirror/v1.35.4+k3s1/k3s", 4).endswith("expected at most 4 bytes, found more")
    assert refusal(mirror, "file:mirror/none") == f"file:mirror/none: {tmp_path}/mirror/none: No such file or directory"
    assert refusal(mirror, "file:mirror") == f"file:mirror: {tmp_path}/mirror is not a file"
    os.mkfifo(tmp_path / "pipe")
    assert refusal(mirror, "file:pipe") == f"file:pipe: {tmp_path}/pipe is not a file"
    assert refusal(mirror, "file:/proc/self/environ", 3).endswith("found more")
