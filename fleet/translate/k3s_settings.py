"""What playbooks say of K3s, host by host, in the spec's own words: checked, and told where it does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from fleet.formats.inventory import Vaulted
from fleet.k3s.config import config_problems
from fleet.k3s.keys import SECRET_KEYS, SUPPORTED_MINORS, Role
from fleet.k3s.version import is_channel_name, minor_of, parse_version, version_hint
from fleet.translate.connection import Connections
from fleet.translate.facts import Definition
from fleet.translate.filling import emptied, filled, has_jinja
from fleet.translate.ground import Ground
from fleet.translate.names import is_address
from fleet.translate.notes import Notes

Path = tuple[str, ...]
"""A value's place in a layer's `k3s`: `("version",)`, `("config", "disable")`, `("labels", "tier")`."""
_VAULTED = "not carried over: it is vaulted, and only tokens are taken so"
UNKNOWN = "\ufffc"
"""Stands in a text for what only Ansible can work out."""


class Settings(msgspec.Struct):
    """What a playbook says of one host. `addresses` are what it calls the node's own, `sans` further names of the API."""

    k3s: dict[Path, Any] = {}
    addresses: tuple[str, ...] = ()
    endpoint: str = ""
    sans: dict[str, Definition] = {}
    token: Definition | None = None
    proxy: dict[str, Any] = {}


class Source:
    """Reads a playbook's variables for hosts, and knows afterwards which definitions had an effect."""

    def __init__(self, ground: Ground, connections: Connections) -> None:
        self._effective = ground.effective
        self._connections = connections
        self.notes = ground.notes
        self.used: set[int] = set()

    def definition(self, host: str, name: str) -> Definition | None:
        found = self._effective.of(host, name)
        if found is None or found.value is None:
            return None
        self.used.add(id(found))
        return found

    def value(self, host: str, name: str) -> Any:
        """The value, references filled in; None where there is none, or only Ansible can work it out: that is told."""
        found = self.definition(host, name)
        if found is None:
            return None
        value = found.value
        if has_jinja(value):
            value = filled(value, self._connections.lookup(host)) if isinstance(value, str) else None
            if value is None:
                self.warn(found, "not carried over: only Ansible can work out what its Jinja gives")
        if _holds_vaulted(value):
            self.warn(found, _VAULTED, "Say it in `k3s` with secret:NAME")
            return None
        return value

    def text(self, host: str, name: str) -> str:
        """The text, with UNKNOWN in the place of what only Ansible can work out."""
        found = self.definition(host, name)
        if found is None:
            return ""
        if isinstance(found.value, str) and not isinstance(found.value, Vaulted):
            return emptied(found.value, self._connections.lookup(host), UNKNOWN)
        message = _VAULTED if isinstance(found.value, Vaulted) else "not carried over: it is no text"
        self.warn(found, message, "Say it in `k3s` of the spec")
        return ""

    def warn(self, definition: Definition, message: str, hint: str = "") -> None:
        self.notes.warn(definition.mark, definition.name, message, hint)


_OWNED: Mapping[str, tuple[Literal["note", "warning"], str]] = {
    "cluster-init": ("note", "fleet says it where it is needed"),
    "server": ("note", "it follows from the site's cluster"),
    "token-file": ("warning", "fleet writes the token into a file of its own"),
    "agent-token-file": ("warning", "fleet writes the token into a file of its own"),
    "datastore-endpoint": ("warning", "put it into a secret, and say `cluster: {datastore: {external: {endpointSecret: NAME}}}`"),
    "datastore-cafile": ("warning", "say `cluster: {datastore: {external: {ca: FILE}}}`"),
    "datastore-certfile": ("warning", "say `cluster: {datastore: {external: {cert: FILE}}}`"),
    "datastore-keyfile": ("warning", "say `cluster: {datastore: {external: {key: SECRET}}}`"),
    "node-name": ("warning", "K3s calls a node by the name that it has in the spec: name it so there"),
}  # fmt: skip
"""Keys that `fleet` sets itself, and what to say instead."""


class ConfigTaker:
    """Takes keys of K3s's own, from one definition, into the settings of a host; what does not fit is told."""

    def __init__(self, settings: Settings, role: str, definition: Definition, notes: Notes) -> None:
        self._settings = settings
        self._role: Role = "server" if role == "server" else "agent"
        self._definition = definition
        self._notes = notes

    def take(self, config: Mapping[str, Any]) -> None:
        for key, value in config.items():
            if UNKNOWN in _words(value):
                message = f"{key} is not carried over: only Ansible can work out what its Jinja gives"
                self._warn(message, "Say it in `k3s: {config: …}`")
            elif key in _OWNED:
                severity, why = _OWNED[key]
                tell = self._notes.note if severity == "note" else self._notes.warn
                tell(self._definition.mark, self._definition.name, f"{key} is not carried over: {why}")
            elif key in SECRET_KEYS:
                hint = "`fleet secret generate` makes tokens; a token in use is put in with ansible-vault"
                self._warn(f"{key} is a secret in clear text, and is not carried over", hint)
            elif not self._took_apart(key, value):
                self._take_checked(key, value)

    def _took_apart(self, key: str, value: Any) -> bool:
        """Keys for which the spec has words of its own."""
        settings = self._settings
        items = [str(item) for item in (value if isinstance(value, list) else [value])]
        match key:
            case "node-label":
                put_labels(settings, (item.partition("=")[::2] for item in items))
            case "node-taint":
                settings.k3s["taints",] = list(dict.fromkeys([*settings.k3s.get(("taints",), []), *items]))
            case "tls-san":
                settings.sans |= dict.fromkeys(items, self._definition)
            case "node-ip":
                settings.addresses = tuple(item for item in ",".join(items).split(",") if is_address(item))
            case _:
                return False
        return True

    def _take_checked(self, key: str, value: Any) -> None:
        errors = [each for each in config_problems({key: value}, minor=None, role=self._role) if not each.is_warning]
        for problem in errors:
            self._warn(f"{problem.key} is not carried over: {problem.problem}", problem.hint)
        if not errors:
            self._settings.k3s["config", key] = value

    def _warn(self, message: str, hint: str) -> None:
        self._notes.warn(self._definition.mark, self._definition.name, message, hint)


def put_labels(settings: Settings, pairs: Iterable[tuple[str, str]]) -> None:
    for key, value in pairs:
        settings.k3s["labels", key] = value


def put_argument(settings: Settings, key: str, argument: str) -> None:
    """Append to one of the lists of arguments, such as `kubelet-arg`."""
    held = settings.k3s.get(("config", key), [])
    settings.k3s["config", key] = [*(held if isinstance(held, list) else [held]), argument]


def put_version(settings: Settings, text: str, definition: Definition, notes: Notes) -> None:
    """A K3s release or a channel. Anything else is told."""
    if is_channel_name(text):
        settings.k3s["channel",] = text
        return
    try:
        version = parse_version(text)
    except ValueError:
        hint = version_hint(text) or ""
        notes.warn(definition.mark, definition.name, "not carried over: it is no release of K3s", hint)
        return
    settings.k3s["version",] = str(version)
    if minor_of(version) not in SUPPORTED_MINORS:
        message = f"became k3s.version, but fleet knows K3s from {SUPPORTED_MINORS[0]} to {SUPPORTED_MINORS[-1]} only"
        notes.warn(definition.mark, definition.name, message, "Bring the cluster there, one minor after the other")


def _holds_vaulted(value: Any) -> bool:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, Vaulted) or any(_holds_vaulted(item) for item in items)


def _words(value: Any) -> str:
    if isinstance(value, list):
        return "".join(_words(item) for item in value)
    return value if isinstance(value, str) else ""
