"""What is wrong with a value that the fast path refused: every mistake, in words, by JSON Schema of the same types."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from fleet.load.flaw import Flaw
from fleet.load.words import found, kind, near, one_of, short
from fleet.model.problem import type_path
from fleet.model.spec.scalars import HIDDEN
from fleet.model.spec.site import NodeSetSpec, NodeSpec

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

_MISSING = "missing field "
# A jsonschema.ValidationError; its types say less than its use here knows (a schema may be a bare boolean).
Error = Any
# JSON Schema takes 0.5 ms a node: of a site with thousands, only the wrong ones are shown to it.
_LONG = 20
_LONG_LISTS: dict[str, Any] = {"nodes": NodeSpec, "nodeSets": NodeSetSpec}
# Fields that are looked for where they do not belong, and where they do.
_ELSEWHERE = {
    ("SiteSpec", "labels"): "A site's labels stand in `metadata`.",
    ("SiteSpec", "name"): "A site's name stands in `metadata`.",
    ("Metadata", "spec"): "`spec` stands beside `metadata`.",
    ("Layer", "version"): "Write `k3s: {version: …}`.",
}


def flaws(value: Any, of: Any) -> list[Flaw]:
    """Everything that keeps `value` from being converted to the type `of`, in the order of its fields."""
    found: dict[Flaw, None] = {}
    for path, part, its_type in _parts(value, of):
        for error in _validator(its_type).iter_errors(part):
            for flaw in _told(error):
                found[msgspec.structs.replace(flaw, path=(*path, *flaw.path))] = None
    # A misspelt field is one mistake, not an unknown field and a missing one.
    misspelt = {(flaw.path[:-1], flaw.hint) for flaw in found if flaw.on_key}
    return [flaw for flaw in found if (flaw.path, _mend(flaw)) not in misspelt]


def _mend(flaw: Flaw) -> str:
    """The hint that a misspelt field has whose right name is missing."""
    return f"Did you mean {flaw.message.removeprefix(_MISSING)}?" if flaw.message.startswith(_MISSING) else ""


def _parts(value: Any, of: Any) -> Iterator[tuple[type_path, Any, Any]]:
    """The value itself, with the good items of its long lists left out and the bad ones looked at one by one."""
    spec = value.get("spec") if isinstance(value, dict) else None
    if not isinstance(spec, dict):
        yield (), value, of
        return
    short_spec = dict(spec)
    for field, item_type in _LONG_LISTS.items():
        items = spec.get(field)
        if isinstance(items, list) and len(items) > _LONG:
            short_spec[field] = []
            bad = (at for at, item in enumerate(items) if not _converts(item, item_type))
            yield from ((("spec", field, at), items[at], item_type) for at in bad)
    yield (), {**value, "spec": short_spec}, of


def _converts(value: Any, of: Any) -> bool:
    try:
        msgspec.convert(value, of)
    except msgspec.ValidationError:
        return False
    return True


@functools.cache
def _validator(of: Any) -> Validator:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    # JSON Schema takes 2.0 for an integer, msgspec does not.
    types = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )
    strict: Any = extend(Draft202012Validator, type_checker=types)  # type: ignore[no-untyped-call]
    validator: Validator = strict(msgspec.json.schema(of))
    return validator


def _told(error: Error) -> Iterator[Flaw]:
    path = tuple(error.absolute_path)
    if "propertyNames" in list(error.absolute_schema_path)[-2:]:
        yield Flaw(
            (*path, error.instance), f"expected {error.schema['title']}, found `{short(error.instance)}`", on_key=True
        )
        return
    tell = _TELLERS.get(str(error.validator))
    if tell is None:
        yield Flaw(path, error.message)
    else:
        yield from tell(error, path)


def _unknown(error: Error, path: type_path) -> Iterator[Flaw]:
    known = error.schema.get("properties", {})
    title = str(error.schema.get("title", ""))
    for name in error.instance:
        if name not in known:
            yield Flaw((*path, name), "unknown field", _meant(str(name), title, known), on_key=True)


def _meant(name: str, title: str, known: Iterable[str]) -> str:
    if (title, name) in _ELSEWHERE:
        return _ELSEWHERE[title, name]
    if name.endswith("+") and name[:-1] in known:
        return f"`{name[:-1]}` cannot be appended to: it merges, or it replaces."
    return near(name, known)


def _type(error: Error, path: type_path) -> Iterator[Flaw]:
    wanted = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
    yield _mistyped(path, [str(each) for each in wanted], error.instance, [error.schema])


def _mistyped(path: type_path, wanted: list[str], instance: Any, schemas: Sequence[Any] = ()) -> Flaw:
    """`schemas` are those of the types in `wanted`; their titles say best what was expected."""
    hint = ""
    if "string" in wanted and isinstance(instance, bool | int | float):
        hint = _quoted(str(instance).lower(), schemas)
    elif wanted == ["array"] and isinstance(instance, str):
        hint = f"Write `[{short(instance)}]`."
    elif isinstance(instance, float) and instance.is_integer() and "integer" in wanted:
        hint = f"Write `{instance:.0f}`."
    elif isinstance(instance, str) and {"integer", "number"} & set(wanted) and instance.replace(".", "", 1).isdigit():
        hint = "Write it without quotes."
    titles = [schema.get("title") if each != "object" else None for each, schema in zip(wanted, schemas, strict=False)]
    titles += [None] * (len(wanted) - len(titles))
    words = dict.fromkeys(title or kind(each) for title, each in zip(titles, wanted, strict=True))
    return Flaw(path, f"expected {one_of(words)}, {_found(instance, *schemas)}", hint)


def _found(instance: Any, *schemas: Any) -> str:
    hidden = any(schema.get(HIDDEN) for schema in schemas)
    return "found something else, which is not shown" if hidden else f"found {found(instance)}"


def _quoted(text: str, schemas: Sequence[Any]) -> str:
    """How a number or boolean becomes the text that was expected."""
    patterns = [schema["pattern"] for schema in schemas if "pattern" in schema]
    if not patterns or any(re.search(pattern, text) for pattern in patterns):
        return "Put it in quotes."
    for form in ("{}%", "{}s", "tcp/{}"):
        if any(re.search(pattern, form.format(text)) for pattern in patterns):
            return f"Write `{form.format(text)}`."
    return ""


def _enum(error: Error, path: type_path) -> Iterator[Flaw]:
    allowed = [str(each) for each in error.validator_value]
    hint = near(error.instance, allowed) if isinstance(error.instance, str) else ""
    if hint.startswith("Known"):
        hint = ""
    yield Flaw(path, f"expected {one_of(allowed)}, found {found(error.instance)}", hint)


def _pattern(error: Error, path: type_path) -> Iterator[Flaw]:
    yield Flaw(path, f"expected {error.schema['title']}, {_found(error.instance, error.schema)}")


def _bound(error: Error, path: type_path) -> Iterator[Flaw]:
    words = error.schema.get("title")
    if words:
        yield Flaw(path, f"expected {words}, found {found(error.instance)}")
    else:
        limits = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than"}
        yield Flaw(
            path, f"expected {limits[str(error.validator)]} {error.validator_value}, found {found(error.instance)}"
        )


def _too_short(_: Error, path: type_path) -> Iterator[Flaw]:
    yield Flaw(path, "must not be empty")


def _too_long(error: Error, path: type_path) -> Iterator[Flaw]:
    yield Flaw(path, f"longer than {error.validator_value} characters")


def _required(error: Error, path: type_path) -> Iterator[Flaw]:
    missing = [name for name in error.validator_value if name not in error.instance]
    # jsonschema reports one error per missing name; its message starts with the name.
    for name in missing:
        if error.message.startswith(repr(name)):
            yield Flaw(path, f"{_MISSING}`{name}`", _example(error.schema, name))


def _example(schema: dict[str, Any], name: str) -> str:
    examples = schema.get("properties", {}).get(name, {}).get("examples", [])
    if examples and isinstance(examples[0], str | int) and not isinstance(examples[0], bool):
        return f"For example `{name}: {examples[0]}`."
    return ""


def _any_of(error: Error, path: type_path) -> Iterator[Flaw]:
    mapping = error.schema.get("discriminator", {}).get("mapping")
    if mapping is not None:
        yield from _tagged(error, path, error.schema["discriminator"]["propertyName"], list(mapping))
        return
    branches: dict[int, list[Error]] = {}
    for child in error.context or ():
        branches.setdefault(int(child.schema_path[0]), []).append(child)
    fitting = [errors for errors in branches.values() if not any(_is_of_wrong_type(each, error) for each in errors)]
    if len(fitting) == 1:
        for child in fitting[0]:
            yield from _told(child)
    elif fitting:
        yield from _words_of(fitting, error, path)
    else:
        mistyped = [child for errors in branches.values() for child in errors if child.validator == "type"]
        mistyped = [child for child in mistyped if child.validator_value != "null"]
        kinds = [str(child.validator_value) for child in mistyped]
        enums = [
            value
            for errors in branches.values()
            for child in errors
            if child.validator == "enum"
            for value in child.validator_value
        ]
        if enums:
            words = one_of([*map(str, enums), *dict.fromkeys(map(kind, kinds))])
            yield Flaw(path, f"expected {words}, found {found(error.instance)}")
        else:
            yield _mistyped(path, kinds, error.instance, [child.schema for child in mistyped])


def _is_of_wrong_type(child: Error, error: Error) -> bool:
    """Whether the branch is out of the question, rather than meant and wrong inside."""
    is_here = len(child.absolute_path) == len(error.absolute_path)
    return is_here and (
        child.validator == "type" or (child.validator == "enum" and not isinstance(error.instance, str))
    )


def _words_of(fitting: list[list[Error]], error: Error, path: type_path) -> Iterator[Flaw]:
    titles = [str(child.schema["title"]) for errors in fitting for child in errors if "title" in child.schema]
    yield Flaw(path, f"expected {one_of(dict.fromkeys(titles))}, found {found(error.instance)}")


def _tagged(error: Error, path: type_path, field: str, tags: list[str]) -> Iterator[Flaw]:
    if not isinstance(error.instance, dict):
        yield _mistyped(path, ["object"], error.instance)
        return
    tag = error.instance.get(field)
    if tag is None:
        yield Flaw(path, f"{_MISSING}`{field}`", f"One of {', '.join(tags)}.")
    elif tag not in tags:
        hint = near(tag, tags) if isinstance(tag, str) else ""
        yield Flaw(
            (*path, field), f"expected {one_of(tags)}, found {found(tag)}", "" if hint.startswith("Known") else hint
        )
    else:
        for child in error.context or ():
            if int(child.schema_path[0]) == _branch_of(error, field):
                yield from _told(child)


def _branch_of(error: Error, field: str) -> int:
    """The branch of a tagged union that has no complaint about the tag."""
    wrong = {
        int(child.schema_path[0])
        for child in error.context or ()
        if child.validator == "enum" and list(child.absolute_path)[-1:] == [field]
    }
    return next(at for at in range(len(error.validator_value)) if at not in wrong)


_TELLERS = {
    "additionalProperties": _unknown,
    "type": _type,
    "enum": _enum,
    "const": _enum,
    "pattern": _pattern,
    "minimum": _bound,
    "maximum": _bound,
    "exclusiveMinimum": _bound,
    "minLength": _too_short,
    "minItems": _too_short,
    "maxLength": _too_long,
    "required": _required,
    "anyOf": _any_of,
}
