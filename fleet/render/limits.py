"""What one template may use: fuel for loops and calls, and bounds on every value that it makes."""

from __future__ import annotations

import base64
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, ValuesView
from typing import Any

from jinja2 import Undefined, pass_eval_context
from jinja2.exceptions import SecurityError
from jinja2.filters import do_tojson
from jinja2.nodes import EvalContext
from jinja2.utils import Namespace

FUEL = 100_000
"""Loop rounds, calls and includes that one template may use."""
MAX_VALUE = 1 << 20
"""Characters of one value, and of one rendered file."""
_TEXT = 64
"""Characters of a value that cost as much as one round."""
_WIDTH = 64
"""Spaces of indentation."""
MAX_BITS = 4096
"""Bits of one integer."""

TOO_LARGE = f"makes a value of more than {MAX_VALUE:,} characters"


class TemplateLimitError(SecurityError):
    """The template runs for ever, or makes something that no configuration file is."""


class Fuel:
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

    def weigh(self, value: Any) -> Any:
        """`value`, paid for with all that is in it, as often as it is in it.

        A list of a list of a list unfolds to any size when it is written or compared, and no length tells. What holds
        other things is weighed where it is made, so that nothing too heavy ever exists.
        """
        found = [value]
        while found:
            item = found.pop()
            self.burn(1 + len(item) // _TEXT if isinstance(item, str) else 1)
            if isinstance(item, Namespace):
                item = object.__getattribute__(item, "_Namespace__attrs")
            if isinstance(item, dict):
                self.over(item)
                found += item.keys()
                found += item.values()
            elif isinstance(item, list | tuple | ItemsView | KeysView | ValuesView):
                if len(item) > self.left:
                    self.burn(len(item))
                found += item
        return value

    def bounded(self, value: Any) -> Any:
        """`value`, made by an operator or a call, unless it is too large; long ones are paid for by length."""
        if isinstance(value, str | bytes):
            if len(value) > MAX_VALUE:
                raise TemplateLimitError(TOO_LARGE)
            self.burn(len(value) // _TEXT)
        elif isinstance(value, list | tuple):
            self.burn(len(value))
        elif isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise TemplateLimitError(f"makes an integer of more than {MAX_BITS} bits")
        return value

    def _one_by_one(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self.left -= 1
            if self.left < 0:
                self.burn(0)
            yield item


class Burning:
    """A filter that pays fuel for each item that it is given, and for what it gives; keeps jinja2's marks on the filter.

    What it gives is a list and no generator: written out, one would be its address in memory, another one each time.
    """

    def __init__(self, known: Callable[..., Any], fuel: Fuel) -> None:
        self._known = known
        self._fuel = fuel
        # An async variant would never run here; jinja2 looks for this mark to pass context or environment first.
        self.jinja_pass_arg = getattr(known, "jinja_pass_arg", None)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        at = 0 if self.jinja_pass_arg is None else 1
        metered = (*args[:at], self._fuel.over(args[at]), *args[at + 1 :])
        made = self._known(*metered, **kwargs)
        if isinstance(made, Iterator):
            made = list(made)
        return self._fuel.weigh(made) if isinstance(made, list) else made


def check_operands(operator: str, left: Any, right: Any) -> None:
    """Refuses before the work what `Fuel.bounded` would refuse after it."""
    if operator == "*":
        for sequence, times in ((left, right), (right, left)):
            if (
                isinstance(sequence, str | list | tuple)
                and isinstance(times, int)
                and len(sequence) * times > MAX_VALUE
            ):
                raise TemplateLimitError(TOO_LARGE)
    elif operator == "**":
        if not (isinstance(right, int) and 0 <= right <= 64):
            raise TemplateLimitError("`**` takes an exponent from 0 to 64")
    elif operator == "%" and isinstance(left, str):
        raise TemplateLimitError("`%` is for numbers: write `{{ value }}` or use `~`")


def written(value: Any) -> Any:
    """`value`, on its way into the text."""
    if callable(value) and not isinstance(value, Undefined):
        raise TemplateLimitError("a function or method is no text: call it with `()`")
    return value


def concatenated(items: list[Any]) -> str:
    texts = [str(written(item)) for item in items]
    if sum(map(len, texts)) > MAX_VALUE:
        raise TemplateLimitError(TOO_LARGE)
    return "".join(texts)


def replace(value: Any, old: Any, new: Any) -> str:
    text, old, new = str(value), str(old), str(new)
    if len(text) + text.count(old) * len(new) > MAX_VALUE:
        raise TemplateLimitError(TOO_LARGE)
    return text.replace(old, new)


def indent(value: Any, width: int = 4, first: bool = False, blank: bool = False) -> str:  # noqa: FBT001, FBT002 - as jinja2's
    _check_width(width)
    pad = " " * width
    lines = str(value).split("\n")
    if len(lines) * width > MAX_VALUE:
        raise TemplateLimitError(TOO_LARGE)
    rest = [pad + line if line or blank else line for line in lines[1:]]
    return "\n".join([pad + lines[0] if first else lines[0], *rest])


@pass_eval_context
def tojson(context: EvalContext, value: Any, indent: int | None = None) -> str:
    if indent is not None:
        _check_width(indent)
    return do_tojson(context, value, indent)


def _check_width(width: Any) -> None:
    if not (isinstance(width, int) and 0 <= width <= _WIDTH):
        raise TemplateLimitError(f"indent takes a width from 0 to {_WIDTH}")


def b64encode(value: Any) -> str:
    encoded = getattr(value, "base64_placeholder", None)
    if isinstance(encoded, str):
        return encoded
    return base64.b64encode(str(value).encode()).decode("ascii")
