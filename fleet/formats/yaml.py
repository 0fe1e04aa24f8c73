"""YAML in and out, strict: nothing is read that a YAML 1.1 and a YAML 1.2 reader would understand differently.

`parse` reads good text fast; `parse_all_errors`, and `yaml_marks` for places, are the slow, thorough ways for bad text
and for blame. Only they load libyaml's reader.
"""

from typing import Any

from fleet.formats import FormatError
from fleet.formats.yaml_stream import read_stream
from fleet.formats.yaml_write import dump, dump_mapping_item, dump_scalar

__all__ = ["dump", "dump_mapping_item", "dump_scalar", "parse", "parse_all_errors"]


def parse(text: bytes) -> list[Any]:
    """Read every document of a UTF-8 stream as plain values: dict, list, str, int, float, bool, None.

    Keys are strings. Values under aliases are shared, and equal strings may be: do not change what you get.
    Raises FormatError for the first mistake.
    """
    fast = read_stream(text)
    if fast is not None:
        return fast
    from fleet.formats.yaml_events import build

    documents, problems = build(text)
    if problems:
        raise min(problems, key=_place)
    return documents


def parse_all_errors(text: bytes) -> list[FormatError]:
    """Find as many mistakes as possible, in the order of the text. A syntax error is the last to be found."""
    from fleet.formats.yaml_events import build

    return sorted(build(text)[1], key=_place)


def _place(error: FormatError) -> tuple[int, int]:
    return error.line, error.column
