"""The process behind `Mirror`: serves a folder over HTTP, writes down each request, and misbehaves when told to.

Usage: mirror_server.py ROOT LOG FAULTS ADDRESS PORT [--until-eof]; prints the port once it listens.
FAULTS is a JSON file, read at each request: [{"match": part of the path, "kind": corrupt|short|slow|missing|unavailable}].
Standard library only, and no import of the lab: it runs in a namespace of its own.
"""

import json
import os
import re
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

CHANNELS = "/v1-release/channels"
# As on github.com: where the channel server's redirects lead, and where a release's files are.
RELEASES = "/k3s-io/k3s/releases/tag/"
DOWNLOADS = "/k3s-io/k3s/releases/download/"
STATUS = {"missing": 404, "unavailable": 503}


class MirrorServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, root: Path, log: Path, faults: Path, address: tuple[str, int]) -> None:
        self.root = root.resolve()
        self.log_file = log
        self.faults_file = faults
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, MirrorRequest)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def fault(self, path: str) -> str | None:
        """The kind of the first fault that concerns a path."""
        if not self.faults_file.exists():
            return None
        faults = json.loads(self.faults_file.read_text())
        return next((fault["kind"] for fault in faults if fault["match"] in path), None)

    def write_down(self, entry: dict[str, str | int]) -> None:
        with self.log_file.open("a") as log:
            log.write(json.dumps(entry) + "\n")

    def find(self, path: str) -> Path | None:
        """The file that a path means, if there is one inside the root."""
        if path.startswith(DOWNLOADS):
            path = f"k3s/{path.removeprefix(DOWNLOADS)}"
        file = (self.root / path.lstrip("/")).resolve()
        return file if file.is_relative_to(self.root) and file.is_file() else None

    def channel(self, path: str) -> str | None:
        """The version that /v1-release/channels/NAME stands for."""
        document = json.loads((self.root / "k3s" / "channels").read_text())
        return next((one["latest"] for one in document["data"] if one["name"] == path.rpartition("/")[2]), None)


class MirrorRequest(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: MirrorServer

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        fault = self.server.fault(path)
        if fault in STATUS:
            self.answer(path, STATUS[fault], f"{fault}\n".encode())
        elif path.startswith(f"{CHANNELS}/") and (version := self.server.channel(path)):
            # The real one redirects to the release's page, and clients read the version out of its address.
            self.answer(path, 302, b"", location=f"{RELEASES}{quote(version, safe='')}")
        elif path.startswith(RELEASES):
            self.answer(path, 200, b"a release's page\n")
        else:
            file = self.server.find("k3s/channels" if path == CHANNELS else path)
            if file is None:
                self.answer(path, 404, b"no such file\n")
            else:
                self.answer_file(path, file.read_bytes(), fault)

    def do_HEAD(self) -> None:
        self.do_GET()

    def answer_file(self, path: str, body: bytes, fault: str | None) -> None:
        """All of it, or what is asked for from some byte on (RFC 9110, 14.2): other ranges are not served."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        if asked and start >= len(body):
            self.answer(path, 416, b"", ranged=f"bytes */{len(body)}")
        elif asked:
            self.answer(path, 206, body[start:], fault=fault, ranged=f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.answer(path, 200, body, fault=fault)

    def answer(
        self, path: str, status: int, body: bytes, *, location: str = "", fault: str | None = None, ranged: str = ""
    ) -> None:
        length = len(body)
        if fault == "corrupt":
            body = body[:-1] + bytes([body[-1] ^ 1]) if body else body
        elif fault == "short":
            body = body[: length // 2]
            self.close_connection = True
        sent = body if self.command == "GET" else b""
        client = self.client_address[0].removeprefix("::ffff:")
        entry: dict[str, str | int] = {
            "client": client,
            "method": self.command,
            "path": path,
            "status": status,
            "bytes": len(sent),
        }
        self.server.write_down(entry)  # first, so that whoever has an answer finds its request written down
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        if location:
            self.send_header("Location", location)
        if ranged:
            self.send_header("Content-Range", ranged)
        self.end_headers()
        if fault == "slow":
            self.trickle(sent)
        else:
            self.wfile.write(sent)

    def trickle(self, body: bytes) -> None:
        """One byte a second, until the client has enough of it."""
        for byte in body:
            try:
                self.wfile.write(bytes([byte]))
            except OSError:
                self.close_connection = True
                return
            time.sleep(1)

    def log_message(self, text: str, *values: object) -> None:
        """Say nothing on stderr: `write_down` keeps what matters."""


def end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    root, log, faults, address, port = sys.argv[1:6]
    server = MirrorServer(Path(root), Path(log), Path(faults), (address, int(port)))
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    if "--until-eof" in sys.argv:
        threading.Thread(target=end_with_parent, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
