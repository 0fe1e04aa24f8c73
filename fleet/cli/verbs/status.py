"""`fleet status`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.options import json_option, sandbox_option
from fleet.errors import EXIT_DONE, UsageError


@verb(
    "status",
    examples=[
        "fleet status",
        "fleet status --sandbox /tmp/nodes",
        "fleet status --certificates",
        "fleet status --offline",
        "fleet status --json | jq .commits",
    ],
)
@click.option("--certificates", is_flag=True, help="What K3s signed on each node, and when it runs out.")
@click.option("--offline", is_flag=True, help="Nodes that did not answer when they were last asked, and since when.")
@sandbox_option
@json_option
@click.pass_obj
def command(face: Face, *, certificates: bool, offline: bool, sandbox: str, as_json: bool) -> int:
    """Say what is applied where, since when, by which commit.

    From what nodes last told, which `fleet plan --refresh` renews. The spec is not read, so it answers at once.

    With --offline, nodes that neither a rollout nor a --refresh could reach the last time, by site, those that went away
    last first: since the first question without an answer. With -v each node has a line of its own.
    """
    if certificates and offline:
        raise UsageError(
            "expected one of --certificates and --offline, found both", "ask twice: each has a table of its own"
        )
    if offline:
        return _offline(face, sandbox, as_json=as_json)
    with face.diagnostics.stage("status"):
        status = face.workspace(sandbox).status()
    if as_json:
        face.print_json(*(("certificates", status.certificates) if certificates else ("status", status)))
    elif certificates:
        from fleet.cli.lines.certificates import certificate_lines

        face.out.lines(certificate_lines(status.certificates, face.out.width))
    else:
        from fleet.cli.lines.status import status_lines

        face.out.lines(status_lines(status, face.out.width))
    return EXIT_DONE


def _offline(face: Face, sandbox: str, *, as_json: bool) -> int:
    with face.diagnostics.stage("status"):
        found = face.workspace(sandbox).hosts().offline()
    if as_json:
        face.print_json("offline", found)
        return EXIT_DONE
    from fleet.cli.lines.offline import offline_lines

    face.out.lines(offline_lines(found, face.out.width, face.again, with_nodes=face.verbosity > 0))
    return EXIT_DONE
