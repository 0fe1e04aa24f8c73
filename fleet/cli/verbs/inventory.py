"""`fleet inventory`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.errors import EXIT_DONE, UsageError


@verb(
    "inventory",
    examples=[
        "fleet inventory --list",
        "fleet inventory --host lyon-1-a",
        "printf '#!/bin/sh\\nexec fleet -C /srv/shop inventory \"$@\"\\n' > hosts && chmod +x hosts",
    ],
)
@click.option("--list", "lists", is_flag=True, help="The whole inventory, with `_meta`.")
@click.option("--host", default="", metavar="NAME", help="The variables of one host.")
@click.pass_obj
def command(face: Face, *, lists: bool, host: str) -> int:
    """Be an Ansible inventory source.

    The script protocol: `ansible-inventory -i hosts --list`, with `hosts` an executable file as in the last example.
    """
    import msgspec

    if lists == bool(host):
        raise UsageError("expected one of --list and --host NAME")
    with face.diagnostics.stage("inventory"):
        inventory = face.workspace().inventory()
    found = inventory
    if host:
        hosts = inventory["_meta"]["hostvars"]
        if host not in hosts:
            raise UsageError(f"the fleet has no node called {host}", "fleet node list")
        found = hosts[host]
    face.out.text(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
    return EXIT_DONE
