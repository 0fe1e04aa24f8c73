"""The root file system that all hosts share read-only: stock Debian or Ubuntu, built once and kept by its recipe."""

import fcntl
import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.lab.command import run
from tests.lab.errors import LabError
from tests.lab.network import CONTROLLER_ADDRESS

SSH_USER = "fleet"
SSH_USER_ID = 1000
HOST_PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "sudo"),
    *("python3", "python3-yaml", "python3-apt"),
    *("nftables", "iproute2", "iputils-ping", "procps", "wireguard-tools", "wireguard-go", "curl", "ca-certificates"),
    *("etcd-server", "etcd-client", "openssl"),  # the full stand-in for K3s
    "iptables",  # K3s brings its own
    "faketime",  # clocks of 1970 in tests of bad days
)
# Timers that would work behind a test's back, and consoles that nobody sits at.
MASKED_UNITS = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer"),
    "etcd.service",  # Debian starts one of its own
    *("getty.target", "console-getty.service", "systemd-resolved.service", "systemd-networkd.service"),
)
FILES = {
    f"etc/sudoers.d/{SSH_USER}": (0o440, f"{SSH_USER} ALL=(ALL) NOPASSWD: ALL\n"),
    "etc/ssh/sshd_config.d/lab.conf": (
        0o644,
        "PasswordAuthentication no\nUseDNS no\nMaxStartups 100:30:200\nHostKey /etc/ssh/ssh_host_ed25519_key\n",
    ),
    "etc/systemd/journald.conf.d/lab.conf": (0o644, "[Journal]\nStorage=volatile\n"),
    "etc/dpkg/dpkg.cfg.d/lab": (0o644, "force-unsafe-io\n"),
    "etc/apt/apt.conf.d/90lab": (
        0o644,
        'Acquire::http::Timeout "5";\nAcquire::Languages "none";\nAPT::Install-Recommends "false";\n',
    ),
    "etc/apt/sources.list.d/lab.list": (0o644, f"deb [trusted=yes] http://{CONTROLLER_ADDRESS}/apt ./\n"),
    "etc/resolv.conf": (0o644, "# no uplink, no names\n"),
    "etc/machine-id": (0o444, ""),
}
# Each host brings its own; what the packages made would be shared by all.
REMOVED = ("etc/ssh/ssh_host_*", "etc/hostname", "etc/apt/sources.list", "var/lib/dbus/machine-id", "var/log/*.log")


@dataclass(frozen=True)
class ImageRecipe:
    """All that decides what is in an image. `suite` is a release's code name, by default this machine's own."""

    suite: str
    packages: tuple[str, ...] = HOST_PACKAGES
    masked: tuple[str, ...] = MASKED_UNITS
    removed: tuple[str, ...] = REMOVED
    files: dict[str, tuple[int, str]] = field(default_factory=lambda: dict(FILES))

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


def own_recipe() -> ImageRecipe:
    """The recipe for the release that this machine itself runs, whose apt sources are known to work here."""
    for line in Path("/etc/os-release").read_text().splitlines():
        key, _, value = line.partition("=")
        if key == "VERSION_CODENAME":
            return ImageRecipe(suite=value.strip('"'))
    raise LabError("/etc/os-release names no VERSION_CODENAME: Debian 12 or Ubuntu 24.04 or later is needed")


def ensure_image(cache: Path, recipe: ImageRecipe) -> Path:
    """Return the directory of the recipe's image, building it (under a minute) if it is not in `cache` yet."""
    images = cache / "images"
    images.mkdir(parents=True, exist_ok=True)
    image = images / f"{recipe.suite}-{recipe.digest}"
    with (images / f"{image.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.is_dir():
            unfinished = images / f"{image.name}.unfinished"
            if unfinished.exists():
                shutil.rmtree(unfinished)
            build(unfinished, recipe)
            unfinished.rename(image)
    return image


def build(tree: Path, recipe: ImageRecipe) -> None:
    """Unpack the packages into `tree` and make it a host that waits for its name, keys and machine-id."""
    run(
        [
            *("mmdebstrap", "--quiet", "--variant=minbase", "--format=directory"),
            f"--include={','.join(recipe.packages)}",
            *(recipe.suite, str(tree), str(apt_sources())),
        ],
        timeout=900,
    )
    tree.chmod(0o755)
    for pattern in (*recipe.removed, "etc/apt/sources.list.d/*"):
        for path in tree.glob(pattern):
            path.unlink()
    run(["chroot", str(tree), "useradd", "--create-home", f"--uid={SSH_USER_ID}", "--shell=/bin/bash", SSH_USER])
    for name, (mode, text) in recipe.files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(mode)
    for unit in recipe.masked:
        mask = tree / "etc/systemd/system" / unit
        mask.unlink(missing_ok=True)
        mask.symlink_to("/dev/null")


def apt_sources() -> Path:
    """The file with this machine's own distribution sources, in the new format or the old one."""
    patterns = ("sources.list.d/*debian.sources", "sources.list.d/*ubuntu.sources", "sources.list")
    for pattern in patterns:
        for path in sorted(Path("/etc/apt").glob(pattern)):
            if path.stat().st_size:
                return path
    raise LabError(f"no apt sources found in /etc/apt: expected one of {', '.join(patterns)}")
