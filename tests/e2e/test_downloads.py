"""A real HTTP mirror counts who downloads at once: never more than `artifacts.maxConcurrent` says, over all batches."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import unquote

import pytest

from tests.e2e.command import Repository

TILLS = 6
LONG, SHORT = 20.0, 1.0
"""A node gives a source up that says nothing for 30 s."""


class Mirror(ThreadingHTTPServer):
    """Serves a folder. A download ends when `crowd` of them have come together, and a moment later: so that one too many is
    seen. `most` is how many ever were there at once.
    """

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), Download)
        self.root = root
        self.crowd = 1
        self.most = self.served = 0
        self._now = 0
        self._changed = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def meet(self) -> None:
        with self._changed:
            self._now += 1
            self.served += 1
            self.most = max(self.most, self._now)
            self._changed.notify_all()
            together = -(-self.served // self.crowd) * self.crowd
            self._changed.wait_for(lambda: self.served >= together, LONG)
            self._changed.wait_for(lambda: self._now > self.crowd, SHORT)

    def leave(self) -> None:
        with self._changed:
            self._now -= 1


class Download(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        body = (self.server.root / unquote(self.path).lstrip("/")).read_bytes()
        self.server.meet()
        try:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        finally:
            self.server.leave()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def mirror(repository: Repository) -> Iterator[Mirror]:
    with Mirror(repository.folder / "mirror") as running:
        yield running


def storm(repository: Repository, mirror: Mirror, limits: str) -> None:
    """A server and six tills of one site, which hold nothing yet; then the tills come, all that may at once."""
    repository.edit(
        "fleet.yaml",
        '["file:mirror"]        # a folder of this repository; https://… in real life',
        f'["{mirror.url}"]\n    maxConcurrent: {limits}',
    )
    repository.edit("sites/turin-1.yaml", "count: 1", f"count: {TILLS}")
    repository.commit("Six tills")
    repository.apply("--node", "turin-1-a")


@pytest.mark.parametrize(
    ("limits", "least", "most"),
    [
        ("{perMirror: 100, perSite: 2}", 1, 2),
        ("{perMirror: 3, perSite: 100}", 1, 3),
        ("{perMirror: 100, perSite: 100}", 4, TILLS),  # nothing else holds them back
    ],
)
def test_no_more_download_at_once(repository: Repository, mirror: Mirror, limits: str, least: int, most: int) -> None:
    storm(repository, mirror, limits)
    mirror.crowd, mirror.served = most, 0

    repository.apply("--site", "turin-1")

    assert mirror.served == TILLS
    assert least <= mirror.most <= most


def test_who_holds_it_already_is_not_held_up(repository: Repository, mirror: Mirror) -> None:
    storm(repository, mirror, "{perMirror: 1, perSite: 1}")
    repository.apply("--site", "turin-1")
    repository.edit("sites/turin-1.yaml", "ntp.turin.acme.example", "time.turin.acme.example")
    repository.commit("Another clock")
    served = mirror.served

    ran = repository.apply("--site", "turin-1", "--json")

    batches = [each["nodes"] for each in map(json.loads, ran.out.splitlines()) if each["event"] == "BatchStarted"]
    assert [len(nodes) for nodes in batches] == [1, TILLS]
    assert mirror.served == served
