"""Values of variables as a spec can hold them, and what is told of those that it cannot.

A layer merges maps and lists of things with a name, takes null for removing and `key+` for appending, and reads
`secret:NAME` as a secret. A value that would be read otherwise is left out, or what is in its way is.
"""

from __future__ import annotations

import math
import re
from typing import Any

from fleet.formats.inventory import Vaulted
from fleet.translate.facts import Definition, Effective
from fleet.translate.filling import has_jinja
from fleet.translate.ground import Ground
from fleet.translate.vaults import REFERENCE, Vaults

_LOOKS_SECRET = re.compile(
    r"(?:^|[_-])(?:pass|passwd|password|passphrase|secret|token|api[_-]?key|private[_-]?key|secret[_-]?key|access[_-]?key|credentials?)$",
    re.IGNORECASE,
)
_REFERENCE_ONLY = re.compile(r"\s*\{\{-?\s*([A-Za-z_][A-Za-z0-9_]*)\s*-?\}\}\s*")
_DEEPEST = 10
_TO_SECRETS = "Encrypt it below secrets/, write secret:NAME here, and change it"


class Values:
    """Gives each definition's value for the spec. None: it is left out there, which the report says."""

    def __init__(self, ground: Ground, vaults: Vaults) -> None:
        self._facts = ground.facts
        self._effective = ground.effective
        self._notes = ground.notes
        self._vaults = vaults
        self._known: dict[int, Any] = {}

    def of(self, definition: Definition) -> Any:
        if id(definition) not in self._known:
            self._known[id(definition)] = self._carried(definition)
        return self._known[id(definition)]

    def secret(self, definition: Definition) -> str | None:
        """`secret:NAME` where a value is one vaulted text, or nothing but a reference to one."""
        behind = definition if isinstance(definition.value, Vaulted) else self._behind(definition)
        found = None if behind is None else self.of(behind)
        return found if isinstance(found, str) else None

    def _carried(self, definition: Definition) -> Any:
        value = definition.value
        if value is None:
            self._warn(definition, "null: a layer that says null removes, so the variable is absent")
            return None
        if definition.name.endswith("+"):
            self._warn(definition, "not carried over: a key that ends in + appends", "Give it another name")
            return None
        if has_jinja(value):
            secret = self._behind(definition)
            if secret is not None:
                self._notes.note(definition.mark, definition.name, f"is the secret of `{secret.name}`")
                return self.of(secret)
            message = "Jinja, kept as the text it is: fleet does not work out variables"
            self._warn(definition, message, "Write what it comes to, or say it in a template of the spec")
        if _is_reference(value):
            self._warn(
                definition, f"not carried over: {REFERENCE} at its start would name a secret", "Change its start"
            )
            return None
        self._say_clear(definition, definition.name, value)
        return self._fit(definition, self._vaults.carried(definition))

    def _behind(self, definition: Definition) -> Definition | None:
        """The vaulted variable that a value is nothing but a reference to, the same one for every host."""
        hosts = (definition.host,) if definition.host else self._facts.members[definition.group]
        seen = {id(each): each for each in (vaulted_behind(definition, host, self._effective) for host in hosts)}
        only = next(iter(seen.values()), None)
        return only if len(seen) == 1 and only is not None and isinstance(only.value, Vaulted) else None

    def _fit(self, definition: Definition, value: Any) -> Any:
        """What merging leaves as it is."""
        removed: list[str] = []
        fitting = _without(value, definition.name, removed)
        for path in removed:
            message = f"{path} is not carried over: a null removes, and a key that ends in + appends"
            self._warn(definition, message, "Write an empty text, or another key")
        if isinstance(fitting, list) and _is_ambiguous(fitting):
            self._warn(definition, "not carried over: things of one name in a list are merged", "Name them apart")
            return None
        if not _is_yaml(fitting):
            self._warn(definition, "not carried over: a number or a character that YAML readers do not agree on")
            return None
        return fitting

    def _say_clear(self, definition: Definition, key: str, value: Any) -> None:
        if isinstance(value, dict):
            for name, item in value.items():
                self._say_clear(definition, name, item)
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, dict):
                    self._say_clear(definition, key, item)
        elif _is_clear_secret(key, value):
            what = "" if key == definition.name else f"{key}: "
            self._warn(definition, f"{what}a secret in clear text, kept as it is", _TO_SECRETS)

    def _warn(self, definition: Definition, message: str, hint: str = "") -> None:
        self._notes.warn(definition.mark, definition.name, message, hint)


def vaulted_behind(definition: Definition, host: str, effective: Effective) -> Definition:
    """What a value that is nothing but `{{ name }}` stands for on a host, and so on; else the definition itself."""
    for _ in range(_DEEPEST):
        found = _REFERENCE_ONLY.fullmatch(definition.value) if type(definition.value) is str else None
        behind = None if found is None else effective.of(host, found[1])
        if behind is None:
            break
        definition = behind
    return definition


def _is_clear_secret(key: str, value: Any) -> bool:
    is_text = isinstance(value, str) and not isinstance(value, Vaulted) and bool(value)
    return is_text and _LOOKS_SECRET.search(key) is not None and not has_jinja(value)


def _is_reference(value: Any) -> bool:
    """Whether a text anywhere in a value would be taken for a secret's name."""
    if isinstance(value, str):
        return value.startswith(REFERENCE) and not isinstance(value, Vaulted)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_is_reference(item) for item in items)


def _without(value: Any, path: str, removed: list[str]) -> Any:
    """The value as plain texts, numbers, lists and maps, without keys that a merge would act on."""
    if isinstance(value, dict):
        kept = {}
        for key, item in value.items():
            if item is None or key[-1:] == "+":
                removed.append(f"{path}.{key}")
            else:
                kept[key] = _without(item, f"{path}.{key}", removed)
        return kept
    if isinstance(value, list):
        return [_without(item, f"{path}[{at}]", removed) for at, item in enumerate(value)]
    return str(value) if isinstance(value, str) else value


def name_field(items: list[Any]) -> str:
    """The field by which a layer merges a list: `name`, else `path`, where every item has it."""
    for field in ("name", "path"):
        if items and all(isinstance(item, dict) and item.get(field) is not None for item in items):
            return field
    return ""


def _is_ambiguous(items: list[Any]) -> bool:
    field = name_field(items)
    if not field:
        return False
    names = [item[field] for item in items]
    return any(isinstance(name, dict | list) for name in names) or len(set(names)) < len(names)


def _is_yaml(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value) if not value.isascii() else True
    if isinstance(value, int):
        return abs(value) < 1 << 4096
    if isinstance(value, dict):
        return all(_is_yaml(key) and _is_yaml(item) for key, item in value.items())
    return all(_is_yaml(item) for item in value) if isinstance(value, list) else True


def is_replaced_wrongly(old: Any, new: Any) -> bool:
    """Whether a layer that says `new` over `old` would give something else than `new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        if any(key not in new or is_replaced_wrongly(item, new[key]) for key, item in old.items()):
            return True
        return any(_has_ambiguous(item) for item in new.values())
    if isinstance(old, list) and isinstance(new, list):
        field = name_field(new)
        return bool(field) and name_field(old) == field and old != new
    return False


def _has_ambiguous(value: Any) -> bool:
    if isinstance(value, list):
        return _is_ambiguous(value) or any(_has_ambiguous(item) for item in value)
    return any(_has_ambiguous(item) for item in value.values()) if isinstance(value, dict) else False
