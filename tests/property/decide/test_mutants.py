"""The listed ways to break the decider fit the code. mutants.py itself runs them: some minutes."""

from __future__ import annotations

import ast

import pytest

from tests.property.decide.mutants import MUTANTS, ROOT, Mutant, mutated


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_the_code(mutant: Mutant) -> None:
    good = (ROOT / "fleet" / mutant.file).read_text()
    bad = mutated(mutant, good)
    assert ast.dump(ast.parse(bad)) != ast.dump(ast.parse(good))


def test_mutants_have_names_of_their_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 30
