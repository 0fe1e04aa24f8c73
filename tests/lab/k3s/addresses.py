"""Which addresses a node has: node-ip, or else those of its interfaces."""

import json
import subprocess

from .faults import fault
from .output import fatal
from .settings import Settings


def node_addresses(settings: Settings) -> list[str]:
    """IPv4 first, as the first service-cidr is IPv4 by default.

    K3s takes the address of the interface that the default route goes out by, and does not start without such a route
    (docs/installation/airgap.md). The lab's hosts have none; here the first address of global scope is taken. A guess.
    """
    given = [address.strip() for text in settings.get("node-ip", []) for address in text.split(",")]
    if given:
        return given
    rows = json.loads(subprocess.run(["ip", "-j", "addr"], capture_output=True, text=True, check=True).stdout)
    found = [
        (info["family"] != "inet", info["local"])
        for row in rows
        for info in row.get("addr_info", [])
        if info.get("scope") == "global" and not row["ifname"].startswith(("flannel", "cni", "docker"))
    ]
    if not found:
        fatal('Error: no default routes found in "/proc/net/route" or "/proc/net/ipv6_route"')
    return [address for _, address in sorted(found, key=lambda pair: pair[0])][:1]


def check_default_route(settings: Settings) -> None:
    """With the switch `default-route: needed`, as K3s: without flannel-iface flannel takes the interface of the default
    route, and ends K3s where there is none (pkg/agent/flannel/flannel.go, LookupExtInterface). Without it hosts need none.
    """
    if fault("default-route") != "needed" or settings.get("flannel-iface"):
        return
    rows = [
        row
        for family in ("-4", "-6")
        for row in json.loads(
            subprocess.run(
                ["ip", "-j", family, "route", "show", "default"], capture_output=True, text=True, check=True
            ).stdout
            or "[]"
        )
    ]
    if not rows:
        fatal("Error: flannel exited: failed to find the interface: failed to get default interface: unable to find it")
    addresses = json.loads(
        subprocess.run(["ip", "-j", "addr", "show", rows[0]["dev"]], capture_output=True, text=True, check=True).stdout
    )
    if not set(node_addresses(settings)) & {info["local"] for row in addresses for info in row.get("addr_info", [])}:
        fatal(f"flannel would use {rows[0]['dev']}, which has none of this node's addresses: pods reach no other node")
