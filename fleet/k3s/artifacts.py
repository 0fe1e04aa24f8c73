"""The files of a K3s release, where they are fetched from, and the two texts that describe them.

Sources: install.sh (setup_verify_arch, download_hash, download_binary), k3s-io/docs installation/airgap.md,
upgrades/manual.md and update.k3s.io (a Rancher channel server: rancher/channelserver).
"""

import re
from urllib.parse import quote

import msgspec

from fleet.k3s.version import Version, parse_version

RELEASES = "https://github.com/k3s-io/k3s/releases/download"
ARCHES = ("amd64", "arm64", "arm")

_BINARIES = {"amd64": "k3s", "arm64": "k3s-arm64", "arm": "k3s-armhf"}
# 32-bit ARM in all its spellings; install.sh takes arm* after it has taken arm64.
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_CHECKSUM = re.compile(r"([0-9a-f]{64}) [ *]([A-Za-z0-9][A-Za-z0-9._+-]*)", re.ASCII)
# The real file has some 15 lines; what is far longer is not that file.
_MAX_CHECKSUMS = 64 * 1024
_MAX_CHANNELS = 1024 * 1024


def arch_of_machine(machine: str) -> str:
    """`uname -m` as K3s names architectures: x86_64 is amd64, aarch64 is arm64, armv7l is arm.

    Raises ValueError for a machine that K3s has no release for.
    """
    if (arch := _MACHINES.get(machine)) is not None:
        return arch
    if machine.startswith("arm"):
        return "arm"
    raise ValueError(f"K3s has no release for `{machine}`: expected one of x86_64, aarch64, armv7l")


def binary_name(arch: str) -> str:
    """The file that is the K3s binary: k3s, k3s-arm64, k3s-armhf. Raises ValueError for another architecture."""
    return _BINARIES[_known(arch)]


def checksum_name(arch: str) -> str:
    """The file that holds the sha256 of an architecture's files: sha256sum-amd64.txt."""
    return f"sha256sum-{_known(arch)}.txt"


def images_name(arch: str, compression: str = "zst") -> str:
    """The tarball of K3s's own images, for nodes without a registry: k3s-airgap-images-amd64.tar.zst (airgap.md)."""
    if compression not in {"zst", "gz"}:
        raise ValueError(f"K3s publishes images as zst and gz, not as `{compression}`")
    return f"k3s-airgap-images-{_known(arch)}.tar.{compression}"


def _known(arch: str) -> str:
    if arch not in _BINARIES:
        raise ValueError(f"not an architecture of K3s: expected one of {', '.join(ARCHES)}, found `{arch}`")
    return arch


def release_path(version: Version | str, name: str) -> str:
    """Where a file of a release lies below a mirror that is a folder: v1.35.4+k3s1/k3s."""
    return f"{version}/{name}"


def release_url(version: Version | str, name: str, base: str = RELEASES) -> str:
    """The same below an http(s) mirror or at GitHub, where the plus must be quoted: .../v1.35.4%2Bk3s1/k3s."""
    return f"{base.rstrip('/')}/{quote(str(version), safe='')}/{quote(name, safe='')}"


def parse_checksums(data: bytes) -> dict[str, str]:
    """A sha256sum-ARCH.txt as file name -> sha256 in lower-case hex.

    Strict, since these sums are what `fleet.lock` pins: raises ValueError, naming the line, for anything that
    `sha256sum` would not have written, for a name that appears twice, and for an empty file (a proxy's error page).
    """
    if len(data) > _MAX_CHECKSUMS:
        raise ValueError(f"not a sha256sum file: {len(data)} bytes, expected at most {_MAX_CHECKSUMS}")
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise ValueError(f"not a sha256sum file: byte {error.start} is not ASCII") from None
    sums: dict[str, str] = {}
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        match = _CHECKSUM.fullmatch(line)
        if match is None:
            raise ValueError(
                f"not a sha256sum file: line {number} is `{line[:80]}`, expected 64 hex digits, two spaces, a file name"
            )
        digest, name = match.groups()
        if name in sums:
            raise ValueError(f"sha256sum file names `{name}` twice, the second time in line {number}")
        sums[name] = digest
    return sums


class _Channel(msgspec.Struct):
    name: str
    latest: str | None = None


class _Channels(msgspec.Struct):
    data: list[_Channel]


def parse_channels(data: bytes) -> dict[str, str]:
    """The channel server's JSON as channel -> its latest version: {"stable": "v1.35.4+k3s1", ...}.

    A channel that has no release yet is left out. Raises ValueError for anything that is not that JSON, for a
    channel that appears twice, for a version that is none, and where not one channel is left.
    """
    if len(data) > _MAX_CHANNELS:
        raise ValueError(f"not a channel server's answer: {len(data)} bytes, expected at most {_MAX_CHANNELS}")
    try:
        listed = msgspec.json.decode(data, type=_Channels).data
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not a channel server's answer: {error}") from None
    channels: dict[str, str] = {}
    for channel in listed:
        if not channel.latest:
            continue
        if channel.name in channels:
            raise ValueError(f"the channel server names channel `{channel.name}` twice")
        try:
            parse_version(channel.latest)
        except ValueError as error:
            raise ValueError(f"the channel server's channel `{channel.name}` is at fault: {error}") from None
        channels[channel.name] = channel.latest
    if not channels:
        raise ValueError("the channel server lists no channel that has a release")
    return channels
