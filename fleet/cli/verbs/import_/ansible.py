"""`fleet import ansible`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.options import json_option
from fleet.errors import EXIT_DONE

if TYPE_CHECKING:
    from fleet.model.translation import ImportReport

_MOST_NAMED = 30
"""Files that are named one by one; a fleet of a thousand sites has more."""


@verb(
    "ansible",
    examples=[
        "fleet import ansible inventory/hosts.yml --out shop",
        "fleet import ansible inventories/prod --out shop --site-group 'store_.*' --dry-run",
        "fleet import ansible hosts.ini --out shop --server-group masters --agent-group workers",
        "fleet import ansible hosts.yml --dry-run --json | jq '.notes[] | select(.severity == \"warning\")'",
    ],
)
@click.argument("hosts", metavar="HOSTS", type=click.Path())
@click.option(
    "--out", default="", metavar="DIR", type=click.Path(file_okay=False), help="Where the spec goes. Else: -C."
)
@click.option("--name", default="", metavar="FLEET", help="The fleet's name. Else: after the inventory.")
@click.option(
    "--site-group",
    default="",
    metavar="GROUP",
    help="Groups that are sites: the children of GROUP, or all that match it as a regular expression. Else: one site.",
)
@click.option("--server-group", default="", metavar="GROUP", help="Groups of K3s servers, where names do not tell.")
@click.option("--agent-group", default="", metavar="GROUP", help="Groups of K3s agents, where names do not tell.")
@click.option(
    "--vault-password-file",
    default="",
    metavar="FILE",
    type=click.Path(),
    help="Opens vaults that are whole files: a password, or a program that prints it. Nobody is asked for it.",
)
@click.option("--dry-run", is_flag=True, help="Report only, write nothing.")
@json_option
@click.pass_obj
def command(
    face: Face,
    *,
    hosts: str,
    out: str,
    name: str,
    site_group: str,
    server_group: str,
    agent_group: str,
    vault_password_file: str,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Turn an Ansible inventory into a spec.

    HOSTS is a file (INI, YAML or JSON) or a folder of such files, as with `ansible -i`, with group_vars/ and host_vars/
    beside it. Nothing of it is changed. What could not be carried over, or has another form now, is told line by line.
    A file that is there already is never overwritten: nothing is written then. The exit code is 0 with warnings, too.
    """
    from fleet.model.translation import ImportOptions

    options = ImportOptions(name=name, site_group=site_group, server_group=server_group, agent_group=agent_group)
    with face.diagnostics.stage("import", hosts=hosts):
        workspace = face.workspace(vault_password_file=vault_password_file, may_ask=False)
        report = workspace.import_ansible(hosts, out or face.directory, options, dry_run=dry_run)
    if as_json:
        face.print_json("import", report)
    else:
        _tell(face, report)
    return EXIT_DONE


def _tell(face: Face, report: ImportReport) -> None:
    from fleet.report import import_lines

    if report.is_written and len(report.files) <= _MOST_NAMED:
        for path in report.files:
            face.err.line(f"wrote {Path(report.out) / path}")
    face.out.lines(import_lines(report))
    if not report.is_written:
        face.out.line("nothing is written: leave out --dry-run", "next")
        return
    where = "" if report.out == "." else f" -C {shlex.quote(report.out)}"
    face.out.line(f"fleet{where} validate", "next")
    if report.secrets:
        face.out.line(f"fleet{where} secret generate --vault-password-file FILE     # lists the secrets", "next")
