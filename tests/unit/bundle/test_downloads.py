"""Artifacts over links that break: what arrived is kept, gone on with, and never believed before its sha256 is right."""

from __future__ import annotations

import functools
import hashlib
import http.server
import re
import threading
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

BINARY = b"\x7fELF" + bytes(range(256)) * 400
SUM = hashlib.sha256(BINARY).hexdigest()
PATH = "/usr/local/bin/k3s"


class Link(http.server.BaseHTTPRequestHandler):
    """A mirror behind a bad link. `/cut-N` breaks off after N bytes; `/whole` knows no ranges; `/wrong-part` gives another
    part than the one asked for; `/drip` gives a byte a second; `/other` holds something else.
    """

    protocol_version = "HTTP/1.0"
    asked: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.asked.append((self.path, wanted))
        data = BINARY if self.path != "/other" else b"!" * len(BINARY)
        found = re.fullmatch(r"bytes=([0-9]+)-", wanted)
        start = int(found[1]) if found and self.path != "/whole" else 0
        if start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            told = start + 1 if self.path == "/wrong-part" else start
            self.send_header("Content-Range", f"bytes {told}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        cut = re.fullmatch(r"/cut-([0-9]+)", self.path)
        try:
            if self.path == "/drip":
                for at in range(start, len(data)):
                    self.wfile.write(data[at : at + 1])
                    time.sleep(0.2)
            self.wfile.write(data[start : start + int(cut[1])] if cut else data[start:])
        except OSError:
            return

    def log_message(self, *args: object) -> None:
        """Tests print nothing."""


@pytest.fixture
def link() -> Iterator[str]:
    Link.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Link)
    server.daemon_threads = True
    thread = threading.Thread(target=functools.partial(server.serve_forever, poll_interval=0.01), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def half(desk: Any) -> Any:
    return desk.path(f"/var/lib/fleet/downloads/{SUM}")


def test_a_download_that_broke_off_goes_on_in_the_next_run(desk: Any, link: str) -> None:
    desk.artifact(PATH, BINARY, [f"{link}/cut-1000"])
    assert desk.refused() == f"fetch: {PATH}: no source gave it: {link}/cut-1000: 1000 of {len(BINARY)} bytes arrived"
    assert half(desk).read_bytes() == BINARY[:1000]
    assert half(desk).stat().st_mode & 0o777 == 0o600
    desk.urls = {PATH: [f"{link}/good"]}
    desk.ok()
    assert Link.asked == [("/cut-1000", ""), ("/good", "bytes=1000-")]
    assert desk.path(PATH).read_bytes() == BINARY
    assert desk.path(PATH).stat().st_mode & 0o7777 == 0o755
    assert not half(desk).parent.exists()


def test_it_goes_on_at_the_next_source_in_the_same_run(desk: Any, link: str) -> None:
    desk.artifact(PATH, BINARY, [f"{link}/cut-1000", f"{link}/cut-500", f"{link}/good"])
    desk.ok()
    assert [wanted for _, wanted in Link.asked] == ["", "bytes=1000-", "bytes=1500-"]
    assert desk.path(PATH).read_bytes() == BINARY


def test_a_file_on_disk_is_gone_on_with_too(desk: Any, link: str) -> None:
    source = desk.place / "k3s"
    source.write_bytes(BINARY)
    desk.artifact(PATH, BINARY, [f"{link}/cut-1000", source.as_uri()])
    desk.ok()
    assert desk.path(PATH).read_bytes() == BINARY


def test_a_source_that_knows_no_parts_begins_anew(desk: Any, link: str) -> None:
    desk.artifact(PATH, BINARY, [f"{link}/cut-1000", f"{link}/whole"])
    desk.ok()
    assert desk.path(PATH).read_bytes() == BINARY


@pytest.mark.parametrize("left", [b"?" * 1000, BINARY + b"more", BINARY])
def test_what_was_left_is_not_believed(desk: Any, link: str, left: bytes) -> None:
    """A power cut leaves anything in it: with wrong bytes, too many of them, or all of them there."""
    desk.artifact(PATH, BINARY, [f"{link}/cut-1000"])
    desk.refused()
    half(desk).write_bytes(left)
    desk.urls = {PATH: [f"{link}/good"]}
    desk.ok()
    assert desk.path(PATH).read_bytes() == BINARY


def test_a_source_with_another_file_leaves_nothing_to_go_on_with(desk: Any, link: str) -> None:
    desk.artifact(PATH, BINARY, [f"{link}/cut-1000", f"{link}/other"])
    assert f"{link}/other: sha256 is {hashlib.sha256(b'!' * len(BINARY)).hexdigest()}, wanted {SUM}" in desk.refused()
    assert not half(desk).parent.exists()


def test_an_answer_of_another_part_is_refused(desk: Any, link: str) -> None:
    desk.artifact(PATH, BINARY, [f"{link}/cut-1000", f"{link}/wrong-part"])
    assert "/wrong-part: the answer is a part of it, and not the one that was asked for" in desk.refused()
    assert half(desk).read_bytes() == BINARY[:1000]


def test_a_source_that_drips_is_left_and_what_came_stays(desk: Any, link: str) -> None:
    """No limit for the whole: only what stands still, or as good as, is given up."""
    desk.artifact(PATH, BINARY, [f"{link}/drip"])
    began = time.monotonic()
    said = desk.refused(fetch_timeout=1)
    assert re.search(r"/drip: only [1-9] bytes came in 1 s$", said), said
    assert time.monotonic() - began < 10
    assert BINARY.startswith(half(desk).read_bytes())
    desk.urls = {PATH: [f"{link}/good"]}
    desk.ok()


def test_half_of_what_is_not_wanted_any_more_is_taken_away(desk: Any, link: str) -> None:
    desk.artifact(PATH, BINARY, [f"{link}/cut-1000"])
    desk.refused()
    desk.artifacts, desk.urls = [], {}
    desk.file("/etc/a", b"a")
    desk.ok()
    assert not half(desk).parent.exists()


def test_a_link_in_its_place_is_not_followed(desk: Any, link: str) -> None:
    victim = desk.path("/etc/shadow")
    victim.write_bytes(b"root:*:\n")
    half(desk).parent.mkdir(parents=True)
    half(desk).symlink_to(victim)
    desk.artifact(PATH, BINARY, [f"{link}/good"])
    desk.refused()
    assert victim.read_bytes() == b"root:*:\n"


def test_between_two_file_systems_it_is_copied(desk: Any, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """/usr on another file system than /var: no rename goes between them."""
    devices = iter(range(1, 1_000_000))
    real = desk.module.os.fstat

    def fstat(descriptor: int) -> Any:
        found = real(descriptor)
        return (
            type(found)((*found[:2], next(devices), *found[3:])) if desk.module.stat.S_ISDIR(found.st_mode) else found
        )

    monkeypatch.setattr(desk.module.Tree, "_pin", lambda *_: None)
    monkeypatch.setattr(desk.module.os, "fstat", fstat)
    desk.artifact(PATH, BINARY, [f"{link}/good"])
    desk.ok()
    assert desk.path(PATH).read_bytes() == BINARY
    assert desk.path(PATH).stat().st_mode & 0o7777 == 0o755
    assert not half(desk).parent.exists()


def test_room_is_looked_for_where_the_file_will_be_as_well(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """/usr/local/bin may be a file system of its own, and full."""

    def room(_tree: object, path: str) -> tuple[int, int]:
        return (1, 1 << 40) if path.startswith("/var/lib/fleet") else (2, 3)

    source = desk.place / "k3s"
    source.write_bytes(b"four")
    desk.artifact(PATH, b"four", [source.as_uri()])
    monkeypatch.setattr(desk.module.Tree, "room", room)
    assert desk.refused() == f"room: {PATH}: 4 bytes are needed, 3 are free: make room on it"
    assert not desk.path(PATH).exists()


def test_the_folder_of_downloads_may_be_another_one_for_each_artifact(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes when it is empty. Whether the next one gets its number again is the file system's to say: here it does not."""
    tree = desk.module.Tree
    removes = tree.rmdir

    def removed(self: Any, path: str) -> bool:
        gone = removes(self, path)
        if gone and path.endswith("/downloads"):
            (desk.place / f"instead-{len(list(desk.place.iterdir()))}").mkdir()
        return bool(gone)

    monkeypatch.setattr(tree, "rmdir", removed)
    for name in ("one", "two", "three"):
        source = desk.place / name
        source.write_bytes(name.encode())
        desk.artifact(f"/opt/{name}", name.encode(), [source.as_uri()])
    desk.ok()
    assert [desk.path(f"/opt/{name}").read_text() for name in ("one", "two", "three")] == ["one", "two", "three"]
