"""`fleet schema`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.errors import EXIT_DONE


@verb(
    "schema",
    examples=[
        "fleet schema > fleet.schema.json",
        "fleet schema --write        # where the modeline of `fleet init` looks for it",
        "fleet schema --output event",
    ],
)
@click.option("--output", "output", metavar="WHAT", help="What a verb prints with --json: plan, status, event, ...")
@click.option("--write", is_flag=True, help="Write the spec's schema to .fleet/schema.json of the fleet.")
@click.pass_obj
def command(face: Face, *, output: str | None, write: bool) -> int:
    """Print the JSON Schema of the spec, or of what --json prints.

    Both are Draft 2020-12 and come from the very types that fleet reads and writes.
    """
    if output is not None:
        from fleet.cli.documents import output_named

        found = output_named(output).json_schema()
    else:
        from fleet.load import json_schema

        found = json_schema()
    if write and output is None:
        from fleet.cli.starting import write_schema

        face.out.line(f"wrote {write_schema(Path(face.directory))}")
    else:
        face.out.text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    return EXIT_DONE
