"""`fleet secret`."""

from __future__ import annotations

from fleet.cli.command import VerbGroup

command = VerbGroup(
    name="secret",
    verbs={"generate": "Make the K3s tokens that clusters lack."},
    folder="fleet.cli.verbs.secret",
    help="Make the secrets that clusters need.",
    examples=["fleet secret generate --vault-password-file ~/.vault"],
)
