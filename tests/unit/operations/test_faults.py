"""Faults of templates are mistakes of the spec: placed in a file and a line, every distinct one at once."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from fleet.errors import SpecError
from fleet.model.problem import Problem
from fleet.operations.intent import MAX_FAULTS, each_rendered
from tests.specs import FLEET
from tests.unit.render.ground import intent

HEAD = """\
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: lyon}
spec:
  nodes:
    - {name: a, role: none, address: 10.0.0.1}
    - {name: b, role: none, address: 10.0.0.2}
"""
"""The first seven lines of site.yaml."""
SERVER = HEAD.replace("role: none", "role: agent").replace("name: a, role: agent", "name: a, role: server, arch: amd64")


def problems(site: str, files: Mapping[str, str] | None = None) -> list[Problem]:
    made = intent(FLEET, files={"site.yaml": site, **(files or {})})
    with pytest.raises(SpecError) as caught:
        each_rendered(made, made.fleet.nodes, made.renderer.sketch)
    return list(caught.value.problems)


def told(site: str, files: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    return [(f"{each.file}:{each.line}:{each.column}", each.message) for each in problems(site, files)]


def test_a_template_files_fault_is_told_at_its_own_line() -> None:
    site = HEAD + "  os: {files: [{path: /etc/x.conf, template: templates/x.j2}]}\n"
    (problem,) = problems(site, {"templates/x.j2": "one\ntwo\nntp {{ vars.ntpp }}\n"})
    assert (problem.file, problem.line) == ("templates/x.j2", 3)
    assert "has no attribute 'ntpp'" in problem.message
    assert "(for /etc/x.conf of a)" in problem.message
    assert problem.hint == "Templates see node, site, fleet, vars and secrets."


def test_a_fault_in_an_included_template_is_told_there() -> None:
    site = HEAD + "  os: {files: [{path: /etc/x.conf, template: templates/x.j2}]}\n"
    outer = "one\n{% include 'templates/inner.j2' %}\n"
    found = told(site, {"templates/x.j2": outer, "templates/inner.j2": "1\n2\n3\n{{ vars.nope }}\n"})
    assert [place for place, _ in found] == ["templates/inner.j2:4:1"]
    found = told(site, {"templates/x.j2": outer, "templates/inner.j2": "1\n{% if %}\n"})
    assert [place for place, _ in found] == ["templates/inner.j2:2:1"]


def test_a_fault_in_a_macro_of_another_template_is_told_there() -> None:
    site = HEAD + "  os: {files: [{path: /etc/x.conf, template: templates/x.j2}]}\n"
    files = {
        "templates/x.j2": "{% import 'templates/m.j2' as m %}\n\n{{ m.one(1) }}\n",
        "templates/m.j2": "\n{% macro one(x) %}\n{{ x.nope.nope }}\n{% endmacro %}\n",
    }
    assert [place for place, _ in told(site, files)] == ["templates/m.j2:3:1"]


def test_a_syntax_error_of_an_inline_content_is_no_bug_of_ours() -> None:
    found = told(HEAD + "  os:\n    files:\n      - {path: /etc/x, content: '{% for %}'}\n")
    assert found == [("site.yaml:10:33", "Expected an expression, got 'end of statement block' (for /etc/x of a)")]


def test_a_literal_block_is_told_by_the_line_in_the_spec() -> None:
    content = "  os:\n    files:\n      - path: /etc/x\n        content: |\n          one\n          two\n          {{ vars.nope }}\n"
    assert [place for place, _ in told(HEAD + content)] == ["site.yaml:14:1"]
    assert [place for place, _ in told(HEAD + content.replace("|", "|-"))] == ["site.yaml:14:1"]


@pytest.mark.parametrize(
    "content",
    [r'"one\ntwo\n{{ vars.nope }}\n"', "'{{ vars.nope }}'", ">\n          one\n\n          {{ vars.nope }}"],
    ids=["escapes", "one line", "folded"],
)
def test_any_other_scalar_is_told_where_it_starts(content: str) -> None:
    site = HEAD + f"  os:\n    files:\n      - path: /etc/x\n        content: {content}\n"
    assert [place for place, _ in told(site)] == ["site.yaml:11:18"]


def test_a_manifests_fault_is_told_where_it_is_written() -> None:
    manifests = (
        "  k3s:\n    manifests:\n      - name: quota\n        content: |\n          a: b\n          {{ vars.nope }}\n"
    )
    ((place, message),) = told(SERVER + manifests)
    assert place == "site.yaml:13:1"
    assert "(for /var/lib/rancher/k3s/server/manifests/quota.yaml of a)" in message


def test_every_distinct_fault_at_once_and_each_once() -> None:
    site = HEAD + (
        "  os:\n"
        "    files:\n"
        "      - {path: /etc/1, content: '{{ vars.one }}'}\n"
        "      - {path: /etc/2, content: 'fine {{ node.name }}'}\n"
        "      - {path: /etc/3, content: '{{ node.three }}'}\n"
        "      - {path: /etc/4, content: '{% endif %}'}\n"
        "      - {path: /etc/5, template: templates/x.j2}\n"
    )
    found = told(site, {"templates/x.j2": "{{ site.five }}"})
    assert sorted(place for place, _ in found) == [
        "site.yaml:10:33", "site.yaml:12:33", "site.yaml:13:33", "templates/x.j2:1:1",
    ]  # fmt: skip


def test_faults_that_only_some_nodes_have_are_told_too() -> None:
    site = HEAD + (
        "  os:\n    files:\n      - {path: /etc/x, content: \"{{ vars.of_a if node.name == 'a' else vars.of_b }}\"}\n"
    )
    assert [message.partition(" (for ")[2] for _, message in told(site)] == ["/etc/x of a)", "/etc/x of b)"]


def test_no_more_than_a_hundred_are_told() -> None:
    files = "".join(f"      - {{path: /etc/{at}, content: '{{{{ vars.v{at} }}}}'}}\n" for at in range(60))
    assert MAX_FAULTS == 100
    assert len(problems(HEAD + "  os:\n    files:\n" + files)) == 60
    more = "".join(f"    - {{name: c{at}, role: none, address: 10.0.1.{at}}}\n" for at in range(8))
    each = files.replace("vars.v", "vars[node.name].v")
    assert 100 <= len(problems(HEAD + more + "  os:\n    files:\n" + each)) <= 160


def test_a_character_that_no_file_can_hold() -> None:
    ((place, message),) = told(HEAD + "  os: {files: [{path: /etc/x, content: '{{ \"\\ud800\" }}'}]}\n")
    assert place.startswith("site.yaml:8:")
    assert message == "makes U+D800, which UTF-8 does not have (for /etc/x of a)"


def test_a_file_that_fleet_writes_itself() -> None:
    site = (
        HEAD
        + "  os:\n    sysctl: {vm.swappiness: 10}\n    files:\n      - {path: /etc/sysctl.d/80-fleet.conf, content: x}\n"
    )
    ((place, message),) = told(site)
    assert place.startswith("site.yaml:11:")
    assert (
        message
        == "/etc/sysctl.d/80-fleet.conf is a file that fleet writes itself (for /etc/sysctl.d/80-fleet.conf of a)"
    )


def test_the_join_file_is_fleets_own() -> None:
    site = SERVER.replace("role: agent", "role: server, arch: amd64") + (
        "    - {name: c, role: server, arch: amd64, address: 10.0.0.3}\n"
        "  os: {files: [{path: /etc/rancher/k3s/config.yaml.d/10-fleet-join.yaml, content: x}]}\n"
    )
    assert [message.partition(" (for ")[0] for _, message in told(site)] == [
        "/etc/rancher/k3s/config.yaml.d/10-fleet-join.yaml is a file that fleet writes itself"
    ]


def test_what_is_fine_comes_back_in_order() -> None:
    made = intent(FLEET, files={"site.yaml": HEAD + "  os: {files: [{path: /etc/x, content: '{{ node.name }}'}]}\n"})
    assert [sketch.node for sketch in each_rendered(made, made.fleet.nodes, made.renderer.sketch)] == ["a", "b"]
