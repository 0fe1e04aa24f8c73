"""The corpus of inventories: each is imported, and what fleet resolves it to is held against `ansible-inventory --list`.

A case is a folder with case.toml (what is imported, with which options) and report.txt (all that the report tells, to
the letter); some have the files that come out in `expected/`. There is no flag that rewrites them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet import Workspace
from fleet.errors import SpecError
from fleet.model.translation import ImportReport
from tests.golden.imports.against_ansible import CASES, CORPUS, PASSWORD, case, differences, imported, listed

GOOD = [name for name in CASES if not case(name).is_refused]
REFUSED = [name for name in CASES if case(name).is_refused]
WHOLE = [name for name in GOOD if (CORPUS / name / "expected").is_dir()]


def told(report: ImportReport) -> list[str]:
    return [
        f"{note.file}:{note.line}:{note.column} {note.severity} {note.subject}: {note.message}"
        + (f". {note.hint}" if note.hint else "")
        for note in report.notes
    ]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_corpus_is_large_enough() -> None:
    assert len(GOOD) >= 18
    assert len(REFUSED) >= 2
    assert len(WHOLE) >= 4


@pytest.mark.parametrize("name", GOOD)
def test_hosts_groups_and_variables_are_those_of_ansible(name: str, tmp_path: Path) -> None:
    of = case(name)
    report = imported(of, tmp_path / "out")

    inventory = listed(of.folder / of.hosts, tmp_path / "home", PASSWORD)

    assert list(differences(of, report, tmp_path / "out", inventory)) == []


@pytest.mark.parametrize("name", GOOD)
def test_the_report_tells_all_and_the_spec_is_valid(name: str, tmp_path: Path) -> None:
    of = case(name)

    report = imported(of, tmp_path / "out")

    assert told(report) == (of.folder / "report.txt").read_text().splitlines()
    if of.is_valid:
        validation = Workspace.open(tmp_path / "out").validate()
        assert (validation.nodes, validation.sites) == (len(report.hosts), report.sites)


@pytest.mark.parametrize("name", GOOD)
def test_the_same_files_come_out_again(name: str, tmp_path: Path) -> None:
    imported(case(name), tmp_path / "one")
    imported(case(name), tmp_path / "two")

    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


@pytest.mark.parametrize("name", WHOLE)
def test_what_comes_out_to_the_letter(name: str, tmp_path: Path) -> None:
    imported(case(name), tmp_path / "out")

    found = {path: data for path, data in files_of(tmp_path / "out").items() if path != ".fleet/schema.json"}
    assert found == files_of(CORPUS / name / "expected")


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_told_whole_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    of = case(name)

    with pytest.raises(SpecError) as caught:
        imported(of, tmp_path / "out")

    lines = [
        f"{each.file}:{each.line}:{each.column} {each.message}. {each.hint}".rstrip(". ")
        for each in caught.value.problems
    ]
    assert lines == (of.folder / "report.txt").read_text().splitlines()
    assert not (tmp_path / "out").exists()


def test_no_report_holds_a_value_that_may_be_a_secret() -> None:
    """Every clear secret of the corpus has `hunter` in it."""
    holders = [path for path in CORPUS.rglob("report.txt") if "hunter" in path.read_text()]
    assert holders == []
    assert any(b"hunter" in path.read_bytes() for path in CORPUS.rglob("*.yml"))
