"""`fleet secret`."""

from __future__ import annotations

from fleet.cli.command import VerbGroup

command = VerbGroup(
    name="secret",
    verbs={
        "generate": "Make the K3s tokens that clusters lack.",
        "set": "Store one value, from standard input, a file or a question.",
        "get": "Print one value.",
        "list": "List secrets and who uses them; needs no password.",
        "rotate": "Give K3s tokens new values.",
        "rekey": "Change the password of all vault files.",
    },
    folder="fleet.cli.verbs.secret",
    help="Make, store, list and rotate the secrets of a fleet.",
    examples=[
        "fleet secret generate --vault-password-file ~/.vault",
        "fleet secret set registry-password < password.txt",
        "fleet secret list",
    ],
)
