"""What is written down about each lab, so that any later process can take it down: by these names, and nothing else."""

import fcntl
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.lab import nspawn
from tests.lab.cgroups import Cgroup
from tests.lab.command import run
from tests.lab.errors import LabError
from tests.lab.network import Network


@dataclass(frozen=True)
class Owner:
    """A process that cannot be mistaken for a later one with the same pid. `started` is in clock ticks since boot."""

    pid: int
    started: int

    @property
    def is_alive(self) -> bool:
        return start_time(self.pid) == self.started


@dataclass(frozen=True)
class LabRecord:
    """One lab: `owner` is the process that it ends with, or None for one that is kept for work by hand."""

    id: str
    directory: Path
    image: Path
    owner: Owner | None

    @property
    def prefix(self) -> str:
        """How the names of its namespaces and machines begin."""
        return f"fl-{self.id}-"

    @property
    def cgroup_name(self) -> str:
        return f"fleet-lab-{self.id}"

    @property
    def file(self) -> Path:
        return self.directory.with_suffix(".json")

    def write(self) -> None:
        """Announce the lab, in one step: another process must never take a half-written record for a dead lab's."""
        owner = {"pid": self.owner.pid, "started": self.owner.started} if self.owner else None
        unfinished = self.directory.with_suffix(".unfinished")
        unfinished.write_text(json.dumps({"image": str(self.image), "owner": owner}) + "\n")
        unfinished.rename(self.file)

    def host_names(self) -> list[str]:
        """The hosts that were made, in the order of their numbers: host1, host2, ... host10."""
        names = [path.name for path in (self.directory / "hosts").glob("*")]
        return sorted(names, key=lambda name: (len(name), name))


def read_record(file: Path) -> LabRecord:
    document = json.loads(file.read_text())
    owner = Owner(**document["owner"]) if document["owner"] else None
    return LabRecord(id=file.stem, directory=file.with_suffix(""), image=Path(document["image"]), owner=owner)


def labs_directory(cache: Path) -> Path:
    return cache / "labs"


def all_labs(cache: Path) -> list[LabRecord]:
    return [read_record(file) for file in sorted(labs_directory(cache).glob("*.json"))]


def sweep(cache: Path) -> list[str]:
    """Take down the labs whose owners are gone, and return their ids."""
    left = [record for record in all_labs(cache) if record.owner and not record.owner.is_alive]
    for record in left:
        take_down(record)
    return [record.id for record in left]


def take_down(record: LabRecord) -> None:
    """End and remove all that carries this lab's id: processes, namespaces, mounts, control groups, its folder."""
    lock_file = record.directory.with_suffix(".lock")
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cgroup = Cgroup(record.cgroup_name)
        cgroup.kill()
        Network(record.prefix).remove()
        for mount in mounts_below(record.directory):
            nspawn.remove_lock(mount)
            run(["umount", "--lazy", str(mount)])
        cgroup.remove()
        nspawn.remove_leftovers(record.prefix)
        if record.directory.exists():
            shutil.rmtree(record.directory)
        record.file.unlink(missing_ok=True)
        lock_file.unlink(missing_ok=True)


def mounts_below(directory: Path) -> list[Path]:
    """Mount points in a folder, innermost first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [Path(line.split(" ")[4]) for line in lines]
    return [point for point in reversed(points) if point.is_relative_to(directory)]


def this_process() -> Owner:
    started = start_time(os.getpid())
    if started is None:
        raise LabError("/proc does not show this process")
    return Owner(pid=os.getpid(), started=started)


def start_time(pid: int) -> int | None:
    """When a process began, in clock ticks since boot (proc(5), field 22), or None if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[19])
