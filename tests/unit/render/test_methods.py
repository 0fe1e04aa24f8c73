"""Templates call the methods that are named in the sandbox, and no other however harmless it looks."""

from __future__ import annotations

import pytest

from fleet.errors import SpecError
from tests.specs import FLEET, document
from tests.unit.render.ground import bundles, intent, text

VARS = "vars: {word: abc, list: [a, b], map: {x: '1'}}\n"


def rendered(template: str) -> str:
    files = f'os: {{files: [{{path: /etc/x, content: "{template}"}}]}}'
    site = document("Site", "lyon", f"nodes: [{{name: a, role: none, address: 10.0.0.1}}]\n{VARS}{files}")
    return text(bundles(intent(FLEET, site))["a"], "/etc/x")


@pytest.mark.parametrize(
    "call",
    [
        "vars.word.ljust(9)",
        "vars.word.rjust(9)",
        "vars.word.center(9)",
        "vars.word.zfill(9)",
        "vars.word.expandtabs(9)",
        "vars.word.encode()",
        "vars.word.format(1)",
        "vars.word.format_map({})",
        "vars.word.join(['x', 'y'])",
        "vars.word.replace('a', 'bb')",
        "vars.word.translate({})",
        "vars.list.copy()",
        "vars.list.pop()",
        "vars.map.copy()",
        "vars.map.fromkeys(['x'])",
        "vars.map.setdefault('y', 1)",
    ],
)
def test_what_is_not_named_is_not_there(call: str) -> None:
    with pytest.raises(SpecError) as caught:
        rendered(f"{{{{ {call} }}}}")
    assert "(for /etc/x of a)" in caught.value.problems[0].message


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("vars.word.upper()", "ABC"),
        ("vars.word.split('b') | join('-')", "a-c"),
        ("vars.word.removeprefix('a')", "bc"),
        ("vars.list.index('b')", "1"),
        ("vars.list.count('b')", "1"),
        ("vars.map.get('y', 'none')", "none"),
        ("vars.map.keys() | join", "x"),
    ],
)
def test_what_is_named_works(call: str, expected: str) -> None:
    assert rendered(f"{{{{ {call} }}}}") == expected


def test_a_range_is_refused_for_its_length_before_it_is_walked() -> None:
    assert rendered("{{ range(100000) | first }}") == "0"
    with pytest.raises(SpecError) as caught:
        rendered("{{ range(100001) | first }}")
    assert caught.value.problems[0].message.startswith("range of 100,001 items is more than the 100,000 rounds")


def test_a_format_asks_for_no_memory() -> None:
    for call in ("'{:0100000000000d}'.format(1)", "'{:>{w}}'.format('x', w=10 ** 12)", "'{0.__class__}'.format(node)"):
        with pytest.raises(SpecError) as caught:
            rendered(f"{{{{ {call} }}}}")
        assert "access to attribute 'format' of 'str' object is unsafe" in caught.value.problems[0].message


def test_powers_end_at_64() -> None:
    assert rendered("{{ 2 ** 64 }}") == "18446744073709551616"
    with pytest.raises(SpecError) as caught:
        rendered("{{ 2 ** 65 }}")
    assert caught.value.problems[0].message.startswith("`**` takes an exponent from 0 to 64")
