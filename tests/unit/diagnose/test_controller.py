"""The controller, judged: each check says one thing, with what to do about it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from msgspec.structs import replace

from fleet.diagnose import Controller, of_controller
from fleet.diagnose.controller import ANSIBLE, RUNNER
from fleet.model.diagnosis import Diagnosis, Surroundings

ROOT = Path(__file__).parents[3]
WELL = Surroundings(
    ansible="2.19.4", runner="2.4.1", git="2.39.5", ssh="9.2", open_files=1024, state_free=10**10,
    state_path="/work/acme/.fleet",
)  # fmt: skip


def doubts(machine: Surroundings = WELL, **more: object) -> list[Diagnosis]:
    return [each for each in of_controller(Controller(machine, **more)) if each.outcome != "ok"]  # type: ignore[arg-type]


def test_a_controller_on_a_good_day() -> None:
    found = list(of_controller(Controller(WELL, mirrors={"https://mirror.acme.example": ""})))

    assert {each.outcome for each in found} == {"ok"}
    assert [each.check for each in found] == [
        "ansible", "ansible-runner", "git", "ssh", "path", "open-files", "state", "repository", "host-keys", "lock",
        "mirror",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("machine", "message"),
    [
        ({"ansible": ""}, "ansible-core is not there"),
        ({"ansible": "2.15.9"}, "ansible-core is 2.15.9, wanted 2.16 to below 2.20"),
        ({"ansible": "2.20.0"}, "ansible-core is 2.20.0, wanted 2.16 to below 2.20"),
        ({"runner": "2.3.6"}, "ansible-runner is 2.3.6, wanted 2.4.1 or later"),
        ({"git": "2.25.1"}, "git is 2.25.1, wanted 2.30 or later"),
        ({"ssh": ""}, "OpenSSH is not there"),
        ({"ssh": "7.9"}, "OpenSSH is 7.9, wanted 8.0 or later"),
    ],
)
def test_programs_that_are_missing_or_of_another_age(machine: dict[str, str], message: str) -> None:
    (found,) = doubts(replace(WELL, **machine))

    assert (found.outcome, found.message) == ("wrong", message)
    assert found.hint


def test_what_is_wanted_is_what_the_package_asks_for() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]

    def dotted(numbers: tuple[int, ...]) -> str:
        return ".".join(map(str, numbers))

    assert f"ansible-core>={dotted(ANSIBLE.least)},<{dotted(ANSIBLE.below)}" in wanted
    assert f"ansible-runner>={dotted(RUNNER.least)}" in wanted


@pytest.mark.parametrize(("is_first", "outcome"), [(True, "warning"), (False, "wrong")])
def test_another_fleet_on_the_path(is_first: bool, outcome: str) -> None:  # noqa: FBT001
    (found,) = doubts(replace(WELL, others=("/usr/bin/fleet",), is_first=is_first))

    assert (found.check, found.outcome, found.subjects) == ("path", outcome, ("/usr/bin/fleet",))
    assert "edgefleet" in found.hint


@pytest.mark.parametrize(
    ("forks", "files", "is_few"),
    [(20, 144, False), (20, 143, True), (50, 264, False), (1000, 264, False), (1000, 263, True)],
)
def test_open_files_for_the_nodes_of_a_batch(forks: int, files: int, is_few: bool) -> None:  # noqa: FBT001
    """More than 50 at once are shared out among processes, each with as many files."""
    found = [each.check for each in doubts(replace(WELL, open_files=files), forks=forks)]
    assert found == (["open-files"] if is_few else [])


@pytest.mark.parametrize(
    ("machine", "check"),
    [
        ({"state_free": 500_000_000}, "state"),
        ({"is_repository": False}, "repository"),
        ({"ignores_state": False}, "repository"),
        ({"has_identity": False}, "repository"),
    ],
)
def test_the_room_of_the_journal_and_the_repository(machine: dict[str, object], check: str) -> None:
    assert [(each.check, each.outcome) for each in doubts(replace(WELL, **machine))] == [(check, "warning")]


def test_nodes_without_a_pin_and_what_the_lock_lacks() -> None:
    found = doubts(unpinned=("a", "b"), unlocked=("v1.36.3+k3s1",))

    assert [(each.check, each.outcome, each.subjects) for each in found] == [
        ("host-keys", "warning", ("a", "b")),
        ("lock", "wrong", ("v1.36.3+k3s1",)),
    ]


def test_each_mirror_by_itself() -> None:
    found = doubts(mirrors={"https://one": "", "https://two": "https://two/…: 404 Not Found"})

    assert [(each.check, each.message, each.subjects) for each in found] == [
        ("mirror", "https://two/…: 404 Not Found", ("https://two",))
    ]
