"""What may stand in /etc/rancher/k3s/registries.yaml.

Source: k3s-io/docs installation/private-registry.md ("Registries Configuration File", "Wildcard Support"),
installation/registry-mirror.md (a mirror may be empty); rancher/wharfie pkg/registries for the keys of `auth`.
K3s ignores a key that it does not know, so a typing error here shows only when an image cannot be pulled.
"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

_TOP = ("mirrors", "configs")
_MIRROR = ("endpoint", "rewrite")
_CONFIG = ("auth", "tls")
# `auth`, `identity_token` are those of the source, `token` is what the page calls the bearer token.
_AUTH = ("username", "password", "auth", "identity_token", "token")
_TLS = ("ca_file", "cert_file", "key_file", "insecure_skip_verify")
# The fields that give access, for whoever must keep them out of git.
SECRET_FIELDS = frozenset({"password", "auth", "identity_token", "token"})

Path = tuple[str | int, ...]


class RegistriesProblem(msgspec.Struct, frozen=True):
    """One thing that is wrong: `path` from the top of the document, keys and list indexes; hint may be empty."""

    path: Path
    problem: str
    hint: str = ""


def registries_problems(value: Any) -> list[RegistriesProblem]:
    """Everything that is wrong with a registries.yaml that was read into plain maps, lists and scalars."""
    return list(_document(value))


def has_mirror(value: Any) -> bool:
    """Whether any registry is named under `mirrors`: without one an embedded registry shares nothing."""
    return isinstance(value, Mapping) and isinstance(value.get("mirrors"), Mapping) and bool(value["mirrors"])


def _document(value: Any) -> Iterator[RegistriesProblem]:
    if value is None:
        return
    yield from _known_keys((), value, _TOP)
    if not isinstance(value, Mapping):
        return
    for part, one in (("mirrors", _mirror), ("configs", _config)):
        registries = value.get(part)
        if registries is None:
            continue
        if not isinstance(registries, Mapping):
            yield RegistriesProblem((part,), f"expected a map by registry, found {_named(registries)}")
            continue
        for name, entry in registries.items():
            yield from _registry_name((part, name), name)
            # An empty entry is how a registry is only named, for the embedded mirror to share.
            if entry is not None:
                yield from one((part, name), entry)


def _registry_name(path: Path, name: Any) -> Iterator[RegistriesProblem]:
    if not isinstance(name, str) or not name:
        yield RegistriesProblem(path, f"expected a registry's name, found {_named(name)}", "Put it in quotes.")
    elif "://" in name:
        bare = name.partition("://")[2].partition("/")[0]
        yield RegistriesProblem(path, "a registry is named by host and port, not by URL", f"Did you mean `{bare}`?")
    elif "/" in name:
        bare = name.partition("/")[0]
        yield RegistriesProblem(path, "a registry is named without a path", f"Did you mean `{bare}`?")


def _mirror(path: Path, entry: Any) -> Iterator[RegistriesProblem]:
    yield from _known_keys(path, entry, _MIRROR)
    if not isinstance(entry, Mapping):
        return
    endpoints = entry.get("endpoint")
    if isinstance(endpoints, list):
        for index, endpoint in enumerate(endpoints):
            yield from _endpoint((*path, "endpoint", index), endpoint)
    elif endpoints is not None:
        hint = f"Write `endpoint: [{endpoints}]`." if isinstance(endpoints, str) else ""
        yield RegistriesProblem((*path, "endpoint"), f"expected a list of URLs, found {_named(endpoints)}", hint)
    rewrites = entry.get("rewrite")
    if rewrites is None:
        return
    if not isinstance(rewrites, Mapping):
        yield RegistriesProblem((*path, "rewrite"), f"expected a map of patterns, found {_named(rewrites)}")
        return
    for pattern, replacement in rewrites.items():
        if not isinstance(replacement, str):
            problem = f"expected what the name becomes, found {_named(replacement)}"
            yield RegistriesProblem((*path, "rewrite", pattern), problem)


def _endpoint(path: Path, endpoint: Any) -> Iterator[RegistriesProblem]:
    if not isinstance(endpoint, str):
        yield RegistriesProblem(path, f"expected a URL, found {_named(endpoint)}")
    elif not endpoint.startswith(("https://", "http://")):
        bare = endpoint.partition("://")[2] or endpoint
        hint = f"Did you mean `https://{bare}`?"
        yield RegistriesProblem(path, f"expected a URL that starts with https:// or http://, found `{endpoint}`", hint)


def _config(path: Path, entry: Any) -> Iterator[RegistriesProblem]:
    yield from _known_keys(path, entry, _CONFIG)
    if not isinstance(entry, Mapping):
        return
    for part, names in (("auth", _AUTH), ("tls", _TLS)):
        fields = entry.get(part)
        if fields is None:
            continue
        yield from _known_keys((*path, part), fields, names)
        if not isinstance(fields, Mapping):
            continue
        for name in names:
            yield from _field((*path, part, name), fields.get(name))


def _field(path: Path, value: Any) -> Iterator[RegistriesProblem]:
    if value is None:
        return
    if path[-1] == "insecure_skip_verify":
        if not isinstance(value, bool):
            yield RegistriesProblem(path, f"expected true or false, found {_named(value)}")
    elif not isinstance(value, str):
        hint = "Put it in quotes." if isinstance(value, int | float) else ""
        yield RegistriesProblem(path, f"expected a string, found {_named(value)}", hint)


def _known_keys(path: Path, value: Any, known: tuple[str, ...]) -> Iterator[RegistriesProblem]:
    if not isinstance(value, Mapping):
        yield RegistriesProblem(path, f"expected a map with {_listed(known)}, found {_named(value)}")
        return
    for name in value:
        if name not in known:
            nearest = difflib.get_close_matches(str(name), known, n=1)
            hint = f"Did you mean `{nearest[0]}`?" if nearest else f"Known are {_listed(known)}."
            yield RegistriesProblem((*path, name), "unknown key", hint)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _named(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a map"
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else f"`{value}`"
