"""docs/reliability.md: its tables are those of the evidence, and each promise names a test that is there."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from tests.unit.docs.pages import ROOT

PAGE = ROOT / "docs/reliability.md"


def _tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_kills", ROOT / "docs/kills.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLES = _tables()


def test_the_tables_are_up_to_date():
    assert PAGE.read_text() == TABLES.with_tables(PAGE.read_text()), "run `make docs`"


@pytest.mark.parametrize("name", ["kills", "crash"])
def test_a_count_that_changes_changes_the_page(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for each in ("kills", "crash"):
        evidence = json.loads((TABLES.EVIDENCE / f"{each}.json").read_text())
        if each == name:
            key = "commit_kills" if name == "kills" else "kills"
            evidence["counts"][key] += 1
        (tmp_path / f"{each}.json").write_text(json.dumps(evidence))
    monkeypatch.setattr(TABLES, "EVIDENCE", tmp_path)

    assert TABLES.with_tables(PAGE.read_text()) != PAGE.read_text()


def named() -> list[tuple[str, str]]:
    """(path, function or empty) of each test that the page names."""
    return re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", PAGE.read_text())


def test_each_promise_names_a_test_that_is_there():
    rows = [line for line in PAGE.read_text().partition("## Killed")[0].splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 14
    assert [row for row in rows if "tests/" not in row] == []
    gone = [
        f"{path}::{function}"
        for path, function in named()
        if not (ROOT / path).exists() or f"def {function or 'test_'}" not in (ROOT / path).read_text()
    ]
    assert gone == []


def test_every_point_that_is_tried_is_in_the_table():
    points = re.search(r"POINTS = \{(.*?)\}", (ROOT / "tests/kills/test_kills.py").read_text(), re.DOTALL)
    assert points is not None
    assert set(re.findall(r'"(\w+)"', points[1])) == set(TABLES.KINDS)
