"""Jinja2 for users' templates: sandboxed, strict, with fuel.

A template sees `node`, `site`, `fleet`, `vars`, `secrets`, and other templates of the repository; nothing else. It
cannot call into Python, read files or run for ever: loop rounds, macro calls and includes burn fuel, and no single
value may outgrow a megabyte. A secret's value is never here: a template moves placeholders (`secrets`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from fleet.render.limits import (
    FUEL,
    MAX_VALUE,
    TOO_LARGE,
    Burning,
    Fuel,
    TemplateLimitError,
    b64encode,
    check_operands,
    concatenated,
    indent,
    replace,
    tojson,
    written,
)
from fleet.render.placeholders import PREFIX, named
from fleet.render.template_code import Code, metered

_CHUNK = 8
"""Steps that are drawn before their size is looked at: with the pieces in them, 64 values of a megabyte at most."""

_FILTERS = [
    "abs",
    "capitalize",
    "count",
    "d",
    "default",
    "dictsort",
    "first",
    "float",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "sort",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
]
_TESTS = [
    "boolean",
    "defined",
    "divisibleby",
    "eq",
    "equalto",
    "even",
    "false",
    "ge",
    "gt",
    "greaterthan",
    "in",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sequence",
    "string",
    "true",
    "undefined",
    "upper",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "float",
]
_STRING_METHODS = frozenset({
    "capitalize", "count", "endswith", "find", "isalnum", "isalpha", "isdigit", "islower", "isupper", "lower",
    "lstrip", "partition", "removeprefix", "removesuffix", "rfind", "rpartition", "rsplit", "rstrip", "split",
    "splitlines", "startswith", "strip", "swapcase", "title", "upper",
})  # fmt: skip
_WALKING = (
    "items", "list", "map", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "sum", "unique",
)  # fmt: skip
MAP_METHODS = frozenset({"get", "items", "keys", "values"})
_LIST_METHODS = frozenset({"count", "index"})


class Environment(ImmutableSandboxedEnvironment):
    """The one environment. `sources` are the repository's files that a template may include, read on demand."""

    code_generator_class = Code
    intercepted_binops = frozenset({"+", "*", "**", "%", "//"})

    def __init__(self, sources: Mapping[str, bytes]) -> None:
        super().__init__(
            loader=jinja2.FunctionLoader(lambda name: _source(sources, name)),
            undefined=jinja2.StrictUndefined,
            finalize=written,
            keep_trailing_newline=True,
            auto_reload=False,
            cache_size=-1,
            extensions=["jinja2.ext.loopcontrols"],
        )
        self.fuel = Fuel()
        known = self.filters
        self.filters = {name: known[name] for name in _FILTERS if name in known}
        self.filters |= {
            "b64encode": b64encode,
            "indent": indent,
            "join": self._join,
            "replace": replace,
            "tojson": tojson,
            "fleet_over": self.fuel.over,
            "fleet_text": concatenated,
            "fleet_weigh": self.fuel.weigh,
        }
        self.tests = {name: self.tests[name] for name in _TESTS if name in self.tests}
        self.globals = {"range": self._range, "dict": dict, "namespace": jinja2.utils.Namespace}
        # Filters and loops of the template's own iterate without the `for` statement: they burn by length.
        for name in _WALKING:
            self.filters[name] = self._burning(known[name])

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return metered(super()._parse(source, name, filename))

    def _load_template(self, name: str, globals: Any) -> jinja2.Template:  # noqa: A002 - jinja2's own name
        self.fuel.burn(10)
        return super()._load_template(name, globals)

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        self.fuel.burn()
        if len(args) + len(kwargs) > 1:  # a macro's varargs and kwargs, dict() and namespace() hold them together
            self.fuel.weigh((args, kwargs))
        return self.fuel.bounded(super().call(context, obj, *args, **kwargs))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        check_operands(operator, left, right)
        made = self.fuel.bounded(super().call_binop(context, operator, left, right))
        return self.fuel.weigh(made) if isinstance(made, list | tuple) else made

    def concat(self, parts: Iterable[str]) -> str:
        """The text of a file, a macro or a block, which no loop may blow up before it is looked at."""
        stream = iter(parts)
        made = [*islice(stream, _CHUNK)]
        if len(made) < _CHUNK:
            text = "".join(made)
            if len(text) > MAX_VALUE:
                raise TemplateLimitError(TOO_LARGE)
            return text
        size, chunk = 0, made
        while chunk:
            size += sum(map(len, chunk))
            if size > MAX_VALUE:
                raise TemplateLimitError(TOO_LARGE)
            chunk = [*islice(stream, _CHUNK)]
            made += chunk
        return "".join(made)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict):
            try:
                value = obj[attribute]
            except KeyError:
                if attribute in MAP_METHODS:
                    return getattr(obj, attribute)
                return self.undefined(obj=obj, name=attribute)
            return value if value.__class__ is str and value[:7] != PREFIX else named(value)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        return named(super().getitem(obj, argument))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, str):
            return attr in _STRING_METHODS
        if isinstance(obj, dict):
            return attr in MAP_METHODS
        if isinstance(obj, list | tuple):
            return attr in _LIST_METHODS
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        """No `str.format`: a width in its text would make gigabytes before anything is looked at."""

    def _range(self, *args: int) -> range:
        made = range(*args)
        if len(made) > FUEL:
            raise TemplateLimitError(f"range of {len(made):,} items is more than the {FUEL:,} rounds a template has")
        return made

    def _join(self, value: Iterable[Any], d: str = "", attribute: str | None = None) -> str:
        items = [str(self.getattr(item, attribute) if attribute else item) for item in self.fuel.over(value)]
        if sum(map(len, items)) + len(d) * len(items) > MAX_VALUE:
            raise TemplateLimitError(TOO_LARGE)
        return d.join(items)

    def _burning(self, known: Callable[..., Any]) -> Callable[..., Any]:
        return Burning(known, self.fuel)


def _source(sources: Mapping[str, bytes], name: str) -> str | None:
    """A template of the repository by its path; what is absolute or climbs is simply not there."""
    if name.startswith(("/", "../")) or "/../" in name or name not in sources:
        return None
    return sources[name].decode("utf-8")
