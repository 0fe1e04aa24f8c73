"""Secrets come from vault files through Ansible's own loader, and are on the node in their file only."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NODE = "lyon-1-a"
TOKEN = 'tok"""en-{{ x }}-\\sesame22'
FORMS = [TOKEN.encode(), b'tok"""en', b"sesame22", base64.b64encode(TOKEN.encode())]


@pytest.fixture
def vaulted(project: Any) -> Any:
    """One file with a secret, plain and in base64; the vault file, its password, and the lock."""
    parts = ["token: ", {"name": "lyon-1-token", "encoding": "plain", "fingerprint": "aa"}, "\nauth: "]
    parts += [{"name": "lyon-1-token", "encoding": "base64", "fingerprint": "aa"}, "\n"]
    entry = {"path": "/etc/rancher/k3s/server-token", "mode": "0600", "segments": parts}
    project.nodes[NODE] = {"files": [project.file("/etc/a", b"a\n"), entry]}
    project.nodes["plain"] = {"files": [project.file("/etc/a", b"a\n")]}
    project.write()
    secrets = project.root / "secrets"
    secrets.mkdir()
    (secrets / "lyon-1.yaml").write_text(json.dumps({"lyon-1-token": TOKEN, "other": "x"}))
    locked = {"file": "secrets/lyon-1.yaml", "version": 1, "fingerprint": "aa"}
    lock = {"format": "fleet.secrets/v1", "secrets": {"lyon-1-token": locked, "other": locked}}
    (secrets / "secrets.lock").write_text(json.dumps(lock))
    (project.root.parent / "password").write_text("open sesame\n")
    vault = Path(sys.executable).parent / "ansible-vault"
    password = ["--vault-password-file", str(project.root.parent / "password")]
    subprocess.run([vault, "encrypt", *password, str(secrets / "lyon-1.yaml")], check=True, capture_output=True)
    return project


def holders(place: Path) -> list[str]:
    paths = [path for path in place.rglob("*") if path.is_file()]
    return [str(path.relative_to(place)) for path in paths if any(form in path.read_bytes() for form in FORMS)]


def password(project: Any) -> list[str]:
    return ["--vault-password-file", str(project.root.parent / "password")]


@pytest.mark.parametrize("pipelining", [True, False])
def test_secrets_are_in_their_file_and_nowhere_else(vaulted: Any, *, pipelining: bool) -> None:
    remote = vaulted.root.parent / "remote"
    vaulted.hostvars[NODE] = {"ansible_remote_tmp": str(remote), "ansible_pipelining": pipelining}
    vaulted.write()
    shown = vaulted.play("-vvv", "--diff", *password(vaulted), machine=False)
    assert shown.code == 0
    path = vaulted.sandbox(NODE) / "etc/rancher/k3s/server-token"
    assert path.read_bytes() == b"token: " + FORMS[0] + b"\nauth: " + FORMS[3] + b"\n"
    assert path.stat().st_mode & 0o7777 == 0o600
    assert holders(vaulted.root.parent) == [f"nodes/{NODE}/etc/rancher/k3s/server-token"]
    assert not [form for form in FORMS if form in shown.output.encode()]
    assert [path for path in remote.rglob("*") if path.is_file()] == [] if remote.exists() else True
    assert vaulted.play(*password(vaulted)).stats[NODE]["changed"] == 0


def test_a_tampered_secret_is_found_without_being_shown(vaulted: Any) -> None:
    vaulted.play(*password(vaulted))
    path = vaulted.sandbox(NODE) / "etc/rancher/k3s/server-token"
    path.write_bytes(path.read_bytes().replace(b"sesame22", b"Sesame23"))
    assert [c["path"] for c in vaulted.play(book="observe.yml").hosts[NODE]["changes"]] == [
        "/etc/rancher/k3s/server-token"
    ]
    shown = vaulted.play("--diff", "-vvv", *password(vaulted), machine=False)
    assert "changed=1" in shown.output
    assert not [form for form in [*FORMS, b"Sesame23"] if form in shown.output.encode()]
    assert TOKEN.encode() in path.read_bytes()


def test_a_failure_on_the_node_shows_no_secret(vaulted: Any) -> None:
    vaulted.nodes[NODE]["files"][1]["validate"] = "sh -c 'cat $0; exit 1' {file}"
    vaulted.write()
    shown = vaulted.play("-vvv", *password(vaulted), machine=False)
    assert shown.code == 2
    assert "token: ********" in shown.output
    assert not [form for form in FORMS if form in shown.output.encode()]
    assert holders(vaulted.root.parent) == []


def test_without_the_password_only_nodes_with_secrets_fail(vaulted: Any) -> None:
    result = vaulted.play()
    assert result.code == 2
    assert result.stats["plain"]["changed"] == 1
    assert "secrets/lyon-1.yaml: cannot be opened: " in result.hosts[NODE]["msg"]
    assert not vaulted.sandbox(NODE).exists()


def test_a_secret_that_is_absent_is_named(vaulted: Any) -> None:
    lock = vaulted.root / "secrets" / "secrets.lock"
    locked = json.loads(lock.read_text())
    vaulted.nodes[NODE]["files"][1]["segments"] = [{"name": "gone", "encoding": "plain"}]
    vaulted.write()
    assert vaulted.play(*password(vaulted)).hosts[NODE]["msg"] == "secret `gone` is not in secrets/secrets.lock"
    locked["secrets"]["gone"] = locked["secrets"]["other"]
    lock.write_text(json.dumps(locked))
    assert vaulted.play(*password(vaulted)).hosts[NODE]["msg"] == "secret `gone` is absent in secrets/lyon-1.yaml"
    locked["secrets"]["gone"] = {"file": "../password", "version": 1, "fingerprint": ""}
    lock.write_text(json.dumps(locked))
    assert vaulted.play(*password(vaulted)).hosts[NODE]["msg"] == "secret `gone` is not in secrets/secrets.lock"


def encrypt_string(project: Any, name: str, value: str) -> str:
    vault = Path(sys.executable).parent / "ansible-vault"
    done = subprocess.run(
        [vault, "encrypt_string", *password(project), "--stdin-name", name],
        input=value, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout + "\n"


def test_values_may_be_vaults_of_their_own(vaulted: Any) -> None:
    """A plain mapping with `!vault` values, as `ansible-vault encrypt_string` prints them."""
    file = vaulted.root / "secrets" / "lyon-1.yaml"
    file.write_text(encrypt_string(vaulted, "lyon-1-token", TOKEN) + encrypt_string(vaulted, "other", "x"))
    shown = vaulted.play("-vvv", "--diff", *password(vaulted), machine=False)
    assert shown.code == 0, shown.output
    path = vaulted.sandbox(NODE) / "etc/rancher/k3s/server-token"
    assert path.read_bytes() == b"token: " + FORMS[0] + b"\nauth: " + FORMS[3] + b"\n"
    assert holders(vaulted.root.parent) == [f"nodes/{NODE}/etc/rancher/k3s/server-token"]
    assert not [form for form in FORMS if form in shown.output.encode()]
    assert vaulted.play(*password(vaulted)).stats[NODE]["changed"] == 0


def test_values_that_are_vaults_need_the_password(vaulted: Any) -> None:
    file = vaulted.root / "secrets" / "lyon-1.yaml"
    file.write_text(encrypt_string(vaulted, "lyon-1-token", TOKEN))
    message = vaulted.play().hosts[NODE]["msg"]
    assert message.startswith("secrets/lyon-1.yaml: `lyon-1-token`: cannot be opened: ")
    assert not vaulted.sandbox(NODE).exists()


@pytest.mark.parametrize("clear", ["other: hunter2\n", "other: 5\n"])
def test_clear_text_in_a_file_of_secrets_is_refused(vaulted: Any, clear: str) -> None:
    file = vaulted.root / "secrets" / "lyon-1.yaml"
    file.write_text(encrypt_string(vaulted, "lyon-1-token", TOKEN) + clear)
    shown = vaulted.play(*password(vaulted))
    assert shown.hosts[NODE]["msg"] == "secrets/lyon-1.yaml: `other` is not encrypted"
    assert "hunter2" not in shown.output
    assert not vaulted.sandbox(NODE).exists()


CA = "ab" * 32


@pytest.fixture
def cluster(vaulted: Any) -> Any:
    """A server, whose K3s has written the token that it goes by, a second server and an agent."""
    learn = {"name": "k3s_ca", "path": "/var/lib/rancher/k3s/server/token", "pattern": "^K10([0-9a-f]{64})::"}
    vaulted.nodes = {}
    for node, encoding in (("s1", "k3s-server"), ("s2", "k3s-server"), ("a1", "k3s-agent")):
        part = {"name": "lyon-1-token", "encoding": encoding, "fingerprint": "aa"}
        vaulted.nodes[node] = {"files": [{"path": "/etc/token", "mode": "0600", "segments": [part, "\n"]}]}
    vaulted.learn = {"s1": [learn], "s2": [learn]}
    vaulted.groups = {"server_rank_1": ["s1"], "server_rank_2": ["s2"], "role_agent": ["a1"]}
    vaulted.hostvars = {"s2": {"fleet_after": ["s1"]}, "a1": {"fleet_after": ["s1", "s2"]}}
    written = vaulted.sandbox("s1") / "var/lib/rancher/k3s/server/token"
    written.parent.mkdir(parents=True)
    written.write_text(f"K10{CA}::server:whatever\n")
    vaulted.write()
    return vaulted


def tokens(cluster: Any) -> list[str]:
    return [(cluster.sandbox(node) / "etc/token").read_text() for node in ("s1", "s2", "a1")]


def test_who_joins_knows_the_ca_that_the_first_server_told_in_the_same_run(cluster: Any) -> None:
    """The first one founds the cluster: nobody can tell it yet."""
    assert cluster.play(*password(cluster)).code == 0
    assert tokens(cluster) == [f"{TOKEN}\n", f"K10{CA}::server:{TOKEN}\n", f"K10{CA}::node:{TOKEN}\n"]
    again = cluster.play(*password(cluster))
    assert [one["changed"] for one in again.stats.values()] == [0, 0, 0]


def test_what_is_known_of_the_ca_before_counts_more(cluster: Any) -> None:
    known = {"fleet_learned": {"k3s_ca": "cd" * 32}}
    cluster.hostvars["a1"] |= known
    cluster.write()
    assert cluster.play(*password(cluster)).code == 0
    assert tokens(cluster)[2] == f"K10{'cd' * 32}::node:{TOKEN}\n"
