"""The environment file of K3s's unit, for nodes that reach the world through an HTTP proxy.

Source: k3s-io/docs advanced.md, "Configuring an HTTP proxy". K3s hands these settings to containerd and the kubelet,
and adds the cluster's pod and service ranges and its domain to NO_PROXY by itself; the nodes' own addresses it does
not, so the private ranges that the page recommends are always there, and a fleet adds what it uses beyond them.
"""

import re
from collections.abc import Iterable, Mapping

# The page's own NO_PROXY, and their IPv6 counterparts: loopback, unique local and link-local addresses.
NO_PROXY_IPV4 = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
NO_PROXY_IPV6 = ("::1/128", "fc00::/7", "fe80::/10")
NO_PROXY_NAMES = ("localhost", ".svc")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
# systemd.exec(5), EnvironmentFile: a value within double quotes knows no other escapes.
_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "$": "\\$", "`": "\\`"})


def proxy_environment(http: str | None, https: str | None, no_proxy: Iterable[str] = ()) -> dict[str, str]:
    """HTTP_PROXY, HTTPS_PROXY and NO_PROXY for K3s; empty where there is no proxy.

    `no_proxy` holds what goes without the proxy beyond the recommended ranges: hosts, domains, CIDRs, in any order
    and with any repeats. NO_PROXY is the recommended ranges first, then those in the order in which they came.
    """
    environment = {name: url for name, url in (("HTTP_PROXY", http), ("HTTPS_PROXY", https)) if url}
    if not environment:
        return {}
    direct = dict.fromkeys((*NO_PROXY_NAMES, *NO_PROXY_IPV4, *NO_PROXY_IPV6))
    direct.update(dict.fromkeys(entry for entry in no_proxy if entry))
    environment["NO_PROXY"] = ",".join(direct)
    return environment


def environment_file(environment: Mapping[str, str]) -> str:
    """The text of an environment file as systemd reads it: one NAME="value" a line, by name.

    Raises ValueError for a name that is none and for a value that holds a line break, which would be a second line.
    """
    lines = []
    for name in sorted(environment):
        value = environment[name]
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"not the name of an environment variable: `{name}`")
        if any(character in value for character in "\n\r\0"):
            raise ValueError(f"the value of {name} holds a line break")
        lines.append(f'{name}="{value.translate(_ESCAPED)}"\n')
    return "".join(lines)
