"""Power cuts at every moment of a recorded run: what may be on the disk then, and what is wrong with that.

After the calls that change something, `Disk.cut` tells each state that may be there; two of the same are judged once.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from tests.crash.cases import Node, Step, units_lost
from tests.crash.disk import SYNCS, Disk, Pending
from tests.crash.processes import FORKS, Processes, kin
from tests.crash.recorded import ROOT, Recording, run
from tests.crash.strace import Call, Handle, after
from tests.crash.trees import Tree, put

State = tuple[tuple[str, object], ...]


@dataclass
class Judged:
    """What is wrong with each state that was seen."""

    judge: Callable[[Tree], list[str]]
    states: dict[State, list[str]] = field(default_factory=dict)

    def of(self, tree: Tree) -> list[str]:
        key = tuple(sorted(tree.items()))
        if key not in self.states:
            self.states[key] = self.judge(tree)
        return self.states[key]

    @property
    def trees(self) -> Iterator[Tree]:
        return (dict(state) for state in self.states)  # type: ignore[arg-type]


def concerning(recording: Recording) -> list[Call]:
    """The calls that the model looks at: most are Python's own, to find its modules."""
    return [
        call for call in recording.calls if call.name in (*FORKS, *SYNCS, "chdir", "umask") or below(recording, call)
    ]


def below(recording: Recording, call: Call) -> bool:
    handles = [arg for arg in (*call.args, call.handle) if isinstance(arg, Handle)]
    texts = [arg for arg in call.args if isinstance(arg, bytes)]
    root = recording.root.encode()
    return any(one.path.startswith(recording.root) for one in handles) or any(one.startswith(root) for one in texts)


def cut_everywhere(recording: Recording, judged: Judged) -> Iterator[str]:
    """What is wrong wherever the power goes, and with what is on the disk when the run has ended."""
    disk = recording.disk()
    for call in concerning(recording):
        if disk.feed(call):
            yield from (f"after {call}: {one}" for store in disk.cut() for one in judged.of(store.tree()))
    yield from unsaved(disk)


def unsaved(disk: Disk) -> list[str]:
    """What a run that has printed its result may still lose."""
    live, sure = disk.live.tree(), disk.sure.tree()
    return [
        f"at the end {path} is not on the disk"
        for path in live.keys() | sure.keys()
        if live.get(path) != sure.get(path)
    ]


@dataclass(frozen=True)
class Sync:
    """One sync of a run: where it is among the calls, what it syncs, what it makes sure, and the disk just before."""

    place: int
    call: Call
    inode: int | None
    covers: list[Pending]
    before: Disk


def syncs(recording: Recording, calls: list[Call]) -> tuple[list[Sync], list[int]]:
    """All of them, and how many operations are not sure after each call."""
    disk, found, pending = recording.disk(), [], []
    for place, call in enumerate(calls):
        if call.name in SYNCS:
            before = disk.copy()
            disk.feed(call)
            kept = [one.call for one in disk.pending]
            covers = [one for one in before.pending if one.call not in kept]
            found.append(Sync(place, call, before.synced(call), covers, before))
        else:
            disk.feed(call)
        pending.append(len(disk.pending))
    return found, pending


def without(dropped: list[Sync], calls: list[Call], pending: list[int], judged: Judged) -> list[str]:
    """What would be wrong if these syncs were not there. All is as it was once nothing more is pending than with them."""
    disk, places = dropped[0].before.copy(), {one.place for one in dropped}
    wrong: list[str] = []
    for place in range(dropped[0].place, len(calls)):
        if place not in places and disk.feed(calls[place]):
            wrong += [f"after {calls[place]}: {one}" for store in disk.cut() for one in judged.of(store.tree())]
        if wrong or (len(disk.pending) == pending[place] and place >= max(places)):
            return wrong
    return unsaved(disk)


def moments(recording: Recording, calls: list[Call]) -> list[int]:
    """Places after calls that change or sync something."""
    disk = recording.disk()
    return [at + 1 for at, call in enumerate(calls) if disk.feed(call) or call.name in SYNCS]


def heal_after_cut(module: ModuleType, step: Step, tree: Tree, folder: str) -> list[str]:
    """What is wrong when a run goes on from what a power cut has left."""
    node = Node(module, f"{folder}/root", f"{folder}/project")
    put(tree, node.root)
    node.heal(step.after, step.new, lambda: units_lost(step, step.start, node.tree()))
    shutil.rmtree(node.root)
    return node.wrong


def killed_then_cut(
    recording: Recording, calls: list[Call], step: Step, judged: Judged, folder: Path, *driver: str
) -> list[str]:
    """A run is killed after these calls, the next one heals it, and during that one the power goes."""
    disk = recording.disk()
    for call in calls:
        disk.feed(call)
    healing = run(step, Path(recording.root).parent, *driver, start=disk.live, log=folder / "strace")
    later = after(calls, healing.calls)[len(calls) :]
    disk.processes = Processes(str(ROOT), kin(later))
    wrong = []
    for call in later:
        if disk.feed(call):
            wrong += [f"after {call}: {one}" for store in disk.cut() for one in judged.of(store.tree())]
    assert disk.live.tree() == healing.end
    return wrong + unsaved(disk)
