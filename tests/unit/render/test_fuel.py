"""Fuel is for one file of one node: the next starts with a full tank."""

from __future__ import annotations

import pytest

from fleet.errors import SpecError
from tests.specs import FLEET, document
from tests.unit.render.ground import bundles, intent

HOSTS = "nodes: [{name: a, role: none, address: 10.0.0.1}, {name: b, role: none, address: 10.0.0.2}]\n"
ROUNDS = "{%% for i in range(%d) %%}{%% endfor %%}{{ node.name }}"


def spec(rounds: int) -> str:
    text = ROUNDS % rounds
    files = ", ".join(f'{{path: /etc/{name}, content: "{text}"}}' for name in ("x", "y"))
    return document("Site", "lyon", f"{HOSTS}os: {{files: [{files}]}}")


def test_each_file_of_each_node_has_all_of_it() -> None:
    found = bundles(intent(FLEET, spec(60_000)))
    assert [sorted(bundle.blobs.values()) for bundle in found.values()] == [[b"a"], [b"b"]]


def test_no_file_has_more() -> None:
    with pytest.raises(SpecError) as caught:
        bundles(intent(FLEET, spec(100_001)))
    assert "100,000" in caught.value.problems[0].message


def test_includes_are_paid_for() -> None:
    def included(times: int) -> None:
        text = f"{{% for i in range({times}) %}}{{% include 'one.j2' %}}{{% endfor %}}"
        site = document("Site", "lyon", f'{HOSTS}os: {{files: [{{path: /etc/x, content: "{text}"}}]}}')
        bundles(intent(FLEET, site, files={"one.j2": ""}))

    included(5_000)
    with pytest.raises(SpecError, match="1 problem"):
        included(10_000)
