"""kill -9 at every fault point of a change on probation: of its coming in, its confirmation, and its undoing.

Either the record claims the new bundle, and then it was confirmed and stays; or all that was there before comes back. In a
sandbox; what calls the undoing there is the test, as the node's timer or its boot would.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.crash import judge, recorded, strace, worlds
from tests.crash.cases import Ended, Node, Step, units_lost
from tests.crash.cuts import Judged, cut_everywhere
from tests.crash.recorded import Recording
from tests.crash.trees import Tree, put, take
from tests.crash.worlds import STATE, World
from tests.turn import turn

pytestmark = pytest.mark.timeout(180)
Told = Callable[[str, object], None]
WAY = {"seconds": 3600, "paths": ["/etc/acme/*"], "units": [], "sysctl": []}
PLAN, UNDONE = f"{STATE}/probation/plan.json", f"{STATE}/undone.json"
WANTS = f"{worlds.UNITS}/sysinit.target.wants"
OURS = {f"{worlds.UNITS}/fleet-undo.service", WANTS, f"{WANTS}/fleet-undo.service"}
EVERY = 4
"""Of the points at which the node goes on instead of back, one in so many."""


class Watched(Node):
    """A node whose changes are on probation."""

    def options(self, world: World) -> dict[str, Any]:
        return super().options(world) | {"way_in": WAY, "program": "# what would be called\n"}

    def call(self, fatal: int = 0, **asked: str) -> Ended:
        """`confirm` or `put_back`."""
        given = Node.options(self, worlds.NOTHING) | asked
        calling = _Calling(self.module, self.root, self.place, self.mutant)
        calling.given = given
        return calling.run(worlds.NOTHING, fatal)


class _Calling(Node):
    given: dict[str, Any]

    def options(self, world: World) -> dict[str, Any]:  # noqa: ARG002 - no world comes with it
        return self.given


@pytest.fixture
def change(on_the_way: dict[str, Step]) -> Step:
    return on_the_way["change"]


def made(module: ModuleType, tree: Tree, quick: str, name: str = "root") -> Watched:
    shutil.rmtree(f"{quick}/{name}", ignore_errors=True)
    put(tree, f"{quick}/{name}")
    return Watched(module, f"{quick}/{name}", f"{quick}/project")


def record_of(tree: Tree) -> dict[str, Any]:
    return judge.read(tree, judge.RECORD, [])


def is_new(tree: Tree, step: Step) -> bool:
    record = record_of(tree)
    return bool(record.get("digest") == step.new.digest and not record.get("partial"))


def as_before(tree: Tree, step: Step) -> list[str]:
    """All outside, the record and what is private, to the byte; nothing of the probation is left."""
    kept = (judge.RECORD, judge.PRIVATE)
    start = {path: leaf for path, leaf in step.start.items() if not judge.own(path) or path in kept}
    found = {path: leaf for path, leaf in tree.items() if not judge.own(path) or path in kept}
    return judge.differences(found, start) + [f"{path} lies about" for path in tree if path.startswith(STATE + "/prob")]


def in_between(tree: Tree, step: Step) -> list[str]:
    """Each path old or new, and no claim that is not true."""
    seen = {path: leaf for path, leaf in tree.items() if path not in OURS}
    wrong = judge.paths(seen, step.old, step.new)
    if is_new(tree, step):  # it was confirmed; what was kept is on its way out
        return wrong + judge.differences(judge.outside(seen), step.new.tree)
    return wrong + judge.claims(seen, record_of(seen), step.old, step.new)


def ends_new(node: Watched, step: Step) -> list[str]:
    """Brought in and confirmed, and nothing left over."""
    ended = node.run(step.after)
    if ended.result.get("step") == "undone":  # told once
        ended = node.run(step.after)
    if ended.result.get("failed"):
        return [ended.result["msg"]]
    if "unconfirmed" in ended.result:
        said = node.call(confirm=step.new.digest).result
        if said.get("failed"):
            return [said["msg"]]
    return judge.settled(node.tree(), step.new)


def test_killed_while_it_comes_in_it_goes_back_or_on(
    module: ModuleType, change: Step, quick: str, record_property: Told
) -> None:
    nth, wrong, armed, is_killed = 0, [], 0, True
    while is_killed:
        nth += 1
        node = made(module, change.start, quick)
        is_killed = node.run(change.after, nth).killed
        crashed = node.tree()
        wrong += [f"at {nth} {one}" for one in in_between(crashed, change)]
        was_armed = PLAN in crashed
        assert was_armed or is_killed, "it comes to its end on probation"
        armed += was_armed
        node.call(put_back="boot")
        if was_armed:
            wrong += [f"at {nth}, undone: {one}" for one in as_before(node.tree(), change)]
            assert UNDONE in node.tree()
        if nth % EVERY == turn(EVERY):
            wrong += [f"at {nth}, undone, again: {one}" for one in ends_new(node, change)]
            other = made(module, crashed, quick, "other")
            wrong += [f"at {nth}, again: {one}" for one in ends_new(other, change)]
            wrong += [f"at {nth}, again: {one}" for one in units_lost(change, change.start, other.tree())]
    assert wrong == []
    assert nth > 250
    assert armed > 70
    record_property("kills_on_probation", nth - 1)


def test_killed_while_it_is_confirmed_it_is_or_it_is_not(
    module: ModuleType, change: Step, quick: str, record_property: Told
) -> None:
    node = made(module, change.start, quick)
    assert node.run(change.after).result["unconfirmed"]["digest"] == change.new.digest
    waiting, wrong, nth, confirmed, is_killed = node.tree(), [], 0, 0, True
    while is_killed:
        nth += 1
        node = made(module, waiting, quick)
        is_killed = node.call(nth, confirm=change.new.digest).killed
        was_confirmed = is_new(node.tree(), change)
        confirmed += was_confirmed
        if nth % 2:
            node.call(put_back="boot")
            due = judge.settled(node.tree(), change.new) if was_confirmed else as_before(node.tree(), change)
            wrong += [f"at {nth}, confirmed {was_confirmed}: {one}" for one in due]
        else:
            wrong += [f"at {nth}, again: {one}" for one in ends_new(node, change)]
    assert wrong == []
    assert 0 < confirmed < nth
    assert nth > 20
    record_property("kills_while_confirming", nth - 1)


def test_killed_while_it_is_undone_it_is_undone_later(
    module: ModuleType, change: Step, quick: str, record_property: Told
) -> None:
    node = made(module, change.start, quick)
    node.run(change.after)
    waiting, wrong, nth, is_killed = node.tree(), [], 0, True
    while is_killed:
        nth += 1
        node = made(module, waiting, quick)
        is_killed = node.call(nth, put_back="boot").killed
        wrong += [f"at {nth} {one}" for one in in_between(node.tree(), change)]
        node.call(put_back="boot")
        wrong += [f"at {nth}, undone: {one}" for one in as_before(node.tree(), change)]
        assert UNDONE in node.tree()
        if nth % EVERY == turn(EVERY):
            wrong += [f"at {nth}, undone, again: {one}" for one in ends_new(node, change)]
    assert wrong == []
    assert nth > 60
    record_property("kills_while_undoing", nth - 1)


# ---- power cuts


def recorded_run(folder: Path, start: Tree, *arguments: str, stdin: str = "{}") -> Recording:
    root = folder.resolve() / "root"
    shutil.rmtree(root, ignore_errors=True)
    put(start, str(root))
    command = [sys.executable, str(recorded.DRIVER), str(recorded.MODULE), "--root", str(root), *arguments]
    calls, said = strace.record(command, folder / "strace", trace=strace.TRACED, cwd=recorded.ROOT, stdin=stdin)
    return Recording(str(root), start, calls, take(str(root)), said)


def after_a_cut(module: ModuleType, step: Step, tree: Tree, quick: str) -> list[str]:
    """The node boots, and is as before or confirmed; without a plan nothing had begun, or all had ended."""
    wrong = in_between(tree, step)
    node = made(module, tree, quick)
    node.call(put_back="boot")
    found = node.tree()
    if is_new(tree, step):
        left = [path for path in found if path.startswith(f"{STATE}/prob") or path in OURS - {WANTS}]
        return wrong + judge.differences(judge.outside(found), step.new.tree) + left
    if PLAN in tree:
        return wrong + as_before(found, step)
    return wrong + judge.claims(found, record_of(found), step.old, step.new)


@pytest.mark.parametrize("part", ["it comes in", "it is confirmed", "it is undone"])
def test_wherever_the_power_goes_the_next_boot_knows(
    module: ModuleType, change: Step, tmp_path: Path, quick: str, part: str, record_property: Told
) -> None:
    bundle = json.loads(Path(worlds.write_bundle(change.after, str(tmp_path / "project"))).read_text())
    path = tmp_path / "project/bundles/way.json"
    path.write_text(json.dumps({**bundle, "confirm": WAY}))
    secrets = json.dumps(change.after.secrets)
    way = ("--bundle", str(path), "--probation", "--secrets-stdin")
    recording = recorded_run(tmp_path, change.start, *way, stdin=secrets)
    assert '"unconfirmed"' in recording.said
    if part != "it comes in":
        more = ("--confirm", change.new.digest) if part == "it is confirmed" else ("--put-back", "boot")
        recording = recorded_run(tmp_path, recording.end, *more)
    judged = Judged(lambda tree: after_a_cut(module, change, tree, quick))
    assert list(cut_everywhere(recording, judged)) == []
    assert len(judged.states) >= {"it comes in": 300, "it is confirmed": 15, "it is undone": 60}[part]
    record_property("power_cut_states_on_probation", len(judged.states))
