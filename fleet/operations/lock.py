"""lock: pins each K3s version and channel that the spec names to a version and its sha256s, in fleet.lock.

What is pinned stays pinned: a channel moves only when it is named for an upgrade, and a sha256 never changes. A mirror
that says otherwise is refused, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator

import msgspec

from fleet.errors import RefusedError, UnavailableError, UsageError
from fleet.k3s.artifacts import (
    ARCHES,
    RELEASES,
    binary_name,
    checksum_name,
    images_name,
    parse_channels,
    parse_checksums,
    release_path,
    release_url,
)
from fleet.k3s.version import CHANNEL_SERVER, minor_of, minors_on_the_way, parse_version
from fleet.model.learned import Learned
from fleet.model.lock import Lock, LockedFile, LockedRelease
from fleet.model.spec.document import Spec
from fleet.ports.mirror import Mirror
from fleet.render import RENDERER
from fleet.resolve import resolve

LOCK_FILE = "fleet.lock"
_MAX_SUMS = 64 * 1024
_MAX_CHANNELS = 1024 * 1024


class LockRequest(msgspec.Struct, frozen=True):
    """What the lock shall hold.

    `versions` and `channels` are those that nodes of the spec use. `mirrors` are asked in order, K3s's own servers
    where there is none. `oldest` is the oldest version that a node holds now, empty for none: from there on, one
    release of each minor is pinned. `upgrade` names the channels that may move, `renderer` (0 keeps it) the renderer.
    `images`: a node wants K3s's own images.
    """

    versions: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    oldest: str = ""
    upgrade: tuple[str, ...] = ()
    renderer: int = 0
    images: bool = False


class ChannelPinned(msgspec.Struct, frozen=True, tag=True):
    """`before` is empty for a channel that was not pinned yet."""

    channel: str
    version: str
    before: str = ""


class ReleasePinned(msgspec.Struct, frozen=True, tag=True):
    """`absent` are architectures that the mirror does not hold; nodes of these cannot be planned."""

    version: str
    source: str
    absent: tuple[str, ...] = ()


class ReleaseUnverified(msgspec.Struct, frozen=True, tag=True):
    """A release that is pinned already could not be compared with what mirrors say now; its pin stays."""

    version: str
    reason: str


class Locked(msgspec.Struct, frozen=True, tag=True):
    """The end. Nothing was written where nothing changed."""

    lock: Lock
    changed: bool


LockEvent = ChannelPinned | ReleasePinned | ReleaseUnverified | Locked
Pinning = Generator[LockEvent, None, Lock]


def wanted(spec: Spec, learned: Learned, held: Iterable[str] = (), upgrade: Iterable[str] = ()) -> LockRequest:
    """What a spec asks of the lock. `held` are the K3s versions that nodes hold now.

    With no lock at all, what `resolve` finds unlocked is exactly what the nodes use. Raises what `resolve` raises, and
    UsageError for an upgrade of a channel that no node uses.
    """
    fleet = resolve(msgspec.structs.replace(spec, lock=Lock()), learned)
    channels = tuple(name.removeprefix("channel ") for name in fleet.unlocked if name.startswith("channel "))
    versions = tuple(name for name in fleet.unlocked if not name.startswith("channel "))
    for channel in upgrade:
        if channel not in channels:
            used = ", ".join(channels) or "none"
            raise UsageError(f"no node uses the channel `{channel}`", f"channels in use: {used}")
    oldest = min((parse_version(version) for version in held if version), default=None)
    images = any(node.settings.k3s.air_gap for node in fleet.nodes)
    return LockRequest(versions, channels, fleet.mirrors, str(oldest or ""), tuple(upgrade), RENDERER, images)


def lock(request: LockRequest, current: Lock, mirror: Mirror, save: Callable[[bytes], None]) -> Iterator[LockEvent]:
    """Pins what is asked for and saves fleet.lock's new bytes once, whole, at the end, if they differ.

    Raises UnavailableError (a mirror is away, or holds no such release), RefusedError (a sha256 changed) and UsageError
    (no such channel); nothing was saved then.
    """
    after = yield from pin(request, current, mirror)
    if changed := after != current:
        save(encoded(after))
    yield Locked(after, changed)


def encoded(lock: Lock) -> bytes:
    """Deterministic: keys in order, two spaces, a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(lock, order="sorted"), indent=2) + b"\n"


def pin(request: LockRequest, current: Lock, mirror: Mirror) -> Pinning:
    """The new lock, as the generator's value. Writes nothing."""
    asked = _Asked(request, mirror)
    channels = yield from _channels(asked, current)
    versions = {*request.versions, *channels.values()}
    kept = _kept(current, versions)
    versions |= _on_the_way(asked, versions, kept)
    versions |= {version for version, release in kept.items() if request.images and not release.images}
    releases = dict(kept)
    for version in sorted(versions, key=parse_version):
        releases[version] = yield from _release(asked, version, kept.get(version))
    renderer = max(request.renderer, current.renderer)
    return Lock(renderer=renderer, channels=channels, releases=releases)


class _Asked:
    """What mirrors answered; each question is asked once."""

    def __init__(self, request: LockRequest, mirror: Mirror) -> None:
        self.request = request
        self.mirror = mirror
        self.bases = request.mirrors or (RELEASES,)
        self._listed: dict[str, str] | None = None

    def latest(self, channel: str) -> str:
        """The newest version of a channel. Raises UsageError for one that no channel server lists."""
        if self._listed is None:
            self._listed = self._channels()
        if channel not in self._listed:
            known = ", ".join(sorted(self._listed))
            raise UsageError(f"the channel server lists no channel `{channel}`", f"it lists {known}")
        return self._listed[channel]

    def _channels(self) -> dict[str, str]:
        urls = [f"{base.rstrip('/')}/channels" for base in self.request.mirrors] + [CHANNEL_SERVER]
        reasons: list[str] = []
        for url in urls:
            try:
                return parse_channels(self.mirror.fetch(url, _MAX_CHANNELS))
            except UnavailableError as error:
                reasons.append(error.message)
            except ValueError as error:
                reasons.append(f"{url}: {error}")
        hint = "name a version (k3s.version), or put the channel server's JSON on the mirror as `channels`"
        raise UnavailableError("no channel server answered: " + "; ".join(reasons), hint)


def _channels(asked: _Asked, current: Lock) -> Generator[LockEvent, None, dict[str, str]]:
    pinned: dict[str, str] = {}
    for channel in sorted(asked.request.channels):
        before = current.channels.get(channel, "")
        version = before if before and channel not in asked.request.upgrade else asked.latest(channel)
        pinned[channel] = version
        if version != before:
            yield ChannelPinned(channel, version, before)
    return pinned


def _kept(current: Lock, versions: Iterable[str]) -> dict[str, LockedRelease]:
    """Pinned releases that stay: those in use, and of every other minor the newest, for who comes back after a year."""
    used = {minor_of(version) for version in versions}
    newest: dict[str, str] = {}
    for version in sorted(current.releases, key=parse_version):
        newest[minor_of(version)] = version
    stay = {version for minor, version in newest.items() if minor not in used} | set(versions)
    return {version: release for version, release in current.releases.items() if version in stay}


def _on_the_way(asked: _Asked, versions: Iterable[str], kept: Iterable[str]) -> set[str]:
    """One release of each minor between what the oldest node holds and the newest version, where none is there yet."""
    if not asked.request.oldest or not versions:
        return set()
    newest = max(parse_version(version) for version in versions)
    present = {minor_of(version) for version in (*versions, *kept)}
    way = minors_on_the_way(parse_version(asked.request.oldest), newest)
    return {asked.latest(minor) for minor in way if minor not in present}


def _release(asked: _Asked, version: str, pinned: LockedRelease | None) -> Generator[LockEvent, None, LockedRelease]:
    try:
        source, found = _find(asked, version)
    except UnavailableError as error:
        if pinned is None:
            raise
        yield ReleaseUnverified(version, error.message)
        return pinned
    if pinned is not None:
        _refuse_other(pinned.version, pinned.binaries, found.binaries, source)
        _refuse_other(pinned.version, pinned.images, found.images, source)
        found = LockedRelease(version, found.binaries | pinned.binaries, found.images | pinned.images)
        if (found.binaries.keys(), found.images.keys()) == (pinned.binaries.keys(), pinned.images.keys()):
            return pinned
    yield ReleasePinned(version, source, tuple(arch for arch in ARCHES if arch not in found.binaries))
    return found


def _refuse_other(version: str, pinned: dict[str, LockedFile], found: dict[str, LockedFile], source: str) -> None:
    for arch, file in pinned.items():
        if arch in found and found[arch].sha256 != file.sha256:
            raise RefusedError(
                f"{source} says that the sha256 of {version}/{file.name} is {found[arch].sha256}, fleet.lock "
                f"pins {file.sha256}",
                "a release never changes: find out who changed it before you trust this mirror",
            )


def _find(asked: _Asked, version: str) -> tuple[str, LockedRelease]:
    """The first mirror that holds a release, and its files per architecture. Raises UnavailableError."""
    reasons: list[str] = []
    for base in asked.bases:
        binaries: dict[str, LockedFile] = {}
        images: dict[str, LockedFile] = {}
        for arch in ARCHES:
            try:
                found = _files(asked, base, version, arch)
            except UnavailableError as error:
                reasons.append(error.message)
                continue
            binaries[arch] = found[0]
            if asked.request.images:
                images[arch] = found[1]
        if binaries:
            return base, LockedRelease(version, binaries, images)
    raise UnavailableError(f"no mirror holds K3s {version}: " + "; ".join(reasons), "see spec.artifacts.mirrors")


def _files(asked: _Asked, base: str, version: str, arch: str) -> list[LockedFile]:
    """The binary of an architecture and, where they are wanted, its images."""
    url = _url(base, version, checksum_name(arch))
    try:
        sums = parse_checksums(asked.mirror.fetch(url, _MAX_SUMS))
    except ValueError as error:
        raise UnavailableError(f"{url}: {error}") from None
    names = [binary_name(arch), *([images_name(arch)] if asked.request.images else [])]
    for name in names:
        if name not in sums:
            raise UnavailableError(f"{url} does not name `{name}`")
    return [LockedFile(name, sums[name], asked.mirror.size(_url(base, version, name))) for name in names]


def _url(base: str, version: str, name: str) -> str:
    if base.startswith("file:"):
        return f"{base.rstrip('/')}/{release_path(version, name)}"
    return release_url(version, name, base)
