"""Tables as CSV (RFC 4180: comma, double quotes), strict: every row has what the header promises."""

import csv
import io
from collections.abc import Iterator
from typing import Final

import msgspec

from fleet.formats import FormatError

_FIELD_LIMIT: Final = 131_072  # characters in one cell, as in Python's csv; more is a quote that was never closed


class Row(msgspec.Struct, frozen=True):
    """`line` is where the row starts, from 1. `values` has every column, in the order of the header."""

    line: int
    values: dict[str, str]


class Table(msgspec.Struct, frozen=True):
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


class TableError(ValueError):
    """A table with mistakes; `errors` holds all of them in the order of the lines."""

    def __init__(self, errors: list[FormatError]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = tuple(errors)


def read_table(text: bytes) -> Table:
    """Read UTF-8 CSV (a BOM and CR LF are fine) with a header of unique names. Cells stay strings, as written.

    Rows without any text are skipped. Raises TableError with every mistake.
    """
    errors: list[FormatError] = []
    lines = _lines(_decode(text))
    try:
        header_line, header = next(lines, (1, []))
        columns = _columns(header_line, header)
        rows: list[Row] = []
        for line, cells in lines:
            if not any(cells):
                continue
            if len(cells) == len(columns):
                rows.append(Row(line, dict(zip(columns, cells, strict=True))))
            else:
                errors.append(_wrong_count(line, cells, columns))
    except FormatError as error:
        errors.append(error)
    except TableError as error:
        errors.extend(error.errors)
    if errors:
        raise TableError(errors)
    return Table(columns, tuple(rows))


def _decode(text: bytes) -> str:
    nul = text.find(b"\0")
    if nul >= 0:
        start = text.rfind(b"\n", 0, nul) + 1
        hint = "Save the table as CSV in UTF-8; this looks like a binary file or UTF-16"
        raise TableError([FormatError("a NUL byte", hint, text.count(b"\n", 0, nul) + 1, nul - start + 1)])
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The codec counts from behind a BOM, so the place is looked up without one.
        body = text.removeprefix(b"\xef\xbb\xbf")
        bad = body[error.start]
        start = body.rfind(b"\n", 0, error.start) + 1
        line, column = body.count(b"\n", 0, error.start) + 1, len(body[start : error.start].decode()) + 1
        problem = f"byte 0x{bad:02x} is not UTF-8"
        raise TableError([FormatError(problem, "Save the table as UTF-8", line, column)]) from None


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Give each row that is not an empty line, with the line it starts on."""
    csv.field_size_limit(_FIELD_LIMIT)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise FormatError(*_quoting(str(error)), line, 1) from None
        if cells:
            yield line, cells


def _quoting(message: str) -> tuple[str, str]:
    if "end of data" in message or "field larger" in message:
        return "a quoted cell starts in this row and does not end", "Close the double quote"
    if "expected after" in message:
        return "text behind a closing quote", 'Write "" for a quote inside a quoted cell'
    if "new-line character" in message:
        return "a line ends in a lone CR", "Save the table with LF or CR LF line ends"
    return message, ""


def _columns(line: int, header: list[str]) -> tuple[str, ...]:
    """Check the header. Raises TableError."""
    if not any(header):
        raise TableError([FormatError("the table has no header", "Name the columns in the first line", line, 1)])
    errors = []
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        mark = "semicolons" if ";" in header[0] else "tabs"
        errors.append(FormatError(f"one column called `{header[0]}`", f"Separate with commas, not {mark}", line, 1))
    for index, name in enumerate(header):
        if not name.strip():
            errors.append(
                FormatError(f"column {index + 1} has no name", "Name it in the header, or remove it", line, 1)
            )
        elif name != name.strip():
            errors.append(FormatError(f"the column `{name}` has spaces around it", f"Write `{name.strip()}`", line, 1))
        elif name in header[:index]:
            errors.append(FormatError(f"the column `{name}` stands in the header twice", "Rename one", line, 1))
    if errors:
        raise TableError(errors)
    return tuple(header)


def _wrong_count(line: int, cells: list[str], columns: tuple[str, ...]) -> FormatError:
    problem = f"{len(cells)} cells where the header has {len(columns)} columns"
    more = len(cells) > len(columns)
    hint = "Put quotes round a cell that holds a comma" if more else "Write a comma for each empty cell"
    return FormatError(problem, hint, line, 1)
