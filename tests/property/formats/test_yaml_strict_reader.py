"""The strict builder against PyYAML (YAML 1.1) and ruamel.yaml (YAML 1.2).

Where it answers, both answer the same. The differences, all on the side of refusing or of keeping text:
dates stay strings; what the two versions read differently, other tags, keys that are no strings, duplicate keys,
bombs and deep nesting are refused.
"""

import io
import re

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from fleet.formats.yaml_events import build

CALM = settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class DatelessLoader(yaml.CSafeLoader):
    """PyYAML's own, without dates."""

    yaml_implicit_resolvers = {  # noqa: RUF012 -- PyYAML's own name and shape
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


def exact(value: object) -> object:
    if isinstance(value, dict):
        return sorted((key, repr(exact(child))) for key, child in value.items())
    if isinstance(value, list):
        return [exact(child) for child in value]
    return (type(value).__name__, value)


NUMBERISH = st.text(st.sampled_from("0123456789+-._:eExXobB aAfF"), min_size=1, max_size=10)
WORDISH = st.sampled_from(
    ["no", "On", "TRUE", "y", "N", "null", "Null", "~", "=", "<<", ".inf", "-.INF", ".NaN", "none"]
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PIECES = st.sampled_from(
    ["a", "b", ": ", ":", "- ", "\n", "\n  ", "\n    ", "{", "}", "[", "]", ", ", "&x ", "*x", "<<: *x", "'", '"', "|\n", ">-\n", " #c", "? ",
     "!!str ", "!x ", "no", "1", "1.5", "~", "---\n", "\t", "é"],
)  # fmt: skip
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | NUMBERISH
    | WORDISH,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS | WORDISH, inner, max_size=4),
    max_leaves=10,
)


def check_against_pyyaml(data: bytes) -> bool:
    documents, problems = build(data)
    if problems:
        return False
    assert exact(documents) == exact(list(yaml.load_all(data, DatelessLoader))), data
    return True


@CALM
@given(VALUES, st.sampled_from([None, True, False]), st.sampled_from([None, '"', "'"]))
def test_what_pyyaml_writes(value, flow, quote):
    data = yaml.safe_dump(value, default_flow_style=flow, default_style=quote, allow_unicode=True).encode()
    documents, problems = build(data)
    if problems:  # PyYAML writes plain what YAML 1.2 reads as a number, and tags what it quotes
        told = [problem.problem for problem in problems]
        assert all(
            re.search(r" to some YAML readers | in YAML 1\.1|^the tag !!(?:int|float|bool|null) ", text)
            for text in told
        ), told
    else:
        assert exact(documents) == exact(list(yaml.load_all(data, DatelessLoader)))


@CALM
@given(st.lists(PIECES, max_size=14).map("".join))
def test_soup(text):
    check_against_pyyaml(text.encode())


@CALM
@given(NUMBERISH | WORDISH)
def test_plain_scalars_mean_the_same_to_both_versions(text):
    data = f"- {text}\n- [{text}]\n- {{k: {text}}}\n".encode()
    if not check_against_pyyaml(data) or re.search(r"\d-\d+-\d", text):  # ruamel.yaml makes dates
        return
    reader = YAML(typ="safe", pure=True)
    reader.version = (1, 2)
    assert exact(reader.load(io.BytesIO(data))) == exact(build(data)[0][0])


@pytest.mark.parametrize(
    "text",
    [
        "a: &x {k: 1}\nb: {<<: *x, l: 2}\nc: {<<: [*x, {k: 2, m: 3}], m: 4}\nd: *x\n",
        "a: >\n  one\n  two\n\n  three\nb: |+\n  x\n\nc: |2\n   y\n",
        "a: 'it''s'\nb: \"\\u00e9\\n\\\n  x\"\nc: one\n  two\n",
        "? a\n: b\n? c\n",
        "- - a\n  - b\n-\n  c: d\n- ? e\n",
        "--- a\n...\n--- |\n b\n---\n",
        "%YAML 1.2\n---\na: !!str 1\n",
        "a: {b: [c, {d: e}], f: }\n",
    ],
)
def test_features(text):
    assert check_against_pyyaml(text.encode())
