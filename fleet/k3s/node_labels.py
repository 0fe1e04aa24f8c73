"""Labels that a kubelet may give its own Node: with another one K3s does not start.

Source: Kubernetes's reference of kubelet, --node-labels, and k8s.io/kubelet/pkg/apis/well_known_labels.go.
"""

OWN_PREFIXES = ("kubelet.kubernetes.io", "node.kubernetes.io")
OWN_LABELS = frozenset(
    {
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "kubernetes.io/arch",
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "node.kubernetes.io/instance-type",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)


def kubelet_refuses(key: str) -> bool:
    prefix = key.rpartition("/")[0]
    if not (_is_below(prefix, "kubernetes.io") or _is_below(prefix, "k8s.io")):
        return False
    return key not in OWN_LABELS and not any(_is_below(prefix, own) for own in OWN_PREFIXES)


def _is_below(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith(f".{parent}")
