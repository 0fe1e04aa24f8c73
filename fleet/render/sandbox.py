"""Jinja2 for users' templates: sandboxed, strict, with fuel.

A template sees `node`, `site`, `fleet`, `vars`, `secrets`, and other templates of the repository; nothing else. It
cannot call into Python, read files or run for ever: loop rounds, macro calls and includes burn fuel, and no single
value may outgrow a megabyte. A secret's value is never here: a template moves placeholders (`secrets`).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from fleet.render.placeholders import PREFIX, named

_VIEWS = frozenset({"node", "site", "fleet"})
FUEL = 100_000
"""Loop rounds, calls and includes that one template may use."""
MAX_VALUE = 1 << 20
"""Characters of one value, and of one rendered file."""
MAX_BITS = 4096
"""Bits of one integer."""

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
_STRING_METHODS = frozenset(
    [
        "capitalize",
        "count",
        "endswith",
        "find",
        "isalnum",
        "isalpha",
        "isdigit",
        "islower",
        "isupper",
        "lower",
        "lstrip",
        "partition",
        "removeprefix",
        "removesuffix",
        "rfind",
        "rpartition",
        "rsplit",
        "rstrip",
        "split",
        "splitlines",
        "startswith",
        "strip",
        "swapcase",
        "title",
        "upper",
    ]
)
MAP_METHODS = frozenset({"get", "items", "keys", "values"})
_LIST_METHODS = frozenset({"count", "index"})


class TemplateLimitError(SecurityError):
    """The template runs for ever, or makes something that no configuration file is."""


class _Fuel:
    """One tank, filled before each rendering. Renderings do not nest, so one is enough."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = FUEL

    def burn(self, amount: int = 1) -> None:
        self.left -= amount
        if self.left < 0:
            raise TemplateLimitError(f"stopped after {FUEL:,} loop rounds and calls: does a loop end?")

    def over(self, items: Iterable[Any]) -> Iterable[Any]:
        """`items`, paid for: at once where their number is known, one by one where it is not."""
        if isinstance(items, list | tuple | dict | str | range):
            self.left -= len(items)
            if self.left < 0:
                self.burn(0)
            return items
        return self._one_by_one(items)

    def _one_by_one(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self.left -= 1
            if self.left < 0:
                self.burn(0)
            yield item


class _Code(CodeGenerator):
    """Looks a field of `node`, `site` or `fleet` up in place: they are plain maps, and most of what templates read."""

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:  # noqa: N802 - jinja2's own name
        if not (isinstance(node.node, nodes.Name) and node.node.name in _VIEWS and node.node.ctx == "load"):
            super().visit_Getattr(node, frame)
            return
        self.write("(")
        self.visit(node.node, frame)
        self.write(f"[{node.attr!r}] if {node.attr!r} in ")
        self.visit(node.node, frame)
        self.write(" else ")
        super().visit_Getattr(node, frame)
        self.write(")")


class Environment(ImmutableSandboxedEnvironment):
    """The one environment. `sources` are the repository's files that a template may include, read on demand."""

    code_generator_class = _Code
    intercepted_binops = frozenset({"+", "*", "**", "%", "//"})

    def __init__(self, sources: Mapping[str, bytes]) -> None:
        super().__init__(
            loader=jinja2.FunctionLoader(lambda name: _source(sources, name)),
            undefined=jinja2.StrictUndefined,
            keep_trailing_newline=True,
            auto_reload=False,
            cache_size=-1,
            extensions=["jinja2.ext.loopcontrols"],
        )
        self.fuel = _Fuel()
        known = self.filters
        self.filters = {name: known[name] for name in _FILTERS if name in known}
        self.filters |= {
            "b64encode": _b64encode,
            "indent": _indent,
            "join": self._join,
            "replace": _replace,
            "fleet_over": self.fuel.over,
            "fleet_text": _concatenated,
        }
        self.tests = {name: self.tests[name] for name in _TESTS if name in self.tests}
        self.globals = {"range": self._range, "dict": dict, "namespace": jinja2.utils.Namespace}
        # Filters and loops of the template's own iterate without the `for` statement: they burn by length.
        for name in ("map", "select", "reject", "selectattr", "rejectattr", "list", "sort", "unique", "sum"):
            self.filters[name] = self._burning(known[name])

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return _metered(super()._parse(source, name, filename))

    def _load_template(self, name: str, globals: Any) -> jinja2.Template:  # noqa: A002 - jinja2's own name
        self.fuel.burn(10)
        return super()._load_template(name, globals)

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        self.fuel.burn()
        return _bounded(super().call(context, obj, *args, **kwargs))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        _check_operands(operator, left, right)
        return _bounded(super().call_binop(context, operator, left, right))

    def concat(self, parts: Iterable[str]) -> str:
        """The text of a file, a macro or a block, which no loop may blow up before it is looked at."""
        stream, made, size = iter(parts), [], 0
        while chunk := list(islice(stream, 64)):
            size += sum(map(len, chunk))
            if size > MAX_VALUE:
                raise TemplateLimitError(_TOO_LARGE)
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

    def _range(self, *args: int) -> range:
        made = range(*args)
        if len(made) > FUEL:
            raise TemplateLimitError(f"range of {len(made):,} items is more than the {FUEL:,} rounds a template has")
        return made

    def _join(self, value: Iterable[Any], d: str = "", attribute: str | None = None) -> str:
        items = [str(self.getattr(item, attribute) if attribute else item) for item in self.fuel.over(value)]
        if sum(map(len, items)) + len(d) * len(items) > MAX_VALUE:
            raise TemplateLimitError(_TOO_LARGE)
        return d.join(items)

    def _burning(self, known: Callable[..., Any]) -> Callable[..., Any]:
        return _Burning(known, self.fuel)


class _Burning:
    """A filter that pays fuel for each item that it is given; keeps jinja2's marks on the filter."""

    def __init__(self, known: Callable[..., Any], fuel: _Fuel) -> None:
        self._known = known
        self._fuel = fuel
        # An async variant would never run here; jinja2 looks for this mark to pass context or environment first.
        self.jinja_pass_arg = getattr(known, "jinja_pass_arg", None)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        at = 0 if self.jinja_pass_arg is None else 1
        metered = (*args[:at], self._fuel.over(args[at]), *args[at + 1 :])
        return self._known(*metered, **kwargs)


_TOO_LARGE = f"makes a value of more than {MAX_VALUE:,} characters"


def _metered(tree: nodes.Template) -> nodes.Template:
    """Every `for` draws its items through the fuel, and every `~` goes through a bound."""
    for loop in tree.find_all(nodes.For):
        loop.iter = nodes.Filter(loop.iter, "fleet_over", [], [], None, None, lineno=loop.lineno)
    _replace_concats(tree)
    return tree


def _replace_concats(node: nodes.Node) -> None:
    for field, value in node.iter_fields():
        if isinstance(value, list):
            setattr(node, field, [_without_concat(item) for item in value])
        else:
            setattr(node, field, _without_concat(value))


def _without_concat(value: Any) -> Any:
    if not isinstance(value, nodes.Node):
        return value
    _replace_concats(value)
    if isinstance(value, nodes.Concat):
        items = nodes.List(value.nodes, lineno=value.lineno)
        return nodes.Filter(items, "fleet_text", [], [], None, None, lineno=value.lineno)
    return value


def _bounded(value: Any) -> Any:
    if isinstance(value, str | bytes | list | tuple):
        if len(value) > MAX_VALUE:
            raise TemplateLimitError(_TOO_LARGE)
    elif isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise TemplateLimitError(f"makes an integer of more than {MAX_BITS} bits")
    return value


def _check_operands(operator: str, left: Any, right: Any) -> None:
    """Refuses before the work what `_bounded` would refuse after it."""
    if operator == "*":
        for sequence, times in ((left, right), (right, left)):
            if (
                isinstance(sequence, str | list | tuple)
                and isinstance(times, int)
                and len(sequence) * times > MAX_VALUE
            ):
                raise TemplateLimitError(_TOO_LARGE)
    elif operator == "**":
        if not (isinstance(right, int) and 0 <= right <= 64):
            raise TemplateLimitError("`**` takes an exponent from 0 to 64")
    elif operator == "%" and isinstance(left, str):
        raise TemplateLimitError("`%` is for numbers: write `{{ value }}` or use `~`")


def _concatenated(items: list[Any]) -> str:
    texts = [str(item) for item in items]
    if sum(map(len, texts)) > MAX_VALUE:
        raise TemplateLimitError(_TOO_LARGE)
    return "".join(texts)


def _replace(value: Any, old: Any, new: Any) -> str:
    text, old, new = str(value), str(old), str(new)
    if len(text) + text.count(old) * len(new) > MAX_VALUE:
        raise TemplateLimitError(_TOO_LARGE)
    return text.replace(old, new)


def _indent(value: Any, width: int = 4, first: bool = False, blank: bool = False) -> str:  # noqa: FBT001, FBT002 - as jinja2's
    if not (isinstance(width, int) and 0 <= width <= 64):
        raise TemplateLimitError("indent takes a width from 0 to 64")
    pad = " " * width
    lines = str(value).split("\n")
    if len(lines) * width > MAX_VALUE:
        raise TemplateLimitError(_TOO_LARGE)
    rest = [pad + line if line or blank else line for line in lines[1:]]
    return "\n".join([pad + lines[0] if first else lines[0], *rest])


def _b64encode(value: Any) -> str:
    encoded = getattr(value, "base64_placeholder", None)
    if isinstance(encoded, str):
        return encoded
    return base64.b64encode(str(value).encode()).decode("ascii")


def _source(sources: Mapping[str, bytes], name: str) -> str | None:
    """A template of the repository by its path; what is absolute or climbs is simply not there."""
    if name.startswith(("/", "../")) or "/../" in name or name not in sources:
        return None
    return sources[name].decode("utf-8")
