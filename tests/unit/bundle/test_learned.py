"""What nodes tell for others: the CA of a K3s cluster, and the full tokens that are made with it."""

from __future__ import annotations

from typing import Any

import pytest

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
