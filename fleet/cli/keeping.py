"""What happens to secrets, shown as it comes: what was done on stdout, how far it is on stderr."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fleet.cli.face import Face
from fleet.errors import EXIT_DONE

if TYPE_CHECKING:
    from fleet.operations.secret import SecretEvent

_EVERY_SECONDS = 1.0


def carry_out(face: Face, events: Iterator[SecretEvent], *, as_json: bool) -> int:
    """The exit code: what cannot be done is raised."""
    from fleet.cli.lines.secrets import secret_lines
    from fleet.formats.words import count
    from fleet.model.secret import VaultRekeyed

    told = time.monotonic()
    with face.diagnostics.stage("secrets"):
        for event in events:
            if as_json:
                face.print_json_line("secret-event", event)
            elif not isinstance(event, VaultRekeyed):
                face.out.lines(secret_lines(event))
            if isinstance(event, VaultRekeyed) and (time.monotonic() - told > _EVERY_SECONDS):
                told = time.monotonic()
                face.err.line(f"{event.done:,} of {count(event.total, 'vault file')}")
    return EXIT_DONE
