"""When a client's certificate ended: a server only says that it does not take it."""

from __future__ import annotations

from datetime import UTC, datetime


def end_of(certificate: bytes, now: float) -> str:
    """A line about a PEM certificate that has ended by `now` (seconds since 1970), else empty."""
    from cryptography import x509

    try:
        ends = x509.load_pem_x509_certificate(certificate).not_valid_after_utc
    except ValueError:
        return ""
    if ends > datetime.fromtimestamp(now, UTC):
        return ""
    return f"the client certificate ended on {ends:%Y-%m-%d}: K3s renews it when it starts"
