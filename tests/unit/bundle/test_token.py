"""A cluster is told of its new server token before K3s starts with it.

The server here is a stand-in that answers as K3s's router does, over TLS: PUT /v1-k3s/token and GET /v1-k3s/encrypt/status
are for who comes as `server` with the password that it has (pkg/server/handlers/router.go, token.go).
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import http.server
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DATA = "/var/lib/rancher/k3s"
KNOWN = f"{DATA}/server/token"
AUTHORITY = f"{DATA}/server/tls/server-ca.crt"
FILE = "/etc/rancher/k3s/server-token"
CA = "ab" * 32
OLD, NEW = "swordfish", "marlin-in-the-sea"
NOBODY = "https://127.0.0.1:1"


class Authority:
    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.pem = self._sign(self.name, self.key.public_key(), is_authority=True)

    def _sign(self, subject: x509.Name, key: Any, *, is_authority: bool) -> bytes:
        now = dt.datetime.now(dt.UTC)
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(1))
        builder = builder.not_valid_after(now + dt.timedelta(1)).add_extension(names, critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        usage = x509.KeyUsage(True, False, False, False, False, is_authority, is_authority, False, False)
        identity = x509.SubjectKeyIdentifier.from_public_key(key)
        builder = builder.add_extension(usage, critical=True).add_extension(identity, critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        signed = builder.add_extension(issuer, critical=False).sign(self.key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    def serving(self) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "k3s")])
        file = self.folder / "serving.pem"
        plain = serialization.NoEncryption()
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        file.write_bytes(private + self._sign(subject, key.public_key(), is_authority=False))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


class K3s:
    """One server: who it lets in, what it was told, and what the node's token file was at that moment."""

    def __init__(self, desk: Any, password: str) -> None:
        self.desk, self.password = desk, password
        self.told: list[str] = []
        self.files: list[str] = []
        self.asked = 0
        self.answers: list[tuple[int, str]] = []
        self.url = ""

    def answer(self, method: str, path: str, authorization: str, body: bytes) -> tuple[int, str]:
        self.asked += 1
        if authorization != "Basic " + base64.b64encode(f"server:{self.password}".encode()).decode():
            return 401, "Unauthorized"
        if self.answers:
            return self.answers.pop(0)
        if (method, path) == ("GET", "/v1-k3s/encrypt/status"):
            return 200, "{}"
        if (method, path) != ("PUT", "/v1-k3s/token"):
            return 404, "no such thing"
        self.password = json.loads(body)["newToken"]
        self.told.append(self.password)
        self.files.append(self.desk.path(FILE).read_text())
        self.desk.path(KNOWN).write_text(f"K10{CA}::server:{self.password}\n")
        return 200, ""


@contextmanager
def serving(desk: Any, authority: Authority, password: str = OLD) -> Iterator[K3s]:
    k3s = K3s(desk, password)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, text = k3s.answer(self.command, self.path, self.headers.get("Authorization", ""), body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_PUT  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            """Not to the test's output."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = authority.serving().wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] - a client that turns away is no error here
    k3s.url = f"https://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield k3s
    finally:
        server.shutdown()
        server.server_close()


class Server:
    """A desk whose bundle is of a K3s server, which has joined with the old token; the new one is in the vault now."""

    def __init__(self, desk: Any, monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
        self.desk, self.authority = desk, authority
        self.how = {"path": FILE, "data_dir": DATA, "url": NOBODY, "servers": [NOBODY]}
        bundle = desk.bundle
        monkeypatch.setattr(desk, "bundle", lambda: {**bundle(), "token": self.how})
        monkeypatch.setattr(desk.module, "TOKEN_SECONDS", 4)
        desk.file("/etc/systemd/system/k3s.service", b"[Service]\nExecStart=/bin/true\n")
        desk.units = [{"name": "k3s.service", "enabled": True, "state": "started"}]
        self.want(OLD)
        desk.ok()
        self.write(KNOWN, f"K10{CA}::server:{OLD}\n".encode())
        self.write(AUTHORITY, authority.pem)
        self.want(NEW)

    def write(self, path: str, data: bytes) -> None:
        self.desk.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.desk.path(path).write_bytes(data)

    def want(self, token: str) -> None:
        """Another value is another fingerprint, and so another digest."""
        part = {"name": "k3s", "encoding": "k3s-server", "fingerprint": hashlib.sha256(token.encode()).hexdigest()[:8]}
        entry = {"path": FILE, "mode": "0600", "segments": [part, "\n"], "restart": ["k3s.service"]}
        self.desk.files = [one for one in self.desk.files if one["path"] != FILE] + [entry]
        self.desk.secrets = {"k3s": token}

    def at(self, k3s: K3s) -> None:
        self.how = {**self.how, "url": k3s.url, "servers": [k3s.url]}

    def stop(self) -> None:
        path = self.desk.path("/var/lib/fleet/units.json")
        units = json.loads(path.read_text())
        units["k3s.service"]["state"] = "stopped"
        path.write_text(json.dumps(units))

    def file(self) -> str:
        return self.desk.path(FILE).read_text()

    def restarts(self) -> int:
        return int(self.desk.units_json()["k3s.service"]["restarts"])

    def refused(self) -> str:
        """The reason; and that nothing was touched for it."""
        record, restarts = self.desk.record(), self.restarts()
        result = self.desk.run()
        assert (result["failed"], result["step"], result["changed"]) == (True, "token", False)
        assert (self.file(), self.desk.record(), self.restarts()) == (OLD + "\n", record, restarts)
        assert not list(self.desk.root.rglob(".fleet-*.new"))
        assert not [value for value in (OLD, NEW) if value in json.dumps(result)], "no token in what is said"
        return str(result["msg"])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "k3s-server-ca")


@pytest.fixture
def server(desk: Any, monkeypatch: pytest.MonkeyPatch, authority: Authority) -> Server:
    return Server(desk, monkeypatch, authority)


def test_k3s_is_told_while_the_old_token_is_in_place_and_restarted_with_the_new_one(server: Server) -> None:
    with serving(server.desk, server.authority) as k3s:
        server.at(k3s)
        server.desk.ok()
        assert (k3s.told, k3s.files) == ([NEW], [OLD + "\n"])
        assert (server.file(), server.restarts()) == (NEW + "\n", 1)
        assert server.desk.ok()["changed"] is False
        assert len(k3s.told) == 1


def test_a_look_and_another_change_tell_nothing(server: Server) -> None:
    with serving(server.desk, server.authority) as k3s:
        server.at(k3s)
        server.desk.ok(check=True, diff=True)
        server.want(OLD)
        server.desk.path(FILE).chmod(0o644)
        server.desk.file("/etc/motd", b"hello\n")
        assert server.desk.ok()["changed"] is True
        assert k3s.asked == 0


def test_a_token_in_its_full_form_is_told_without_it(server: Server) -> None:
    server.want(f"K10{CA}::server:{NEW}")
    with serving(server.desk, server.authority) as k3s:
        server.at(k3s)
        server.desk.ok()
        assert k3s.told == [NEW]


def test_where_k3s_never_ran_there_is_nobody_to_tell(server: Server) -> None:
    server.desk.path(KNOWN).unlink()
    server.desk.ok()
    assert server.file() == NEW + "\n"


def test_adopting_tells_nobody_and_the_first_apply_after_it_does(server: Server) -> None:
    """A cluster that somebody made with another token: the file is taken, K3s is not restarted with it."""
    desk = server.desk
    desk.path("/var/lib/fleet/record.json").unlink()
    with serving(desk, server.authority) as k3s:
        server.at(k3s)
        desk.ok(adopt=True, take=["*"])
        assert (server.file(), k3s.asked) == (NEW + "\n", 0)
        desk.file("/etc/motd", b"hello\n")
        desk.ok()
        assert k3s.told == [NEW]


def test_k3s_that_starts_just_now_is_waited_for(server: Server) -> None:
    with serving(server.desk, server.authority) as k3s:
        k3s.answers = [(503, "starting"), (503, "starting")]
        server.at(k3s)
        server.desk.ok()
        assert k3s.told == [NEW]


def test_what_k3s_refuses_is_not_restarted(server: Server) -> None:
    with serving(server.desk, server.authority) as k3s:
        k3s.answers = [(500, f"bootstrap data already found and encrypted with different token than {NEW} or {OLD}")]
        server.at(k3s)
        assert "500 bootstrap data already found" in server.refused()
        server.desk.ok()
        assert server.file() == NEW + "\n", "the next run heals it"


def test_k3s_that_keeps_on_starting_is_not_restarted(server: Server) -> None:
    with serving(server.desk, server.authority) as k3s:
        k3s.answers = [(503, "starting")] * 99
        server.at(k3s)
        assert "K3s did not take it, and nothing was touched: 503 starting" in server.refused()


def test_k3s_that_has_stopped_gets_no_token_that_nobody_knows(server: Server) -> None:
    server.stop()
    assert "K3s does not run here, and no server of its cluster knows the new one" in server.refused()
    with serving(server.desk, server.authority, password=OLD) as other:
        server.how = {**server.how, "servers": [NOBODY, other.url]}
        assert "no server of its cluster knows the new one" in server.refused()
        assert other.asked == 1


def test_k3s_that_was_down_while_another_server_was_told_gets_the_token(server: Server) -> None:
    server.stop()
    with serving(server.desk, server.authority, password=NEW) as other:
        server.how = {**server.how, "servers": [NOBODY, other.url]}
        server.desk.ok()
        assert (server.file(), other.told) == (NEW + "\n", [])


def test_k3s_that_stopped_once_it_was_told_gets_the_token(server: Server) -> None:
    """The run was cut off between K3s's answer and the file, and the host went down: K3s's own file says that it knows."""
    server.write(KNOWN, f"K10{CA}::server:{NEW}\n".encode())
    server.stop()
    server.desk.ok()
    assert server.file() == NEW + "\n"


def test_nobody_but_the_cluster_is_given_a_token(server: Server, tmp_path: Path) -> None:
    """Somebody else listens on K3s's port, and at the address of another server."""
    folder = tmp_path / "stranger"
    folder.mkdir()
    with serving(server.desk, Authority(folder, "k3s-server-ca"), password=NEW) as stranger:
        server.at(stranger)
        assert "certificate verify failed" in server.refused()
        server.stop()
        server.how = {**server.how, "url": NOBODY}
        assert "no server of its cluster knows the new one" in server.refused()
        assert stranger.asked == 0
