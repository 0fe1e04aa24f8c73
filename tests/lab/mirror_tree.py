"""The files of a K3s mirror: the layout and names of its GitHub releases, with the stand-in as the binary.

    DIR/v1.35.4+k3s1/k3s                              amd64
    DIR/v1.35.4+k3s1/k3s-arm64, k3s-armhf
    DIR/v1.35.4+k3s1/sha256sum-amd64.txt, sha256sum-arm64.txt, sha256sum-arm.txt
    DIR/channels                                      as https://update.k3s.io/v1-release/channels answers

The bytes depend on the version and the architecture only.
"""

import hashlib
import json
import re
from pathlib import Path

from tests.lab.k3s.archive import make_archive

# Architecture as K3s names it -> the binary's name, from https://github.com/k3s-io/k3s/releases.
BINARIES = {"amd64": "k3s", "arm64": "k3s-arm64", "arm": "k3s-armhf"}
VERSIONS = ("v1.33.6+k3s1", "v1.34.2+k3s1", "v1.35.3+k3s1", "v1.35.4+k3s1", "v1.36.1+k3s1")
STABLE = "v1.35.4+k3s1"
CHANNELS_URL = "https://update.k3s.io/v1-release/channels"
VERSION_FORM = re.compile(r"v(\d+)\.(\d+)\.(\d+)\+k3s(\d+)")


def make_mirror_tree(directory: Path, versions: tuple[str, ...] = VERSIONS, *, stable: str = STABLE) -> Path:
    """Write a mirror into `directory` (made if it is missing) and return it; usable as a `file:` mirror as it is.

    `channels` then knows `stable`, `latest`, and one channel for each minor, `v1.35`. ValueError for a malformed version.
    """
    for version in versions:
        release = directory / version
        release.mkdir(parents=True, exist_ok=True)
        for arch, name in BINARIES.items():
            images = f"k3s-airgap-images-{arch}.tar.zst"
            files = {images: f"no images: stand-in {version} {arch}\n".encode(), name: standin(version, arch)}
            for file, content in files.items():
                (release / file).write_bytes(content)
            (release / name).chmod(0o755)
            sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {file}\n" for file, content in files.items())
            (release / f"sha256sum-{arch}.txt").write_text(sums)
    (directory / "channels").write_text(channels(versions, stable))
    return directory


def standin(version: str, arch: str) -> bytes:
    """The bytes of the stand-in for one version (v1.35.4+k3s1) and architecture (amd64, arm64, arm)."""
    rank(version)
    return make_archive(version, arch)


def channels(versions: tuple[str, ...], stable: str) -> str:
    """The JSON of K3s's channel server."""
    ordered = sorted(versions, key=rank)
    named = {"stable": stable, "latest": ordered[-1]}
    for version in ordered:
        major, minor, *_ = rank(version)
        named[f"v{major}.{minor}"] = version
    data = [
        {
            "id": name,
            "type": "channel",
            "links": {"self": f"{CHANNELS_URL}/{name}"},
            "name": name,
            "latest": version,
        }
        for name, version in named.items()
    ]
    document = {
        "type": "collection",
        "links": {"self": CHANNELS_URL},
        "actions": {},
        "resourceType": "channels",
        "data": data,
    }
    return json.dumps(document) + "\n"


def rank(version: str) -> tuple[int, ...]:
    match = VERSION_FORM.fullmatch(version)
    if match is None:
        raise ValueError(f"{version!r} is no K3s release: expected the form v1.35.4+k3s1")
    return tuple(int(part) for part in match.groups())
