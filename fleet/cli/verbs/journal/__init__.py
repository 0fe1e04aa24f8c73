"""`fleet journal`."""

from __future__ import annotations

from fleet.cli.command import VerbGroup

command = VerbGroup(
    name="journal",
    verbs={
        "check": "Say whether the file that holds rollouts and records is whole.",
        "export": "Save what can be read of that file as JSON lines, of a damaged one too.",
    },
    folder="fleet.cli.verbs.journal",
    help="Look after the file that holds rollouts and records.",
    examples=["fleet journal check", "fleet journal export saved.jsonl"],
)
