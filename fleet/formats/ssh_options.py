"""Arguments of ssh as people write them into inventories: `-J jump -o "ProxyCommand=ssh -W %h:%p jump" -i key`.

Source: ssh(1) and ssh_config(5) of OpenSSH.
"""

import shlex
from collections.abc import Iterator
from typing import Final

import msgspec

# ssh(1): the letters that take a value.
_WITH_VALUE: Final = frozenset("BbcDEeFIiJLlmOopQRSWw")
_NONE: Final = "none"


class SshOptions(msgspec.Struct, frozen=True):
    """What the arguments say, empty where they say nothing; `others` names, without values, what is none of these."""

    jump_host: str = ""
    proxy_command: str = ""
    private_key: str = ""
    user: str = ""
    port: str = ""
    others: tuple[str, ...] = ()


_FIELDS: Final = {
    "J": "jump_host", "i": "private_key", "l": "user", "p": "port", "proxyjump": "jump_host",
    "proxycommand": "proxy_command", "identityfile": "private_key", "user": "user", "port": "port",
}  # fmt: skip


def read_ssh_options(text: str) -> SshOptions:
    """Raises ValueError for a quote that is not closed. As with ssh, the first value of an option holds."""
    found: dict[str, str] = {}
    others: list[str] = []
    for name, value, shown in _pairs(shlex.split(text)):
        field = _FIELDS.get(name)
        if field is None:
            others.append(shown)
        elif field not in found and value:
            found[field] = value
    for field in ("jump_host", "proxy_command"):
        if found.get(field, "").lower() == _NONE:
            del found[field]
    return SshOptions(**found, others=tuple(dict.fromkeys(others)))


def _pairs(words: list[str]) -> Iterator[tuple[str, str, str]]:
    """Each option with its value, and how to call it in a message."""
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or len(word) < 2:
            yield word, "", f"`{word}`"
            continue
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter not in _WITH_VALUE:
                yield "", "", f"-{letter}"
                continue
            value, letters = letters or next(rest, ""), ""
            if letter == "o":
                key, _, setting = value.replace("=", " ", 1).strip().partition(" ")
                yield key.lower(), setting.strip(), key
            else:
                yield letter, value, f"-{letter}"
