"""Bytes that should be UTF-8: the first one that is not is told by its line and column."""

from __future__ import annotations

import pytest

from fleet.formats import FormatError
from fleet.formats.utf8 import check_encoding, place


@pytest.mark.parametrize(
    "text",
    [b"", b"plain\n", "Zoë, 京都, 🛰\n".encode(), b"\xef\xbb\xbfwith a mark\n", b"\x00\x7f", "\U0010ffff".encode()],
)
def test_what_is_utf_8_passes(text: bytes) -> None:
    check_encoding(text)


@pytest.mark.parametrize(
    ("text", "line", "column", "byte"),
    [
        (b"\xe9", 1, 1, "0xe9"),
        (b"name: Caf\xe9\n", 1, 10, "0xe9"),
        # Columns count characters, not bytes.
        ("Zoë: ".encode() + b"\xff", 1, 6, "0xff"),
        (b"one\ntwo\n  \xc3(", 3, 3, "0xc3"),
        (b"one\r\ntwo\rthree \x80", 3, 7, "0x80"),
        # A byte-order mark is no character of the first line.
        (b"\xef\xbb\xbfab\xfe", 1, 3, "0xfe"),
        # YAML 1.1 ends a line there too, as libyaml counts.
        ("a\x85b\u2028c\u2029".encode() + b"\xff", 4, 1, "0xff"),
        # A surrogate, a form that is too long, and one beyond Unicode are no UTF-8 either.
        (b"a\xed\xa0\x80", 1, 2, "0xed"),
        (b"a\xc0\xaf", 1, 2, "0xc0"),
        (b"a\xf4\x90\x80\x80", 1, 2, "0xf4"),
        # Cut in the middle of a character.
        ("ok\n€".encode()[:-1], 2, 1, "0xe2"),
    ],
)
def test_the_first_byte_that_is_not(text: bytes, line: int, column: int, byte: str) -> None:
    with pytest.raises(FormatError) as caught:
        check_encoding(text)
    error = caught.value
    assert (error.line, error.column) == (line, column)
    assert error.problem == f"byte {byte} is not UTF-8"
    assert error.hint == "Save the file as UTF-8"


@pytest.mark.parametrize(
    ("offset", "wanted"),
    [(0, (1, 1)), (2, (1, 3)), (3, (2, 1)), (5, (2, 3)), (7, (3, 1)), (8, (4, 1)), (9, (4, 2))],
)
def test_lines_and_columns_count_from_one(offset: int, wanted: tuple[int, int]) -> None:
    assert place("ab\ncd\r\n\re", offset) == wanted
