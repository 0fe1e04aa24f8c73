"""What two nodes may not share: a name, an address within a site, a dial target within the fleet."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

from fleet.model.node import Node
from fleet.model.problem import Mistake


def clashes(nodes: Sequence[Node]) -> Iterator[Mistake]:
    """Every clash once, at the later node, with the earlier one's place beside it."""
    yield from _twice(
        nodes,
        lambda node: (node.name,),
        lambda node, other, _: (
            f"node {node.name} is there twice: site {other.site} has it too"
            if other.site != node.site
            else f"node {node.name} is there twice"
        ),
        "Names of nodes are unique in the fleet.",
    )
    yield from _twice(
        nodes,
        lambda node: tuple((node.site, address) for address in node.addresses),
        lambda node, other, key: f"{node.name} and {other.name} both have address {key[1]} at site {node.site}",
        "Give each node of a site an address of its own.",
    )
    yield from _twice(
        nodes,
        _dial_target,
        lambda node, other, _: (
            f"{node.name} and {other.name} are both reached at {node.connection.address} port {node.connection.port}"
        ),
        "Sites with overlapping networks need a connection of their own: address, port, jumpHost or proxyCommand.",
    )


def _dial_target(node: Node) -> tuple[Hashable, ...]:
    way = node.connection
    if way.type != "ssh" or not way.address:
        return ()
    return ((way.address, way.port, way.jump_host, way.proxy_command),)


def _twice(
    nodes: Iterable[Node],
    keys: Callable[[Node], Iterable[Hashable]],
    message: Callable[[Node, Node, tuple[str, str]], str],
    hint: str,
) -> Iterator[Mistake]:
    found = [key for node in nodes for key in keys(node)]
    if len(set(found)) == len(found):
        return
    first: dict[Hashable, Node] = {}
    for node in nodes:
        for key in keys(node):
            other = first.setdefault(key, node)
            if other is not node:
                text = message(node, other, key)  # type: ignore[arg-type]  # each message knows its own key
                yield Mistake(node.place, text, hint, others=(other.place,))
