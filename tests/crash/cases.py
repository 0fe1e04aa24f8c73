"""One case of these suites: a node on its way from one world to another is killed at a fault point; then it is healed.

The module runs in a child of this process, so that the very same code serves a sandbox and a real host, and a case in a
sandbox takes hundredths of a second. The standard library and nothing else.
"""

from __future__ import annotations

import gc
import http.client  # noqa: F401
import json
import os
import shutil
import signal
import sys
import tempfile
import urllib.request  # noqa: F401 - the module does so late; here it is there before each child
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import ModuleType
from typing import Any

from tests.crash import judge, worlds
from tests.crash.driver import Points, arm, mutate
from tests.crash.judge import RECORD, Held
from tests.crash.trees import Tree, leaf, put, take, touched
from tests.crash.worlds import FIRST, GIVEN_BACK, NOTHING, SECOND, World


@dataclass(frozen=True)
class Ended:
    """How a run of the module ended: its result, or killed and none."""

    killed: bool
    result: dict[str, Any]


@dataclass
class Node:
    """A root on which the module runs, and a folder for its bundles. `wrong` gathers what was seen to be wrong."""

    module: ModuleType
    root: str
    place: str
    mutant: str = ""
    wrong: list[str] = field(default_factory=list)

    @property
    def real(self) -> bool:
        return self.root == "/"

    def options(self, world: World) -> dict[str, Any]:
        given = {name: default for name, (_kind, default) in self.module.OPTIONS.items()}
        given.update(root=self.root, secrets=world.secrets, check=False, diff=False)
        if world.is_given_back:
            given.update(retire=True, node=worlds.NODE, fleet=worlds.FLEET)
        else:
            given.update(bundle=worlds.write_bundle(world, self.place))
        return given

    def run(self, world: World, fatal: int = 0) -> Ended:
        """In a child, which is killed at its point `fatal`; 0 is never."""
        options = self.options(world)
        with tempfile.TemporaryFile() as answer:
            sys.stdout.flush()
            child = os.fork()
            if child == 0:
                self._in_child(options, fatal, answer.fileno())
            status = os.waitpid(child, 0)[1]
            if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
                return Ended(killed=True, result={})
            answer.seek(0)
            return Ended(killed=False, result=json.loads(answer.read() or b'{"failed": true, "msg": "no answer"}'))

    def _in_child(self, options: dict[str, Any], fatal: int, answer: int) -> None:
        try:
            gc.disable()  # it would touch, and so copy, all of what this process has
            mutate(self.module, self.mutant)
            tell = os.write
            os.sync = lambda: None  # what is on the disk is not asked here, and it would wait for all of this machine
            if fatal:
                arm(Points(fatal))
            text = json.dumps(self.module.run(options)).encode()
            os.lseek(answer, 0, os.SEEK_SET)
            while text:
                text = text[tell(answer, text) :]
        finally:
            os._exit(0)

    def tree(self) -> Tree:
        """Of a real host, what these suites may change, and what is above that."""
        if not self.real:
            return take(self.root)
        above = {path: found for path in worlds.above(worlds.STATE) if (found := leaf(path))}
        return above | take(self.root, *worlds.TOPS)

    def mind(self, what: str, wrong: list[str]) -> None:
        self.wrong += [f"{what}: {one}" for one in wrong]

    def heal(self, world: World, new: Held, units: Callable[[], list[str]] = list, *, is_back: bool = False) -> None:
        """The next run converges, and the one after it has nothing to do.

        Originals that a run has kept which never came to its first record outlive one more run: they could be older ones.
        """
        ended = self.run(world)
        if is_back:
            ended = self.run(world)
        if ended.result.get("failed"):
            self.mind("healing", [ended.result["msg"]])
            return
        self.mind("healed", judge.settled(self.tree(), new, is_back=is_back) + units())
        top = worlds.STATE if self.real else self.root
        before = touched(top)
        again = self.run(world)
        if again.result.get("failed") or again.result.get("changed"):
            self.mind("run again", [str(again.result.get("msg") or again.result["changes"])])
        if touched(top) != before:
            self.mind("run again", ["something was touched"])


def memory() -> str | None:
    """A folder in memory, where there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


# ---- scenarios


@dataclass(frozen=True)
class Step:
    """A change of worlds. `start` is what is below the root before it."""

    before: World
    after: World
    old: Held
    new: Held
    start: Tree


def held(world: World | None, found: Tree, seeded: Tree, past: Sequence[World] = ()) -> Held:
    """None where fleet never came. `past` are the worlds before it."""
    folders = frozenset(worlds.folders_of(found) | {"/etc"})
    if world is None:
        return Held("", found, found=folders)
    return Held(
        digest=worlds.digest(world),
        tree=worlds.holds(world, found, seeded),
        managed=frozenset(world.managed),
        taken={path: found[path] for path in world.managed if path in found},
        found=folders,
        generations=tuple(worlds.digest(one) for one in past[-judge.KEPT :]),
        kept=worlds.kept_of(past[-1], world) if past else {},
        all_kept={worlds.digest(one): worlds.kept_of(one, other) for one, other in pairwise([*past, world])},
        is_given_back=world.is_given_back,
        secrets=judge.fingerprints(world.secrets),
    )


def steps(module: ModuleType, folder: str, found: Tree = worlds.FOUND) -> dict[str, Step]:
    """The steps in a sandbox; each start is what uninterrupted runs have made."""
    line = [*(worlds.earlier(number) for number in range(3)), FIRST, SECOND]
    node = Node(module, f"{folder}/root", f"{folder}/project")
    put(found, node.root)
    starts = [node.tree()]
    for world in line:
        ended = node.run(world)
        assert not ended.result.get("failed"), ended.result
        starts.append(node.tree())
    seeded = worlds.seeds(FIRST, starts[-1])
    first, second = held(FIRST, found, seeded, line[:3]), held(SECOND, found, seeded, line[:4])
    return {
        "first": Step(NOTHING, FIRST, held(None, found, {}), held(FIRST, found, {}), starts[0]),
        "change": Step(FIRST, SECOND, first, second, starts[4]),
        "removal": Step(SECOND, NOTHING, second, held(NOTHING, found, seeded, line), starts[5]),
        "giving back": Step(SECOND, GIVEN_BACK, second, held(GIVEN_BACK, found, seeded, line), starts[5]),
    }


@dataclass(frozen=True)
class Case:
    """`killed` is False when the run came to its end before that point: there are no more of them."""

    killed: bool
    wrong: list[str]
    tree: Tree


def kill(module: ModuleType, step: Step, nth: int, folder: str, *, mutant: str = "", goes_back: bool = False) -> Case:
    """Killed at its Nth point, then healed: onwards, and, where it `goes_back`, also by the world before."""
    node = Node(module, f"{folder}/root", f"{folder}/project", mutant)
    put(step.start, node.root)
    ended = node.run(step.after, nth)
    crashed = node.tree()
    if ended.killed:
        node.mind("killed", judge.moment(crashed, step.old, step.new))
    node.heal(step.after, step.new, lambda: units_lost(step, step.start, node.tree()))
    if goes_back and ended.killed and not has_empty_links(crashed):
        other = Node(module, f"{folder}/other", f"{folder}/project", mutant)
        put(crashed, other.root)
        aim, is_back = back(step, crashed)
        other.heal(step.before, aim, is_back=is_back)
        node.mind("gone back", other.wrong)
        shutil.rmtree(other.root)
    shutil.rmtree(node.root)
    return Case(ended.killed, node.wrong, crashed)


def kill_twice(module: ModuleType, step: Step, crashed: Tree, nth: int, folder: str) -> Case:
    """What a killed run has left is healed, and that run is killed at its Nth point; then it is healed again."""
    node = Node(module, f"{folder}/root", f"{folder}/project")
    put(crashed, node.root)
    ended = node.run(step.after, nth)
    if ended.killed:
        node.mind("killed twice", judge.moment(node.tree(), step.old, step.new))
    node.heal(step.after, step.new, lambda: units_lost(step, step.start, node.tree()))
    shutil.rmtree(node.root)
    return Case(ended.killed, node.wrong, {})


def has_empty_links(tree: Tree) -> bool:
    """A folder for links of units without one. Nobody takes it away, neither here nor where systemd makes it."""
    folders = {path for path in tree if path.endswith(judge.LINKS)}
    return any(not any(path.startswith(f"{one}/") for path in tree) for one in folders)


def back(step: Step, crashed: Tree) -> tuple[Held, bool]:
    """What a node holds that was on its way, and goes back; and whether it had not yet come through."""
    aim = step.old
    if not aim.digest:  # seeds that have come stay
        aim = held(step.before, aim.tree, worlds.seeds(step.after, crashed))
    if RECORD not in crashed or json.loads(crashed[RECORD].data)["digest"] != step.new.digest:
        return aim, True
    past = (*step.new.generations, step.new.digest)[-judge.KEPT :]
    return replace(aim, generations=past, kept=worlds.kept_of(step.after, step.before)), False


def counters(tree: Tree, name: str) -> dict[str, int]:
    leaf = tree.get(judge.UNITS_JSON)
    unit = json.loads(leaf.data).get(name, {}) if leaf else {}
    return {verb: unit.get(verb, 0) for verb in ("starts", "restarts", "reloads")}


def units_lost(step: Step, before: Tree, after: Tree) -> list[str]:
    """In a sandbox units are counted: one that reads what has changed has read it since `before`."""
    wrong = []
    for name, verb in worlds.units_reading(step.before, step.after).items():
        was, now = counters(before, name), counters(after, name)
        verbs = ("starts", "restarts", "reloads") if verb == "reload" else ("starts", "restarts")
        if not any(now[one] > was[one] for one in verbs):
            wrong.append(f"{name} was to {verb}, and did not")
    return wrong
