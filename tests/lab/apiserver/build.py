"""Builds the API server once for each state of its Go sources and each version of Go, and keeps the binary.

It takes five minutes on two cores the first time, and 110 MB in the cache. Modules come from the proxy that Go is set up
with, each checked against go.sum.
"""

import fcntl
import hashlib
import os
import shutil
from pathlib import Path

from tests.lab.command import run
from tests.lab.errors import LabError

HERE = Path(__file__).parent
SOURCES = ("go.mod", "go.sum", "main.go")
# The second is where Go's own archive goes, and where no PATH may lead.
PLACES = ("go", "/usr/local/go/bin/go")
VERSION = "v1.36.3"
FLAGS = ("-trimpath", "-buildvcs=false", "-ldflags", f"-s -w -X k8s.io/component-base/version.gitVersion={VERSION}")
SECONDS = 1800


def cache_directory() -> Path:
    """$FLEET_LAB_DIR, else /var/cache/fleet-lab for root and ~/.cache/fleet-lab for anybody else."""
    if set_by_hand := os.environ.get("FLEET_LAB_DIR"):
        return Path(set_by_hand).absolute()
    return Path("/var/cache/fleet-lab") if os.geteuid() == 0 else Path.home() / ".cache/fleet-lab"


def find_go() -> str:
    """The path of the go command, empty where there is none."""
    return next((found for place in PLACES if (found := shutil.which(place))), "")


def build_key(go_version: str) -> str:
    """Names the binary that these sources give with this Go."""
    digest = hashlib.sha256(f"{go_version}\0{FLAGS}\0".encode())
    for name in SOURCES:
        digest.update((HERE / name).read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def ensure_apiserver(cache: Path | None = None) -> Path:
    """The static binary, built if `cache` has none of this key. Raises LabError where it cannot be built."""
    go = find_go()
    if not go:
        raise LabError("there is no go command: install Go 1.26 or later, in /usr/local/go or on PATH")
    folder = (cache or cache_directory()) / "apiserver"
    folder.mkdir(parents=True, exist_ok=True)
    # GOTOOLCHAIN=local: no other Go than this one is fetched.
    go_version = run(["env", "GOTOOLCHAIN=local", go, "env", "GOVERSION"]).strip()
    binary = folder / f"kube-apiserver-{build_key(go_version)}"
    with (folder / f"{binary.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            build(go, binary)
    return binary


def build(go: str, binary: Path) -> None:
    """With the least priority. The binary is there whole or not at all; older ones stay for other checkouts."""
    unfinished = binary.with_suffix(".unfinished")
    settings = ("CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOTOOLCHAIN=local", "GOWORK=off")
    run(
        ["nice", "-n", "10", "env", "-C", str(HERE), *settings, go, "build", *FLAGS, "-o", str(unfinished), "."],
        timeout=SECONDS,
    )
    unfinished.rename(binary)
