"""kill -9 of a rollout with real Ansible, at every point there is: outcome and applications are those of an undisturbed one.

Points are counted, not chosen (`injected.py`): the test below fails where there are more of them than are tried. A twelfth of
them, another one with each commit; all of them: make soak LANE=kills.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.crash.cases import memory
from tests.kills.death import FROM_THE_START, Case, Scene, kill, next_words
from tests.kills.ground import Ground
from tests.kills.reckoning import Outcome, applications, applied_twice, differences, outcome, remains

pytestmark = pytest.mark.timeout(240)
POINTS = {
    "commit": 8, "intent": 3, "spawn": 3, "pid": 3, "ansible": 3, "record": 8, "answer": 4, "artifact": 3,
}  # fmt: skip
"""So many of each kind an undisturbed rollout has."""
CASES = sorted(
    (
        Case(kind, when, number + 1, with_child)
        for kind, count in POINTS.items()
        for when in ("before", "after")
        for number in range(count)
        for with_child in (False, True)
    ),
    key=lambda case: hashlib.sha256(str(case).encode()).digest(),
)
"""In an order in which each tenth has something of everything."""
SECOND = (
    *(Case("commit", when, number, with_child=False) for number in (1, 2, 3) for when in ("before", "after")),
    *(
        Case(kind, when, 1, with_child=True)
        for kind in ("spawn", "pid", "ansible", "record", "answer", "artifact")
        for when in ("before", "after")
    ),
)
PAIRS = [(case, SECOND[at % len(SECOND)]) for at, case in enumerate(CASES[::2])]
"""Whoever goes on is killed at some point of its own, if it comes there."""
Note = Callable[[str, object], None]


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with TemporaryDirectory(dir=memory()) as folder:
        ground = Ground(Path(folder))
        yield ground
        ground.clear()


@pytest.fixture(scope="module")
def undisturbed(ground: Ground) -> Outcome:
    ground.renew()
    ground.ok("apply", "--yes", "--json", run="1")
    return outcome(ground)


def test_how_many_points_there_are(ground: Ground, record_property: Note) -> None:
    """A transaction that is not counted would show in the size of the WAL, a paper or a child in the folders."""
    ground.renew()
    before = {path.name for path in ground.runs.iterdir()}
    ground.ok("apply", "--yes", "--json", run="1")
    points = ground.points()
    counts = {(kind, when): count for kind, count in POINTS.items() for when in ("before", "after")}
    assert {key: sum((one["kind"], one["when"]) == key for one in points) for key in counts} == counts
    sizes = [one["wal"] for one in points if one["kind"] == "commit"]
    assert sizes[1:-1:2] == sizes[2::2], "nothing is written to the journal between two counted commits"
    assert sizes[-1] == (ground.nodes / ".fleet/state.db-wal").stat().st_size
    made = {path for path in ground.runs.iterdir() if path.name not in before}
    for name, kind in (("intent.json", "intent"), ("child.json", "pid"), ("done.json", "artifact")):
        assert sum((path / name).exists() for path in made) == POINTS[kind], name
    children = {json.loads((path / "child.json").read_text())["identity"]["pid"] for path in made}
    assert len(children) == POINTS["spawn"]
    for kind, count in POINTS.items():
        record_property(f"{kind}_points", 2 * count)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_killed_there(case: Case, ground: Ground, undisturbed: Outcome, record_property: Note) -> None:
    ground.renew()
    scene = kill(ground, case, "1", *FROM_THE_START)
    assert scene, "it came to its end without that point"
    words = next_words(ground)
    if words:
        ground.ok(*words, run="2")
    counts = reckon(ground, undisturbed, [scene])
    counts["resumed" if "resume" in words else "begun_anew" if words else "had_ended"] += 1
    counts["children_killed" if case.with_child else "children_left"] += scene.children
    counts["kills"] += 1
    for name, count in counts.items():
        record_property(f"{case.kind}_{name}", count)


@pytest.mark.parametrize(("case", "again"), PAIRS, ids=str)
def test_who_goes_on_is_killed_as_well(
    case: Case, again: Case, ground: Ground, undisturbed: Outcome, record_property: Note
) -> None:
    ground.renew()
    scene = kill(ground, case, "1", *FROM_THE_START)
    assert scene, "it came to its end without that point"
    scenes = [scene]
    if (words := next_words(ground)) and (scene := kill(ground, again, "2", *words)):
        scenes.append(scene)
        if words := next_words(ground):
            ground.ok(*words, run="3")
    counts = reckon(ground, undisturbed, scenes)
    counts["kills"] += len(scenes)
    for name, count in counts.items():
        record_property(f"twice_{name}", count)


def reckon(ground: Ground, undisturbed: Outcome, scenes: Sequence[Scene]) -> Counter[str]:
    """What was counted. Nothing is wrong."""
    found = outcome(ground)
    wrong, counts = applications(ground, found, scenes)
    wrong += differences(found, undisturbed, applied_twice(ground))
    assert wrong + remains(ground) == [], scenes
    return counts
