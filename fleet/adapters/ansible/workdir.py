"""The folder of one run of Ansible, and the papers in it.

- intent.json: what was ordered, before anything else is there
- job.json: what the child shall run
- child.json: which process runs it, written by that process before it starts anything
- child.lock: held by that process as long as it lives
- results.jsonl: answers as they come, one line each, synced; a later line about a node replaces an earlier one
- done.json: the whole result; whoever finds it has nothing left to do
- output.txt: what ansible-playbook printed, for people

In memory (`memory`), only while it runs: project/, vars.yml, ssh_config, artifacts/ (ansible-runner's), tmp/ (Ansible's).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from fleet.adapters.ansible.memory import forget_memory, make_memory, memory_of
from fleet.adapters.ansible.outputs import keep
from fleet.adapters.ansible.process import Identity
from fleet.adapters.disk import cannot, make_private_folder, sync_folder, write_atomic
from fleet.errors import FleetError
from fleet.model.batch import BatchOrder, BatchResult

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_TAIL_BYTES = 4096
_ERRORS = ("ERROR", "[ERROR]", "fatal:")


class Job(msgspec.Struct, frozen=True):
    """`vault_fd` and `become_fd` are inherited descriptors that hold a password in memory, -1 for none. `output_dir` and
    `kept_rollouts` are the settings'.
    """

    kind: Literal["apply", "observe", "ask"]
    playbook: str
    nodes: tuple[str, ...]
    batch_id: str = ""
    epoch: int = 0
    forks: int = 5
    verbosity: int = 0
    vault_fd: int = -1
    become_fd: int = -1
    output_dir: str = ""
    kept_rollouts: int = 0


class Child(msgspec.Struct, frozen=True):
    """`epoch` is the lease of the controller that started it (design, decision 5)."""

    identity: Identity
    epoch: int


class Workdir:
    """Raises UsageError or UnavailableError where the disk refuses."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._memory: Path | None = None

    @classmethod
    def named(cls, run_dir: Path, name: str) -> Workdir:
        """Raises FleetError for a name that could lead elsewhere."""
        if not _NAME.fullmatch(name):
            raise FleetError(f"not a name for a batch: `{name}`")
        return cls(run_dir / name)

    @property
    def memory(self) -> Path:
        """Where nothing is on a disk; a folder that does not exist, once the run is over."""
        if self._memory is None:
            self._memory = memory_of(self.path)
        return self._memory or self.path / "memory"

    @property
    def project(self) -> Path:
        return self.memory / "project"

    @property
    def temporary(self) -> Path:
        return self.memory / "tmp"

    @property
    def lock(self) -> Path:
        return self.path / "child.lock"

    @property
    def output(self) -> Path:
        return self.path / "output.txt"

    @property
    def log(self) -> Path:
        """What the child itself says when it breaks."""
        return self.path / "child.log"

    def make(self) -> None:
        """The folder, empty of any earlier attempt but for its intent."""
        make_private_folder(self.path)
        self.clear()
        for name in ("results.jsonl", "child.json", "output.txt", "child.log"):
            (self.path / name).unlink(missing_ok=True)
        self._memory = make_memory(self.path)
        for folder in (self.project, self.temporary):
            folder.mkdir(mode=0o700)

    def clear(self) -> None:
        """Removes what is only there while it runs, and papers that never got their names: who wrote them was killed."""
        forget_memory(self.path)
        self._memory = None
        for beside in self.path.glob(".*.json.*"):
            beside.unlink(missing_ok=True)
        (self.path / "job.json").unlink(missing_ok=True)

    def remove(self) -> None:
        forget_memory(self.path)
        shutil.rmtree(self.path, ignore_errors=True)

    def intend(self, order: BatchOrder) -> None:
        make_private_folder(self.path)
        sync_folder(self.path.parent)
        self._write("intent.json", order)

    def intent(self) -> BatchOrder | None:
        return self._read("intent.json", BatchOrder)

    def order_job(self, job: Job) -> None:
        self._write("job.json", job)

    def job(self) -> Job | None:
        return self._read("job.json", Job)

    def introduce(self, child: Child) -> None:
        self._write("child.json", child)

    def child(self) -> Child | None:
        return self._read("child.json", Child)

    def finish(self, result: BatchResult) -> None:
        self._write("done.json", result)

    def done(self) -> BatchResult | None:
        return self._read("done.json", BatchResult)

    def append(self, answer: msgspec.Struct) -> None:
        """One line of results.jsonl, on disk when this returns."""
        handle = os.open(self.path / "results.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, msgspec.json.encode(answer) + b"\n")
            os.fdatasync(handle)
        finally:
            os.close(handle)

    def answers(self, kind: type[T], offset: int = 0) -> tuple[list[T], int]:
        """The whole lines of results.jsonl from a byte offset on, and the offset after them."""
        try:
            with (self.path / "results.jsonl").open("rb") as file:
                file.seek(offset)
                data = file.read()
        except FileNotFoundError:
            return [], offset
        whole = data[: data.rfind(b"\n") + 1]  # a line that is being written, or was cut by a crash, is not one yet
        return [msgspec.json.decode(line, type=kind) for line in whole.splitlines()], offset + len(whole)

    def tail(self) -> str:
        """The last words of a run that broke: the child's own, or ansible-playbook's, an error before all else."""
        for path in (self.log, self._printed, self.output):
            lines = [line.strip() for line in _end_of(path).splitlines() if line.strip()]
            if lines:
                errors = [line for line in lines if line.startswith(_ERRORS)]
                return (errors or lines)[-1][:300]
        return ""

    def keep_output(self) -> None:
        """Keeps ansible-playbook's output before the artifacts go: it shows no secret. Where the disk refuses, it goes."""
        with contextlib.suppress(OSError, FleetError), self._printed.open("rb") as printed:
            handle = os.open(self.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as kept:
                shutil.copyfileobj(printed, kept)
            if (job := self.job()) is not None and job.output_dir:
                keep(self.output, Path(job.output_dir), self.path.name, job.kept_rollouts)

    @property
    def _printed(self) -> Path:
        return self.memory / "artifacts" / "run" / "stdout"

    def _write(self, name: str, value: msgspec.Struct) -> None:
        write_atomic(self.path / name, msgspec.json.encode(value))

    def _read(self, name: str, kind: type[T]) -> T | None:
        path = self.path / name
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise cannot("read", path, error) from None
        except msgspec.DecodeError as error:
            raise FleetError(f"{path} is not what fleet wrote: {error}", f"remove {self.path}") from None


def _end_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
