"""docs/cli.md says what the command says."""

from __future__ import annotations

from pathlib import Path

from fleet.cli import reference
from fleet.cli.documents import OUTPUTS

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_holds_the_help_of_every_verb():
    text = PAGE.read_text()

    assert text[text.index(reference.START) :] == reference.reference(), "python -m fleet.cli.reference prints it"


def test_the_exit_codes_of_the_page_are_those_of_the_errors():
    from fleet import errors

    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    rows = {
        int(line.split("|")[1]) for line in PAGE.read_text().splitlines() if line.startswith("| ") and line[2].isdigit()
    }

    assert rows == codes


def test_the_page_names_a_format_that_exists():
    assert OUTPUTS["plan"].format in PAGE.read_text()
