"""Hosts as they were seen, judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from fleet.formats.words import duration, size, some
from fleet.model.diagnosis import CLOCK_WRONG_SECONDS, Diagnosis, Outcome, Probe, Room

CLOCK_SECONDS = 5.0
"""TLS and etcd stand more; tokens and logs of several nodes are hard to read with more."""
LEAST_FREE = 512 * 1024 * 1024
LEAST_SHARE = 0.05
SILENT_DAYS = 7
_WRITTEN = frozenset({"/etc", "/usr/local/bin", "/var/lib/fleet", "/var/lib/rancher"})
_DAY = 86400.0


class Seen(msgspec.Struct, frozen=True):
    """A node's probe, and between which moments of the controller's clock it was made."""

    node: str
    probe: Probe
    asked_at: float
    answered_at: float
    is_k3s: bool = False
    enrolled: str = ""
    """The machine-id that its record has, empty for none."""

    @property
    def clock_off(self) -> float:
        """Seconds that its clock is ahead (negative: behind) beyond what the asking itself took."""
        if self.probe.now < self.asked_at:
            return self.probe.now - self.asked_at
        return max(0.0, self.probe.now - self.answered_at)


def of_nodes(seen: Sequence[Seen]) -> Iterator[Diagnosis]:
    """Everything that is not well on any of them; one `ok` per check that found nothing."""
    for check in (_clock, _room, _read_only, _modules, _controllers, _systemd, _python, _machine):
        found: dict[tuple[Outcome, str, str], list[str]] = {}
        for each in seen:
            for outcome, message, hint in check(each):
                found.setdefault((outcome, message, hint), []).append(each.node)
        name = _NAMES[check]
        for (outcome, message, hint), nodes in sorted(found.items(), key=lambda one: -len(one[1])):
            yield Diagnosis(name, outcome, message, hint, tuple(sorted(nodes)))
        if seen and not found:
            yield Diagnosis(name, "ok", _WELL[check])


def of_silence(unreachable: Mapping[str, str], contacts: Mapping[str, float], now: float) -> Iterator[Diagnosis]:
    """Nodes that did not answer, by reason and last contact; and those not asked that have been silent for long.

    `unreachable` maps a node to why; `contacts` to when it last answered, in epoch seconds.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for node, reason in unreachable.items():
        last = f"last answered {duration(int(now - contacts[node]))} ago" if node in contacts else "never answered yet"
        found.setdefault((f"{reason}; {last}", "fleet node show NAME says how it is reached."), []).append(node)
    for node in sorted(contacts.keys() - unreachable.keys(), key=contacts.__getitem__):
        if now - contacts[node] >= SILENT_DAYS * _DAY:
            told = f"no answer for {duration(int(now - contacts[node]))}"
            found.setdefault((told, "fleet plan --refresh asks."), []).append(node)
    for (message, hint), nodes in found.items():
        yield Diagnosis("contact", "warning", message, hint, tuple(sorted(nodes)))


Finding = tuple[Outcome, str, str]


def _clock(seen: Seen) -> Iterator[Finding]:
    off = seen.clock_off
    if abs(off) >= CLOCK_SECONDS:
        way = "ahead" if off > 0 else "behind"
        outcome: Outcome = "wrong" if abs(off) >= CLOCK_WRONG_SECONDS else "warning"
        yield (
            outcome,
            f"its clock is {duration(int(abs(off)))} {way}",
            "Let it follow a time server: timedatectl set-ntp true.",
        )


def _room(seen: Seen) -> Iterator[Finding]:
    said = set()
    for room in seen.probe.rooms:
        key = (room.free, room.total)
        if room.path == "/tmp" or room.total == 0 or key in said:  # noqa: S108 - a name, no file
            continue
        said.add(key)
        if room.free < LEAST_FREE or room.free < LEAST_SHARE * room.total:
            yield (
                "warning",
                f"{size(room.free)} of {size(room.total)} are free at {room.path}",
                "Free some space there.",
            )
        if room.inodes and room.inodes_free < LEAST_SHARE * room.inodes:
            yield (
                "warning",
                f"{room.inodes_free:,} of {room.inodes:,} inodes are free at {room.path}",
                "Remove small files.",
            )


def _read_only(seen: Seen) -> Iterator[Finding]:
    rooms: Sequence[Room] = [room for room in seen.probe.rooms if room.path in _WRITTEN and room.readonly]
    if rooms:
        where = ", ".join(room.path for room in rooms)
        yield (
            "wrong",
            f"{where} cannot be written",
            "A card that fails goes read-only: look at dmesg, then mount it rw or replace it.",
        )


def _modules(seen: Seen) -> Iterator[Finding]:
    absent = sorted(name for name, state in seen.probe.modules.items() if state == "absent")
    if absent:
        yield (
            "wrong",
            f"the kernel has no module {', '.join(absent)}",
            "Install the kernel's extra modules, or another kernel.",
        )


def _controllers(seen: Seen) -> Iterator[Finding]:
    if seen.is_k3s and seen.probe.controllers and "memory" not in seen.probe.controllers:
        hint = "Add cgroup_memory=1 cgroup_enable=memory to the kernel's command line, and reboot."
        yield "wrong", "the cgroup controller memory is off, and K3s does not start without it", hint


def _systemd(seen: Seen) -> Iterator[Finding]:
    if seen.probe.systemd not in {"running", "starting", ""}:
        units = f": {some(seen.probe.failed_units)} failed" if seen.probe.failed_units else ""
        yield "warning", f"systemd says {seen.probe.systemd}{units}", "systemctl status UNIT on the node says why."


def _python(seen: Seen) -> Iterator[Finding]:
    numbers = tuple(int(part) for part in seen.probe.python.split(".")[:2] if part.isdecimal())
    if numbers and numbers < (3, 8):
        yield "wrong", f"it has Python {seen.probe.python}", "Python 3.8 or later is needed: upgrade its system."


def _machine(seen: Seen) -> Iterator[Finding]:
    if seen.enrolled and seen.probe.machine_id and seen.enrolled != seen.probe.machine_id:
        yield (
            "wrong",
            "another machine answers at its address than the enrolled one",
            "fleet node replace, if it was exchanged.",
        )


_NAMES: dict[Callable[[Seen], Iterator[Finding]], str] = {
    _clock: "clock", _room: "room", _read_only: "read-only", _modules: "kernel-modules", _controllers: "cgroups",
    _systemd: "systemd", _python: "python", _machine: "machine-id",
}  # fmt: skip
_WELL: dict[Callable[[Seen], Iterator[Finding]], str] = {
    _clock: f"clocks are within {CLOCK_SECONDS:.0f} s",
    _room: "there is room on disk",
    _read_only: "what has to be written can be written",
    _modules: "kernels have the modules that the configuration needs",
    _controllers: "cgroup controllers are on",
    _systemd: "systemd runs without failed units",
    _python: "Python is 3.8 or later",
    _machine: "the machines are those that were enrolled",
}
