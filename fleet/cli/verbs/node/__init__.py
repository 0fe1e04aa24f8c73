"""`fleet node`."""

from __future__ import annotations

from fleet.cli.command import VerbGroup

command = VerbGroup(
    name="node",
    verbs={
        "list": "List nodes: what each is, and whether it is as the spec wants.",
        "show": "Show one node whole, and where its values come from.",
        "log": "Show what rollouts did to one node, and what Ansible printed.",
        "seed": "Write cloud-init user data for a new machine.",
        "trust": "Show the host keys of nodes, and pin them in git.",
        "adopt": "Take hosts that are in use under management.",
        "replace": "Free the name of a node for new hardware.",
        "retire": "Give back nodes that left the spec.",
    },
    folder="fleet.cli.verbs.node",
    help="Look at nodes; let hosts come and go.",
    examples=[
        "fleet node list --site lyon-1",
        "fleet node show lyon-1-a --origin",
        "fleet node log lyon-1-a",
        "fleet node trust lyon-1-a",
        "fleet node retire lyon-1-a",
    ],
)
