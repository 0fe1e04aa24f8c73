"""What nodes tell for others: the CA of a K3s cluster, and the full tokens that are made with it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TOKEN_FILE = "/etc/rancher/k3s/server-token"
CA, OTHER = "ab" * 32, "cd" * 32
LEARN = {"name": "k3s_ca", "path": "/var/lib/rancher/k3s/server/token", "pattern": "^K10([0-9a-f]{64})::"}
UNIT = {"name": "k3s.service", "enabled": True, "state": "started"}


@pytest.fixture
def joining(desk: Any) -> Any:
    """A node with a token and a unit that reads it."""
    token(desk, "k3s-server")
    desk.file("/etc/systemd/system/k3s.service", b"[Service]\nExecStart=/bin/true\n")
    desk.units, desk.secrets = [UNIT], {"k3s": "swordfish"}
    return desk


def token(desk: Any, encoding: str, *, fingerprint: str = "aa") -> None:
    part = {"name": "k3s", "encoding": encoding, "fingerprint": fingerprint}
    entry = {"path": TOKEN_FILE, "mode": "0600", "segments": [part, "\n"], "restart": ["k3s.service"]}
    desk.files = [one for one in desk.files if one["path"] != TOKEN_FILE] + [entry]


def tell(desk: Any, text: str) -> None:
    """What K3s writes on a server once it has started."""
    path = desk.path(LEARN["path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("encoding", "learned", "content"),
    [
        ("k3s-server", {}, "swordfish\n"),
        ("k3s-agent", {}, "swordfish\n"),
        ("k3s-server", {"k3s_ca": CA}, f"K10{CA}::server:swordfish\n"),
        ("k3s-agent", {"k3s_ca": CA}, f"K10{CA}::node:swordfish\n"),
    ],
)
def test_a_token_is_in_its_full_form_where_the_ca_is_known(
    joining: Any, encoding: str, learned: dict[str, str], content: str
) -> None:
    token(joining, encoding)
    joining.ok(learned=learned)
    assert joining.path(TOKEN_FILE).read_text() == content
    assert joining.path(TOKEN_FILE).stat().st_mode & 0o777 == 0o600
    assert joining.ok(learned=learned)["changed"] is False
    assert joining.ok(read=True)["changes"] == []


def test_a_token_that_is_kept_in_its_full_form_stays_as_it_is(joining: Any) -> None:
    joining.secrets = {"k3s": f"K10{OTHER}::server:swordfish"}
    joining.ok(learned={"k3s_ca": CA})
    assert joining.path(TOKEN_FILE).read_text() == f"K10{OTHER}::server:swordfish\n"


@pytest.mark.parametrize(("first", "later"), [({}, {"k3s_ca": CA}), ({"k3s_ca": CA}, {})])
def test_a_node_that_joined_keeps_the_form_that_it_has(
    joining: Any, first: dict[str, str], later: dict[str, str]
) -> None:
    """It is of use in joining only: what is learned later restarts nothing."""
    joining.ok(learned=first)
    held = joining.path(TOKEN_FILE).read_bytes()
    joining.file("/etc/motd", b"hello\n")
    result = joining.ok(learned=later)
    assert [change["path"] for change in result["changes"]] == ["/etc/motd"]
    assert result["restarted"] == []
    assert joining.path(TOKEN_FILE).read_bytes() == held
    assert joining.ok(read=True)["changes"] == [], "the record knows the form that is on the disk"


def test_a_token_of_another_cluster_is_replaced(joining: Any) -> None:
    joining.ok(learned={"k3s_ca": OTHER})
    result = joining.ok(learned={"k3s_ca": CA})
    assert [change["path"] for change in result["changes"]] == [TOKEN_FILE]
    assert result["restarted"] == ["k3s.service"]
    assert joining.path(TOKEN_FILE).read_text() == f"K10{CA}::server:swordfish\n"


def test_a_new_secret_and_an_edit_are_seen_in_either_form(joining: Any) -> None:
    joining.ok(learned={"k3s_ca": CA})
    joining.path(TOKEN_FILE).write_text(f"K10{CA}::server:sw0rdfish\n")
    assert [change["path"] for change in joining.ok(read=True)["changes"]] == [TOKEN_FILE]
    assert joining.ok(learned={"k3s_ca": CA})["restarted"] == ["k3s.service"]
    token(joining, "k3s-server", fingerprint="bb")
    joining.secrets = {"k3s": "marlin"}
    assert joining.ok(learned={})["restarted"] == ["k3s.service"]
    assert joining.path(TOKEN_FILE).read_text() == "marlin\n"


@pytest.mark.parametrize("learned", ["{{ x }}", "AB" * 32, "ab" * 31])
def test_what_is_no_hash_is_refused(joining: Any, learned: str) -> None:
    assert "learned k3s_ca is not a sha256 in hex" in joining.refused(learned={"k3s_ca": learned})
    assert not joining.path(TOKEN_FILE).exists()


def test_a_server_tells_its_ca_when_it_has_started(joining: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "bundle", lambda whole=joining.bundle: {**whole(), "learn": [LEARN]})
    assert joining.ok()["learned"] == {}
    tell(joining, f"K10{CA}::server:swordfish\n")
    result = joining.ok()
    assert (result["learned"], result["changed"]) == ({"k3s_ca": CA}, True)
    assert joining.record()["learned"] == result["record"]["learned"] == {"k3s_ca": CA}
    assert "swordfish" not in joining.path("/var/lib/fleet/record.json").read_text()
    again = joining.ok()
    assert (again["learned"], again["changed"]) == ({"k3s_ca": CA}, False)
    assert joining.ok(read=True)["record"]["learned"] == {"k3s_ca": CA}


def test_it_is_told_in_the_very_run_that_starts_the_server(joining: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "bundle", lambda whole=joining.bundle: {**whole(), "learn": [LEARN]})
    start = joining.module.Pretended.call

    def started(manager: Any, verb: str, names: list[str]) -> Any:
        tell(joining, f"K10{CA}::server:swordfish\n")
        return start(manager, verb, names)

    monkeypatch.setattr(joining.module.Pretended, "call", started)
    assert joining.ok()["learned"] == {"k3s_ca": CA}
    assert joining.record()["learned"] == {"k3s_ca": CA}


@pytest.mark.parametrize("text", ["", "swordfish\n", f"K10{CA[:60]}::server:x\n", "\udcff"])
def test_what_cannot_be_read_is_not_told_and_what_was_told_stays(
    joining: Any, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(joining, "bundle", lambda whole=joining.bundle: {**whole(), "learn": [LEARN]})
    tell(joining, f"K10{CA}::server:swordfish\n")
    joining.ok()
    joining.path(LEARN["path"]).write_bytes(text.encode(errors="surrogateescape"))
    result = joining.ok()
    assert (result["learned"], result["changed"]) == ({"k3s_ca": CA}, False)


# ---- certificates

FOLDERS = ["/var/lib/rancher/k3s/server/tls", "/var/lib/rancher/k3s/agent", "/nowhere"]
CA_NAMES = r"-ca(\.nochain)?\.crt$"
LEAF = {"name": "k3s_leaf_end", "folders": FOLDERS, "pattern": r"^(?!.*-ca(\.nochain)?\.crt$).*\.crt$"}
AUTHORITY = {"name": "k3s_ca_end", "folders": FOLDERS, "pattern": CA_NAMES}


def certify(desk: Any, path: str, end: str, extra: str = "") -> None:
    """A certificate that ends then, and what comes behind it in a chain."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "k3s")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, at("20200101000000Z"), at(end))
    text = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    desk.path(path).parent.mkdir(parents=True, exist_ok=True)
    desk.path(path).write_text(text + extra)


def at(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


@pytest.fixture
def certified(desk: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(desk, "bundle", lambda whole=desk.bundle: {**whole(), "learn": [LEAF, AUTHORITY]})
    tls, agent = FOLDERS[:2]
    certify(desk, f"{tls}/server-ca.crt", "20361129000000Z")
    certify(desk, f"{tls}/client-ca.nochain.crt", "20351129000000Z")
    certify(desk, f"{tls}/client-admin.crt", "20271129020705Z", extra=desk.path(f"{tls}/server-ca.crt").read_text())
    certify(desk, f"{agent}/serving-kubelet.crt", "20271001000000Z")
    desk.path(f"{agent}/serving-kubelet.key").write_text("no certificate")
    desk.file("/etc/motd", b"hello\n")
    return desk


def test_the_certificates_that_end_first_are_told(certified: Any) -> None:
    told = {"k3s_leaf_end": "2027-10-01T00:00:00Z", "k3s_ca_end": "2035-11-29T00:00:00Z"}
    assert certified.ok()["learned"] == told
    assert certified.record()["learned"] == told


def test_a_look_at_the_node_tells_them_as_they_are_now(certified: Any) -> None:
    certified.ok()
    certify(certified, f"{FOLDERS[1]}/serving-kubelet.crt", "20281001000000Z")
    certified.path(f"{FOLDERS[0]}/client-ca.nochain.crt").unlink()
    seen = certified.ok(read=True)
    assert seen["record"]["learned"] == {"k3s_leaf_end": "2027-11-29T02:07:05Z", "k3s_ca_end": "2036-11-29T00:00:00Z"}
    assert "learn" not in seen["record"]
    assert (seen["changed"], seen["changes"]) == (False, [])


def test_an_end_beyond_2049_is_written_otherwise_in_der(certified: Any) -> None:
    for path in list(certified.path(FOLDERS[0]).iterdir()) + list(certified.path(FOLDERS[1]).iterdir()):
        path.unlink()
    certify(certified, f"{FOLDERS[0]}/server-ca.crt", "20601231235959Z")
    assert certified.ok()["learned"] == {"k3s_ca_end": "2060-12-31T23:59:59Z"}


@pytest.mark.parametrize(
    "text", ["", "-----BEGIN CERTIFICATE-----\nMIIB\n", "-----BEGIN CERTIFICATE-----\n!!\n", "\udcff"]
)
def test_what_is_no_certificate_is_passed_over(certified: Any, text: str) -> None:
    certified.path(f"{FOLDERS[0]}/broken.crt").write_bytes(text.encode(errors="surrogateescape"))
    assert certified.ok()["learned"]["k3s_leaf_end"] == "2027-10-01T00:00:00Z"
