"""Mistakes in a spec as lines."""

from fleet.model.problem import Problem
from fleet.report import Line, problems_lines


def test_every_mistake_and_how_many():
    problems = [
        Problem("sites/lyon.yaml", 14, 7, "spec.nodeSets[0].adresses", "unknown field", "Did you mean `addresses`?"),
        Problem(
            "sites/lyon.yaml",
            15,
            18,
            "spec.nodeSets[0].count",
            "40 nodes do not fit in 10.20.1.32/27 (30 usable addresses)",
        ),
        Problem("profiles/base.yaml", 9, 5, "", "a name twice", severity="warning", others=("fleet.yaml:3:1",)),
    ]
    assert problems_lines(problems, 214, 2) == (
        Line("sites/lyon.yaml:14:7   error    spec.nodeSets[0].adresses: unknown field. Did you mean `addresses`?", "refused"),
        Line("sites/lyon.yaml:15:18  error    spec.nodeSets[0].count: 40 nodes do not fit in 10.20.1.32/27 (30 usable addresses)", "refused"),
        Line("profiles/base.yaml:9:5 warning  a name twice", "warning"),
        Line("                                also at fleet.yaml:3:1", "hint"),
        Line("2 errors, 1 warning in 2 of 214 documents.", "answer"),
    )  # fmt: skip


def test_no_mistake():
    assert problems_lines([], 214, 0) == (Line("No mistakes in 214 documents.", "answer"),)


def test_one_mistake():
    lines = problems_lines([Problem("a.yaml", 1, 1, "spec", "expected a map")], 1, 1)
    assert [each.text for each in lines] == ["a.yaml:1:1 error  spec: expected a map", "1 error in 1 of 1 document."]


def test_thousands_of_mistakes_are_not_thousands_of_lines():
    lines = problems_lines([Problem("a.yaml", i, 1, "spec", "wrong") for i in range(5_000)], 9, 1)
    assert len(lines) == 202
    assert lines[-2].text == "… 4,800 more: fleet validate --json lists them all"
    assert lines[-1].text == "5,000 errors in 1 of 9 documents."


def test_what_a_document_holds_does_not_reach_the_terminal():
    (first, _) = problems_lines([Problem("a.yaml", 1, 1, "spec", "found `\x1b[2J\u202e`")], 1, 1)
    assert first.text == "a.yaml:1:1 error  spec: found `\\x1b[2J\\u202e`"
