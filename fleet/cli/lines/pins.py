"""What `fleet lock` and `fleet secret generate` did, as lines."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.formats.words import count, some
from fleet.operations.lock import ChannelPinned, Locked, LockEvent, ReleasePinned, ReleaseUnverified
from fleet.operations.secret import SecretEvent, SecretsComplete, SecretsListed, SecretsMade
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


def secret_lines(event: SecretEvent) -> Iterator[Line]:
    match event:
        case SecretsMade():
            found = f", {len(event.found)} of them were there" if event.found else ""
            yield Line(clean(f"{event.file}: {some(event.names)}{found}"), "added")
        case SecretsListed():
            yield Line(clean(f"{event.file}: {some(event.names)}, listed"), "added")
        case SecretsComplete():
            clusters = count(event.clusters, "cluster")
            if not event.made:
                yield Line(f"nothing to make: {clusters} have their tokens", "answer")
                return
            yield Line(f"{count(event.made, 'new secret')} for {clusters}", "answer")
            yield Line("git add secrets && git commit: apply never makes a secret", "next")
