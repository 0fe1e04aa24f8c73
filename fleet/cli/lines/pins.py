"""What `fleet lock` did, as lines."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.formats.words import count
from fleet.operations.lock import ChannelPinned, Locked, LockEvent, ReleasePinned, ReleaseUnverified
from fleet.report import Line, clean


def lock_lines(event: LockEvent) -> Iterator[Line]:
    match event:
        case ChannelPinned():
            before = f"{event.before} -> " if event.before else ""
            yield Line(clean(f"channel {event.channel}: {before}{event.version}"), "group")
        case ReleasePinned():
            absent = f"; not there for {', '.join(event.absent)}" if event.absent else ""
            yield Line(clean(f"pinned {event.version} from {event.source}{absent}"), "added")
        case ReleaseUnverified():
            yield Line(clean(f"warning: {event.version} stays as it is pinned, unverified: {event.reason}"), "warning")
        case Locked():
            yield from _locked(event)


def _locked(event: Locked) -> Iterator[Line]:
    releases = count(len(event.lock.releases), "release")
    if not event.changed:
        yield Line(f"fleet.lock stays as it is: {releases}", "answer")
        return
    yield Line(f"fleet.lock pins {releases}", "answer")
    yield Line("git add fleet.lock && git commit: plans read nothing else", "next")
