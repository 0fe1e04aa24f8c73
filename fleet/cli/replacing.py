"""The host key of a machine that takes another one's place: shown, compared, asked about, pinned."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from fleet.cli.face import Face
from fleet.errors import EXIT_DIFFERENT, EXIT_DONE, EXIT_UNFINISHED, RefusedError

if TYPE_CHECKING:
    from fleet.model.host_key import TrustRow
    from fleet.workspace.hosts import Hosts


def trust_new(
    face: Face, hosts: Hosts, name: str, fingerprint: str, *, is_sure: bool, commit: bool, as_json: bool
) -> int:
    """0: pinned, or pinned already; 3: nobody said so; 4: it did not answer, or its key is revoked. Raises RefusedError for another key."""
    from fleet.cli.lines.hosts import key_lines
    from fleet.model.plan import Scope

    rows = list(hosts.keys(Scope(nodes=(name,))))
    if not rows:  # a sandbox of the spec's own: there is no key
        return EXIT_DONE
    (row,) = rows
    if not as_json:
        face.out.lines(key_lines(rows, face.out.width))
    if row.state in {"unreachable", "revoked"}:
        return EXIT_UNFINISHED
    if fingerprint and fingerprint != row.fingerprint:
        raise RefusedError(f"{name} shows a key with fingerprint {row.fingerprint}, not {fingerprint}")
    if row.state == "pinned":
        return EXIT_DONE
    if not (fingerprint or is_sure or _may(face, row, as_json=as_json)):
        return EXIT_DIFFERENT
    hosts.pin(rows, replace=True, commit=commit)
    return EXIT_DONE


def _may(face: Face, row: TrustRow, *, as_json: bool) -> bool:
    if as_json or not (sys.stdin.isatty() and face.out.is_terminal):
        face.err.line("nothing is changed: say --yes, or --fingerprint for the key that you compared", "hint")
        return False
    return click.confirm(f"Is this the key of the new {row.node}?", err=True)
