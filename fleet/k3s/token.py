"""Tokens: what may be one, and their full form, `K10<hash of the cluster's CA>::<user>:<secret>` (k3s-io/docs, cli/token.md).

By the hash a node that joins knows the cluster before it gives the secret away; the short form is open to whoever
answers first. Only a server of the cluster can tell it.

What K3s takes is in pkg/clientaccess/token.go: `parseToken` and `NormalizeToken` know `K10<CA-HASH>::<USERNAME>:<PASSWORD>`
and `<PASSWORD>`, nothing else.
"""

from __future__ import annotations

import re
from typing import Final

CA_HASH = "k3s_ca"
"""What it is called among the things that nodes tell for others."""
CA_PATTERN = "^K10([0-9a-f]{64})::"
"""Where it stands in the token that a server writes when it has started (`paths.Layout.token`)."""
HINT: Final = (
    "A token is letters and digits without blanks, as `fleet secret generate` makes them, or K10HASH::USER:PASSWORD"
)
_FULL: Final = re.compile(r"K10([0-9a-f]{64})?::[^:\s]+:[!-~]+")
_BOOTSTRAP: Final = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}")
_SHORT: Final = re.compile(r"[!-9;-~]+")


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
