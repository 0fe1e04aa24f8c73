"""What may stand in a token file of K3s.

Sources: docs.k3s.io/cli/token (the secure, the short and the bootstrap form), and pkg/clientaccess/token.go, whose
`parseToken` and `NormalizeToken` take `K10<CA-HASH>::<USERNAME>:<PASSWORD>` or `<PASSWORD>`, nothing else.
"""

from __future__ import annotations

import re
from typing import Final

_FULL: Final = re.compile(r"K10([0-9a-f]{64})?::[^:\s]+:[!-~]+")
_BOOTSTRAP: Final = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}")
_SHORT: Final = re.compile(r"[!-9;-~]+")
HINT: Final = (
    "A token is letters and digits without blanks, as `fleet secret generate` makes them, or K10HASH::USER:PASSWORD"
)


def wrong_token(value: str) -> str:
    """What keeps K3s from taking a value for a token, "" if nothing does. The words never hold the value."""
    if not value:
        return "a token may not be empty"
    if value != value.strip():
        return "a token may not begin or end with a blank or a line break"
    if value.startswith("K10"):
        return "" if _FULL.fullmatch(value) else "a token that begins with K10 is K10, 64 hex digits, ::USER:PASSWORD"
    if _BOOTSTRAP.fullmatch(value):
        return "this is a bootstrap token of kubeadm's form, which agents may join with and clusters may not have"
    if ":" in value:
        return "a token without K10 may not hold a colon: K3s would take what is before it for a user"
    return "" if _SHORT.fullmatch(value) else "a token is printable ASCII without blanks"
