"""VaultSecrets on files in which each value is a vault of its own, as `ansible-vault encrypt_string` prints them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from fleet.adapters.vault import VaultSecrets
from fleet.errors import UsageError
from fleet.formats import vault
from fleet.formats.vaulted import dump_vaulted, read_vaulted
from fleet.model.cluster import Cluster
from fleet.model.problem import Place
from fleet.model.secret import SecretsLock
from fleet.operations.secret import SecretsComplete, SecretsListed, SecretsMade, generate, list_own

BIN = Path(sys.executable).parent
PASSWORD = b"open sesame"
FILE = "secrets/group_vars/web.yaml"


def encrypted(root: Path, name: str, value: str, *options: str) -> str:
    """What the real ansible-vault prints."""
    (root / "pw").write_bytes(PASSWORD)
    command = [
        BIN / "ansible-vault",
        "encrypt_string",
        *(options or ("--vault-password-file", "pw")),
        "--stdin-name",
        name,
    ]
    done = subprocess.run(
        command, cwd=root, input=value, capture_output=True, text=True, check=True,
        env=os.environ | {"ANSIBLE_HOME": str(root / "h")},
    )  # fmt: skip
    return done.stdout + "\n"


def put(root: Path, text: str, file: str = FILE) -> bytes:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(text)
    return text.encode()


def store(root: Path, password: bytes = PASSWORD) -> VaultSecrets:
    return VaultSecrets(root, lambda: password)


def test_what_ansible_vault_printed_is_read(tmp_path: Path) -> None:
    put(
        tmp_path,
        encrypted(tmp_path, "db_password", 'hünter "2"')
        + encrypted(tmp_path, "api.key", "two\nlines\n", "--vault-id", "prod@pw"),
    )

    assert store(tmp_path).read(FILE) == {"db_password": 'hünter "2"', "api.key": "two\nlines\n"}


def test_a_value_that_stays_keeps_its_ciphertext(tmp_path: Path) -> None:
    before = read_vaulted(put(tmp_path, encrypted(tmp_path, "a", "1") + encrypted(tmp_path, "b", "2")))

    secrets = store(tmp_path)
    secrets.write({FILE: {**secrets.read(FILE), "b": "changed", "c": "new"}})

    after = read_vaulted((tmp_path / FILE).read_bytes())
    assert after["a"] == before["a"]
    assert after["b"] != before["b"]
    assert store(tmp_path).read(FILE) == {"a": "1", "b": "changed", "c": "new"}
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    secrets.write({FILE: {"a": "1"}})
    assert read_vaulted((tmp_path / FILE).read_bytes()) == {"a": before["a"]}


def test_nothing_is_written_where_nothing_changed(tmp_path: Path) -> None:
    text = put(tmp_path, "# by hand\n" + encrypted(tmp_path, "a", "1"))

    store(tmp_path).write({FILE: {"a": "1"}})

    assert (tmp_path / FILE).read_bytes() == text
    lock = msgspec.json.decode((tmp_path / "secrets" / "secrets.lock").read_bytes(), type=SecretsLock)
    assert {name: (one.file, one.version) for name, one in lock.secrets.items()} == {"a": (FILE, 1)}


@pytest.mark.parametrize("clear", ['b: "hunter2"\n', "b: !vault hunter2\n", "b: [hunter2]\n"])
def test_clear_text_beside_vaults_is_refused_with_its_place(tmp_path: Path, clear: str) -> None:
    text = encrypted(tmp_path, "a", "1")
    put(tmp_path, text + clear)

    with pytest.raises(UsageError) as raised:
        store(tmp_path).read(FILE)

    assert raised.value.message == f"{FILE}:{len(text.splitlines()) + 1}:1: `b` is not encrypted"
    assert "encrypt_string" in raised.value.hint
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("text", ["- a\n", "", "just words\n", "a: {\n", "\x00"])
def test_what_is_neither_kind_is_refused(tmp_path: Path, text: str) -> None:
    put(tmp_path, text)

    with pytest.raises(UsageError, match="is not encrypted, and no mapping of vaults either"):
        store(tmp_path).read(FILE)


def test_another_password_is_told_with_the_name(tmp_path: Path) -> None:
    put(tmp_path, dump_vaulted({"a": vault.encrypt(b"1", PASSWORD, None), "b": vault.encrypt(b"2", b"other", "prod")}))

    with pytest.raises(UsageError, match=r"web\.yaml:8:1: `b`: the vault is of id `prod`"):
        store(tmp_path).read(FILE)
    put(tmp_path, dump_vaulted({"a": vault.encrypt(b"\xff", PASSWORD, None)}))
    with pytest.raises(UsageError, match="`a` to be a text, found bytes that are not UTF-8"):
        store(tmp_path).read(FILE)


def test_secret_generate_lists_them_and_keeps_a_token_that_is_there(tmp_path: Path) -> None:
    """As an import leaves it: a token that was vaulted, and no agent token yet."""
    lyon = Cluster(
        "lyon", "lyon", ("lyon-a",), (), "sqlite", "", (), "lyon.k3s-token", "lyon.k3s-agent-token", Place("sites.yaml")
    )
    token = vault.encrypt(b"K10abc::server:xyz", PASSWORD, None)
    put(tmp_path, dump_vaulted({"lyon.k3s-token": token}), "secrets/lyon.yaml")
    put(tmp_path, encrypted(tmp_path, "db", "1"))

    secrets = store(tmp_path)
    events = [
        *list_own(["secrets/lyon.yaml", FILE], [lyon], SecretsLock(), secrets),
        *generate([lyon], SecretsLock(), secrets),
    ]

    assert events == [
        SecretsListed(FILE, ("db",)),
        SecretsMade("secrets/lyon.yaml", ("lyon.k3s-token", "lyon.k3s-agent-token"), 1, 1, ("lyon.k3s-token",)),
        SecretsComplete(1, 1),
    ]
    after = read_vaulted((tmp_path / "secrets" / "lyon.yaml").read_bytes())
    assert after["lyon.k3s-token"] == token
    assert sorted(after) == ["lyon.k3s-agent-token", "lyon.k3s-token"]
