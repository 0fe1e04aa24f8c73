"""Tokens: docs/cli/token.md, and pkg/clientaccess/token.go for the forms and the words of refusals."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from .output import fatal
from .settings import Settings

HASH_LENGTH = 64
GROUPS = {"server": "k3s:server", "node": "k3s:agent"}


class TokenError(Exception):
    """A token that cannot be one, in the words of parseToken."""


@dataclass(frozen=True)
class Token:
    """`K10<hash of the CA>::<user>:<password>`, or only the password, with neither hash nor user."""

    password: str
    user: str = ""
    ca_hash: str = ""


def parse_token(text: str) -> Token:
    if not text:
        raise TokenError("token must not be empty")
    if not text.startswith("K10"):
        return Token(text)
    ca_hash, found, credentials = text.removeprefix("K10").partition("::")
    if not found:
        raise TokenError("invalid token format")
    if ca_hash and len(ca_hash) != HASH_LENGTH:
        raise TokenError("invalid token CA hash length")
    user, found, password = credentials.partition(":")
    if not found or not password:
        raise TokenError("invalid token format")
    return Token(password, user, ca_hash)


def hash_of_ca(certificate: str) -> str:
    """hashCA for a bundle of one certificate: the hash of the file's own bytes."""
    return hashlib.sha256(certificate.encode()).hexdigest()


def full_form(user: str, password: str, certificate: str) -> str:
    return f"K10{hash_of_ca(certificate)}::{user}:{password}\n"


def configured_token(settings: Settings, key: str) -> str:
    """A token given as such, or by the name of its file. Empty where none is given."""
    file = settings.get(f"{key}-file")
    if settings.get(key) or not file:
        return str(settings.get(key) or "")
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        fatal(f"failed to read --{key}-file: {error}")


def checked_token(text: str) -> Token:
    try:
        return parse_token(text)
    except TokenError as error:
        fatal(f"Error: {error}")


def same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())


def random_secret() -> str:
    return secrets.token_hex(16)


class Passwords:
    """server/cred/passwd: a line `password,user,role,group` for each of `node` and `server` (pkg/passwd)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, str]:
        if not self.path.exists():
            return {}
        rows = [line.split(",") for line in self.path.read_text().splitlines() if line]
        return {row[1]: row[0] for row in rows}

    def content(self, passwords: dict[str, str]) -> str:
        return "".join(f"{password},{user},{user},{GROUPS[user]}\n" for user, password in passwords.items())

    def user_of(self, user: str, password: str) -> str | None:
        """Who may come in with these credentials: a short token says no name, so any that fits is taken."""
        known = self.read()
        names = [user] if user else ["server", "node"]
        return next((name for name in names if name in known and same(known[name], password)), None)


def is_bootstrap_token(text: str) -> bool:
    """kubeadm's form, which `k3s token create` makes. The stand-in knows none."""
    return re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", text) is not None
