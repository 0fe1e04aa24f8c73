"""A dial target is address, port and the way there: two nodes may share any part of it, never all."""

from __future__ import annotations

import pytest

from fleet.errors import MistakesError
from tests.specs import document, resolved


def clash(first: str, second: str) -> list[str]:
    sites = [
        document("Site", name, f"nodes: [{{name: {name}-1, role: none, address: 10.0.0.1, connection: {said}}}]")
        for name, said in (("lyon", first), ("paris", second))
    ]
    try:
        resolved(document("Fleet", "acme", ""), *sites)
    except MistakesError as error:
        return [mistake.message for mistake in error.mistakes]
    return []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{}", "{port: 2222}"),
        ("{}", "{address: 10.9.9.9}"),
        ("{jumpHost: a.example}", "{jumpHost: b.example}"),
        ("{proxyCommand: 'nc a %h'}", "{proxyCommand: 'nc b %h'}"),
        ("{}", "{proxyCommand: 'nc b %h'}"),
        ("{type: sandbox}", "{type: sandbox}"),
    ],
)
def test_another_way_is_another_target(first: str, second: str) -> None:
    assert clash(first, second) == []


@pytest.mark.parametrize(
    ("first", "second", "port"),
    [
        ("{}", "{}", 22),
        ("{port: 2222}", "{port: 2222}", 2222),
        ("{user: a}", "{user: b}", 22),
        ("{privateKey: /a}", "{become: false}", 22),
        ("{jumpHost: a.example}", "{jumpHost: a.example}", 22),
        ("{proxyCommand: 'nc a %h'}", "{proxyCommand: 'nc a %h'}", 22),
    ],
)
def test_the_same_way_is_a_clash(first: str, second: str, port: int) -> None:
    assert clash(first, second) == [f"paris-1 and lyon-1 are both reached at 10.0.0.1 port {port}"]
