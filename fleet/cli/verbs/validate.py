"""`fleet validate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.options import json_option
from fleet.errors import EXIT_DONE, EXIT_WRONG, SpecError

if TYPE_CHECKING:
    from fleet.cli.documents import Validated
    from fleet.workspace import Validation


@verb("validate", examples=["fleet validate", "fleet -C shop validate -v", "fleet validate --json | jq .problems"])
@json_option
@click.pass_obj
def command(face: Face, *, as_json: bool) -> int:
    """Check the whole spec and say every mistake at once.

    Reads the working tree as it is, committed or not. Templates are tried for every node; none is asked anything.
    With -v, it also counts what it read.
    """
    workspace = face.workspace()
    try:
        with face.diagnostics.stage("validate"):
            found = workspace.validate()
    except SpecError as error:
        if not as_json:
            raise
        from fleet.cli.documents import Validated

        wrong = Validated(is_valid=False, documents=error.documents, problems=error.problems)
        face.print_json("validation", wrong)
        return EXIT_WRONG
    if as_json:
        face.print_json("validation", _validated(found))
    else:
        _tell(face, found)
    return EXIT_DONE


def _validated(found: Validation) -> Validated:
    from fleet.cli.documents import Validated

    return Validated(
        is_valid=True,
        fleet=found.fleet,
        documents=found.documents,
        others=found.others,
        sites=found.sites,
        nodes=found.nodes,
        clusters=found.clusters,
        unlocked=found.unlocked,
        problems=found.warnings,
    )


def _tell(face: Face, found: Validation) -> None:
    from fleet.formats.words import count, some
    from fleet.report import clean, problems_lines

    if found.warnings:
        bad = len({problem.file for problem in found.warnings})
        face.err.lines(problems_lines(found.warnings, found.documents, bad))
    face.out.line(
        f"fleet {clean(found.fleet)} is valid: {count(found.nodes, 'node')} at {count(found.sites, 'site')} "
        f"in {count(found.clusters, 'cluster')}, from {count(found.documents, 'document')}",
        "answer",
    )
    if face.verbosity:
        face.out.line(f"{count(found.others, 'document')} of other tools left alone")
    if found.unlocked:
        face.out.line(f"fleet.lock does not pin {some(found.unlocked)}. Next: fleet lock", "next")
