"""Ansible Vault 1.1 and 1.2, cipher AES256, both ways.

Source: ansible-core, ansible.parsing.vault.VaultAES256 (PBKDF2-HMAC-SHA256 with 10,000 rounds, AES-CTR,
HMAC-SHA256 over the ciphertext, PKCS7), as in its documentation page "Protecting sensitive data with Ansible vault".
"""

import hmac
import re
import secrets
from binascii import Error as HexError
from binascii import hexlify, unhexlify
from collections.abc import Mapping
from typing import Final

import msgspec

DEFAULT_ID: Final = "default"
_MAGIC: Final = "$ANSIBLE_VAULT"
_ROUNDS: Final = 10_000
_COLUMNS: Final = 80
_BLOCK: Final = 16
_HEX: Final = re.compile(r"[0-9a-fA-F]*")
_VAULT_ID: Final = re.compile(r"[^;\s]+")
_DAMAGED: Final = "Fetch the file again from where it is whole (git, a backup), or encrypt its content anew"


class VaultError(ValueError):
    """A vault that cannot be opened or made: `problem` says why, `hint` how to mend it. Never holds a secret.

    `line` counts from 1 within the vault's text, 0 where no single line is to blame.
    """

    def __init__(self, problem: str, hint: str, line: int = 0) -> None:
        super().__init__(f"{problem}. {hint}")
        self.problem = problem
        self.hint = hint
        self.line = line


class WrongPasswordError(VaultError):
    """No given password opens the vault; or its ciphertext was changed, which cannot be told apart."""


class _Envelope(msgspec.Struct, frozen=True):
    vault_id: str
    salt: bytes
    digest: bytes
    ciphertext: bytes


def is_vault(text: str | bytes) -> bool:
    """Say whether a text starts like an Ansible Vault."""
    return text.startswith(_MAGIC) if isinstance(text, str) else text.startswith(_MAGIC.encode())


def encrypt(plain: bytes, password: bytes, vault_id: str | None, salt: bytes | None = None) -> str:
    """Give the vault's text, in lines of 80 columns. Without an id (or with `default`) it is of version 1.1.

    `salt` is for reproducible tests; otherwise 32 random bytes. Raises VaultError for an id that no header can hold
    and for an empty password.
    """
    if vault_id is not None and not _VAULT_ID.fullmatch(vault_id):
        raise VaultError(f"`{vault_id}` cannot be a vault id", "Use letters, digits, - and _")
    if not password:
        raise VaultError("the vault password is empty", "Give a password")
    salt = secrets.token_bytes(32) if salt is None else salt
    key, mac_key, counter = _derive(password, salt)
    padding = _BLOCK - len(plain) % _BLOCK
    ciphertext = _aes_ctr(key, counter, plain + bytes([padding]) * padding)
    digest = hmac.digest(mac_key, ciphertext, "sha256")
    body = hexlify(b"\n".join(map(hexlify, (salt, digest, ciphertext)))).decode()
    header = f"{_MAGIC};1.1;AES256" if vault_id in {None, DEFAULT_ID} else f"{_MAGIC};1.2;AES256;{vault_id}"
    lines = (body[start : start + _COLUMNS] for start in range(0, len(body), _COLUMNS))
    return "\n".join((header, *lines, ""))


def decrypt(text: str | bytes, passwords: Mapping[str, bytes]) -> bytes:
    """Open a vault with the password of its id, else with any of the others, as Ansible does.

    `passwords` maps vault ids to passwords; a vault of version 1.1 has the id `default`.
    Raises VaultError where the text is no vault, cut short or damaged, WrongPasswordError where no password fits.
    """
    envelope = _open_envelope(text)
    names = sorted(passwords, key=lambda name: name != envelope.vault_id)
    for name in names:
        key, mac_key, counter = _derive(passwords[name], envelope.salt)
        if hmac.compare_digest(hmac.digest(mac_key, envelope.ciphertext, "sha256"), envelope.digest):
            return _unpad(_aes_ctr(key, counter, envelope.ciphertext))
    raise _no_password_fits(envelope.vault_id, names)


def vault_id_of(text: str | bytes) -> str:
    """Give the id a vault was encrypted for. Raises VaultError."""
    return _open_envelope(text).vault_id


def _no_password_fits(vault_id: str, names: list[str]) -> WrongPasswordError:
    if not names:
        return WrongPasswordError(f"no password is given for the vault id `{vault_id}`", "Give its password")
    if vault_id not in names:
        given = ", ".join(f"`{name}`" for name in sorted(names))
        problem = f"the vault is of id `{vault_id}`, and the passwords given ({given}) do not open it"
        return WrongPasswordError(problem, f"Give the password of `{vault_id}`")
    problem = f"the password of vault id `{vault_id}` does not open it"
    return WrongPasswordError(
        problem, "Check the password; if it is right, the file was changed after it was encrypted"
    )


def _open_envelope(text: str | bytes) -> _Envelope:
    try:
        shown = text if isinstance(text, str) else text.decode("ascii")
    except UnicodeDecodeError:
        raise VaultError("this is not an Ansible Vault: it is not plain ASCII", _DAMAGED) from None
    lines = [line.strip() for line in shown.strip().splitlines()]
    vault_id = _read_header(lines[0] if lines else "")
    body = "".join(lines[1:])
    if not body:
        raise VaultError("the vault is cut short: nothing follows its header", _DAMAGED, 1)
    try:
        parts = [unhexlify(part) for part in unhexlify(body).split(b"\n")]
    except HexError:
        bad = [at for at, line in enumerate(lines[1:], 2) if _HEX.fullmatch(line) is None]
        if bad:
            raise VaultError("the vault is damaged: not hexadecimal", _DAMAGED, bad[0]) from None
        raise VaultError("the vault is cut short", _DAMAGED, len(lines)) from None
    if len(parts) > 3:
        raise VaultError("the vault is damaged: it has more than three parts", _DAMAGED)
    if len(parts) < 3 or len(parts[1]) != 32 or not parts[2] or len(parts[2]) % _BLOCK:
        raise VaultError("the vault is cut short", _DAMAGED, len(lines))
    return _Envelope(vault_id, *parts)


def _read_header(header: str) -> str:
    """Give the vault id. Raises VaultError."""
    fields = [field.strip() for field in header.split(";")]
    if fields[0] != _MAGIC:
        raise VaultError(
            f"this is not an Ansible Vault: it does not start with {_MAGIC}", "Encrypt it with ansible-vault", 1
        )
    if len(fields) < 3:
        raise VaultError("the vault's header is cut short", _DAMAGED, 1)
    if fields[1] not in {"1.1", "1.2"} or fields[2] != "AES256":
        found = ";".join(fields[1:3])
        raise VaultError(
            f"a vault of format {found} is not supported",
            "Run `ansible-vault rekey` on it: 1.1 and 1.2 with AES256 are",
            1,
        )
    if fields[1] == "1.2" and (len(fields) < 4 or not fields[3]):
        raise VaultError("the vault's header has no vault id, which version 1.2 needs", _DAMAGED, 1)
    return fields[3] if fields[1] == "1.2" else DEFAULT_ID


def _derive(password: bytes, salt: bytes) -> tuple[bytes, bytes, bytes]:
    """Give the cipher's key, the key of the HMAC, and the first counter block."""
    # Late, as below. Its OpenSSL is newer than most Pythons' own, and takes half the time for this.
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

    material = PBKDF2HMAC(SHA256(), 80, salt, _ROUNDS).derive(password)
    return material[:32], material[32:64], material[64:]


def _aes_ctr(key: bytes, counter: bytes, text: bytes) -> bytes:
    # Late: the rest of a plan needs no cryptography, and it costs start-up time.
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CTR

    encryptor = Cipher(AES(key), CTR(counter)).encryptor()
    return encryptor.update(text) + encryptor.finalize()


def _unpad(padded: bytes) -> bytes:
    count = padded[-1]
    if not 1 <= count <= _BLOCK or padded[-count:] != bytes([count]) * count:
        raise VaultError("the vault is damaged: its padding is wrong", _DAMAGED)
    return padded[:-count]
