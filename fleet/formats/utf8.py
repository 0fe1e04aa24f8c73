"""Bytes that should be UTF-8 text, and places in a text."""

import re
from typing import Final

from fleet.formats import FormatError

BOM: Final = b"\xef\xbb\xbf"
# As libyaml counts lines, by YAML 1.1: the last three end one too.
BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


def place(text: str, offset: int) -> tuple[int, int]:
    """Give line and column, from 1, of a character."""
    lines = BREAK.split(text[:offset])
    return len(lines), len(lines[-1]) + 1


def check_encoding(text: bytes) -> None:
    """Raise FormatError at the first byte that is not UTF-8."""
    if text.isascii():
        return
    try:
        text.decode()
    except UnicodeDecodeError as error:
        line, column = place(text[: error.start].decode().removeprefix("\ufeff"), error.start)
        problem = f"byte 0x{text[error.start]:02x} is not UTF-8"
        raise FormatError(problem, "Save the file as UTF-8", line, column) from None
