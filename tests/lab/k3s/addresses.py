"""Which addresses a node has: node-ip, or else those of its interfaces."""

import json
import subprocess

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
