"""fleet lock: what gets pinned, what never moves, and what is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from fleet.errors import RefusedError, UnavailableError, UsageError
from fleet.load import load
from fleet.model.learned import Learned
from fleet.model.lock import Lock, LockedFile, LockedRelease
from fleet.model.tree import Tree
from fleet.operations.lock import (
    ChannelPinned,
    Locked,
    LockEvent,
    LockRequest,
    ReleasePinned,
    ReleaseUnverified,
    encoded,
    lock,
    wanted,
)
from fleet.render import RENDERER

MIRROR = "https://mirror.acme.example/k3s"
BINARIES = {"amd64": "k3s", "arm64": "k3s-arm64", "arm": "k3s-armhf"}


class MemoryMirror:
    """Answers out of a dict; everything else is away. `asked` counts."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []

    def fetch(self, url: str, limit: int) -> bytes:
        self.asked.append(url)
        data = self.files.get(url)
        if data is None:
            raise UnavailableError(f"{url}: HTTP 404 Not Found")
        if len(data) > limit:
            raise UnavailableError(f"{url}: too large")
        return data

    def size(self, url: str) -> int:
        return len(self.fetch(url, 1 << 30))

    def release(
        self, version: str, base: str = MIRROR, arches: tuple[str, ...] = tuple(BINARIES), salt: str = ""
    ) -> None:
        folder = f"{base}/{version if base.startswith('file:') else version.replace('+', '%2B')}"
        for arch in arches:
            name, content = BINARIES[arch], f"{version} {arch}{salt}".encode()
            self.files[f"{folder}/{name}"] = content
            sums = f"{'0' * 64}  k3s-airgap-images-{arch}.tar\n{sha(content)}  {name}\n"
            self.files[f"{folder}/sha256sum-{arch}.txt"] = sums.encode()

    def channels(self, latest: Mapping[str, str], base: str = MIRROR) -> None:
        data = [{"name": name, "latest": version} for name, version in latest.items()]
        self.files[f"{base}/channels" if base else "https://update.k3s.io/v1-release/channels"] = json.dumps(
            {"data": data}
        ).encode()


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def locked(version: str, arches: tuple[str, ...] = tuple(BINARIES)) -> LockedRelease:
    contents = {arch: f"{version} {arch}".encode() for arch in arches}
    return LockedRelease(
        version, {arch: LockedFile(BINARIES[arch], sha(content), len(content)) for arch, content in contents.items()}
    )


def releases(*versions: str) -> dict[str, LockedRelease]:
    return {version: locked(version) for version in versions}


def run(request: LockRequest, current: Lock, mirror: MemoryMirror) -> tuple[list[LockEvent], list[bytes]]:
    saved: list[bytes] = []
    events = list(lock(request, current, mirror, saved.append))
    return events, saved


@pytest.fixture
def mirror() -> MemoryMirror:
    made = MemoryMirror()
    for version in ("v1.33.9+k3s1", "v1.34.6+k3s1", "v1.35.3+k3s1", "v1.35.4+k3s1", "v1.36.1+k3s1"):
        made.release(version)
    made.channels({
        "stable": "v1.35.4+k3s1", "latest": "v1.36.1+k3s1",
        "v1.33": "v1.33.9+k3s1", "v1.34": "v1.34.6+k3s1", "v1.35": "v1.35.4+k3s1", "v1.36": "v1.36.1+k3s1",
    })  # fmt: skip
    return made


def test_a_version_is_pinned_with_the_sha256_of_each_architecture(mirror: MemoryMirror) -> None:
    events, saved = run(LockRequest(("v1.35.4+k3s1",), mirrors=(MIRROR,)), Lock(), mirror)

    wanted = Lock(releases=releases("v1.35.4+k3s1"))
    assert events == [ReleasePinned("v1.35.4+k3s1", MIRROR), Locked(wanted, changed=True)]
    assert saved == [encoded(wanted)]


def test_a_channel_is_pinned_to_what_it_points_at_now(mirror: MemoryMirror) -> None:
    events, _ = run(LockRequest(channels=("stable",), mirrors=(MIRROR,)), Lock(), mirror)

    assert events == [
        ChannelPinned("stable", "v1.35.4+k3s1"),
        ReleasePinned("v1.35.4+k3s1", MIRROR),
        Locked(Lock(channels={"stable": "v1.35.4+k3s1"}, releases=releases("v1.35.4+k3s1")), changed=True),
    ]


def test_a_pinned_channel_stays_until_it_is_named_for_an_upgrade(mirror: MemoryMirror) -> None:
    pinned = Lock(channels={"stable": "v1.35.3+k3s1"}, releases=releases("v1.35.3+k3s1"))
    request = LockRequest(channels=("stable",), mirrors=(MIRROR,))

    events, saved = run(request, pinned, mirror)
    assert events == [Locked(pinned, changed=False)]
    assert saved == []
    assert f"{MIRROR}/channels" not in mirror.asked

    request = LockRequest(channels=("stable",), mirrors=(MIRROR,), upgrade=("stable",))
    events, saved = run(request, pinned, mirror)
    assert events[0] == ChannelPinned("stable", "v1.35.4+k3s1", "v1.35.3+k3s1")
    after = Lock(channels={"stable": "v1.35.4+k3s1"}, releases=releases("v1.35.4+k3s1"))
    assert events[-1] == Locked(after, changed=True)
    assert len(saved) == 1


def test_an_upgrade_of_one_channel_leaves_the_others(mirror: MemoryMirror) -> None:
    pinned = Lock(
        channels={"stable": "v1.34.6+k3s1", "latest": "v1.35.3+k3s1"}, releases=releases("v1.34.6+k3s1", "v1.35.3+k3s1")
    )
    request = LockRequest(channels=("latest", "stable"), mirrors=(MIRROR,), upgrade=("stable",))

    events, _ = run(request, pinned, mirror)

    assert isinstance(events[-1], Locked)
    assert events[-1].lock.channels == {"stable": "v1.35.4+k3s1", "latest": "v1.35.3+k3s1"}


def test_one_release_of_each_minor_is_pinned_on_the_way_from_the_oldest_node(mirror: MemoryMirror) -> None:
    request = LockRequest(("v1.36.1+k3s1",), mirrors=(MIRROR,), oldest="v1.33.2+k3s1")

    events, _ = run(request, Lock(), mirror)

    assert isinstance(events[-1], Locked)
    assert list(events[-1].lock.releases) == ["v1.34.6+k3s1", "v1.35.4+k3s1", "v1.36.1+k3s1"]
    assert events[-1].lock.channels == {}


def test_a_minor_that_is_pinned_on_the_way_is_not_moved(mirror: MemoryMirror) -> None:
    pinned = Lock(releases=releases("v1.35.3+k3s1"))
    request = LockRequest(("v1.36.1+k3s1",), mirrors=(MIRROR,), oldest="v1.34.6+k3s1")

    events, _ = run(request, pinned, mirror)

    assert isinstance(events[-1], Locked)
    assert sorted(events[-1].lock.releases) == ["v1.35.3+k3s1", "v1.36.1+k3s1"]


def test_of_each_minor_that_is_no_longer_used_the_newest_release_stays(mirror: MemoryMirror) -> None:
    pinned = Lock(releases=releases("v1.33.9+k3s1", "v1.34.5+k3s1", "v1.34.6+k3s1", "v1.35.3+k3s1"))

    events, _ = run(LockRequest(("v1.35.4+k3s1",), mirrors=(MIRROR,)), pinned, mirror)

    assert isinstance(events[-1], Locked)
    assert sorted(events[-1].lock.releases) == ["v1.33.9+k3s1", "v1.34.6+k3s1", "v1.35.4+k3s1"]


def test_another_sha256_than_the_pinned_one_is_refused_and_nothing_is_saved(mirror: MemoryMirror) -> None:
    pinned = Lock(releases=releases("v1.35.4+k3s1"))
    mirror.release("v1.35.4+k3s1", arches=("arm64",), salt=" tampered")
    saved: list[bytes] = []

    with pytest.raises(RefusedError) as raised:
        list(lock(LockRequest(("v1.36.1+k3s1", "v1.35.4+k3s1"), mirrors=(MIRROR,)), pinned, mirror, saved.append))

    assert raised.value.message == (
        f"{MIRROR} says that the sha256 of v1.35.4+k3s1/k3s-arm64 is {sha(b'v1.35.4+k3s1 arm64 tampered')}, fleet.lock "
        f"pins {sha(b'v1.35.4+k3s1 arm64')}"
    )
    assert saved == []


def test_a_mirror_that_is_away_does_not_shake_what_is_pinned(mirror: MemoryMirror) -> None:
    pinned = Lock(releases=releases("v1.35.4+k3s1"))
    mirror.files.clear()

    events, saved = run(LockRequest(("v1.35.4+k3s1",), mirrors=(MIRROR,)), pinned, mirror)

    assert isinstance(events[0], ReleaseUnverified)
    assert events[0].version == "v1.35.4+k3s1"
    assert events[1:] == [Locked(pinned, changed=False)]
    assert saved == []


def test_a_release_that_no_mirror_holds_names_every_place_that_was_asked(mirror: MemoryMirror) -> None:
    request = LockRequest(("v1.35.9+k3s1",), mirrors=(MIRROR, "file:mirror"))
    with pytest.raises(UnavailableError) as raised:
        run(request, Lock(), mirror)
    assert raised.value.message.startswith("no mirror holds K3s v1.35.9+k3s1: ")
    assert f"{MIRROR}/v1.35.9%2Bk3s1/sha256sum-amd64.txt: HTTP 404" in raised.value.message
    assert "file:mirror/v1.35.9+k3s1/sha256sum-arm.txt: HTTP 404" in raised.value.message


def test_the_first_mirror_that_holds_a_release_is_taken(mirror: MemoryMirror) -> None:
    mirror.release("v1.35.9+k3s1", base="file:mirror")
    events, _ = run(LockRequest(("v1.35.9+k3s1",), mirrors=(MIRROR, "file:mirror")), Lock(), mirror)
    assert events[0] == ReleasePinned("v1.35.9+k3s1", "file:mirror")


def test_without_mirrors_k3s_own_servers_are_asked(mirror: MemoryMirror) -> None:
    mirror.release("v1.35.4+k3s1", base="https://github.com/k3s-io/k3s/releases/download")
    mirror.channels({"stable": "v1.35.4+k3s1"}, base="")
    events, _ = run(LockRequest(channels=("stable",)), Lock(), mirror)
    assert events[1] == ReleasePinned("v1.35.4+k3s1", "https://github.com/k3s-io/k3s/releases/download")
    assert mirror.asked[0] == "https://update.k3s.io/v1-release/channels"


def test_images_are_pinned_where_a_node_wants_them_also_of_releases_that_are_pinned(mirror: MemoryMirror) -> None:
    images = {}
    for version in ("v1.34.6+k3s1", "v1.35.4+k3s1"):
        for arch, name in BINARIES.items():
            folder = f"{MIRROR}/{version.replace('+', '%2B')}"
            file, content = f"k3s-airgap-images-{arch}.tar.zst", f"images of {version} {arch}".encode()
            mirror.files[f"{folder}/{file}"] = content
            sums = f"{sha(content)}  {file}\n{sha(f'{version} {arch}'.encode())}  {name}\n"
            mirror.files[f"{folder}/sha256sum-{arch}.txt"] = sums.encode()
            images[version, arch] = LockedFile(file, sha(content), len(content))
    before = Lock(releases=releases("v1.34.6+k3s1", "v1.35.4+k3s1"))
    request = LockRequest(("v1.35.4+k3s1",), mirrors=(MIRROR,))
    assert run(request, before, mirror)[1] == [], "nobody wants them"
    events, _ = run(replace(request, images=True), before, mirror)
    assert isinstance(events[-1], Locked)
    made = events[-1].lock
    assert {
        (version, arch): file for version, one in made.releases.items() for arch, file in one.images.items()
    } == images
    assert run(replace(request, images=True), made, mirror)[1] == []
    assert run(request, made, mirror)[1] == [], "what is pinned stays pinned"

    mirror.files[f"{MIRROR}/v1.35.4%2Bk3s1/sha256sum-arm.txt"] = (
        f"{'9' * 64}  k3s-airgap-images-arm.tar.zst\n{sha(b'v1.35.4+k3s1 arm')}  k3s-armhf\n".encode()
    )
    with pytest.raises(RefusedError, match=r"v1\.35\.4\+k3s1/k3s-airgap-images-arm\.tar\.zst"):
        run(replace(request, images=True), made, mirror)


def test_a_mirror_without_images_holds_no_release_for_an_air_gapped_node(mirror: MemoryMirror) -> None:
    with pytest.raises(UnavailableError, match=r"does not name `k3s-airgap-images-amd64\.tar\.zst`"):
        run(LockRequest(("v1.35.4+k3s1",), mirrors=(MIRROR,), images=True), Lock(), mirror)


def test_an_architecture_that_a_mirror_does_not_hold_is_told_and_added_later(mirror: MemoryMirror) -> None:
    mirror.release("v1.35.9+k3s1", arches=("amd64",))
    request = LockRequest(("v1.35.9+k3s1",), mirrors=(MIRROR,))
    events, _ = run(request, Lock(), mirror)
    assert events[0] == ReleasePinned("v1.35.9+k3s1", MIRROR, ("arm64", "arm"))
    assert isinstance(events[1], Locked)
    assert list(events[1].lock.releases["v1.35.9+k3s1"].binaries) == ["amd64"]

    mirror.release("v1.35.9+k3s1", arches=("arm64",))
    events, _ = run(request, events[1].lock, mirror)
    assert events[0] == ReleasePinned("v1.35.9+k3s1", MIRROR, ("arm",))


@pytest.mark.parametrize(
    ("sums", "message"),
    [(b"<html>busy</html>", "not a sha256sum file"), (b"0" * 64 + b"  other\n", "does not name `k3s`"), (b"", "not a")],
)
def test_checksums_that_are_none_are_not_believed(mirror: MemoryMirror, sums: bytes, message: str) -> None:
    for arch in BINARIES:
        mirror.files[f"{MIRROR}/v1.35.4%2Bk3s1/sha256sum-{arch}.txt"] = sums
    with pytest.raises(UnavailableError, match=message):
        run(LockRequest(("v1.35.4+k3s1",), mirrors=(MIRROR,)), Lock(), mirror)


def test_a_channel_that_nobody_lists_is_a_usage_error(mirror: MemoryMirror) -> None:
    with pytest.raises(UsageError, match=r"lists no channel `v1\.99`") as raised:
        run(LockRequest(channels=("v1.99",), mirrors=(MIRROR,)), Lock(), mirror)
    assert raised.value.hint == "it lists latest, stable, v1.33, v1.34, v1.35, v1.36"


def test_channel_servers_that_are_away_are_all_named(mirror: MemoryMirror) -> None:
    mirror.files[f"{MIRROR}/channels"] = b"<html>"
    with pytest.raises(UnavailableError) as raised:
        run(LockRequest(channels=("stable",), mirrors=(MIRROR,)), Lock(), mirror)
    assert f"{MIRROR}/channels: not a channel server's answer" in raised.value.message
    assert "https://update.k3s.io/v1-release/channels: HTTP 404" in raised.value.message


def test_the_renderer_is_kept_unless_it_is_named(mirror: MemoryMirror) -> None:
    events, _ = run(LockRequest(mirrors=(MIRROR,)), Lock(renderer=3), mirror)
    assert events == [Locked(Lock(renderer=3), changed=False)]
    events, _ = run(LockRequest(mirrors=(MIRROR,), renderer=4), Lock(renderer=3), mirror)
    assert events == [Locked(Lock(renderer=4), changed=True)]
    events, _ = run(LockRequest(mirrors=(MIRROR,), renderer=2), Lock(renderer=3), mirror)
    assert events == [Locked(Lock(renderer=3), changed=False)], "an older fleet does not take it back"


def test_the_file_is_the_same_bytes_in_whatever_order_it_was_made() -> None:
    versions = ("v1.35.4+k3s1", "v1.34.6+k3s1")
    one = Lock(channels={"b": "x", "a": "y"}, releases=releases(*versions))
    two = Lock(channels={"a": "y", "b": "x"}, releases=releases(*reversed(versions)))
    assert encoded(one) == encoded(two)
    text = encoded(Lock(channels={"stable": "v1.35.4+k3s1"})).decode()
    assert text == (
        '{\n  "channels": {\n    "stable": "v1.35.4+k3s1"\n  },\n  "format": "fleet.lock/v1",\n  "releases": {},\n'
        '  "renderer": 1\n}\n'
    )


SPEC = b"""\
apiVersion: fleet/v1alpha1
kind: Fleet
metadata: {name: acme}
spec:
  k3s: {channel: stable}
  artifacts: {mirrors: ["file:mirror"]}
---
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: lyon}
spec:
  nodes:
    - {name: lyon-a, role: server, address: 10.0.0.1}
    - {name: lyon-b, role: agent, address: 10.0.0.2, k3s: {version: v1.34.6+k3s1}}
    - {name: lyon-c, role: none, address: 10.0.0.3, k3s: {version: v1.30.0+k3s1}}
"""


def test_what_is_wanted_is_what_nodes_use_whatever_is_pinned_already() -> None:
    pinned = encoded(Lock(channels={"stable": "v1.35.4+k3s1"}, releases=releases("v1.35.4+k3s1")))
    spec = load(Tree({"fleet.yaml": SPEC, "fleet.lock": pinned}))

    request = wanted(spec, Learned(), held=["v1.34.2+k3s1", "", "v1.33.9+k3s1"], upgrade=["stable"])

    assert request == LockRequest(
        ("v1.34.6+k3s1",), ("stable",), ("file:mirror",), "v1.33.9+k3s1", ("stable",), renderer=RENDERER
    )
    with pytest.raises(UsageError, match="no node uses the channel `latest`") as raised:
        wanted(spec, Learned(), upgrade=["latest"])
    assert raised.value.hint == "channels in use: stable"
    gapped = load(
        Tree({"fleet.yaml": SPEC.replace(b"v1.34.6+k3s1}", b"v1.34.6+k3s1, airGap: true}"), "fleet.lock": pinned})
    )
    assert wanted(gapped, Learned()).images
