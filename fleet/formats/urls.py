"""URLs with places to fill in, and URLs for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter
from urllib.parse import unquote, unquote_plus, urlsplit

_CREDENTIALS = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*://)[^/?#\s]*@")
_QUERY = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*://[^?#\s]*)[?#]\S*")

SHORTEST = 4


def shown(text: str) -> str:
    """Each URL in a text without its user and password, and without what comes behind its path: tokens stand there."""
    return _QUERY.sub(r"\1?…", _CREDENTIALS.sub(r"\1", text))


def secrets_in(url: str) -> frozenset[str]:
    """What of a URL may be secret, as it is written and as it is meant: the user and password, values behind the path. Shorter
    ones than SHORTEST are left out: they are found in any text.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return frozenset()
    credentials = parts.netloc.rpartition("@")[0]
    found = {credentials, *credentials.split(":", 1), parts.query, parts.fragment}
    found |= {pair.partition("=")[2] for pair in parts.query.split("&")}
    found |= {unquote(each) for each in found} | {unquote_plus(each) for each in found}
    return frozenset(each for each in found if len(each) >= SHORTEST)


def placeholders(text: str) -> frozenset[str]:
    """The names between braces; `{{` and `}}` are braces. Raises ValueError for one without its other half."""
    return frozenset(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def filled(text: str, values: Mapping[str, str]) -> str:
    """With values in the place of names. Raises KeyError for a name that has none."""
    parts = ((literal, name) for literal, name, _, _ in Formatter().parse(text))
    return "".join(literal if name is None else literal + values[name] for literal, name in parts)


def host(address: str) -> str:
    """An address as URLs want it: one of IPv6 in brackets (RFC 3986)."""
    return f"[{address}]" if ":" in address else address
