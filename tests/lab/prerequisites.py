"""What the machine that carries the lab needs: root, a few Debian packages, and enough inotify instances."""

import os
import shutil
from pathlib import Path

from tests.lab.command import run
from tests.lab.errors import LabError

# Program that the lab calls -> Debian (and Ubuntu) package that brings it.
PACKAGES = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "gpg": "gpg",  # mmdebstrap asks it which key signs the sources
    "ip": "iproute2",
    "nft": "nftables",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "wg": "wireguard-tools",
    "sudo": "sudo",
    "nsenter": "util-linux",
}
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Every systemd takes several inotify instances; with the kernel's 128, boot stops at about the 31st host.
INOTIFY_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
WANTED_INOTIFY_INSTANCES = 8192


def ensure() -> None:
    """Make this machine able to carry a lab; raise LabError where it cannot be."""
    if os.geteuid() != 0:
        raise LabError("the lab makes namespaces and mounts: run it as root")
    missing = sorted({package for program, package in PACKAGES.items() if not shutil.which(program, path=SYSTEM_PATH)})
    if missing:
        run(["apt-get", "update"], timeout=300)
        run(
            [
                *("env", "DEBIAN_FRONTEND=noninteractive"),
                *("apt-get", "install", "-y", "--no-install-recommends", *missing),
            ],
            timeout=900,
        )
    if not Path("/dev/net/tun").exists():
        raise LabError("/dev/net/tun is missing: the kernel needs CONFIG_TUN (hosts run wireguard-go on it)")
    if int(INOTIFY_INSTANCES.read_text()) < WANTED_INOTIFY_INSTANCES:
        INOTIFY_INSTANCES.write_text(str(WANTED_INOTIFY_INSTANCES))


def cache_directory() -> Path:
    """Where images and running labs are kept: $FLEET_LAB_DIR, else /var/cache/fleet-lab."""
    return Path(os.environ.get("FLEET_LAB_DIR", "/var/cache/fleet-lab")).absolute()
