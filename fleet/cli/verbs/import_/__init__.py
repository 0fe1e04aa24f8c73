"""`fleet import`."""

from __future__ import annotations

from fleet.cli.command import VerbGroup

command = VerbGroup(
    name="import",
    verbs={"ansible": "Turn an Ansible inventory into a spec."},
    folder="fleet.cli.verbs.import_",
    help="Start a fleet from what another tool knows.",
    examples=["fleet import ansible inventory/hosts.yml --out shop"],
)
