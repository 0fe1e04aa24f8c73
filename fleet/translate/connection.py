"""How hosts are reached: Ansible's variables become fields of `connection`.

Where a field comes from one variable without Jinja, it stays where the inventory says it, at a group or a host. Where
several variables have a part in it, or Jinja has, it is worked out for each host. Of two names of one setting the one
with `ssh` in it is stronger, as in Ansible.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from fleet.formats.inventory import Vaulted
from fleet.formats.ssh_options import SshOptions, read_ssh_options
from fleet.translate.facts import HOST, Definition, Effective
from fleet.translate.filling import filled, has_jinja
from fleet.translate.ground import Ground

Fields = dict[str, Any]

HOSTS = ("ansible_host", "ansible_ssh_host")
PORTS = ("ansible_port", "ansible_ssh_port")
USERS = ("ansible_user", "ansible_ssh_user")
KEYS = ("ansible_private_key_file", "ansible_ssh_private_key_file")
BECOME = ("ansible_become",)
ARGUMENTS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
FAMILIES = (PORTS, USERS, KEYS, BECOME, ARGUMENTS)
"""Weakest name first. The host's address is apart: it decides about the node's own address, too."""
NAMES = frozenset(name for family in (HOSTS, *FAMILIES) for name in family)

_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_TRUE = frozenset({"true", "yes", "on", "1", "y", "t"})
_FALSE = frozenset({"false", "no", "off", "0", "n", "f"})


class Connections:
    """Fills in `of` for one definition, or `own` for one host."""

    def __init__(self, ground: Ground) -> None:
        self._effective = ground.effective
        self._notes = ground.notes
        self._used: dict[str, bool] = {}
        for definition in ground.facts.definitions():
            if definition.name in NAMES:
                self._used[definition.name] = self._used.get(definition.name, False) or has_jinja(definition.value)
        self._has_keys = any(name in self._used for name in KEYS)
        self._per_host = [family for family in FAMILIES if not self._is_layered(family)]

    def _is_layered(self, family: tuple[str, ...]) -> bool:
        used = [name for name in family if name in self._used]
        return len(used) <= 1 and not any(self._used[name] for name in used)

    def of(self, definition: Definition) -> Fields:
        """The fields that a definition gives wherever it holds. Empty for what is worked out for each host."""
        if definition.name in HOSTS:
            return {}
        family = next(each for each in FAMILIES if definition.name in each)
        return {} if family in self._per_host else self._read(family, [(definition, definition.value)])

    def own(self, host: str) -> Fields:
        """The fields that are worked out for a host."""
        fields: Fields = {}
        for family in self._per_host:
            found = list(self._values(host, family))
            if found:
                fields |= self._read(family, found if family is ARGUMENTS else found[-1:])
        return fields

    def _values(self, host: str, family: tuple[str, ...]) -> Iterator[tuple[Definition, Any]]:
        for name in family:
            definition = self._effective.of(host, name)
            if definition is None or definition.value is None:
                continue
            value = self.filled(host, definition)
            if value is None:
                message = "not carried over: only Ansible can work out what its Jinja gives"
                self._notes.warn(definition.mark, name, message, "Write the value into `connection` of the nodes")
            else:
                yield definition, value

    def filled(self, host: str, definition: Definition) -> Any:
        """The definition's value for a host, references filled in; None where that is not possible."""
        value = definition.value
        return filled(value, self.lookup(host)) if has_jinja(value) and isinstance(value, str) else value

    def lookup(self, host: str) -> Callable[[str], Any]:
        """What `{{ name }}` stands for on a host."""
        known = {HOST: host, "inventory_hostname_short": host.split(".", 1)[0]}

        def look(name: str) -> Any:
            return known[name] if name in known else self._effective.value(host, name)

        return look

    def _read(self, family: tuple[str, ...], found: list[tuple[Definition, Any]]) -> Fields:
        if family is ARGUMENTS:
            return self._arguments(found)
        definition, value = found[0]
        read, wanted = _READERS[family]
        field, result = read(None if isinstance(value, Vaulted) else value)
        if result is None and value is not None:
            self._notes.warn(
                definition.mark, definition.name, f"not carried over: it is not {wanted}", "Write `connection` yourself"
            )
        elif field == "privateKey" and isinstance(result, str) and not result.startswith(("/", "~")):
            hint = "Write a path that starts with / or ~"
            self._notes.warn(definition.mark, definition.name, "a path that depends on where Ansible was started", hint)
        return {field: result}

    def _arguments(self, found: list[tuple[Definition, Any]]) -> Fields:
        joined: dict[str, str] = {}
        for definition, value in found:
            options = self._options(definition, value)
            for field, text in (
                ("jumpHost", options.jump_host),
                ("proxyCommand", options.proxy_command),
                ("privateKey", "" if self._has_keys else options.private_key),
            ):
                if text:
                    joined.setdefault(field, text)
        if "proxyCommand" in joined and joined.pop("jumpHost", ""):
            message = "the jump host is not carried over: there is a ProxyCommand, too"
            self._notes.warn(found[-1][0].mark, found[-1][0].name, message, "Keep one of the two")
        return {"jumpHost": None, "proxyCommand": None, **joined}

    def _options(self, definition: Definition, value: Any) -> SshOptions:
        mark, name = definition.mark, definition.name
        if isinstance(value, Vaulted):
            self._notes.warn(mark, name, "not carried over: it is vaulted", "Say `connection` yourself")
            return SshOptions()
        try:
            options = read_ssh_options(str(value))
        except ValueError:
            self._notes.warn(mark, name, "not carried over: a quote in it is not closed")
            return SshOptions()
        for other in (*options.others, *_unread(options, has_keys=self._has_keys)):
            key = other.lower()
            if key in {"stricthostkeychecking", "userknownhostsfile", "globalknownhostsfile", "checkhostip"}:
                message = f"{other} is not carried over: fleet pins host keys in `known_hosts` of the fleet's folder"
                self._notes.warn(mark, name, message, "fleet node trust NAME shows them, and pins them")
            elif key.startswith(
                ("control", "-q", "-c", "connect", "serveralive", "-a", "-x", "-4", "-6", "compression")
            ):
                self._notes.note(mark, name, f"{other} is not needed: it only says how ssh is called")
            else:
                self._notes.warn(mark, name, f"{other} is not carried over", "Put it into ~/.ssh/config of who applies")
        return options


def _unread(options: SshOptions, *, has_keys: bool) -> Iterator[str]:
    """What has a variable of its own, and is to be said there."""
    if options.user:
        yield "User"
    if options.port:
        yield "Port"
    if options.private_key and has_keys:
        yield "IdentityFile"


def _port(value: Any) -> tuple[str, Any]:
    number = int(value) if isinstance(value, str) and value.strip().isdecimal() else value
    is_port = isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= 65535
    return "port", number if is_port else None


def _user(value: Any) -> tuple[str, Any]:
    is_user = isinstance(value, str) and _USER.fullmatch(value)
    return "user", str(value) if is_user else None


def _key(value: Any) -> tuple[str, Any]:
    is_path = isinstance(value, str) and value and value.isprintable()
    return "privateKey", str(value) if is_path else None


def _become(value: Any) -> tuple[str, Any]:
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
    return "become", True if word in _TRUE else False if word in _FALSE else None


_READERS: Mapping[tuple[str, ...], tuple[Callable[[Any], tuple[str, Any]], str]] = {
    PORTS: (_port, "a port from 1 to 65535"),
    USERS: (_user, "a login name of lower-case letters, digits, `_` and `-`"),
    KEYS: (_key, "the path of a key"),
    BECOME: (_become, "true or false"),
}


class Way(msgspec.Struct, frozen=True):
    """Where a host is dialled, and the definition that says so (None: its own name)."""

    target: str
    definition: Definition | None


def way_of(host: str, connections: Connections, effective: Effective) -> Way | None:
    """Where Ansible dials a host; None where only Ansible can work it out."""
    definition = effective.of(host, HOSTS[1]) or effective.of(host, HOSTS[0])
    if definition is None or definition.value is None:
        return Way(host, None)
    value = connections.filled(host, definition)
    if not isinstance(value, str) or isinstance(value, Vaulted) or not value:
        return None
    return Way(value, definition)
