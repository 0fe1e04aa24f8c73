"""What holds things is weighed where it is made: nothing unfolds to gigabytes, and no text holds an address in memory."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import pytest

from fleet.render.content import ContentError
from tests.unit.render.test_sandbox import fault, rendered

TWICE = "{% set ns = namespace(x=[0], y=[0]) %}{% for i in range(60) %}STEP{% endfor %}"
MEMORY = 700 << 20
"""Bytes of address space that a rendering may have: what a bomb asks for at once is not to be had."""


def doubled(step: str, then: str = "{{ ns.x }}") -> str:
    return TWICE.replace("STEP", "{% set ns.x = " + step + " %}") + then


BOMBS = {
    "list": doubled("[ns.x, ns.x]"),
    "tuple": doubled("(ns.x, ns.x)", "{{ {ns.x: 1} }}"),
    "map": doubled("{'a': ns.x, 'b': ns.x}", "{{ ns.x | tojson }}"),
    "dict()": doubled("dict(a=ns.x, b=ns.x)"),
    "namespace()": doubled("namespace(a=ns.x, b=ns.x)"),
    "times": doubled("[ns.x] * 2", "{{ ns.x | string | length }}"),
    "plus": doubled("[ns.x] + [ns.x]", "{{ ns.x ~ '' }}"),
    "views": doubled("[{'a': ns.x}.items(), {'b': ns.x}.values()]"),
    "map with a default": doubled("[{}, {}] | map(attribute='no', default=ns.x) | list"),
    "select": doubled("[[ns.x, 1], [ns.x, 2]] | sort(attribute=1) | list"),
    "texts": "{% set ns = namespace(x='x') %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] | string %}{% endfor %}",
    "varargs": (
        "{% set ns = namespace(x=[0]) %}{% macro m() %}{% set ns.x = varargs %}{% endmacro %}"
        "{% for i in range(60) %}{{ m(ns.x, ns.x) }}{% endfor %}{{ ns.x }}"
    ),
    "kwargs": (
        "{% set ns = namespace(x=[0]) %}{% macro m() %}{% set ns.x = kwargs %}{% endmacro %}"
        "{% for i in range(60) %}{{ m(a=ns.x, b=ns.x) }}{% endfor %}{{ ns.x }}"
    ),
    "compared": TWICE.replace("STEP", "{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}")
    + "{{ ns.x == ns.y }}",
    "repeated": "{{ [[0] * 1000000] * 100000 }}",
    "summed": "{{ ([[0] * 1000000] * 1000) | sum(start=[]) | length }}",
    "one long text often": "{{ ['x' * 1000000] * 90000 }}",
    "many long texts": "".join(f"{{% set a{at} = 'x' * 1000000 %}}" for at in range(400)),
    "many long lists": "".join(f"{{% set a{at} = ('a,' * 400000).split(',') %}}" for at in range(100)),
    "indented": "{{ [1] | tojson(indent=1000000000) }}",
    "formatted": "{{ '{:01000000000d}'.format(1) }}",
    "formatted by item": "{{ '{:01000000000d}'['format'](1) }}",
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_before_it_goes_off(text: str) -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        used = _pages() * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
        started = time.process_time()
        try:
            said = f"rendered {rendered(text)[:20]}"
        except ContentError as error:
            said = f"refused in time: {error.message}" if time.process_time() - started < 2 else "refused too late"
        except MemoryError:
            said = "out of memory"
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as told:
        said = told.read().decode()
    os.waitpid(child, 0)
    assert said.startswith("refused in time: "), said or "killed: too much CPU"


def _pages() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ [vars.ntp, [1, vars.list]] }}", "['ntp.example', [1, ['a', 'b']]]"),
        ("{{ {'a': vars.list, 'b': (1, 2)} | tojson }}", '{"a": ["a", "b"], "b": [1, 2]}'),
        ("{{ {'a': 1} | tojson(indent=2) }}", '{\n  "a": 1\n}'),
        ("{% for a, b in [(1, 2), [3, vars.ntp]] %}{{ a }}{{ b }};{% endfor %}", "12;3ntp.example;"),
        ("{% set a, b = 1, vars.ntp %}{{ b }}", "ntp.example"),
        ("{{ (vars.list + ['c']) | length }} {{ ['x'] * 3 }}", "3 ['x', 'x', 'x']"),
        ("{{ [[1, 2], [3]] | sum(start=[]) }}", "[1, 2, 3]"),
        ("{% macro m(a, b) %}{{ a }}{{ b }}{{ varargs }}{% endmacro %}{{ m(1, 2, 3) }}", "12(3,)"),
        (
            "{% set ns = namespace(n=0) %}{% for i in range(2000) %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
            "2000",
        ),
        ("{% include ['templates/none.j2', 'templates/a.j2'] %}", "included"),
    ],
)
def test_lists_and_maps_are_as_they_were(text: str, expected: str) -> None:
    assert rendered(text, {"templates/a.j2": "included"}) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ vars.list | map('upper') }}", "['A', 'B']"),
        ("{{ vars.list | reverse }}", "['b', 'a']"),
        ("{{ vars.list | select('equalto', 'a') }}", "['a']"),
        ("{{ vars.list | unique }}", "['a', 'b']"),
        ("{{ vars.map | items }}", "[('x', 1)]"),
        ("{{ [vars.list | map('upper')] }}", "[['A', 'B']]"),
        ("{{ vars.list | map('upper') ~ '' }}", "['A', 'B']"),
    ],
)
def test_what_filters_give_is_written_as_what_it_holds(text: str, expected: str) -> None:
    assert rendered(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{{ vars.get }}",
        "{{ 'a'.upper }}",
        "{{ range }}",
        "{{ 'a' ~ vars.get }}",
        "{% macro m() %}{% endmacro %}{{ m }}",
    ],
)
def test_a_function_is_no_text(text: str) -> None:
    assert fault(text).message == "a function or method is no text: call it with `()`"


@pytest.mark.parametrize(
    "text", ["{{ [secrets.db] }}", "{{ secrets }}", "{{ {'a': secrets.db} }}", "{{ [vars.pass] }}"]
)
def test_a_secret_within_something_is_bent(text: str) -> None:
    assert "a template may insert or base64 a secret, nothing else" in fault(text).message
