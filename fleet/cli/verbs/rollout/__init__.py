"""`fleet rollout`."""

from __future__ import annotations

from fleet.cli.command import VerbGroup

command = VerbGroup(
    name="rollout",
    verbs={
        "list": "List rollouts, newest first.",
        "show": "Show what happened in one rollout.",
        "resume": "Go on with a rollout that paused, or whose controller died.",
    },
    folder="fleet.cli.verbs.rollout",
    help="List rollouts, look at one, go on with one.",
    examples=["fleet rollout list", "fleet rollout resume 7f3c21aa"],
)
