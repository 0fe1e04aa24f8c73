"""Which K3s this is; the mirror fills both in, so every version and architecture has other bytes."""

import re

VERSION = "@VERSION@"
ARCH = "@ARCH@"
KUBERNETES = VERSION.partition("+")[0]


def minor_of(version: str) -> int:
    """35 for v1.35.4+k3s1."""
    match = re.match(r"v1\.(\d+)\.", version)
    if match is None:
        raise ValueError(f"{version!r} is no K3s release")
    return int(match[1])


def release_of(version: str) -> tuple[int, int, int]:
    """(35, 4, 1) for v1.35.4+k3s1."""
    match = re.fullmatch(r"v1\.(\d+)\.(\d+)\+k3s(\d+)", version)
    if match is None:
        raise ValueError(f"{version!r} is no K3s release")
    return int(match[1]), int(match[2]), int(match[3])
