"""`fleet init`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.errors import EXIT_DONE


@verb("init", examples=["fleet init", "fleet init shop --example two-sites", "fleet init --list"])
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--example", "example", metavar="NAME", help="Start from an example that ships with fleet.")
@click.option("--list", "lists", is_flag=True, help="Name the examples, one a line.")
@click.pass_obj
def command(face: Face, *, folder: Path | None, example: str | None, lists: bool) -> int:
    """Start a fleet in a folder, from an example or from nothing.

    Writes the spec, the schema that editors complete it by, and .gitignore. A file that is there already is never
    overwritten: init then writes nothing and lists every such file.
    """
    from fleet.cli import starting

    if lists:
        for name in starting.examples():
            face.out.line(name)
        return EXIT_DONE
    target = Path(face.directory) / (folder or ".")
    files = starting.example(example) if example else starting.minimal(target)
    written = starting.start(target, files)
    for path in written:
        face.err.line(f"wrote {target / path}")
    if not starting.ignores_state(target):
        face.err.line("warning: .gitignore does not name .fleet/: add it, or git keeps fleet's state", "warning")
    where = "" if target == Path() else f" -C {shlex.quote(str(target))}"
    face.out.line(f"{len(written)} files in {target}", "answer")
    face.out.line(f"fleet{where} validate", "next")
    return EXIT_DONE
