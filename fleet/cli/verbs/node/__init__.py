"""`fleet node`."""

from __future__ import annotations

from fleet.cli.command import VerbGroup

command = VerbGroup(
    name="node",
    verbs={
        "list": "List nodes: what each is, and whether it is as the spec wants.",
        "show": "Show one node whole, and where its values come from.",
    },
    folder="fleet.cli.verbs.node",
    help="List nodes, or show one and where its values come from.",
    examples=["fleet node list --site lyon-1", "fleet node show lyon-1-a --origin"],
)
