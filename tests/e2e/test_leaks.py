"""A secret's value is in the vault and in private files of the nodes that need it. It is found nowhere else, whatever
happens: an apply at -vvv, one that fails, one whose controller and child are killed in the middle.

`tests.leaks` searches, and has tests of its own that it finds what is planted; here each search of a place that has to be
clean stands beside one of a place that has to be full.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from fleet.adapters.ansible.memory import memory_of
from tests.e2e.command import Repository, environment
from tests.leaks import Leak, Processes, Search, readable_by_others

OWN = "q\"u'o$te {{ no.template }} {% raw %}\n#second line: \u00e9 & <more>+/=\\ "
TILL, SERVER = "turin-1-till-001", "turin-1-a"
FILES = """\
  os:
    files:
      - path: /etc/acme/own.conf
        content: "own=\\"{{ secrets.own }}\\"\\n"
      - path: /etc/acme/own.b64
        content: "{{ secrets.own | b64encode }}\\n"
        validate: VALIDATE
"""
RUNNING = "running"
"""A file beside the repository: while it is there, the last file's check waits."""


class Ground:
    """A site of two nodes with K3s and a secret of somebody's own, in a home and temporary folders of its own."""

    def __init__(self, folder: Path) -> None:
        self.place = folder
        self.repository = Repository(folder / "shop", "two-sites")
        for name in ("home", "tmp", "runtime"):
            (folder / name).mkdir(mode=0o700)
        self.environment = {
            "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "XDG_RUNTIME_DIR": str(folder / "runtime"),
            "FLEET_VAULT_PASSWORD_FILE": str(self.repository.password),
        }  # fmt: skip
        (folder / "own").write_bytes(OWN.encode())
        self.outputs: list[str] = []
        self._make()
        values = {"own": OWN, "password": self.repository.password.read_text().strip()}
        for name in ("turin-1.k3s-token", "turin-1.k3s-agent-token"):
            values[name] = self.repository.fleet("secret", "get", name, env=self.environment).out
        assert self.repository.fleet("secret", "get", "own", env=self.environment).out == OWN
        (folder / "own").unlink()
        self.search = Search(values)

    @property
    def nodes(self) -> Path:
        return self.repository.nodes

    def run(self, *arguments: str, code: int = 0) -> None:
        ran = self.repository.fleet(*arguments, code=code, env=self.environment)
        self.outputs += [ran.out, ran.err]

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.place / "apply.log").open("ab") as log:
            return subprocess.Popen(
                [str(self.repository.command), *arguments], cwd=self.repository.folder,
                env=environment(self.environment), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def leaks(self) -> set[Leak]:
        """On the controller: its repository, journal, home and temporary folders, memory, logs, and what was printed."""
        shown = {leak for text in self.outputs for leak in self.search.in_bytes(text.encode(), "an output")}
        places = [path for path in self.place.iterdir() if path not in (self.nodes, self.repository.password)]
        folders = [path for path in places if path.is_dir()]
        files = {leak for path in places if path.is_file() for leak in self.search.in_file(path)}
        shared = [Path(f"/dev/shm/fleet-{os.geteuid()}"), Path(f"/tmp/fleet-{os.geteuid()}")]
        return shown | files | self.search.in_folders(*folders, self.nodes / ".fleet", *shared)

    def held(self) -> set[Leak]:
        """On the nodes."""
        return self.search.in_folders(*(self.nodes / name for name in (SERVER, TILL)))

    def children(self) -> list[int]:
        """What belongs to a run of this ground, the oldest first: the child is before what it started."""
        mark = f"FLEET_RUN={self.nodes}".encode()
        found = []
        for pid in (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()):
            with suppress(OSError):
                if mark in Path(f"/proc/{pid}/environ").read_bytes():
                    found.append(pid)
        return sorted(found)

    def _make(self) -> None:
        folder, repository = self.repository.folder, self.repository
        (folder / "sites" / "lyon-1.yaml").unlink()
        waits = (
            f"sh -c 'touch {self.place}/waiting; while test -e {self.place}/{RUNNING}; do sleep 0.1; done' -- {{file}}"
        )
        profiles = folder / "profiles.yaml"
        base, mark, rest = profiles.read_text().partition("  os:\n    sysctl:\n      vm.swappiness: 10\n    files:\n")
        assert mark
        profiles.write_text(base + FILES.replace("VALIDATE", f'"{waits}"') + rest)
        repository.fleet("lock")
        repository.fleet("secret", "generate", env=self.environment)
        repository.fleet("secret", "set", "own", "--from-file", str(self.place / "own"), env=self.environment)
        repository.commit("One site, and a secret of its own")


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    made = Ground(tmp_path / "ground")
    yield made
    (made.place / RUNNING).unlink(missing_ok=True)
    for pid in made.children():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(autouse=True)
def _place(tmp_path: Path) -> None:
    (tmp_path / "ground").mkdir()


def until(is_so: object, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def test_a_secret_is_in_private_files_of_its_nodes_and_nowhere_else(ground: Ground) -> None:
    with Processes(ground.search) as watched:
        ground.run("plan", "--sandbox", str(ground.nodes), "--json", code=3)
        ground.run("apply", "--yes", "-vvv", "--sandbox", str(ground.nodes))
        for node in (SERVER, TILL):
            assert (ground.nodes / node / "etc/acme/own.conf").read_bytes() == f'own="{OWN}"\n'.encode()
        ground.run("secret", "set", "own", "--from-file", str(ground.repository.folder / "fleet.yaml"))
        ground.repository.commit("Another value")
        ground.run("plan", "--sandbox", str(ground.nodes), code=3)
        ground.run("apply", "--yes", "-vvv", "--json", "--sandbox", str(ground.nodes))
        ground.run("plan", "--refresh", "--sandbox", str(ground.nodes))
        ground.run("node", "show", TILL, "--log", "--origin", "--sandbox", str(ground.nodes))
        ground.run("node", "log", TILL, "--output", "--sandbox", str(ground.nodes))
        ground.run("render", str(ground.place / "rendered"))
        ground.run("status", "--sandbox", str(ground.nodes))
        ground.run("secret", "list")

    assert ground.leaks() == set()
    assert watched.leaks == set()
    assert (watched.rounds > 100, len(watched.seen) > 20) == (True, True)
    held = ground.held()
    assert readable_by_others(held) == set()
    assert {leak.secret for leak in held} >= {"turin-1.k3s-token", "turin-1.k3s-agent-token"}, "it finds what is there"
    assert not [leak for leak in held if leak.secret == "turin-1.k3s-token" and f"/{TILL}/" in leak.where]


def test_what_is_told_of_everything_else_stays_readable(ground: Ground) -> None:
    """A failing check that prints the file that it was given; and the diff of a file without a secret."""
    profiles = ground.repository.folder / "profiles.yaml"
    text = profiles.read_text()
    start, end = text.index("validate: ") + len("validate: "), text.index("\n", text.index("validate: "))
    profiles.write_text(
        text[:start] + "\"sh -c 'echo the check is not content: $(cat $0); exit 3' {file}\"" + text[end:]
    )
    ground.repository.edit("profiles.yaml", "kept by fleet", "looked after by fleet")
    ground.repository.commit("A check that fails")

    ground.run("apply", "--yes", "-vvv", "--sandbox", str(ground.nodes), code=4)
    ground.run("plan", "--sandbox", str(ground.nodes), code=3)

    assert ground.leaks() == set()
    assert "the check is not content" in "".join(ground.outputs)
    assert readable_by_others(ground.held()) == set()


@pytest.mark.parametrize("moment", ["the project is written", "Ansible starts", "a file is checked on the node"])
def test_nothing_is_left_by_kill_9_in_the_middle(ground: Ground, moment: str) -> None:
    (ground.place / RUNNING).touch()
    runs = ground.nodes / ".fleet" / "runs"
    is_reached = {
        "the project is written": lambda: any(runs.glob("*/job.json")),
        "Ansible starts": lambda: len(ground.children()) > 1,
        "a file is checked on the node": (ground.place / "waiting").exists,
    }[moment]
    with Processes(ground.search) as watched:
        controller = ground.start("apply", "--yes", "-vvv", "--sandbox", str(ground.nodes))
        until(is_reached)
        during = ground.leaks()
        assert in_memory(ground), "the search looks at what is there"
        controller.send_signal(signal.SIGKILL)
        controller.wait()
        between = ground.leaks()
        for pid in ground.children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not ground.children())
        held = ground.held()
        after = ground.leaks()

    assert (during, between, after, watched.leaks) == (set(), set(), set(), set())
    assert readable_by_others(held) == set()
    if moment == "a file is checked on the node":
        assert held, "the search finds what is on its way on the node"
    until(lambda: not in_memory(ground))

    (ground.place / RUNNING).unlink()
    ground.run("apply", "--yes", "--take-over", "the first controller is gone", "--sandbox", str(ground.nodes))
    assert ground.leaks() == set()


def in_memory(ground: Ground) -> list[Path]:
    """Folders in memory of this ground's runs."""
    runs = ground.nodes / ".fleet" / "runs"
    return [folder for run in runs.iterdir() if (folder := memory_of(run)) is not None] if runs.is_dir() else []
