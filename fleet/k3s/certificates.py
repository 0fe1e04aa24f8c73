"""How long certificates of K3s live (k3s-io/docs, cli/certificate.md; k3s-contract.md, rule 12).

Leaf certificates are made for 365 days, and made anew when K3s starts within 120 days of their end. The CAs are made for
ten years, and never anew by K3s itself: `k3s certificate rotate-ca`. The names of their files: k3s-io/k3s,
pkg/daemons/control/deps/deps.go.
"""

from __future__ import annotations

from datetime import datetime

RENEWED_WITHIN_DAYS = 120
CA_NOTICE_DAYS = 365
"""fleet's own: a CA is replaced with its whole cluster."""
LEAF_END, CA_END = "k3s_leaf_end", "k3s_ca_end"
"""What the earliest ends are called among the things that nodes tell."""
CA_NAMES = r"-ca(\.nochain)?\.crt$"
LEAF_NAMES = r"^(?!.*-ca(\.nochain)?\.crt$).*\.crt$"


def seconds(end: str) -> float | None:
    """An end as nodes tell it, `2027-11-29T02:07:05Z`, in seconds since 1970; None for what is no time."""
    try:
        return datetime.fromisoformat(end).timestamp() if end else None
    except ValueError:
        return None


def is_due(end: str, now: float, days: int) -> bool:
    """Whether a certificate ends within so many days from `now` (seconds since 1970), or has ended."""
    at = seconds(end)
    return at is not None and at - now <= days * 86400
