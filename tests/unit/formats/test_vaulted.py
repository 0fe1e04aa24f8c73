import json
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.formats import FormatError
from fleet.formats.vault import decrypt, encrypt
from fleet.formats.vaulted import ClearTextError, dump_vaulted, read_vaulted

BIN = Path(sys.executable).parent
VAULT = encrypt(b"hunter2", b"pw", None, bytes(32))


def ansible(folder: Path, *command: str) -> str:
    env = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_we_read_what_ansible_vault_prints(tmp_path):
    (tmp_path / "pw").write_text("s3cret")
    text = ansible(
        tmp_path, "ansible-vault", "encrypt_string", "--vault-password-file", "pw", "hunter2", "--name", "db"
    )
    text += ansible(tmp_path, "ansible-vault", "encrypt_string", "--vault-id", "prod@pw", "é\n", "--name", "two")
    found = read_vaulted(text.encode())
    assert {name: decrypt(vault, {"default": b"s3cret"}) for name, vault in found.items()} == {
        "db": b"hunter2",
        "two": "é\n".encode(),
    }
    assert found["two"].startswith("$ANSIBLE_VAULT;1.2;AES256;prod\n")


def test_ansible_reads_what_we_write(tmp_path):
    (tmp_path / "pw").write_text("pw")
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "hosts").write_text("localhost ansible_connection=local\n")
    (tmp_path / "group_vars" / "all.yml").write_text(dump_vaulted({"db": VAULT, "no": encrypt(b"", b"pw", "prod")}))
    out = ansible(
        tmp_path,
        "ansible",
        "-i",
        "hosts",
        "--vault-password-file",
        "pw",
        "localhost",
        "-m",
        "debug",
        "-a",
        "msg={{ [db, no] }}",
    )
    assert json.loads(out.partition("=>")[2])["msg"] == ["hunter2", ""]


@pytest.mark.parametrize(
    "text",
    [VAULT, VAULT.rstrip("\n"), VAULT + "\n", VAULT.replace("\n", "\r\n"), " ".join(VAULT.split()), VAULT + " \n"],
)
def test_ciphertexts_come_back_byte_for_byte(text):
    vaults = {"b.c-d": text, "a": VAULT}
    written = dump_vaulted(vaults)
    assert written.startswith("a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n")
    assert read_vaulted(written.encode()) == vaults


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("", 1, "a file of secrets is a mapping of names to vaults"),
        ("- a\n", 1, "a file of secrets is a mapping of names to vaults"),
        ("1: !vault x\n", 1, "a secret's name must be text"),
        ("? [a]\n: b\n", 1, "a secret's name must be text"),
        ("a: {\n", 1, "did not find expected node content (while parsing a flow node)"),
        ("a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\na: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n", 3, "the secret `a` stands here twice"),
    ],
)  # fmt: skip
def test_what_is_no_file_of_secrets(text, line, problem):
    with pytest.raises(FormatError) as caught:
        read_vaulted(text.encode())
    assert (caught.value.line, caught.value.problem) == (line, problem)


@pytest.mark.parametrize(
    "value",
    [
        "hunter2",
        '"hunter2"',
        "!vault hunter2",
        "[hunter2]",
        "{x: hunter2}",
        "",
        "|\n  $ANSIBLE_VAULT;1.1;AES256\n  hunter2",
    ],
)
def test_clear_text_is_refused_and_not_shown(value):
    with pytest.raises(ClearTextError) as caught:
        read_vaulted(f"{dump_vaulted({'a': VAULT})}db: {value}\n".encode())
    assert caught.value.problem == "`db` is not encrypted"
    assert caught.value.line == len(VAULT.splitlines()) + 2
    assert "hunter2" not in str(caught.value)
