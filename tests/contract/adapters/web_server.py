"""A server on a real socket that does what servers should not. Each path is one behaviour; the connection is closed after it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class WebServer:
    """`seen` are the heads of requests in their order. `tls` is a folder with cert.pem and key.pem. Ends every connection
    when it is left.
    """

    def __init__(self, tls: Path | None = None, address: str = "127.0.0.1") -> None:
        self._listening = socket.create_server(
            (address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET, backlog=128
        )
        self.port = self._listening.getsockname()[1]
        self.seen: list[str] = []
        self.open = 0
        self.most_open = 0
        self.answers: dict[str, Callable[[socket.socket, int], None]] = {}
        """By path; the number says how often it was asked before."""
        self._count: dict[str, int] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._tls = None
        if tls is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(tls / "cert.pem", tls / "key.pem")
        host = f"[{address}]" if ":" in address else address
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)

    @property
    def paths(self) -> list[str]:
        return [head.split(" ")[1] for head in self.seen]

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                taken, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(taken,), daemon=True).start()

    def _serve(self, taken: socket.socket) -> None:
        with contextlib.suppress(OSError), taken:
            if self._tls is None:
                self._speak(taken)
                return
            with self._tls.wrap_socket(taken, server_side=True) as secret:
                self._speak(secret)

    def _speak(self, taken: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            if not (data := taken.recv(65536)):
                return
            head += data
        text = head.decode()
        path = text.split(" ")[1]
        with self._lock:
            self.seen.append(text)
            self.open += 1
            self.most_open = max(self.most_open, self.open)
            before = self._count.get(path, 0)
            self._count[path] = before + 1
        try:
            self._answer(path, taken, before)
        finally:
            with self._lock:
                self.open -= 1

    def _answer(self, path: str, taken: socket.socket, before: int) -> None:
        if path in self.answers:
            self.answers[path](taken, before)
            return
        name, _, more = path.strip("/").partition("/")
        match name:
            case "ok":
                taken.sendall(OK)
            case "error-page":
                page = b"<html><h1>500 Internal Server Error</h1></html>"
                taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page))
            case "status":
                taken.sendall(f"HTTP/1.1 {more} So\r\nContent-Length: 0\r\n\r\n".encode())
            case "mute":
                taken.recv(1)  # until the other side goes
            case "drip":  # a header that never ends, a byte at a time
                taken.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                self._drip(taken)
            case "drip-body":
                taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                self._drip(taken)
            case "continue":  # interim answers, for ever
                while not self._over.wait(0.01):
                    taken.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            case "large":
                taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                taken.sendall(b"x" * 100_000)
            case "endless":
                taken.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                while not self._over.is_set():
                    taken.sendall(b"x" * 65536)
            case "cut":
                taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
            case "hang-up":
                return
            case "reset":
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case "ssh":
                taken.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
            case "headers":
                taken.sendall(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % at for at in range(500)) + b"\r\n")
            case "odd-headers":
                taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nno colon here\r\n\r\n")
            case "loop":
                self.redirect(taken, path)
            case "hop":
                self.redirect(taken, "/ok" if more == "1" else f"/hop/{int(more) - 1}")
            case "to":
                self.redirect(taken, more)
            case _:
                taken.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    def _drip(self, taken: socket.socket) -> None:
        while not self._over.wait(0.1):
            taken.sendall(b"x")

    @staticmethod
    def redirect(taken: socket.socket, target: str) -> None:
        taken.sendall(f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode())


def self_signed(folder: Path, *more: str) -> Path:
    """A folder with a certificate for 127.0.0.1 that nobody vouches for."""
    folder.mkdir()
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    made += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", *more]
    made += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(made, check=True, capture_output=True)
    return folder


def until(is_so: Callable[[], bool], seconds: float = 10) -> None:
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends, "it did not come about in time"
        time.sleep(0.01)
