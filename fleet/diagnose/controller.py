"""The controller as it was seen, judged."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from fleet.model.diagnosis import Diagnosis, Surroundings


class Program(msgspec.Struct, frozen=True):
    """One that fleet calls: from version `least`, before `below` where that is known not to work (pyproject.toml)."""

    check: str
    name: str
    least: tuple[int, ...]
    below: tuple[int, ...] = ()
    hint: str = "pip install --upgrade edgefleet"

    @property
    def wanted(self) -> str:
        least = ".".join(map(str, self.least))
        return f"{least} to below {'.'.join(map(str, self.below))}" if self.below else f"{least} or later"


ANSIBLE = Program("ansible", "ansible-core", (2, 16), (2, 20))
RUNNER = Program("ansible-runner", "ansible-runner", (2, 4, 1))
GIT = Program("git", "git", (2, 30), hint="apt-get install git")
SSH = Program("ssh", "OpenSSH", (8, 0), hint="apt-get install openssh-client")
LEAST_FREE = 512 * 1024 * 1024
FILES_PER_FORK = 4
MOST_IN_A_PROCESS = 50
"""Nodes of a batch. A look at more at once is shared out among processes by itself."""


class Controller(msgspec.Struct, frozen=True):
    """Its machine, and what the fleet asks of it.

    `unpinned` are nodes without a host key, `unlocked` what fleet.lock lacks; `mirrors` maps a mirror's URL to why it
    does not answer, empty where it does.
    """

    machine: Surroundings
    forks: int = 20
    unpinned: tuple[str, ...] = ()
    unlocked: tuple[str, ...] = ()
    mirrors: dict[str, str] = {}


def of_controller(seen: Controller) -> Iterator[Diagnosis]:
    """One diagnosis for each check, `ok` where all is well."""
    yield _version(ANSIBLE, seen.machine.ansible)
    yield _version(RUNNER, seen.machine.runner)
    yield _version(GIT, seen.machine.git)
    yield _version(SSH, seen.machine.ssh)
    yield _path(seen.machine)
    yield _files(seen)
    yield _state(seen.machine)
    yield from _repository(seen.machine)
    yield _pins(seen)
    yield _lock(seen)
    yield from _mirrors(seen)


def _version(program: Program, found: str) -> Diagnosis:
    numbers = tuple(int(part) for part in found.split(".")[:3] if part.isdecimal())
    if not numbers:
        return Diagnosis(program.check, "wrong", f"{program.name} is not there", program.hint)
    if numbers < program.least or (program.below and numbers >= program.below):
        return Diagnosis(program.check, "wrong", f"{program.name} is {found}, wanted {program.wanted}", program.hint)
    return Diagnosis(program.check, "ok", f"{program.name} {found}")


def _path(machine: Surroundings) -> Diagnosis:
    if not machine.others:
        return Diagnosis("path", "ok", "`fleet` on PATH is this one")
    hint = "Call this one `edgefleet`, or put its folder first in PATH."
    if machine.is_first:
        return Diagnosis(
            "path", "warning", "another program called `fleet` is on PATH, behind this one", hint, machine.others
        )
    return Diagnosis("path", "wrong", "another program called `fleet` comes first on PATH", hint, machine.others)


def _files(seen: Controller) -> Diagnosis:
    wanted = min(seen.forks, MOST_IN_A_PROCESS) * FILES_PER_FORK + 64
    if seen.machine.open_files and seen.machine.open_files < wanted:
        hint = f"ulimit -n {wanted + 192}, or fewer --forks."
        return Diagnosis(
            "open-files", "warning", f"{seen.machine.open_files} open files for {seen.forks} forks are few", hint
        )
    return Diagnosis("open-files", "ok", f"{seen.machine.open_files:,} open files are allowed")


def _state(machine: Surroundings) -> Diagnosis:
    if machine.state_free and machine.state_free < LEAST_FREE:
        message = f"{machine.state_free // 1_000_000:,} MB are free where fleet keeps its journal"
        return Diagnosis("state", "warning", message, "Free some space there.", (machine.state_path,))
    return Diagnosis("state", "ok", "there is room for the journal")


def _repository(machine: Surroundings) -> Iterator[Diagnosis]:
    if not machine.is_repository:
        yield Diagnosis("repository", "warning", "the fleet's folder is in no git repository", "git init, and commit.")
        return
    if not machine.ignores_state:
        hint = "Add .fleet/ to .gitignore: it is this controller's own state."
        yield Diagnosis("repository", "warning", "git does not ignore .fleet/", hint)
    if not machine.has_identity:
        hint = "git config --global user.name and user.email."
        yield Diagnosis("repository", "warning", "git knows no author: node trust cannot commit", hint)
    if machine.ignores_state and machine.has_identity:
        yield Diagnosis("repository", "ok", "a git repository that ignores .fleet/")


def _pins(seen: Controller) -> Diagnosis:
    if seen.unpinned:
        hint = "fleet node trust NODE… shows their keys, and pins those that you vouch for."
        return Diagnosis("host-keys", "warning", "no host key is pinned", hint, seen.unpinned)
    return Diagnosis("host-keys", "ok", "host keys are pinned")


def _lock(seen: Controller) -> Diagnosis:
    if seen.unlocked:
        return Diagnosis("lock", "wrong", "fleet.lock does not pin it", "fleet lock, and commit.", seen.unlocked)
    return Diagnosis("lock", "ok", "fleet.lock pins what the spec names")


def _mirrors(seen: Controller) -> Iterator[Diagnosis]:
    for url, reason in seen.mirrors.items():
        if reason:
            hint = "Nodes fetch from the next mirror in the list, if there is one."
            yield Diagnosis("mirror", "warning", reason, hint, (url,))
        else:
            yield Diagnosis("mirror", "ok", f"{url} answers")
