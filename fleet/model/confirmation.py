"""What of a node is the way by which it is reached: a change of it is confirmed over a new connection, or undone there."""

from __future__ import annotations

import functools
import re
from fnmatch import translate

import msgspec

_UNITS = (
    "nftables.service",
    "iptables.service",
    "netfilter-persistent.service",
    "ufw.service",
    "firewalld.service",
    "wg-quick@*.service",
    "ssh.service",
    "ssh.socket",
    "sshd.service",
    "sshd.socket",
    "networking.service",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "NetworkManager.service",
    "wpa_supplicant*.service",
)
_PATHS = (
    "/etc/nftables*",
    "/etc/iptables/*",
    "/etc/ufw/*",
    "/etc/default/ufw",
    "/etc/firewalld/*",
    "/etc/wireguard/*",
    "/etc/ssh/*",
    "*/.ssh/authorized_keys*",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/gshadow",
    "/etc/sudoers",
    "/etc/sudoers.d/*",
    "/etc/pam.d/*",
    "/etc/security/*",
    "/etc/hosts.allow",
    "/etc/hosts.deny",
    "/etc/network/*",
    "/etc/netplan/*",
    "/etc/systemd/network/*",
    "/etc/systemd/networkd.conf*",
    "/etc/NetworkManager/*",
    "/etc/wpa_supplicant/*",
)
_UNIT_FOLDERS = (
    "/etc/systemd/system/",
    "/usr/lib/systemd/system/",
    "/lib/systemd/system/",
    "/run/systemd/system/",
)
_SYSCTL = ("net.ipv4.conf.*", "net.ipv6.conf.*")


class Confirmation(msgspec.Struct, frozen=True):
    """Patterns of paths, units and kernel parameters (fnmatch; `*` takes slashes, too) of which a change has to be confirmed,
    and the seconds in which it must be. Files of such units, and their drop-ins, are meant as well. It is no part of a
    bundle's digest.
    """

    seconds: int
    paths: tuple[str, ...] = _PATHS
    units: tuple[str, ...] = _UNITS
    sysctl: tuple[str, ...] = _SYSCTL

    def has_path(self, path: str) -> bool:
        return _matches(path, self.paths) or self.has_unit(_unit_of(path))

    def has_unit(self, *names: str) -> bool:
        return any(_matches(name, self.units) for name in names)

    def has_sysctl(self, key: str) -> bool:
        return _matches(key, self.sysctl)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return _compiled(patterns).match(name) is not None


@functools.cache
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """One for all: a plan may ask for a hundred thousand nodes."""
    return re.compile("|".join(map(translate, patterns)))


def _unit_of(path: str) -> str:
    """The unit that a file of systemd's folders is, or is a drop-in of; empty for another one."""
    folder = next((one for one in _UNIT_FOLDERS if path.startswith(one)), "")
    name, _, rest = path.removeprefix(folder).partition("/") if folder else ("", "", "")
    return name.removesuffix(".d") if rest else name


DEFAULT_SECONDS = 90
