"""`fleet node seed`."""

from __future__ import annotations

from pathlib import Path

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.names import complete_nodes
from fleet.errors import EXIT_DONE


@verb(
    "seed",
    examples=[
        "fleet node seed lyon-1-a > user-data",
        "fleet node seed lyon-1-a --public-key ~/.ssh/fleet.pub --out user-data",
    ],
)
@click.argument("name", shell_complete=complete_nodes)
@click.option(
    "--public-key",
    default="",
    metavar="FILE",
    type=click.Path(),
    help="The public key that may log in. Default: the connection's privateKey with .pub.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write to FILE instead.")
@click.pass_obj
def command(face: Face, *, name: str, public_key: str, out: Path | None) -> int:
    """Write cloud-init user data for a new machine.

    It makes the user that fleet connects as, with its key and sudo, and names the host. Nothing in it is secret. When the
    machine has started: `fleet node trust NAME` pins its host key, and the first contact its machine-id.
    """
    text = face.workspace().hosts().seed(name, public_key)
    if out is None:
        face.out.text(text)
        return EXIT_DONE
    from fleet.adapters.disk import write_atomic

    write_atomic(out, text.encode(), 0o644)
    face.err.line(f"wrote {out}")
    face.err.line(face.again(f"node trust {name}") + "    # once it has started", "next")
    return EXIT_DONE
