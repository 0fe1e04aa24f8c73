"""`fleet rollout`."""

from __future__ import annotations

from fleet.cli.command import VerbGroup

command = VerbGroup(
    name="rollout",
    verbs={
        "list": "List rollouts, newest first.",
        "show": "Show what happened in one rollout.",
        "watch": "Watch a rollout that another process drives.",
        "pause": "Ask a rollout to start nothing new.",
        "resume": "Go on with a rollout that paused, or whose controller died.",
        "approve": "Let the wave begin that waits for an approval.",
        "cancel": "End a rollout before its end.",
        "rollback": "Bring back what a rollout brought.",
        "retry": "Try the nodes again that failed in a rollout.",
        "catch-up": "Bring forward the nodes that were offline.",
    },
    folder="fleet.cli.verbs.rollout",
    help="List rollouts, watch one, pause, resume, approve or cancel it; roll it back, or try again what it left.",
    examples=["fleet rollout list", "fleet rollout watch 7f3c21aa", "fleet rollout resume 7f3c21aa"],
)
