"""Port 6443 of a server: K3s's own requests, and the API server's behind them (pkg/server/handlers, pkg/cluster/https.go).

As there, the API server itself listens on 127.0.0.1:6444 and 6443 passes on what is not K3s's. Who calls is known by
the client certificate, which is told on as a front proxy does (X-Remote-User), or by a bearer token, passed on as it
is. A guess: what of it is HTTP/1.1 only, and that nothing is upgraded (no exec, no logs: there are no kubelets).
"""

import http.client
import socket
import ssl
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from .faults import fault
from .output import log

API_PORT = 6444
SHAKE_HANDS_SECONDS = 10
HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "proxy-authorization", "host"}
CHUNK = 65536

Reply = tuple[int, str | bytes]
Handler = Callable[["Request"], Reply]


class Door(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    address_family = socket.AF_INET6
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], tls: ssl.SSLContext, routes: dict[tuple[str, str], Handler], home: Path
    ):
        self.tls = tls
        self.routes = routes
        self.home = home
        super().__init__(address, Request)

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread, so that nobody waits for a silent caller."""
        request.settimeout(SHAKE_HANDS_SECONDS)
        try:
            connection = self.tls.wrap_socket(request, server_side=True)
        except (OSError, ValueError):
            return
        connection.settimeout(None)
        try:
            super().finish_request(connection, client_address)
        except (OSError, http.client.HTTPException) as error:
            log("debug", f"connection of {client_address[0]} ended: {error}")
        finally:
            connection.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A thread's end is not the program's."""


def tls_context(tls: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls / "serving-kube-apiserver.crt", tls / "serving-kube-apiserver.key")
    context.load_verify_locations(tls / "client-ca.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Door
    body = b""

    def handle_any(self) -> None:
        # All of it, also before a refusal: a connection that is closed with something unread loses the answer.
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        handler = self.server.routes.get((self.command, path))
        if handler is None and path.startswith("/v1-k3s/"):
            self.answer(404, "404 page not found\n")
        elif handler is not None:
            self.answer(*handler(self))
        else:
            self.pass_on()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = handle_any  # noqa: N815

    def certificate_user(self) -> tuple[str, list[str]] | None:
        """CN and all O of the caller's certificate, which the handshake has checked."""
        subject = (self.connection.getpeercert() or {}).get("subject", ())  # type: ignore[attr-defined]
        pairs = [pair for part in subject for pair in part]
        names = [value for key, value in pairs if key == "commonName"]
        return (names[0], [value for key, value in pairs if key == "organizationName"]) if names else None

    def answer(self, status: int, content: str | bytes) -> None:
        data = content.encode() if isinstance(content, str) else content
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def pass_on(self) -> None:
        """Ask the API server and tell its answer, as it comes: a watch never ends."""
        time.sleep(float(fault("slow-api") or 0))
        tls = self.server.home / "tls"
        context = ssl.create_default_context(cafile=str(tls / "server-ca.crt"))
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in HOP_HEADERS and not name.lower().startswith("x-remote-")
        }
        user = self.certificate_user()
        if user:
            context.load_cert_chain(tls / "client-auth-proxy.crt", tls / "client-auth-proxy.key")
        connection = http.client.HTTPSConnection("127.0.0.1", API_PORT, context=context)
        try:
            connection.putrequest(self.command, self.path, skip_accept_encoding=True)
            for name, value in headers.items():
                if name.lower() != "content-length":
                    connection.putheader(name, value)
            if user:
                connection.putheader("X-Remote-User", user[0])
                for group in user[1]:
                    connection.putheader("X-Remote-Group", group)
            connection.putheader("Content-Length", str(len(self.body)))
            connection.endheaders(self.body)
            self.tell(connection.getresponse())
        except OSError as error:
            self.answer(503, f"apiserver is not ready: {error}\n")
        finally:
            connection.close()

    def tell(self, reply: http.client.HTTPResponse) -> None:
        self.send_response(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in HOP_HEADERS | {"content-length"}:
                self.send_header(name, value)
        is_empty = self.command == "HEAD" or reply.status in {204, 304}
        if is_empty:
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            while chunk := reply.read1(CHUNK):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")
        except (OSError, http.client.HTTPException):
            self.close_connection = True

    def log_message(self, text: str, *values: object) -> None:
        if fault("debug"):
            log("debug", text % values)
