"""Kernel modules that K3s asks for. Source: k3s-io/k3s contrib/util/check-config.sh, required and network sections."""

from fleet.k3s.rules import needs_wireguard_module

ALWAYS = ("overlay", "br_netfilter", "nf_conntrack", "ip_tables")
_BY_BACKEND = {"vxlan": ("vxlan",)}
DEFAULT_BACKEND = "vxlan"


def needed_modules(flannel_backend: str) -> tuple[str, ...]:
    """For a node of a cluster with this backend; empty means K3s's default."""
    backend = flannel_backend or DEFAULT_BACKEND
    more = ("wireguard",) if needs_wireguard_module(backend) else _BY_BACKEND.get(backend, ())
    return (*ALWAYS, *more)
