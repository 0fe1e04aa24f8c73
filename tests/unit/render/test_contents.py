"""What a template reads decides how often it is rendered, and never what comes out."""

from __future__ import annotations

import pytest

from fleet.model.bundle import SecretRef
from fleet.model.learned import Learned
from fleet.model.node import ContentSource
from fleet.model.secret import LockedSecret
from fleet.render.content import Contents
from fleet.resolve import resolve
from tests.specs import document, loaded

SECRETS = {"db": LockedSecret(file="secrets/x.yaml", version=1, fingerprint="f1")}
SPEC = (
    document("Fleet", "acme", "vars: {ntp: fleet, pass: secret:db, deep: {pass: secret:db, list: [secret:db, x]}}"),
    document(
        "Site",
        "lyon",
        """
        nodes:
          - {name: a, role: none, address: 10.0.0.1}
          - {name: b, role: none, address: 10.0.0.2, vars: {ntp: own, more: 1}}
        """,
        labels="{city: lyon}",
    ),
    document("Site", "turin", "nodes: [{name: c, role: none, address: 10.0.0.3}]", labels="{city: turin}"),
)


def texts(text: str) -> list[str]:
    """The text on a, b and c; a secret as <NAME>."""
    spec = loaded(*SPEC)
    fleet = resolve(spec, Learned())
    made = Contents(fleet, spec.files, SECRETS)
    found = [made.of(ContentSource("text", text), node) for node in fleet.nodes]
    return ["".join(f"<{p.name}>" if isinstance(p, SecretRef) else str(p) for p in parts) for parts in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ vars.ntp }}", ["fleet", "own", "fleet"]),
        ("{{ vars['ntp'] }}", ["fleet", "own", "fleet"]),
        ("{{ vars.get('ntp') }}", ["fleet", "own", "fleet"]),
        ("{{ vars.get('more', 0) }}", ["0", "1", "0"]),
        ("{{ vars.keys() | list | length }}", ["3", "4", "3"]),
        ("{% for k, v in vars.items() if k == 'ntp' %}{{ v }}{% endfor %}", ["fleet", "own", "fleet"]),
        ("{{ (vars.values() | list)[0] }}", ["fleet", "own", "fleet"]),
        ("{% set v = vars %}{{ v.ntp }}", ["fleet", "own", "fleet"]),
        ("{% for v in [vars] %}{{ v.ntp }}{% endfor %}", ["fleet", "own", "fleet"]),
        ("{% macro m(v) %}{{ v.ntp }}{% endmacro %}{{ m(vars) }}", ["fleet", "own", "fleet"]),
        ("{{ vars.ntp }} {{ vars.more | default('-') }}", ["fleet -", "own 1", "fleet -"]),
        ("{{ site.name }}", ["lyon", "lyon", "turin"]),
        ("{{ site.labels.city }} {{ vars.ntp }}", ["lyon fleet", "lyon own", "turin fleet"]),
        ("{% set s = site %}{{ s.name }}", ["lyon", "lyon", "turin"]),
        ("{{ node.name }}", ["a", "b", "c"]),
        ("{% set n = node %}{{ n.name }}", ["a", "b", "c"]),
        ("{{ node['name'] }}", ["a", "b", "c"]),
        ("{{ fleet.name }}", ["acme", "acme", "acme"]),
    ],
)
def test_each_node_gets_its_own_text(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ vars.pass }}", "<db>"),
        ("{{ vars['pass'] }}", "<db>"),
        ("{{ vars.get('pass') }}", "<db>"),
        ("{{ vars.deep.pass }}", "<db>"),
        ("{{ vars.deep['pass'] }}", "<db>"),
        ("{{ vars.deep.list[0] }}{{ vars.deep.list[1] }}", "<db>x"),
        ("{% for x in vars.deep.list %}{{ x }},{% endfor %}", "<db>,x,"),
        ("{% for k, v in vars.deep.items() if k == 'pass' %}{{ v }}{% endfor %}", "<db>"),
        ("{% for k, v in vars.items() if k == 'pass' %}{{ v }}{% endfor %}", "<db>"),
        ("{% set node = vars %}{{ node.pass }}", "<db>"),
        ("{% for site in [vars] %}{{ site.deep.pass }}{% endfor %}", "<db>"),
        ("{% for fleet in [vars.deep] %}{{ fleet.pass }}{% endfor %}", "<db>"),
    ],
)
def test_a_secret_of_vars_is_never_a_plain_text(text: str, expected: str) -> None:
    assert texts(text)[0] == expected


def test_a_name_of_ours_may_be_used_for_something_else() -> None:
    assert texts("{% for node in ['x', 'yy'] %}{{ node.upper() }}{{ node | length }}{% endfor %}")[0] == "X1YY2"
    assert texts("{% set site = {'name': 'own'} %}{{ site.name }}")[0] == "own"
