"""`fleet journal export`."""

from __future__ import annotations

from pathlib import Path

import click

from fleet.cli.command import verb
from fleet.cli.documents import output_named
from fleet.cli.face import Face
from fleet.cli.options import sandbox_option
from fleet.errors import EXIT_DONE, EXIT_UNAVAILABLE, UsageError
from fleet.model.journal import SavedTable


@verb(
    "export",
    examples=[
        "fleet journal export saved.jsonl",
        "fleet journal export saved.jsonl --force",
        "fleet journal export | jq 'select(.line == \"rollout\") | .id'",
    ],
)
@click.argument("file", metavar="[FILE]", default="", type=click.Path(dir_okay=False))
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@sandbox_option
@click.pass_obj
def command(face: Face, *, file: str, force: bool, sandbox: str) -> int:
    """Save what can be read of that file as JSON lines, of a damaged one too.

    To stdout, or to FILE, which only its owner may read. A line is a rollout with its order, an event, an open batch, a
    request or a node's record; the last ones say of each table how many rows were saved and how many are lost. Their
    schema is `fleet schema --output journal-line`. Manifests and contents are left out: nodes and git have them.
    .fleet/state.db is not changed.

    Exit code 0: all of it was saved; 5: some of it is lost.
    """
    out = Path(file)
    if file and out.exists() and not force:
        raise UsageError(f"{file} is there already", "Name another file, or replace it with --force.")
    output, texts = output_named("journal-line"), []
    tables: list[SavedTable] = []
    for line in face.workspace(sandbox).journal_file().export():
        if isinstance(line, SavedTable):
            tables.append(line)
        if file:
            texts.append(output.line(line))
        else:
            face.print_json_line("journal-line", line)
    if file:
        from fleet.adapters.disk import write_atomic

        write_atomic(out, "".join(texts).encode())
    from fleet.cli.lines.journal import saved_lines

    face.err.lines(saved_lines(tables, file))
    return EXIT_DONE if all(table.is_whole for table in tables) else EXIT_UNAVAILABLE
