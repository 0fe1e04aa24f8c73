"""What of a node is the way by which it is reached: a change of it is confirmed over a new connection, or undone there."""

from __future__ import annotations

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


DEFAULT_SECONDS = 90
