"""An API server in trouble: HTTPS on 127.0.0.1 that does what it is told, one request after the other.

It knows one Node and two pods as the real one writes them, and nothing else of Kubernetes. Imports nothing of fleet.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.lab.apiserver.certificates import Authority, Pair

MACHINE = "6f1d2c3b4a5968778695a4b3c2d1e0f1"
NODE = {
    "kind": "Node",
    "metadata": {"name": "lyon-1-a", "uid": "n1", "resourceVersion": "7", "labels": {}},
    "status": {
        "nodeInfo": {"machineID": MACHINE, "kubeletVersion": "v1.36.3+k3s1"},
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}
OWNER = [{"kind": "ReplicaSet", "name": "web", "uid": "r", "controller": True}]
POD = {"metadata": {"name": "web-0", "namespace": "shop", "uid": "p1", "ownerReferences": OWNER}}


@dataclass(frozen=True)
class Reply:
    code: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


HANGS, DROPS, HALF = Reply(-1), Reply(-2), Reply(-3)


def status(code: int, reason: str, message: str, cause: str = "", said: str = "", **headers: str) -> Reply:
    """Kubernetes' Status, as the real one writes it."""
    causes = [{"reason": cause, "message": said}] if cause else []
    body = {"kind": "Status", "status": "Failure", "message": message, "reason": reason, "code": code}
    return Reply(
        code,
        {**body, "details": {"causes": causes}},
        {name.replace("_", "-"): value for name, value in headers.items()},
    )


class BadServer:
    """`says(METHOD PATH)` gives the reply to a request, None for the proper one. `asked` are all requests so far, `bodies` what came with
    each."""

    def __init__(self, folder: Path, certificate: Callable[[Authority], Pair] | None = None) -> None:
        self.authority = Authority(folder)
        self.admin = self.authority.client("system:admin", "system:masters")
        self.asked: list[str] = []
        self.bodies: list[Any] = []
        self.says: Callable[[str], Reply | None] = lambda _request: None
        self.ends = threading.Event()
        pair = (certificate or (lambda authority: authority.server()))(self.authority)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        # The handshake in the thread of the connection: who does not finish his keeps nobody waiting.
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"

    def in_turn(self, match: str, *replies: Reply) -> None:
        """The first so many requests that contain `match` are answered so, all others properly."""
        left = list(replies)
        self.says = lambda request: left.pop(0) if match in request and left else None

    def always(self, match: str, reply: Reply) -> None:
        self.says = lambda request: reply if match in request else None

    def _handler(outer) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self) -> None:
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = f"{self.command} {self.path}"
                outer.bodies.append(json.loads(sent) if sent else None)
                outer.asked.append(request)
                reply = outer.says(request) or Reply(200, proper(request))
                if reply is HANGS:
                    outer.ends.wait(60)
                if reply in (HANGS, DROPS):
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(200 if reply is HALF else reply.code)
                self.send_header("Content-Length", str(len(data) + (1000 if reply is HALF else 0)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
                if reply is HALF:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)

            do_GET = do_POST = do_PATCH = do_DELETE = do  # noqa: N815 - http.server's names

            def log_message(self, *whatever: object) -> None:
                pass

        return Handler

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ends.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def proper(request: str) -> Any:
    _, path = request.split()
    if path.startswith("/api/v1/nodes?"):
        return {"items": [NODE], "metadata": {}}
    if path.startswith("/api/v1/pods?"):
        return {"items": [POD]}
    return NODE
