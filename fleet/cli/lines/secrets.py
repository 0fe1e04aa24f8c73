"""What `fleet secret` did, as lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fleet.formats.words import count, some
from fleet.model.secret import SecretRow, VaultRekeyed
from fleet.operations.secret import (
    RekeyComplete,
    SecretEvent,
    SecretsComplete,
    SecretsListed,
    SecretsMade,
    SecretStored,
    TokenRotated,
    TokensRotated,
)
from fleet.report import Column, Line, clean, table_lines

_COMMIT = "git add secrets && git commit"


def secret_lines(event: SecretEvent) -> Iterator[Line]:
    match event:
        case SecretsMade():
            found = f", {len(event.found)} of them were there" if event.found else ""
            yield Line(clean(f"{event.file}: {some(event.names)}{found}"), "added")
        case SecretsListed():
            if event.names:
                yield Line(clean(f"{event.file}: {some(event.names)}, listed"), "added")
            if event.changed:
                yield Line(clean(f"{event.file}: {some(event.changed)}, changed by hand"), "added")
        case SecretsComplete():
            clusters = count(event.clusters, "cluster")
            if not event.made:
                yield Line(f"nothing to make: {clusters} have their tokens", "answer")
                return
            yield Line(f"{count(event.made, 'new secret')} for {clusters}", "answer")
            yield Line(f"{_COMMIT}: apply never makes a secret", "next")
        case SecretStored():
            yield from _stored(event)
        case TokenRotated():
            kept = f", the old value is {event.previous}" if event.previous else ""
            yield Line(clean(f"{event.file}: {event.name} is new, version {event.version}{kept}"), "added")
        case TokensRotated():
            yield from _rotated(event)
        case VaultRekeyed():
            yield Line(clean(event.file), "added")
        case RekeyComplete():
            yield from _rekeyed(event)


def _stored(event: SecretStored) -> Iterator[Line]:
    if event.version == event.before:
        yield Line(clean(f"{event.file}: {event.name} stays as it is, version {event.version}"), "answer")
        return
    was = f" (it was {event.before})" if event.before else ", new"
    yield Line(clean(f"{event.file}: {event.name}, version {event.version}{was}"), "added")
    yield Line(f"{_COMMIT}; fleet plan shows which nodes change", "next")


def _rotated(event: TokensRotated) -> Iterator[Line]:
    yield Line(f"{count(event.tokens, 'token')} rotated", "answer")
    if event.servers:
        yield Line("fleet apply tells a running cluster its new token, and restarts its servers one at a time.")
        yield Line(
            "Snapshots from before open with the old one alone: keep NAME.previous while they are needed.", "warning"
        )
    yield Line(f"{_COMMIT}; fleet plan shows which nodes change", "next")


def _rekeyed(event: RekeyComplete) -> Iterator[Line]:
    before = f", {event.before:,} of them had it already" if event.before else ""
    yield Line(f"{count(event.files, 'vault file')} under the new password{before}", "answer")
    yield Line("No value changed: secrets.lock and every digest stay. git history still opens with the old password.")
    yield Line(f"{_COMMIT}, and give the new password to who needs it", "next")


def rows_lines(rows: Sequence[SecretRow], width: int) -> Iterator[Line]:
    cells = [(each.name, each.file or "absent", str(each.version or "-"), _kind(each), _used_by(each)) for each in rows]
    columns = [Column("SECRET", is_name=True), *map(Column, ("FILE", "VERSION", "KIND", "USED BY"))]
    yield from table_lines(columns, cells, width)


def _kind(row: SecretRow) -> str:
    return {"token": "K3s token", "previous": "K3s token, old", "own": "own"}[row.kind]


def _used_by(row: SecretRow) -> str:
    if not row.nodes:
        return "nobody"
    if len(row.nodes) <= 2:
        return ", ".join(row.nodes)
    return f"{count(len(row.nodes), 'node')} at {some(row.sites, 2)}"
