"""Where and why a text is not YAML: libyaml's messages, put in words with a hint."""

import re
from typing import Final

from yaml import YAMLError
from yaml.error import MarkedYAMLError

from fleet.formats import FormatError
from fleet.formats.utf8 import BOM, BREAK, place

# YAML 1.2.2, production [1] c-printable, turned round.
_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_HINTS: Final = (
    ("mapping values are not allowed", 'Check the indentation, or quote text that holds ": "'),
    ("cannot start any token", "Quote text that starts with this character"),
    ("could not find expected ':'", "Write `key: value`, with a space after the colon, and mind the indentation"),
    ("did not find expected key", "Indent the keys of one mapping alike"),
    ("did not find expected '-'", "Indent the entries of one list alike, each with `- `"),
    ("block sequence entries are not allowed", "Start the list on a line of its own"),
    ("did not find expected ',' or", "Close the bracket, and put a comma between entries"),
    ("unexpected end of stream", "Close the quote"),
    ("unknown escape", "Double the backslash, or use single quotes"),
    ("document start", "Put `---` between documents, and indent the keys of one mapping alike"),
    ("document indicator", "Close the quote before `---`"),
    ("tag handle", "Remove the tag"),
    ("tab", "Indent with spaces, never with tabs"),
)


def unprintable(text: bytes) -> FormatError | None:
    """Find the first character that YAML does not allow, if there is one."""
    shown = text.removeprefix(BOM).decode()
    found = _UNPRINTABLE.search(shown)
    if found is None:
        return None
    problem = f"the character U+{ord(found[0]):04X} is not allowed in YAML"
    hint = (
        "This looks like a binary file" if found[0] == "\0" else "Remove it, or write it as an escape in double quotes"
    )
    return FormatError(problem, hint, *place(shown, found.start()))


def syntax_error(error: YAMLError, text: bytes) -> FormatError:
    """Turn libyaml's error into ours."""
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return unprintable(text) or FormatError(f"this is not YAML: {error}", "", 1, 1)
    mark = error.problem_mark
    lines = BREAK.split(text.removeprefix(BOM).decode())
    if len(lines) > 1 and not lines[-1]:
        lines.pop()
    # At the end of the text libyaml points behind the last line.
    line = min(mark.line, len(lines) - 1)
    written = lines[line]
    column = mark.column if line == mark.line else len(written)
    problem = str(error.problem)
    if "\t" in written[: column + 1] and not written[:column].strip():
        return FormatError(
            "a tab in the indentation", "Indent with spaces, never with tabs", line + 1, written.index("\t") + 1
        )
    hint = next((hint for words, hint in _HINTS if words in problem), "Check the line and the one before it")
    context = f" ({error.context})" if error.context else ""
    return FormatError(f"{problem}{context}", hint, line + 1, column + 1)
