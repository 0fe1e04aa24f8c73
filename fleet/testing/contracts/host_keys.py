# ruff: noqa: S101 - a contract suite is made of asserts
from __future__ import annotations

from collections.abc import Mapping, Sequence

from fleet.formats.known_hosts import added
from fleet.model.host_key import ShownKey
from fleet.model.node import Node
from fleet.ports.host_keys import HostKeys

OTHER = "AAAAC3NzaC1lZDI1NTE5AAAAIJ2WQ0eXN2X5Q5c9u0eJt3mO3Q0e9j8oQm7wU0F1b2c3"
"""A key that no host has."""


class HostKeysContract:
    """Wants three fixtures: `host_keys`, some `nodes`, and `keys`: by name, `ALGORITHM KEY` of each of them that can be
    reached. At least one can, and one cannot.
    """

    def test_each_node_is_answered_for_once(
        self, host_keys: HostKeys, nodes: Sequence[Node], keys: Mapping[str, str]
    ) -> None:
        shown = list(host_keys.read(nodes, b""))
        assert sorted(each.node for each in shown) == sorted(node.name for node in nodes)
        assert {each.node: _key(each) for each in shown if not each.unreachable} == dict(keys)

    def test_who_cannot_be_reached_says_why_and_shows_none(
        self, host_keys: HostKeys, nodes: Sequence[Node], keys: Mapping[str, str]
    ) -> None:
        silent = [each for each in host_keys.read(nodes, b"") if each.node not in keys]
        assert silent
        assert all(each.unreachable and not _key(each).strip() for each in silent)

    def test_another_key_that_is_pinned_hides_nothing(
        self, host_keys: HostKeys, nodes: Sequence[Node], keys: Mapping[str, str]
    ) -> None:
        text = "not a line\n"
        for node in nodes:
            text = added(text, node.connection.address, node.connection.port, "ssh-ed25519", OTHER)
        shown = {each.node: _key(each) for each in host_keys.read(nodes, text.encode()) if not each.unreachable}
        assert shown == dict(keys)

    def test_of_no_nodes_nothing_is_shown(self, host_keys: HostKeys) -> None:
        assert list(host_keys.read([], b"")) == []


def _key(shown: ShownKey) -> str:
    return f"{shown.algorithm} {shown.key}"
