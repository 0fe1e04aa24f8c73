"""`fleet journal check`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.options import json_option, sandbox_option
from fleet.errors import EXIT_DONE, EXIT_UNAVAILABLE


@verb(
    "check",
    examples=[
        "fleet journal check",
        "fleet journal check --sandbox /tmp/nodes",
        "fleet journal check --json | jq .diagnoses",
    ],
)
@sandbox_option
@json_option
@click.pass_obj
def command(face: Face, *, sandbox: str, as_json: bool) -> int:
    """Say whether the file that holds rollouts and records is whole.

    Reads .fleet/state.db and its WAL, and changes neither: the pages as SQLite checks them, then whether every rollout
    can be told again from its events, with what else is kept of it. Everything that is wrong is said at once.

    Exit code 0: it is whole; 5: it is damaged, and the lines say what that means and what can be done.
    """
    with face.diagnostics.stage("journal check"):
        report = face.workspace(sandbox).journal_file().check()
    if as_json:
        face.print_json("journal", report)
    else:
        from fleet.cli.lines.journal import report_lines

        face.out.lines(report_lines(report))
    return EXIT_DONE if report.is_whole else EXIT_UNAVAILABLE
