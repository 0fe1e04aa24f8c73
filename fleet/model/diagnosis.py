"""What `fleet doctor` finds: one thing that keeps the fleet from working, or soon will, and what to do about it."""

from __future__ import annotations

from typing import Literal

import msgspec

CLOCK_WRONG_SECONDS = 60.0
"""So far off, certificates of a new cluster are not valid yet, or not any more."""
Outcome = Literal["ok", "warning", "wrong"]


class Room(msgspec.Struct, frozen=True):
    """A file system as seen at one path. Sizes in bytes."""

    path: str
    free: int
    total: int
    inodes_free: int = 0
    inodes: int = 0
    readonly: bool = False
    noexec: bool = False


class UnitState(msgspec.Struct, frozen=True):
    """A unit as systemd tells it: LoadState, ActiveState, SubState, Result where that is not success, NRestarts.

    `is_restarting`: it was started again while it was watched. `is_over`: it did all that it is there for, and ended well.
    """

    load: str
    active: str
    sub: str = ""
    result: str = ""
    restarts: int = 0
    is_restarting: bool = False
    is_over: bool = False


class Probe(msgspec.Struct, frozen=True):
    """A host as fleet_probe saw it. `now` is its own clock; `modules` are loaded, built-in, available, absent, unknown."""

    now: float
    machine_id: str = ""
    boot_id: str = ""
    python: str = ""
    kernel: str = ""
    arch: str = ""
    systemd: str = ""
    failed_units: tuple[str, ...] = ()
    synchronized: bool = True
    controllers: tuple[str, ...] = ()
    rooms: tuple[Room, ...] = ()
    modules: dict[str, str] = {}
    units: dict[str, UnitState] = {}
    """Those that were asked for. In a sandbox, what fleet_bundle would have made of them."""


class Surroundings(msgspec.Struct, frozen=True):
    """The machine that fleet runs on. Versions as programs print them, empty where they are not there. `others` are other programs called `fleet` on
    PATH; `is_first` whether ours comes before them. `state_free` is in bytes.
    """

    ansible: str = ""
    runner: str = ""
    git: str = ""
    ssh: str = ""
    others: tuple[str, ...] = ()
    is_first: bool = True
    open_files: int = 0
    state_free: int = 0
    state_path: str = ""
    is_repository: bool = True
    ignores_state: bool = True
    has_identity: bool = True


class Diagnosis(msgspec.Struct, frozen=True, omit_defaults=True):
    """`check` is its stable name; `subjects` are the nodes, files or programs that it is about, none for all is well."""

    check: str
    outcome: Outcome
    message: str
    hint: str = ""
    subjects: tuple[str, ...] = ()
