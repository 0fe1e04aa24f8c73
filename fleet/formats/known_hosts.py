"""OpenSSH's known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): which keys a host has, and lines put in or taken out.

Lines that are not touched stay as they are, comments and hashed names too.
"""

import base64
import binascii
import contextlib
import fnmatch
import hashlib
import hmac
import re
import socket
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

DEFAULT_PORT: Final = 22
_HASHED: Final = "|1|"
_REVOKED: Final = "@revoked"
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
"""As ssh cuts the file: a form feed ends no line."""


class HostLine(msgspec.Struct, frozen=True):
    """One line that pins a key. `names` are its host field, cut at commas; `number` counts from 1.

    `marker` is empty, `@revoked` or `@cert-authority`.
    """

    number: int
    names: tuple[str, ...]
    algorithm: str
    key: str
    marker: str = ""


def target(host: str, port: int) -> str:
    """How ssh names a host in the file: `[host]:port` unless the port is 22, in small letters, IPv6 in its short form."""
    name, percent, zone = host.lower().partition("%")
    if ":" in name:
        with contextlib.suppress(OSError):
            name = socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, name))
    name += percent + zone
    return name if port == DEFAULT_PORT else f"[{name}]:{port}"


def fingerprint(key: str) -> str:
    """`SHA256:…` as ssh-keygen prints it. Raises ValueError for what is not base64."""
    try:
        digest = hashlib.sha256(base64.b64decode(key, validate=True)).digest()
    except binascii.Error as error:
        raise ValueError(f"not a key in base64: {error}") from None
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def lines(text: str) -> Iterator[HostLine]:
    """Every line that pins a key; comments, blank lines and broken ones are passed over, as ssh does."""
    for number, line in enumerate(_LINE.findall(text), 1):
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) >= 3 and not words[0].startswith("#") and is_key(words[1], words[2]):
            names = (words[0],) if words[0].startswith(_HASHED) else tuple(words[0].split(","))
            yield HostLine(number, names, words[1], words[2], marker)


def keys_of(text: str, host: str, port: int) -> list[HostLine]:
    """The lines that ssh would take for this host, in their order, without markers."""
    wanted = target(host, port)
    return [line for line in lines(text) if not line.marker and _names(line, wanted)]


def is_revoked(text: str, host: str, port: int, key: str) -> bool:
    """Whether a line with `@revoked` says that this key is none of this host any more: ssh then refuses it."""
    wanted = target(host, port)
    return any(line.marker == _REVOKED and line.key == key and _names(line, wanted) for line in lines(text))


def added(text: str, host: str, port: int, algorithm: str, key: str) -> str:
    """The text with one more line at its end."""
    start = text if not text or text.endswith("\n") else f"{text}\n"
    return f"{start}{target(host, port)} {algorithm} {key}\n"


def removed(text: str, targets: Iterable[str]) -> str:
    """The text without these hosts (`target`): a line that names others as well keeps those. Patterns stay."""
    gone = {each.lower() for each in targets}
    touched = {line.number: line for line in lines(text) if not line.marker and _plainly(line, gone)}
    left = []
    for number, whole in enumerate(_LINE.findall(text), 1):
        line = touched.get(number)
        if line is None:
            left.append(whole)
            continue
        names = [name for name in line.names if not _plainly_one(name, gone)]
        if names:
            left.append(whole.replace(",".join(line.names), ",".join(names), 1))
    return "".join(left)


def _plainly(line: HostLine, targets: set[str]) -> bool:
    return any(_plainly_one(name, targets) for name in line.names)


def _plainly_one(name: str, targets: set[str]) -> bool:
    return name.lower() in targets or (name.startswith(_HASHED) and any(_is_hash_of(name, each) for each in targets))


def _names(line: HostLine, wanted: str) -> bool:
    """Whether the host field is one of this host. A name behind `!` takes a host out."""
    found = False
    for name in line.names:
        if name.startswith("!") and _fits(wanted, name[1:]):
            return False
        found = found or (_is_hash_of(name, wanted) if name.startswith(_HASHED) else _fits(wanted, name))
    return found


def _fits(wanted: str, pattern: str) -> bool:
    """Brackets of a port are no character class: in ssh's patterns only `*` and `?` mean something."""
    return fnmatch.fnmatchcase(wanted, pattern.lower().replace("[", "[[]"))


def is_key(algorithm: str, key: str) -> bool:
    """Whether it is a key of that algorithm: it says so itself at its beginning (RFC 4253, 6.6)."""
    try:
        blob = base64.b64decode(key, validate=True)
    except binascii.Error:
        return False
    name = algorithm.encode(errors="replace")
    return blob.startswith(len(name).to_bytes(4, "big") + name)


def _is_hash_of(name: str, wanted: str) -> bool:
    """HashKnownHosts: `|1|salt|HMAC-SHA1 of the name`."""
    try:
        _, _, salt, digest = name.split("|")
        made = hmac.new(base64.b64decode(salt), wanted.encode(), "sha1").digest()
        return hmac.compare_digest(made, base64.b64decode(digest))
    except (ValueError, binascii.Error):
        return False
