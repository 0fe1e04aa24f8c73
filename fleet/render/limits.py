"""What one template may use: fuel for loops and calls, and bounds on every value that it makes."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jinja2.exceptions import SecurityError

FUEL = 100_000
"""Loop rounds, calls and includes that one template may use."""
MAX_VALUE = 1 << 20
"""Characters of one value, and of one rendered file."""
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

    def _one_by_one(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self.left -= 1
            if self.left < 0:
                self.burn(0)
            yield item


class Burning:
    """A filter that pays fuel for each item that it is given; keeps jinja2's marks on the filter."""

    def __init__(self, known: Callable[..., Any], fuel: Fuel) -> None:
        self._known = known
        self._fuel = fuel
        # An async variant would never run here; jinja2 looks for this mark to pass context or environment first.
        self.jinja_pass_arg = getattr(known, "jinja_pass_arg", None)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        at = 0 if self.jinja_pass_arg is None else 1
        metered = (*args[:at], self._fuel.over(args[at]), *args[at + 1 :])
        return self._known(*metered, **kwargs)


def bounded(value: Any) -> Any:
    if isinstance(value, str | bytes | list | tuple):
        if len(value) > MAX_VALUE:
            raise TemplateLimitError(TOO_LARGE)
    elif isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise TemplateLimitError(f"makes an integer of more than {MAX_BITS} bits")
    return value


def check_operands(operator: str, left: Any, right: Any) -> None:
    """Refuses before the work what `bounded` would refuse after it."""
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


def concatenated(items: list[Any]) -> str:
    texts = [str(item) for item in items]
    if sum(map(len, texts)) > MAX_VALUE:
        raise TemplateLimitError(TOO_LARGE)
    return "".join(texts)


def replace(value: Any, old: Any, new: Any) -> str:
    text, old, new = str(value), str(old), str(new)
    if len(text) + text.count(old) * len(new) > MAX_VALUE:
        raise TemplateLimitError(TOO_LARGE)
    return text.replace(old, new)


def indent(value: Any, width: int = 4, first: bool = False, blank: bool = False) -> str:  # noqa: FBT001, FBT002 - as jinja2's
    if not (isinstance(width, int) and 0 <= width <= 64):
        raise TemplateLimitError("indent takes a width from 0 to 64")
    pad = " " * width
    lines = str(value).split("\n")
    if len(lines) * width > MAX_VALUE:
        raise TemplateLimitError(TOO_LARGE)
    rest = [pad + line if line or blank else line for line in lines[1:]]
    return "\n".join([pad + lines[0] if first else lines[0], *rest])


def b64encode(value: Any) -> str:
    encoded = getattr(value, "base64_placeholder", None)
    if isinstance(encoded, str):
        return encoded
    return base64.b64encode(str(value).encode()).decode("ascii")
