"""Users' templates: what they may do, and that none runs for ever, reads a file or reaches into Python."""

from __future__ import annotations

import time

import pytest

from fleet.model.learned import Learned
from fleet.model.node import ContentSource
from fleet.model.secret import LockedSecret
from fleet.render.content import ContentError, Contents
from fleet.resolve import resolve
from tests.specs import document, loaded

SECRETS = {"db": LockedSecret(file="secrets/x.yaml", version=1, fingerprint="f1")}
SPEC = (
    document("Fleet", "acme", "vars: {ntp: ntp.example, list: [a, b], map: {x: 1}, pass: secret:db}"),
    document(
        "Site",
        "lyon",
        "nodes: [{name: a, role: none, address: 10.0.0.1, labels: {app: pos}}, {name: b, role: none, address: 10.0.0.2}]",
        labels="{country: fr}",
    ),
)


def contents(files: dict[str, str] | None = None) -> tuple[Contents, list]:
    spec = loaded(*SPEC, files=files)
    fleet = resolve(spec, Learned())
    return Contents(fleet, spec.files, SECRETS), list(fleet.nodes)


def rendered(text: str, files: dict[str, str] | None = None) -> str:
    made, nodes = contents(files)
    found = made.of(ContentSource("text", text), nodes[0])
    assert isinstance(found, tuple)
    return "".join(
        part if isinstance(part, str) else f"<{part.name}:{part.encoding}:{part.fingerprint}>" for part in found
    )


def fault(text: str, files: dict[str, str] | None = None) -> ContentError:
    with pytest.raises(ContentError) as caught:
        rendered(text, files)
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("server {{ vars.ntp }} iburst\n", "server ntp.example iburst\n"),
        ("{{ node.name }} {{ node.address }} {{ node.labels.app }} {{ node.labels.country }}", "a 10.0.0.1 pos fr"),
        ("{{ site.name }} {{ fleet.name }} {{ node.role }}", "lyon acme none"),
        ("{% for x in vars.list %}{{ loop.index }}{{ x }}{% endfor %}", "1a2b"),
        ("{% for k, v in vars.map.items() %}{{ k }}={{ v }}{% endfor %}", "x=1"),
        ("{{ vars.list | join(',') }} {{ vars.list | length }}", "a,b 2"),
        ("{{ vars.ntp | upper | replace('.', '-') }}", "NTP-EXAMPLE"),
        ("{{ vars.ntp.split('.')[0] }}", "ntp"),
        ("{{ 'x' ~ 1 ~ vars.ntp }}", "x1ntp.example"),
        ("{{ vars.map | tojson }}", '{"x": 1}'),
        ("{{ 'a\nb' | indent(2) }}", "a\n  b"),
        ("{{ vars.none | default('d') }}", "d"),
        ("no template\n", "no template\n"),
        ("{{ 'plain' | b64encode }}", "cGxhaW4="),
        ("{{ 7 % 4 }} {{ 2 ** 10 }} {{ 'ab' * 2 }}", "3 1024 abab"),
    ],
)
def test_what_templates_may(text: str, expected: str) -> None:
    assert rendered(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password = {{ secrets.db }}\n", "password = <db:plain:f1>\n"),
        ("{{ secrets['db'] | b64encode }}", "<db:base64:f1>"),
        ("{{ vars.pass }}", "<db:plain:f1>"),
        ("{{ secrets.db }}{{ secrets.db }}", "<db:plain:f1><db:plain:f1>"),
        ("{{ 'x' ~ secrets.db }}", "x<db:plain:f1>"),
    ],
)
def test_secrets_are_moved_not_read(text: str, expected: str) -> None:
    assert rendered(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{{ secrets.db | upper }}",
        "{{ (secrets.db ~ '') | replace('S', 'x') }}",
        "{% if secrets.db %}x{% endif %}",
        "{{ secrets.db == 'x' }}",
        "{{ secrets.db | string | list | join('-') }}",
    ],
)
def test_a_bent_secret_is_refused(text: str) -> None:
    assert "a template may insert or base64 a secret, nothing else" in fault(text).message


def test_an_unknown_secret_names_the_known_ones() -> None:
    error = fault("{{ secrets.nope }}")
    assert "nope" in error.message
    assert "db" in error.hint


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in range(1000) %}{% for j in range(1000) %}{% for k in range(1000) %}x{% endfor %}{% endfor %}{% endfor %}",
        "{% for i in range(10 ** 9) %}x{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'x' * 10 ** 9 }}",
        "{{ [0] * 10 ** 9 }}",
        "{{ 9 ** 9 ** 9 ** 9 ** 9 }}",
        "{% set ns = namespace(x='x') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x='x') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=9) %}{% for i in range(60) %}{% set ns.x = ns.x * ns.x %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x='aa') %}{% for i in range(60) %}{% set ns.x = ns.x | replace('a', 'aaaa') %}{% endfor %}",
        (
            "{% set ns = namespace(x=['a']) %}{% for i in range(60) %}{% set ns.x = [ns.x | join(ns.x | join)] %}"
            "{% set ns.x = ns.x + ns.x %}{% endfor %}"
        ),
        "{{ 'x' | indent(10 ** 9) }}",
        "{{ '%01000000000d' % 1 }}",
        "{{ '{:01000000000d}'.format(1) }}",
        "{{ 'x'.ljust(10 ** 9) }}",
        "{{ 'x'.replace('', 'y' * 1000000) }}",
        "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}",
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
        "{% for x in [[1]] recursive %}{{ loop(x) if x is sequence else '' }}{{ loop([[1]]) }}{% endfor %}",
        "{% for i in range(90000) %}{{ 'x' * 900000 }}{% endfor %}",
    ],
)
def test_no_template_runs_for_ever_or_eats_the_memory(text: str) -> None:
    started = time.process_time()
    error = fault(text)
    assert error.message
    assert time.process_time() - started < 2, "the bound came too late"


def test_an_include_of_itself_ends() -> None:
    assert fault("{% include 'templates/a.j2' %}", {"templates/a.j2": "{% include 'templates/a.j2' %}"}).message


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ node.__class__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ namespace.__init__.__globals__ }}",
        "{{ range.__self__ }}",
        "{{ vars.list.append('x') }}",
        "{{ vars.map.update({}) }}",
        "{{ open('/etc/passwd') }}",
        "{{ cycler }}",
        "{{ lipsum() }}",
        "{% include '/etc/passwd' %}",
        "{% include '../../../etc/passwd' %}",
        "{% include 'templates/../../etc/passwd' %}",
        "{{ vars.list | attr('__class__') }}",
        "{{ 'x' | xmlattr }}",
        "{% import 'os' as os %}",
    ],
)
def test_templates_reach_nothing_outside(text: str) -> None:
    assert fault(text).message


def test_values_of_the_spec_cannot_be_changed_by_a_template() -> None:
    made, nodes = contents()
    with pytest.raises(ContentError):
        made.of(ContentSource("text", "{% set _ = vars.list.append('x') %}"), nodes[0])
    assert nodes[0].settings.vars["list"] == ["a", "b"]


def test_undefined_is_an_error_with_the_templates_line() -> None:
    error = fault("one\ntwo\n{{ vars.nope }}\n")
    assert "nope" in error.message
    assert error.line == 3
    error = fault("x {% include 'templates/a.j2' %}", {"templates/a.j2": "fine\n{{ site.nope }}"})
    assert "nope" in error.message


def test_syntax_errors_name_the_line() -> None:
    error = fault("one\n{% for x in y %}\n")
    assert error.line in {2, 3}
    assert "endfor" in error.message


def test_a_template_is_rendered_once_per_distinct_input() -> None:
    made, (a, b) = contents()
    source = ContentSource("text", "{{ vars.ntp }} {{ site.name }}")
    assert made.of(source, a) is made.of(source, b)
    per_node = ContentSource("text", "{{ node.name }}")
    assert (made.of(per_node, a), made.of(per_node, b)) == (("a",), ("b",))


def test_a_variable_that_only_some_nodes_override_is_told_apart() -> None:
    spec = loaded(
        document("Fleet", "acme", "vars: {n: 1}"),
        document(
            "Site",
            "lyon",
            "nodes: [{name: a, role: none, address: 10.0.0.1, vars: {n: true}}, {name: b, role: none, address: 10.0.0.2},"
            " {name: c, role: none, address: 10.0.0.3, vars: {n: '1'}}, {name: d, role: none, address: 10.0.0.4, vars: {other: 2}}]",
        ),
    )
    fleet = resolve(spec, Learned())
    made = Contents(fleet, spec.files, {})
    source = ContentSource("text", "{{ vars.n is string }} {{ vars.n }}")
    assert [made.of(source, node) for node in fleet.nodes] == [
        ("False True",), ("False 1",), ("True 1",), ("False 1",),
    ]  # fmt: skip


def test_a_raw_file_is_taken_as_it_is() -> None:
    spec = loaded(*SPEC)
    fleet = resolve(spec, Learned())
    files = {"raw.bin": b"\0\xff{{ vars.ntp }}"}
    made = Contents(fleet, files, {})
    assert made.of(ContentSource("source", "raw.bin"), fleet.nodes[0]) == b"\0\xff{{ vars.ntp }}"
    with pytest.raises(ContentError, match=r"no file nope\.bin"):
        made.of(ContentSource("source", "nope.bin"), fleet.nodes[0])
    with pytest.raises(ContentError, match="not UTF-8"):
        made.of(ContentSource("template", "raw.bin"), fleet.nodes[0])
