"""What is wrong with a config.yaml, key by key, for a minor and a role.

Source: data/keys.json through `keys`; how values become flags: k3s-io/docs installation/configuration.md
("Configuration File") and k3s-io/k3s pkg/configfilearg (each `key: value` becomes `--key=value`, a list one each).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from fleet.k3s.keys import (
    DISABLE_ITEMS,
    Key,
    Role,
    find_alias,
    find_former,
    find_key,
    is_in_minor,
    is_known_minor,
    plain_name,
    suggest,
)

_INTEGER = re.compile(r"[0-9]+", re.ASCII)
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|ms|s|m|h))+|0", re.ASCII)


class ConfigProblem(msgspec.Struct, frozen=True):
    """One thing that is wrong with one key, as it is written; `hint` may be empty. A warning refuses nothing."""

    key: str
    problem: str
    hint: str = ""
    is_warning: bool = False


def config_problems(config: Mapping[str, Any], *, minor: str | None, role: Role) -> list[ConfigProblem]:
    """Everything that is wrong with a config, in its own order; `key+` counts as `key`, null as absent.

    `minor` is like `v1.35`; None stands for any that is known. Of a minor whose keys are not known, what looks wrong
    is a warning. Raises ValueError for a misspelt minor.
    """
    is_known = minor is None or is_known_minor(minor)
    problems = (
        problem
        for name, value in config.items()
        if value is not None
        for problem in _key_problems(str(name), value, minor, role, is_known=is_known)
    )
    return list(problems)


def _key_problems(name: str, value: Any, minor: str | None, role: Role, *, is_known: bool) -> Iterator[ConfigProblem]:
    key = find_key(name)
    if key is None:
        yield _unknown(name, minor, role, is_known=is_known)
        return
    if role not in key.roles:
        yield _misplaced(name, key)
        return
    if minor is not None and not is_in_minor(key, minor):
        yield _too_early_or_late(name, key, minor)
    yield from _value_problems(name, key, value)


def _unknown(name: str, minor: str | None, role: Role, *, is_known: bool) -> ConfigProblem:
    where = f"K3s {minor}" if minor else "K3s"
    if (key := find_alias(name)) is not None:
        return ConfigProblem(name, f"another spelling of `{key.name}`", f"Write `{key.name}`.")
    if (former := find_former(name)) is not None:
        hint = f"{former.why[:1].upper()}{former.why[1:]}."
        if former.use:
            hint = f"Use `{former.use}`: {former.why}."
        return ConfigProblem(name, f"not a key of {where}", hint)
    nearest = suggest(name, minor, role)
    hint = f"Did you mean `{nearest}`?" if nearest else ""
    if not is_known:
        return ConfigProblem(name, f"not a known key; those of {where} are not known here", hint, is_warning=True)
    if not nearest and (other := suggest(name, minor, "agent" if role == "server" else "server")):
        hint = f"Did you mean `{other}`, which is for {_others(role)} only?"
    return ConfigProblem(name, f"not a key of {where}", hint)


def _others(role: Role) -> str:
    return "agents" if role == "server" else "servers"


def _misplaced(name: str, key: Key) -> ConfigProblem:
    owners = "servers" if key.roles == ("server",) else "agents"
    others = "agents" if owners == "servers" else "servers"
    return ConfigProblem(name, f"a key of {owners} only", f"Set it on the {owners}; {others} do not know it.")


def _too_early_or_late(name: str, key: Key, minor: str) -> ConfigProblem:
    detail = f" ({key.note})" if key.note else ""
    if key.until and not key.backported:
        return ConfigProblem(name, f"not a key of K3s {minor}", f"{key.until} was the last that knew it{detail}.")
    hint = f"K3s knows it since {key.since}{detail}."
    return ConfigProblem(name, f"not a key of K3s {minor}", hint, is_warning=key.backported)


def _value_problems(name: str, key: Key, value: Any) -> Iterator[ConfigProblem]:
    if key.kind == "list":
        yield from _list_problems(name, key, value)
        return
    if isinstance(value, Mapping | list):
        found = "a map" if isinstance(value, Mapping) else "a list"
        yield ConfigProblem(name, f"expected {_expected(key)}, found {found}")
        return
    if not _fits(key, value):
        yield ConfigProblem(name, f"expected {_expected(key)}, found `{_shown(value)}`", _hint(key, value))
    elif key.values and value not in key.values:
        allowed = ", ".join(key.values)
        hint = "Did you mean `wireguard-native`?" if value == "wireguard" else ""
        yield ConfigProblem(name, f"expected one of {allowed}, found `{value}`", hint)
    elif key.kind == "string" and not isinstance(value, str):
        yield _unquoted(name, value)


def _fits(key: Key, value: Any) -> bool:
    if key.kind == "bool":
        return isinstance(value, bool) or value in {"true", "false"}
    if key.kind == "int":
        is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        return is_number or (isinstance(value, str) and _INTEGER.fullmatch(value) is not None)
    if key.kind == "duration":
        return isinstance(value, str) and _DURATION.fullmatch(value) is not None
    return True


def _expected(key: Key) -> str:
    kinds = {
        "bool": "true or false",
        "int": "a whole number",
        "duration": "a duration such as 5m0s",
        "string": "a string",
        "list": "a list of strings",
    }
    return kinds[key.kind]


def _hint(key: Key, value: Any) -> str:
    if key.kind == "bool" and isinstance(value, str) and value.lower() in {"yes", "on", "no", "off"}:
        return f"Write `{plain_name(key.name)}: {'true' if value.lower() in {'yes', 'on'} else 'false'}`."
    if key.kind == "duration" and isinstance(value, int) and not isinstance(value, bool):
        return f"Did you mean `{value}s`?"
    return ""


def _unquoted(name: str, value: Any) -> ConfigProblem:
    if plain_name(name) == "write-kubeconfig-mode" and isinstance(value, int) and not isinstance(value, bool):
        # 0644 is the number 420 once YAML 1.1 has read it, and K3s would read that as the mode 0420.
        return ConfigProblem(name, f"expected a mode in quotes, found the number `{value}`", 'Write it as `"0600"`.')
    return ConfigProblem(name, f"expected a string, found `{_shown(value)}`", "Put it in quotes.", is_warning=True)


def _list_problems(name: str, key: Key, value: Any) -> Iterator[ConfigProblem]:
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{left}={_shown(right)}" for left, right in value.items())
        yield ConfigProblem(name, "expected a list of strings, found a map", f"Write `{name}: [{pairs}]`.")
        return
    if isinstance(value, bool):
        yield ConfigProblem(name, f"expected a list of strings, found `{_shown(value)}`")
        return
    items = value if isinstance(value, list) else [value]
    for item in items:
        yield from _item_problems(name, key, item)


def _item_problems(name: str, key: Key, item: Any) -> Iterator[ConfigProblem]:
    if isinstance(item, Mapping):
        hint = ""
        if len(item) == 1:
            ((left, right),) = item.items()
            hint = f"Did you mean `{left}={_shown(right)}`?"
        yield ConfigProblem(name, "expected strings in the list, found a map", hint)
    elif isinstance(item, list) or item is None:
        yield ConfigProblem(name, f"expected strings in the list, found {'nothing' if item is None else 'a list'}")
    elif key.name == "disable":
        for component in _shown(item).split(","):
            if component not in DISABLE_ITEMS:
                # Any file in the manifests directory can be disabled by its name, so this may be meant.
                hint = f"Packaged are {', '.join(DISABLE_ITEMS)}."
                yield ConfigProblem(name, f"`{component}` is no packaged component", hint, is_warning=True)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
