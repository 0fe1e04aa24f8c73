import subprocess
import sys
from pathlib import Path

import pytest

from fleet.formats.vault import VaultError, WrongPasswordError, decrypt, encrypt, is_vault, vault_id_of

SALT = bytes(range(32))
ANSIBLE_VAULT = Path(sys.executable).with_name("ansible-vault")


def ansible_vault(folder: Path, *arguments: str) -> None:
    env = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "ANSIBLE_LOCAL_TEMP": str(folder / "tmp")}
    done = subprocess.run([ANSIBLE_VAULT, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def problem(text: str | bytes, passwords: dict[str, bytes]) -> tuple[type[VaultError], str]:
    with pytest.raises(VaultError) as caught:
        decrypt(text, passwords)
    assert caught.value.hint
    return type(caught.value), caught.value.problem


@pytest.mark.parametrize("vault_id", [None, "prod"])
@pytest.mark.parametrize("plain", [b"token: abc\n", bytes(range(256)), b"x" * 16, b"\xc3\xa9" * 2000])
def test_ansible_reads_what_we_write(tmp_path, vault_id, plain):
    (tmp_path / "password").write_bytes(b"s3cret \xc3\xa9\n")
    text = encrypt(plain, b"s3cret \xc3\xa9", vault_id)
    (tmp_path / "file").write_text(text)
    ansible_vault(tmp_path, "decrypt", "--vault-id", f"{vault_id or 'default'}@password", "file")
    assert (tmp_path / "file").read_bytes() == plain


@pytest.mark.parametrize("vault_id", [None, "prod"])
def test_we_read_what_ansible_writes(tmp_path, vault_id):
    (tmp_path / "password").write_text("s3cret\n")
    (tmp_path / "file").write_bytes(b"token: abc\r\n\xff\x00")
    label = vault_id or "default"
    ansible_vault(tmp_path, "encrypt", "--vault-id", f"{label}@password", "--encrypt-vault-id", label, "file")
    text = (tmp_path / "file").read_bytes()
    assert vault_id_of(text) == label
    assert text.startswith(b"$ANSIBLE_VAULT;1.2;AES256;prod\n" if vault_id else b"$ANSIBLE_VAULT;1.1;AES256\n")
    assert decrypt(text, {label: b"s3cret"}) == b"token: abc\r\n\xff\x00"
    assert decrypt(text, {"a": b"wrong", "b": b"s3cret"}) == b"token: abc\r\n\xff\x00"


def test_the_text_has_the_header_and_lines_of_80_columns():
    text = encrypt(b"hello", b"pw", None, SALT)
    lines = text.split("\n")
    assert lines[0] == "$ANSIBLE_VAULT;1.1;AES256"
    assert [len(line) for line in lines[1:]] == [80, 80, 80, 80, 4, 0]
    assert text == encrypt(b"hello", b"pw", "default", SALT)
    assert text != encrypt(b"hello", b"pw", None)
    assert encrypt(b"hello", b"pw", "prod", SALT).split("\n", 1)[1] == text.split("\n", 1)[1]
    assert encrypt(b"", b"pw", "prod", SALT).startswith("$ANSIBLE_VAULT;1.2;AES256;prod\n")


@pytest.mark.parametrize("plain", [b"", b"a", b"x" * 15, b"x" * 16, b"x" * 17, bytes(range(256)) * 40])
def test_what_we_write_we_read(plain):
    assert decrypt(encrypt(plain, b"pw", "prod", SALT), {"prod": b"pw"}) == plain


def test_line_ends_and_white_space_do_not_matter():
    text = encrypt(b"hello", b"pw", "prod", SALT)
    assert decrypt(text.replace("\n", "\r\n"), {"prod": b"pw"}) == b"hello"
    assert decrypt(text.replace("\n", "  \t\n") + "\n \n", {"prod": b"pw"}) == b"hello"
    assert decrypt(text.rstrip("\n").encode(), {"prod": b"pw"}) == b"hello"


def test_is_vault():
    assert is_vault("$ANSIBLE_VAULT;1.1;AES256\n00")
    assert is_vault(b"$ANSIBLE_VAULT;1.1;AES256\r\n00")
    assert not is_vault("token: $ANSIBLE_VAULT")
    assert not is_vault(b"")


def test_passwords_that_do_not_fit():
    text = encrypt(b"hello", b"pw", "prod", SALT)
    assert problem(text, {"prod": b"px"}) == (WrongPasswordError, "the password of vault id `prod` does not open it")
    assert problem(text, {"test": b"px", "dev": b"py"}) == (
        WrongPasswordError,
        "the vault is of id `prod`, and the passwords given (`dev`, `test`) do not open it",
    )
    assert problem(text, {}) == (WrongPasswordError, "no password is given for the vault id `prod`")


def test_texts_that_are_damaged():
    text = encrypt(b"hello" * 20, b"pw", None, SALT)
    lines = text.splitlines()
    flipped = "\n".join([*lines[:-1], lines[-1][:-1] + ("0" if lines[-1][-1] != "0" else "1")])
    assert problem(flipped, {"default": b"pw"})[0] is WrongPasswordError
    assert problem("\n".join(lines[:1]), {"default": b"pw"})[1] == "the vault is cut short: nothing follows its header"
    assert problem("\n".join(lines[:3]), {"default": b"pw"})[1] == "the vault is cut short"
    assert problem(text.rstrip()[:-1], {"default": b"pw"})[1] == "the vault is cut short"
    assert problem(text.rstrip()[:-2], {"default": b"pw"})[1] == "the vault is cut short"
    assert problem(text.rstrip()[:-4], {"default": b"pw"})[1] == "the vault is cut short"
    assert problem(text + "zz", {"default": b"pw"})[1] == "the vault is damaged: not hexadecimal"
    assert problem("a: b", {})[1] == "this is not an Ansible Vault: it does not start with $ANSIBLE_VAULT"
    assert problem("", {})[1] == "this is not an Ansible Vault: it does not start with $ANSIBLE_VAULT"
    assert problem(b"\xff", {})[1] == "this is not an Ansible Vault: it is not plain ASCII"
    assert problem("$ANSIBLE_VAULT;1.1", {})[1] == "the vault's header is cut short"
    assert problem("$ANSIBLE_VAULT;1.0;AES\n00", {})[1] == "a vault of format 1.0;AES is not supported"
    assert problem("$ANSIBLE_VAULT;1.2;AES256\n00", {})[1] == (
        "the vault's header has no vault id, which version 1.2 needs"
    )


def test_every_cut_is_refused():
    text = encrypt(b"hello" * 20, b"pw", None, SALT).rstrip()
    for end in range(len(text)):
        with pytest.raises(VaultError):
            decrypt(text[:end], {"default": b"pw"})


def test_errors_never_hold_the_password():
    text = encrypt(b"hello", b"pw", "prod", SALT)
    with pytest.raises(VaultError) as caught:
        decrypt(text, {"prod": b"hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("vault_id", ["a;b", "a b", "", "a\n"])
def test_ids_that_no_header_can_hold(vault_id):
    with pytest.raises(VaultError):
        encrypt(b"x", b"pw", vault_id)


def test_an_empty_password_is_refused():
    with pytest.raises(VaultError):
        encrypt(b"x", b"", None)
