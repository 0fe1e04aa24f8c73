"""Control groups of the lab: each process that it starts lives in one of them, which is how it finds them all again."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tests.lab.errors import LabError

# Moves itself into each group and becomes the command: no moment at which the command runs outside of the groups.
ENTER = 'for group in $1; do echo 0 >"$group/cgroup.procs" || exit 1; done; shift; exec "$@"'
KILL_SECONDS = 15


def hierarchies() -> list[Path]:
    """Mount points where a group is needed: the unified (v2) hierarchy and, where it exists, systemd's own v1 one."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount, _, source = line.partition(" - ")
        kind, _, options = source.split(" ", 2)
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            found.append(Path(mount.split(" ")[4]))
    if not found:
        raise LabError(
            "no cgroup2 hierarchy is mounted: systemd cannot boot here (mount -t cgroup2 none /sys/fs/cgroup)"
        )
    return found


@dataclass(frozen=True)
class Cgroup:
    """One group, by its path below the root of each hierarchy."""

    name: str

    @property
    def directories(self) -> list[Path]:
        return [root / self.name for root in hierarchies()]

    def child(self, name: str) -> "Cgroup":
        return Cgroup(f"{self.name}/{name}")

    def create(self) -> None:
        for directory in self.directories:
            directory.mkdir(parents=True, exist_ok=True)

    @property
    def argument(self) -> str:
        """The group's directories as one word for a shell that loops over them."""
        return " ".join(str(directory) for directory in self.directories)

    def enter(self, argv: list[str]) -> list[str]:
        """The command that runs `argv` inside this group."""
        return ["sh", "-c", ENTER, "sh", self.argument, *argv]

    def pids(self) -> set[int]:
        """Every process in this group and those below it."""
        found: set[int] = set()
        for directory in self.directories:
            for path, _, _ in os.walk(directory):
                try:
                    found.update(int(pid) for pid in Path(path, "cgroup.procs").read_text().split())
                except OSError:  # the group went away while it was read
                    continue
        return found

    def kill(self) -> None:
        """End every process of the group at once; raise LabError if some would not go."""
        give_up = time.monotonic() + KILL_SECONDS
        while pids := self.pids():
            if time.monotonic() > give_up:
                raise LabError(f"processes {sorted(pids)} of the group {self.name} do not end")
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.01)

    def remove(self) -> None:
        """Remove the empty group and all below it."""
        for directory in self.directories:
            for path, _, _ in os.walk(directory, topdown=False):
                Path(path).rmdir()
