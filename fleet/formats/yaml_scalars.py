"""What a plain YAML scalar means: the part on which YAML 1.1 (Ansible) and YAML 1.2 readers agree, and nothing else.

Sources: YAML 1.1 type repository (as PyYAML implements it), YAML 1.2.2 core schema (chapter 10.3).
"""

import math
import re
from collections.abc import Mapping
from sys import intern
from typing import Any, ClassVar, Final


class Special:
    """Stands where a value would: something that is none yet, or may not be one."""


# A plain scalar that one reader takes for a string and another does not.
AMBIGUOUS: Final = Special()

_BOOLEANS_1_1: Final = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}
_MEANT: Final[dict[str, Any]] = {"": None, "~": None, "null": None, "true": True, "false": False}


def _spellings(word: str) -> tuple[str, str, str]:
    return word, word.capitalize(), word.upper()


WORDS: Final[dict[str, Any]] = {
    **{spelling: AMBIGUOUS for word in (*_BOOLEANS_1_1, "null") for spelling in _spellings(word)},
    **dict.fromkeys(("=", "<<"), AMBIGUOUS),
    **_MEANT,
}
_NUMBER_STARTS: Final = frozenset("0123456789+-.")
_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]+")
_BASE_60: Final = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_NUMBER_TO_SOME: Final = re.compile(
    r"""[-+][0-9_]+ | [-+]?(?:
          0[bB][01_]+ | 0[oO]?[0-7_]+ | 0[xX][0-9a-fA-F_]+      # binary, octal (both spellings), hexadecimal
        | [0-9][0-9_]*                                          # 0123, 1_000
        | (?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)(?:[eE][-+]?[0-9]+)?   # .5, 1., 1e3, 36171E236692
        | \.(?:inf|Inf|INF|nan|NaN|NAN)
    )""",
    re.VERBOSE,
)
_LIMIT: Final = 100_000


def _number_or_text(text: str) -> Any:
    """Resolve a plain scalar that starts like a number."""
    if _INTEGER.fullmatch(text):
        # CPython refuses integers of more than 4,300 digits.
        return int(text) if len(text) <= 4000 else AMBIGUOUS
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else AMBIGUOUS
    if _NUMBER_TO_SOME.fullmatch(text) or _BASE_60.fullmatch(text):
        return AMBIGUOUS
    return text


class PlainScalars(dict[str, Any]):
    """Text of a plain scalar -> its value or AMBIGUOUS. Remembers what it has seen, so equal texts share one object."""

    words: ClassVar[Mapping[str, Any]] = WORDS

    def __init__(self) -> None:
        super().__init__(self.words)

    def __missing__(self, text: str) -> Any:
        if len(self) > _LIMIT:  # a fleet of 100,000 nodes has few texts that come again, and memory is bounded
            self.clear()
            self.update(self.words)
        value = _number_or_text(text) if text[0] in _NUMBER_STARTS else intern(text)
        self[text] = value
        return value


def is_plain_string(text: str) -> bool:
    """Say whether YAML 1.1 and YAML 1.2 readers both take this plain text for a string (syntax is not judged)."""
    if text in WORDS or text in {"y", "Y", "n", "N"}:
        return False
    return text[0] not in _NUMBER_STARTS or _number_or_text(text) is text


def why_ambiguous(text: str) -> tuple[str, str]:
    """Give the problem and the hint for a text that resolves to AMBIGUOUS."""
    quoted = f'"{text}"'
    word = text.lower()
    if word in _BOOLEANS_1_1:
        meant = _BOOLEANS_1_1[word]
        return f"`{text}` is a boolean to some YAML readers and text to others", f"Write {quoted} or {meant}"
    if word == "null":
        return f"`{text}` is null to some YAML readers and text to others", f"Write {quoted} or null"
    if text in {"=", "<<"}:
        return f"`{text}` has a meaning of its own in YAML 1.1", f"Write {quoted}"
    if _BASE_60.fullmatch(text):
        return f"`{text}` is a base-60 number to some YAML readers and text to others", f"Write {quoted}"
    return f"`{text[:60]}` is a number to some YAML readers and text or another number to others", (
        f"Write {quoted} for text, or the number in plain decimal digits" if len(text) <= 60 else "Put it in quotes"
    )
