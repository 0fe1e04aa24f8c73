"""`--refresh`: who did not answer is told by reason, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.cli.face import Face
from fleet.cli.looking import look
from fleet.model.batch import Observation
from fleet.model.plan import Scope
from tests.cli.running import run, run_on_terminal


class Seen:
    """As much of a Workspace as a look needs."""

    def __init__(self, *observations: Observation) -> None:
        self.observations = observations
        self.scopes: list[Scope] = []

    def refresh(self, scope: Scope, *, forks: int) -> Iterator[Observation]:
        assert forks == 20
        self.scopes.append(scope)
        yield from self.observations


def silent(node: str, reason: str) -> Observation:
    return Observation(node, unreachable=reason)


def test_silent_nodes_are_told_by_reason_the_largest_group_first(capsys: pytest.CaptureFixture[str]):
    seen = Seen(
        silent("a", "no route to host"),
        Observation("b", machine_id="1", arch="amd64"),
        *(silent(f"till-{number}", "connection timed out") for number in range(5)),
    )

    look(Face(), seen, Scope(sites=("lyon",)))  # type: ignore[arg-type]

    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        "warning: 5 nodes did not answer (till-0, till-1, till-2 and 2 more): connection timed out\n"
        "warning: 1 node did not answer (a): no route to host\n"
    )
    assert seen.scopes == [Scope(sites=("lyon",))]


def test_addresses_of_silent_nodes_make_no_line_each(capsys: pytest.CaptureFixture[str]):
    refused = (silent(f"till-{number}", f"ssh: connect to host 10.0.0.{number}: refused") for number in range(5))

    look(Face(), Seen(*refused), Scope())  # type: ignore[arg-type]

    assert capsys.readouterr().err == (
        "warning: 5 nodes did not answer (till-0, till-1, till-2 and 2 more): ssh: connect to host ADDRESS: refused\n"
    )


def test_a_node_that_is_not_there_yet_has_simply_nothing(shop: Path):
    ran = run("plan", "--refresh", "--sandbox", "nodes", cwd=shop)

    assert (ran.code, ran.err) == (3, "")
    assert "3 nodes change, 0 stay, 0 go" in ran.out


def test_a_terminal_sees_how_many_nodes_answered(applied_shop: Path):
    ran = run_on_terminal("plan", "--refresh", "--sandbox", "nodes", cwd=applied_shop)

    assert ran.code == 0
    assert "asking nodes" in ran.out
    assert "3/?" in ran.out
    assert "Nothing to do" in ran.out
