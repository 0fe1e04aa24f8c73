"""Everything is fetched and validated before the first file is put in place."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

BINARY = b"\x7fELF" + b"k3s" * 5000
SUM = hashlib.sha256(BINARY).hexdigest()


class Mirror(http.server.BaseHTTPRequestHandler):
    """`/good` gives the binary, `/bad` another one, `/cut` ends too early, `/endless` says it holds a petabyte."""

    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path not in ("/good", "/bad", "/cut", "/endless", "/unsized"):
            self.send_error(404)
            return
        data = BINARY[:-1] + b"!" if path == "/bad" else BINARY
        length = {"/cut": len(data) + 10, "/endless": 10**15}.get(path, len(data))
        self.send_response(200)
        if path != "/unsized":
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Tests print nothing."""


@pytest.fixture
def mirror() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    thread = threading.Thread(target=functools.partial(server.serve_forever, poll_interval=0.01), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def temps(desk: Any) -> list[str]:
    return [str(path) for path in desk.root.rglob(".fleet-*")]


@pytest.mark.parametrize("name", ["good", "unsized"])
def test_an_artifact_is_fetched_verified_and_executable(desk: Any, mirror: str, name: str) -> None:
    desk.artifact("/usr/local/bin/k3s", BINARY, [f"{mirror}/{name}"])
    result = desk.ok()
    assert result["changes"] == [
        {"kind": "artifact", "path": "/usr/local/bin/k3s", "action": "create", "what": ["absent"]}
    ]
    assert desk.path("/usr/local/bin/k3s").read_bytes() == BINARY
    assert desk.path("/usr/local/bin/k3s").stat().st_mode & 0o7777 == 0o755
    assert desk.ok()["changed"] is False


def test_urls_are_tried_in_order(desk: Any, mirror: str) -> None:
    source = desk.place / "a b.bin"
    source.write_bytes(BINARY)
    urls = [f"{mirror}/absent", f"{mirror}/bad", f"{mirror}/cut", source.as_uri()]
    desk.artifact("/usr/local/bin/k3s", BINARY, urls)
    desk.ok()
    assert desk.path("/usr/local/bin/k3s").read_bytes() == BINARY
    assert "%20" in source.as_uri()


def test_when_all_urls_fail_each_reason_is_told_and_nothing_is_half_written(desk: Any, mirror: str) -> None:
    desk.file("/etc/a", b"new")
    urls = [
        f"{mirror}/absent",
        f"{mirror}/bad",
        f"{mirror}/cut",
        "ftp://x/k3s",
        "file:///nowhere/k3s",
        "http://127.0.0.1:1/",
    ]
    desk.artifact("/usr/local/bin/k3s", BINARY, urls)
    said = desk.refused()
    assert said.startswith("fetch: /usr/local/bin/k3s: no source gave it: ")
    assert f"{mirror}/absent: HTTP Error 404" in said or f"{mirror}/absent: Not Found" in said
    assert f"{mirror}/bad: sha256 is {hashlib.sha256(BINARY[:-1] + b'!').hexdigest()}, wanted {SUM}" in said
    assert f"{mirror}/cut: {len(BINARY)} of {len(BINARY) + 10} bytes arrived" in said
    assert "ftp://x/k3s: scheme `ftp` is not http, https or file" in said
    assert "file:///nowhere/k3s: No such file or directory" in said
    assert "http://127.0.0.1:1/: " in said
    assert "Connection refused" in said
    assert not desk.path("/etc/a").exists()
    assert not desk.path("/usr").exists()
    assert temps(desk) == []
    assert not desk.path("/var/lib/fleet/record.json").exists()
    assert not desk.path("/var/lib/fleet/staged.json").exists()


def test_a_failed_fetch_leaves_the_old_bundle_whole(desk: Any, mirror: str) -> None:
    desk.file("/etc/a", b"old")
    desk.artifact("/usr/local/bin/k3s", BINARY, [f"{mirror}/good"])
    desk.ok()
    before = desk.contents(), desk.record()
    desk.file("/etc/a", b"new")
    desk.artifact("/usr/local/bin/k3s", BINARY + b"2", [f"{mirror}/good"])
    result = desk.run()
    assert (result["failed"], result["changed"], result["step"]) == (True, False, "fetch")
    assert result["at"] == "/usr/local/bin/k3s"
    assert (desk.contents(), desk.record()) == before


def test_passwords_in_urls_are_not_told(desk: Any, mirror: str) -> None:
    host = mirror.removeprefix("http://")
    desk.artifact("/usr/local/bin/k3s", BINARY, [f"http://user:pass-word@{host}/absent?token=to-ken"])
    said = desk.refused()
    assert f"http://{host}/absent: " in said
    assert "pass-word" not in said
    assert "to-ken" not in said


def test_no_room_is_said_before_the_download(desk: Any, mirror: str) -> None:
    desk.artifact("/usr/local/bin/k3s", BINARY, [f"{mirror}/endless"])
    assert "room: /usr/local/bin/k3s: 1000000000000000 bytes are needed, " in desk.refused()
    assert temps(desk) == []


def test_an_artifact_without_url_is_told(desk: Any) -> None:
    desk.artifact("/usr/local/bin/k3s", BINARY, [])
    assert desk.refused() == "fetch: /usr/local/bin/k3s: no source gave it: it has no URL"


def test_an_artifact_that_is_there_is_not_fetched(desk: Any) -> None:
    desk.path("/usr/local/bin").mkdir(parents=True)
    desk.path("/usr/local/bin/k3s").write_bytes(BINARY)
    desk.path("/usr/local/bin/k3s").chmod(0o700)
    desk.artifact("/usr/local/bin/k3s", BINARY, ["http://127.0.0.1:1/"])
    assert [c["what"] for c in desk.ok()["changes"]] == [["mode"]]
    assert desk.path("/usr/local/bin/k3s").stat().st_mode & 0o7777 == 0o755


def test_a_url_that_changes_is_no_difference(desk: Any, mirror: str) -> None:
    desk.artifact("/usr/local/bin/k3s", BINARY, [f"{mirror}/good"])
    desk.ok()
    desk.urls = {"/usr/local/bin/k3s": ["http://elsewhere/"]}
    assert desk.ok()["changed"] is False


def test_a_tampered_artifact_is_fetched_again(desk: Any, mirror: str) -> None:
    desk.artifact("/usr/local/bin/k3s", BINARY, [f"{mirror}/good"])
    desk.ok()
    desk.path("/usr/local/bin/k3s").write_bytes(BINARY[:-1] + b"!")
    assert [c["action"] for c in desk.ok()["changes"]] == ["update"]
    assert desk.path("/usr/local/bin/k3s").read_bytes() == BINARY


def test_validate_sees_the_new_content_under_its_own_name(desk: Any) -> None:
    seen = desk.place / "seen"
    desk.file("/etc/chrony.conf", b"server x\n", validate=f"cp {{file}} {seen}")
    desk.ok()
    assert seen.read_bytes() == b"server x\n"
    desk.file("/etc/unit.service", b"[Unit]\n", validate="sh -c 'test ${0##*/} = unit.service' {file}")
    desk.ok()


def test_a_failed_validate_keeps_the_old_file_and_all_others(desk: Any) -> None:
    desk.file("/etc/a", b"old a")
    desk.file("/etc/b", b"old b")
    desk.ok()
    before = desk.snapshot()
    desk.file("/etc/a", b"new a")
    desk.file("/etc/b", b"new b", validate="sh -c 'echo line 1: no; exit 3' {file}")
    result = desk.run()
    assert result["msg"] == ("validate: /etc/b: `sh -c 'echo line 1: no; exit 3' {file}` ended with 3: line 1: no")
    assert result["changed"] is False
    after = desk.snapshot()
    assert {name: value[3] for name, value in after.items()} == {name: value[3] for name, value in before.items()}
    assert {name: value[1] for name, value in after.items()} == {name: value[1] for name, value in before.items()}


def test_a_validate_command_runs_without_a_shell(desk: Any) -> None:
    desk.file("/etc/a; touch b", b"x", validate="test -f {file}")
    desk.ok()
    assert desk.path("/etc/a; touch b").exists()


def test_a_validate_command_that_a_sandbox_lacks_is_a_warning(desk: Any) -> None:
    desk.file("/etc/a", b"x", validate="no-such-command -t {file}")
    assert desk.ok()["warnings"] == ["/etc/a: `no-such-command` is not here, not validated in a sandbox"]


def test_check_mode_says_the_same_and_writes_nothing(desk: Any, mirror: str) -> None:
    desk.path("/etc/motd").write_bytes(b"theirs\n")
    desk.file("/etc/motd", b"ours\n")
    desk.file("/etc/new/a", b"a\n", validate="false")
    desk.folders = [{"path": "/srv/x"}]
    desk.artifact("/usr/local/bin/k3s", BINARY, ["http://127.0.0.1:1/"])
    desk.units = [{"name": "k3s.service", "enabled": True, "state": "started"}]
    before = desk.snapshot()
    checked = desk.ok(check=True, diff=True)
    assert desk.snapshot() == before
    assert checked["changed"] is True
    desk.files[1].pop("validate")
    desk.urls = {"/usr/local/bin/k3s": [f"{mirror}/good"]}
    assert desk.ok()["changes"] == checked["changes"]
    before = desk.snapshot()
    assert desk.ok(check=True)["changed"] is False
    assert desk.snapshot() == before


def test_check_mode_on_a_root_that_is_not_there(desk: Any) -> None:
    desk.file("/etc/a", b"a")
    assert desk.ok(check=True, root=str(desk.place / "absent"))["changed"] is True
    assert not (desk.place / "absent").exists()


def test_diff_shows_before_and_after(desk: Any) -> None:
    desk.file("/etc/a", b"server ntp1\n")
    desk.ok()
    desk.file("/etc/a", b"server ntp2\n")
    assert desk.ok(diff=True)["diff"] == [
        {
            "before_header": "/etc/a",
            "after_header": "/etc/a (content, mode 0644)",
            "before": "server ntp1\n",
            "after": "server ntp2\n",
        }
    ]
    desk.files = []
    assert desk.ok(diff=True)["diff"] == [
        {"before_header": "/etc/a", "after_header": "/etc/a", "before": "server ntp2\n", "after": ""}
    ]


def test_a_file_that_cannot_be_written_leaves_nothing_half_written(desk: Any) -> None:
    """The kernel ends the write in the middle, as it does on a full disk."""
    desk.file("/etc/a", b"old")
    desk.ok()
    before = desk.contents(), desk.record()
    desk.file("/etc/a", b"new")
    desk.file("/srv/new/large", b"x" * 1_000_000)
    prelude = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))\n"
    )
    done = desk.alone(prelude=prelude)
    told = json.loads(done.stdout)
    assert (done.returncode, told["msg"]) == (1, "write: /srv/new/large: File too large")
    assert (told["step"], told["at"], told["changed"]) == ("write", "/srv/new/large", False)
    assert (desk.contents(), desk.record()) == before
    assert temps(desk) == []
    assert not desk.path("/srv").exists()
    desk.ok()


def test_too_little_room_is_said_before_anything_is_written(desk: Any, fleet_bundle: Any) -> None:
    class Full(fleet_bundle.Tree):
        def room(self, path: str) -> tuple[int, int]:
            return super().room(path)[0], 10

    desk.file("/etc/a", b"0123456789")
    tree = Full(str(desk.root), make=False)
    items = fleet_bundle.read_items(*fleet_bundle.read_bundle(desk.options()), {}, {})[0]
    fleet_bundle.check_room(tree, items)
    desk.file("/etc/b", b"!")
    items = fleet_bundle.read_items(*fleet_bundle.read_bundle(desk.options()), {}, {})[0]
    with pytest.raises(fleet_bundle.Failure, match=r"room: /etc/b: 11 bytes are needed, 10 are free"):
        fleet_bundle.check_room(tree, items)
