"""Host keys as hosts show them: what a person then vouches for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from fleet.model.host_key import ShownKey
from fleet.model.node import Node


class HostKeys(Protocol):
    def read(self, nodes: Sequence[Node], known_hosts: bytes) -> Iterator[ShownKey]:
        """The key that each node's host shows over its connection, in the order in which answers come. Jump hosts are
        believed only with their keys in `known_hosts`.
        """
        ...
