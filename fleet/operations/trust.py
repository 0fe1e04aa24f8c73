"""node trust: host keys read over the nodes' own connections, shown, and pinned in git's known_hosts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from fleet.errors import RefusedError
from fleet.formats import known_hosts as pins
from fleet.load import KNOWN_HOSTS_FILE
from fleet.model.host_key import ShownKey, TrustRow
from fleet.model.node import Node
from fleet.operations.intent import Intent
from fleet.ports.host_keys import HostKeys
from fleet.ports.source import Source


def shown(intent: Intent, nodes: Sequence[Node], reader: HostKeys) -> Iterator[TrustRow]:
    """What each node's host shows, beside what git has pinned for it. Writes nothing."""
    by_name = {node.name: node for node in nodes}
    text = intent.spec.known_hosts.decode("utf-8", errors="surrogateescape")
    for key in reader.read([node for node in nodes if node.connection.type == "ssh"], intent.spec.known_hosts):
        yield _row(by_name[key.node], key, text)


def _row(node: Node, key: ShownKey, text: str) -> TrustRow:
    host, port = node.connection.address, node.connection.port
    if key.unreachable:
        return TrustRow(node.name, host, port, "unreachable", reason=key.unreachable)
    pinned = pins.keys_of(text, host, port)
    row = TrustRow(node.name, host, port, "new", key.algorithm, key.key, pins.fingerprint(key.key))
    if pins.is_revoked(text, host, port, key.key):
        reason = "the key that it shows is taken back by a line with @revoked in known_hosts"
        return msgspec.structs.replace(row, state="revoked", reason=reason)
    if any((line.algorithm, line.key) == (key.algorithm, key.key) for line in pinned):
        return msgspec.structs.replace(row, state="pinned")
    if pinned:
        # Of another algorithm is another key all the same: ssh would have taken the pinned one, had the host had it.
        return msgspec.structs.replace(row, state="changed", was=pins.fingerprint(pinned[0].key))
    return row


def pin(intent: Intent, rows: Sequence[TrustRow], source: Source, *, replace: bool, commit: bool) -> str:
    """Writes known_hosts with the keys of `rows` that are not pinned yet, and commits it alone. The commit's id, "" for
    none. `replace`: a key that changed takes the place of the pinned one. Raises RefusedError for such a one without it.
    """
    if revoked := [row.node for row in rows if row.state == "revoked"]:
        raise RefusedError(
            f"{', '.join(revoked)} shows a host key that known_hosts revokes",
            "Give the machine a new host key; or take the line with @revoked out, if it is wrong.",
        )
    changed = [row for row in rows if row.state == "changed"]
    if changed and not replace:
        first = changed[0]
        raise RefusedError(
            f"{first.node} shows another host key than the pinned one: {first.fingerprint}, pinned is {first.was}",
            f"If the machine was replaced: fleet node replace {first.node}. If not, somebody may stand in between.",
        )
    wanted = [row for row in rows if row.state in {"new", "changed"}]
    if not wanted:
        return ""
    text = intent.spec.known_hosts.decode("utf-8", errors="surrogateescape")
    text = pins.removed(text, [pins.target(row.host, row.port) for row in changed])
    for row in wanted:
        text = pins.added(text, row.host, row.port, row.algorithm, row.key)
    names = ", ".join(row.node for row in wanted[:3]) + (f" and {len(wanted) - 3} more" if len(wanted) > 3 else "")
    data = text.encode("utf-8", errors="surrogateescape")
    return source.write(KNOWN_HOSTS_FILE, data, f"Trust the host key of {names}" if commit else "")
