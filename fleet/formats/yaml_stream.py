"""A YAML stream by the fast reader, with the strict builder for each document that is beyond it."""

from typing import Any

from fleet.formats.utf8 import BOM
from fleet.formats.yaml_atoms import Unclear
from fleet.formats.yaml_lines import LineReader

_MARK = "---\n"


def read_stream(data: bytes) -> list[Any] | None:
    """Read all documents; None where only the strict builder, over the whole stream, can tell (mistakes above all)."""
    if not data.endswith(b"\n") or (b"&" in data and b"*" in data):
        return None  # the end of a last block is delicate; aliases are counted over the whole stream
    try:
        text = data.removeprefix(BOM).decode()
    except UnicodeDecodeError:
        return None
    if "\r" in text:
        text = text.replace("\r\n", "\n")
        if "\r" in text:
            return None
    # A line `---` ends a document wherever it stands, even inside a block or (as a mistake) in quotes.
    is_explicit = text.startswith(_MARK)
    chunks = text.removeprefix(_MARK).split("\n" + _MARK)
    last = chunks.pop()
    reader = LineReader()
    documents: list[Any] = []
    for chunk in [*(chunk + "\n" for chunk in chunks), last]:
        try:
            documents.append(reader.read(chunk))
        except Unclear:
            from fleet.formats.yaml_events import build  # and libyaml with it: a plain spec never needs them

            found, problems = build((_MARK + chunk if is_explicit else chunk).encode())
            if problems:
                return None
            documents += found
        is_explicit = True
    return documents
