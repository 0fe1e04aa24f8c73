"""The command's root: global options and the table of verbs. Nothing of a verb is imported until it is called."""

from __future__ import annotations

import click

from fleet.cli.command import VerbGroup, global_options
from fleet.cli.face import Face

NAMES = ("fleet", "edgefleet")
COMPLETE = "_FLEET_COMPLETE"
"""The variable by which a shell asks for completions, the same under both names."""

VERBS = {
    "init": "Start a fleet in a folder, from an example or from nothing.",
    "validate": "Check the whole spec and say every mistake at once.",
    "schema": "Print the JSON Schema of the spec, or of what --json prints.",
    "lock": "Pin K3s versions and their checksums in fleet.lock.",
    "render": "Write everything as a complete Ansible project.",
    "plan": "Show what would change on which nodes, and why.",
    "simulate": "Rehearse a rollout with pretend nodes, before anything is touched.",
    "apply": "Bring nodes to what the spec says.",
    "status": "Say what is applied where, since when, by which commit.",
    "rollout": "List rollouts, watch one, pause, resume, approve or cancel it; roll it back, or try again what it left.",
    "journal": "Look after the file that holds rollouts and records.",
    "node": "Look at nodes; let hosts come and go.",
    "secret": "Make, store, list and rotate the secrets of a fleet.",
    "import": "Start a fleet from what another tool knows.",
    "inventory": "Be an Ansible inventory source.",
    "doctor": "Look at this machine, the mirrors and the nodes, and say what keeps them from working.",
    "completion": "Print the completion script of a shell.",
}


def _version_option() -> click.Option:
    def show(context: click.Context, _option: click.Parameter, value: bool) -> None:
        if value and not context.resilient_parsing:
            from fleet import __version__

            context.ensure_object(Face).out.line(f"fleet {__version__}")
            context.exit()

    return click.Option(
        ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=show, help="Print the version."
    )


root = VerbGroup(
    name="fleet",
    verbs=VERBS,
    folder="fleet.cli.verbs",
    help="One declarative spec in git becomes K3s and Ansible configuration for thousands of edge nodes: "
    "planned, applied, and looked at again.",
    examples=[
        "fleet init shop --example two-sites",
        "fleet -C shop validate",
        "fleet -C shop plan --sandbox /tmp/nodes",
        "fleet -C shop apply --sandbox /tmp/nodes",
    ],
    params=[*global_options(hidden=False), _version_option()],
    epilog="Exit codes: 0 done or nothing differs, 2 usage or spec is wrong, 3 differences exist, 4 unfinished nodes, "
    "5 a service did not answer, 130 interrupted, 1 a bug in fleet.",
)
