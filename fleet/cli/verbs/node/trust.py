"""`fleet node trust`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.names import complete_nodes
from fleet.cli.narrowing import narrowing, scope_of
from fleet.cli.options import forks_option, json_option
from fleet.errors import EXIT_DIFFERENT, EXIT_DONE, EXIT_UNFINISHED, RefusedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.model.host_key import TrustRow


@verb(
    "trust",
    examples=[
        "fleet node trust lyon-1-a",
        "fleet node trust --site lyon-1            # look at what is printed on the machines' consoles",
        "fleet node trust lyon-1-a --fingerprint SHA256:2vUW…",
        "fleet node trust --selector ring=pilot --yes --json | jq .keys",
    ],
)
@click.argument("names", metavar="[NODE]...", nargs=-1, shell_complete=complete_nodes)
@narrowing
@click.option(
    "--fingerprint",
    "fingerprints",
    multiple=True,
    metavar="SHA256:…",
    help="Pin only a key with this fingerprint; again for more. Nothing is asked.",
)
@click.option("--yes", "-y", is_flag=True, help="Pin what is shown: you vouch for the way that it came over.")
@click.option("--no-commit", is_flag=True, help="Write known_hosts, and leave the commit to you.")
@forks_option
@json_option
@click.pass_obj
def command(
    face: Face, *, names: tuple[str, ...], sites: tuple[str, ...], selector: str, nodes: tuple[str, ...],
    limit: int | None, fingerprints: tuple[str, ...], yes: bool, no_commit: bool, forks: int, as_json: bool,
) -> int:  # fmt: skip
    """Show the host keys of nodes, and pin them in git.

    Reads the key that each host shows over its own connection, jump hosts and ProxyCommand included, and logs in nowhere.
    Nothing is pinned before you say so: compare the fingerprints with those on the machines' consoles. Pinned keys are
    committed to known_hosts; a host with another key than the pinned one is refused.

    Exit code 0: every key is pinned; 3: some are not, for nobody said so; 4: some hosts did not answer, or show a key
    that known_hosts revokes.
    """
    from fleet.cli.lines.hosts import key_lines

    hosts = face.workspace().hosts(forks=forks)
    scope = scope_of(sites, selector, (*names, *nodes), limit)
    with face.diagnostics.stage("read host keys"):
        rows = sorted(hosts.keys(scope), key=lambda row: row.node)
    fresh = [row for row in rows if row.state == "new"]
    changed = [row for row in rows if row.state == "changed"]
    vouched = _vouched(rows, fingerprints) if fingerprints else fresh
    if not as_json:
        face.out.lines(key_lines(rows, face.out.width))
    if changed:
        hosts.pin(changed)  # raises: a changed key is never pinned here
    is_sure = bool(fingerprints) or yes or not vouched or _may(face, vouched, as_json=as_json)
    commit = hosts.pin(vouched, commit=not no_commit) if is_sure else ""
    if as_json:
        face.print_json("keys", {"keys": rows, "commit": commit})
    elif vouched and is_sure:
        told = f"pinned {len(vouched)} in known_hosts" + (f", commit {commit[:7]}" if commit else "")
        face.err.line(told)
    if any(row.state in {"unreachable", "revoked"} for row in rows):
        return EXIT_UNFINISHED
    return EXIT_DONE if is_sure and len(vouched) == len(fresh) else EXIT_DIFFERENT


def _vouched(rows: Sequence[TrustRow], fingerprints: Sequence[str]) -> list[TrustRow]:
    """Raises RefusedError for a fingerprint that no host shows."""
    shown = {row.fingerprint for row in rows if row.fingerprint}
    for wanted in fingerprints:
        if not wanted.startswith("SHA256:"):
            raise UsageError(f"not a fingerprint: `{wanted}`", "It begins with SHA256:, as ssh-keygen -l prints it.")
        if wanted not in shown:
            seen = ", ".join(sorted(shown)[:3]) or "none"
            raise RefusedError(f"no host shows a key with fingerprint {wanted}", f"Shown: {seen}.")
    return [row for row in rows if row.fingerprint in fingerprints and row.state == "new"]


def _may(face: Face, rows: Sequence[TrustRow], *, as_json: bool) -> bool:
    from fleet.formats.words import count

    if as_json or not (sys.stdin.isatty() and face.out.is_terminal):
        face.err.line("nothing is pinned: say --yes, or --fingerprint for those that you compared", "hint")
        return False
    those = "this key" if len(rows) == 1 else f"these {count(len(rows), 'key')}"
    return click.confirm(f"\nDo you vouch for {those}?", err=True)
