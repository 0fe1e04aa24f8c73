"""A minimal Debian with nothing but what the README asks for, and an unprivileged user in it.

The root is built once and kept by its recipe, as the lab's images are. A command sees it through an overlay in mount
and process namespaces of its own: when the command ends, or is ended, no mount and no process is left.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.lab.command import run
from tests.lab.image import apt_sources, own_recipe
from tests.lab.prerequisites import cache_directory

ROOT = Path(__file__).parents[2]
PACKAGES = ("python3", "python3-venv", "make", "git", "ca-certificates")
USER, USER_ID = "someone", 1000
HOME = f"/home/{USER}"
CHECKOUT = f"{HOME}/fleet"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
SECONDS = 400
# What pip of this machine was told about how to reach its registry. Anything else, as wheels at hand, would be no download.
PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout", "retries")
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")

# $1 image, $2 scratch, $3 checkout, $4 certificates, $5 user id; then the command, with its environment before it.
SCRIPT = f"""\
set -eu
image=$1 scratch=$2 checkout=$3 certificates=$4 user=$5
shift 5
root=$scratch/root
mkdir -p "$scratch/upper" "$scratch/work" "$root"
mount -t overlay -o "lowerdir=$image,upperdir=$scratch/upper,workdir=$scratch/work" overlay "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
for file in /etc/resolv.conf /etc/hosts; do
  rm -f "$root$file" && touch "$root$file" && mount --bind "$file" "$root$file"
done
mount --bind "$certificates" "$root{BUNDLE}"
mkdir -p "$root{CHECKOUT}" && mount --bind "$checkout" "$root{CHECKOUT}"
exec chroot --userspec="$user:$user" "$root" env -i --chdir={CHECKOUT} "$@"
"""


@dataclass(frozen=True)
class Said:
    code: int
    text: str
    seconds: float


@dataclass(frozen=True)
class Machine:
    """`checkout` is a fresh clone of this repository's HEAD, the user's own, at ~/fleet inside."""

    image: Path
    scratch: Path
    checkout: Path

    def run(self, *command: str, env: Mapping[str, str] | None = None) -> Said:
        """Runs a command as the user, in the checkout; the output of both streams, together."""
        words = [f"{name}={value}" for name, value in {**environment(), **(env or {})}.items()]
        shell = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            SCRIPT,
        ]
        places = [str(self.image), str(self.scratch), str(self.checkout), certificates(), str(USER_ID)]
        began = time.monotonic()
        done = subprocess.run(
            [*shell, "bare", *places, *words, *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS,
            check=False,
        )  # fmt: skip
        return Said(done.returncode, done.stdout, time.monotonic() - began)


def make_machine(scratch: Path) -> Machine:
    checkout = scratch / "checkout"
    run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(checkout)])
    run(["chown", "-R", f"{USER_ID}:{USER_ID}", str(checkout)])
    return Machine(ensure_image(), scratch, checkout)


def ensure_image() -> Path:
    """The folder of the root, built (under a minute) if it is not in the cache yet."""
    suite = own_recipe().suite
    recipe = json.dumps([suite, PACKAGES, USER, USER_ID])
    images = cache_directory() / "images"
    images.mkdir(parents=True, exist_ok=True)
    image = images / f"bare-{suite}-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
    with (images / f"{image.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.is_dir():
            unfinished = images / f"{image.name}.unfinished"
            if unfinished.exists():
                shutil.rmtree(unfinished)
            build(unfinished, suite)
            unfinished.rename(image)
    return image


def build(tree: Path, suite: str) -> None:
    options = ["--quiet", "--variant=minbase", "--format=directory", f"--include={','.join(PACKAGES)}"]
    run(["mmdebstrap", *options, suite, str(tree), str(apt_sources())], timeout=900)
    tree.chmod(0o755)
    run(["chroot", str(tree), "useradd", "--create-home", f"--uid={USER_ID}", "--shell=/bin/bash", USER])


def environment() -> dict[str, str]:
    """Of a login, and how this machine reaches its package registry."""
    login = {"HOME": HOME, "USER": USER, "LOGNAME": USER, "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    proxies = {name: value for name, value in os.environ.items() if name.lower() in PROXIES}
    pip = {f"PIP_{key.upper().replace('-', '_')}": value for key, value in pip_settings().items() if key in PIP_KEYS}
    return {**login, **proxies, **pip, "PIP_CERT": BUNDLE}


def certificates() -> str:
    """Whom pip of this machine trusts."""
    return pip_settings().get("cert", BUNDLE)


def pip_settings() -> dict[str, str]:
    """`pip config list`, the strongest last, without sections: {"index-url": "https://..."}."""
    lines = run([sys.executable, "-m", "pip", "config", "list"]).splitlines()
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {name.rpartition(".")[2]: value.strip("'\"") for name, value in sorted(pairs, key=is_from_environment)}


def is_from_environment(pair: list[str]) -> bool:
    return pair[0].startswith(":env:")
