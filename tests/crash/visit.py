"""Kills fleet_bundle again and again on the very machine that this runs on, as root, with its own systemd.

    python3 -m tests.crash.visit FLEET_BUNDLE START STRIDE [STOP]

goes round: a bundle comes, is changed, and goes, each killed at point START, each healed by the next run. Then at
START + STRIDE, until nothing is killed any more, or STOP is reached. Prints one JSON document: how many kills of each step
there were, and what was wrong.

Only for a host of the lab. The standard library and nothing else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter

from tests.crash import judge, worlds
from tests.crash.cases import Node, held
from tests.crash.driver import load
from tests.crash.trees import FILE, LINK, Tree
from tests.crash.worlds import FIRST, FOUND, NOTHING, SECOND, UNITS, World

SHOWN = ("LoadState", "ActiveState", "UnitFileState", "NeedDaemonReload", "Description")
ABSENT = {"LoadState": "not-found", "ActiveState": "inactive", "UnitFileState": "", "NeedDaemonReload": "no"}


class Host:
    """This machine. `found` is what was there before fleet came, `past` the worlds that it has held, the last one now."""

    def __init__(self, module: str) -> None:
        self.node = Node(load(module), "/", tempfile.mkdtemp(prefix="crash-"))
        settle_in()
        self.found = judge.outside(self.node.tree())
        self.seeded: Tree = {}
        self.past: list[World] = []

    def go(self, after: World, nth: int) -> bool:
        """To another world: killed at the Nth point, judged, healed. True if it was killed."""
        node, before = self.node, self.past[-1] if self.past else None
        old = held(before, self.found, self.seeded, self.past[:-1])
        new = held(after, self.found, self.seeded, self.past)
        ended = node.run(after, nth)
        if ended.killed:
            node.mind(f"killed at {nth}", judge.moment(node.tree(), old, new))
        elif ended.result.get("failed"):
            node.mind(f"not killed at {nth}", [ended.result["msg"]])
        node.heal(after, new, lambda: units_wrong(after))
        self.seeded = self.seeded or worlds.seeds(FIRST, node.tree())
        self.past.append(after)
        return ended.killed


def settle_in() -> None:
    """What the worlds expect to find."""
    for path in ("/etc/motd", "/etc/taken"):
        if os.path.lexists(path):
            os.unlink(path)
    for path, (kind, mode, data) in FOUND.items():
        if kind == FILE and not os.path.lexists(path):
            with open(path, "wb") as handle:
                handle.write(data)
            os.chmod(path, mode)
        elif kind == LINK and not os.path.lexists(path):
            os.symlink(data, os.fsencode(path))


def units_wrong(world: World) -> list[str]:
    """systemd has the units as their files say, and each has read what is in its file now."""
    wrong = []
    wanted = {one["name"] for one in world.units}
    for name in ("acme-a.service", "acme-b.service", "acme-gone.service"):
        found = shown(name)
        if name in wanted:
            text = world.files[f"{UNITS}/{name}"].data.decode()
            due = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled", "NeedDaemonReload": "no"}
            due["Description"] = text.partition("Description=")[2].partition("\n")[0].strip()
        else:
            due = {**ABSENT, "Description": name}
        if found != due:
            wrong.append(f"{name} is {found}, not {due}")
    for path in ("/etc/acme/changes", "/etc/acme/reloaded"):
        if path in world.files:
            with open(f"/run/acme-{os.path.basename(path)}", "rb") as handle:
                read = handle.read()
            if read != world.files[path].data:
                wrong.append(f"a unit has read {read!r} of {path}, which is {world.files[path].data!r}")
    return wrong


def shown(name: str) -> dict[str, str]:
    command = ["systemctl", "show", "--property", ",".join(SHOWN), name]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(line.split("=", 1) for line in text.splitlines())


def main(module: str, start: int, stride: int, stop: int) -> None:
    host, kills, nth = Host(module), Counter[str](), start
    while not stop or nth < stop:
        done = {
            name: host.go(world, nth) for name, world in (("first", FIRST), ("change", SECOND), ("removal", NOTHING))
        }
        kills.update(name for name, killed in done.items() if killed)
        if not any(done.values()):
            break
        nth += stride
    print(json.dumps({"kills": kills, "wrong": host.node.wrong}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 0)
