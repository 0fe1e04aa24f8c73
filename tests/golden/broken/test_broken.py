"""The corpus of broken specs: each folder is a small repository and the literal lines that its mistakes give.

A line reads `FILE:LINE:COLUMN SEVERITY PATH: MESSAGE. HINT (OTHER PLACES)`. There is no flag that rewrites them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.errors import SpecError
from fleet.model.problem import Problem
from fleet.model.tree import Tree
from fleet.operations.intent import read_intent
from fleet.testing import MemoryRecords

CORPUS = Path(__file__).parent
CASES = sorted(folder.name for folder in CORPUS.iterdir() if (folder / "expected.txt").exists())


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def line(problem: Problem) -> str:
    text = f"{problem.file}:{problem.line}:{problem.column} {problem.severity} "
    text += (f"{problem.path}: " if problem.path else "") + problem.message
    text += f". {problem.hint}" if problem.hint else ""
    return text + (f" ({', '.join(problem.others)})" if problem.others else "")


def test_corpus_is_large_enough() -> None:
    assert len(CASES) >= 150
    assert all((CORPUS / name / "repository").is_dir() for name in CASES)


@pytest.mark.parametrize("name", CASES)
def test_every_mistake_is_told_as_expected(name: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_intent(Tree(files_of(CORPUS / name / "repository")), MemoryRecords(), {}, home="")
    told = [line(problem) for problem in caught.value.problems]
    assert told == (CORPUS / name / "expected.txt").read_text("utf-8").splitlines()
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", CASES)
def test_messages_are_for_people(name: str) -> None:
    for each in (CORPUS / name / "expected.txt").read_text("utf-8").splitlines():
        assert "Traceback" not in each
        assert "^[" not in each, "a regular expression is no explanation"
        plain = each.replace("../", "").replace("`..`", "").replace("[...]", "").replace("[COMPONENT]...", "")
        assert ".." not in plain, "a sentence ends once"
        assert not any(ord(letter) < 32 for letter in each)
