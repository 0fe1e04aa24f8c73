"""secret list: every secret that secrets.lock lists or the spec names, and who uses it. Needs no password."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from fleet.model.node import Node
from fleet.model.secret import PREVIOUS, SecretRow
from fleet.operations.intent import Intent, each_rendered

_REFERENCE = re.compile(rb'"fingerprint":"[0-9a-f]*","name":"([A-Za-z0-9._-]+)"')
"""A secret in a manifest. In a text of one the quotes would be escaped."""


def rows(intent: Intent) -> Sequence[SecretRow]:
    """By name. Raises SpecError for a spec that cannot be rendered."""
    lock = intent.spec.secrets_lock.secrets
    users = _users(intent)
    tokens = {name for cluster in intent.fleet.clusters.values() for name in (cluster.token, cluster.agent_token)}
    made = []
    for name in sorted({*lock, *users}):
        locked, nodes = lock.get(name), users.get(name, [])
        made.append(
            SecretRow(
                name=name,
                file="" if locked is None else locked.file,
                version=0 if locked is None else locked.version,
                kind=_kind(name, tokens),
                sites=tuple(dict.fromkeys(node.site for node in nodes)),
                nodes=tuple(node.name for node in nodes),
            )
        )
    return made


def _kind(name: str, tokens: set[str]) -> Literal["token", "previous", "own"]:
    if name in tokens:
        return "token"
    return "previous" if name.removesuffix(PREVIOUS) in tokens else "own"


def _users(intent: Intent) -> dict[str, list[Node]]:
    users: dict[str, list[Node]] = {}
    sketches = each_rendered(intent, intent.fleet.nodes, lambda node: [*names_in(intent, node)])
    for node, names in zip(intent.fleet.nodes, sketches, strict=True):
        for name in dict.fromkeys(names):
            users.setdefault(name, []).append(node)
    return users


def names_in(intent: Intent, node: Node) -> Iterator[str]:
    """Every secret that a node needs, sudo's password among them; again where it is needed again. Raises RenderError."""
    if node.connection.become_password:
        yield node.connection.become_password
    for found in _REFERENCE.finditer(intent.renderer.sketch(node).manifest):
        yield found[1].decode()
