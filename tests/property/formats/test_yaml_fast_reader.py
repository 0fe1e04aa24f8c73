"""The fast reader may say "unclear"; it may never answer otherwise than the strict builder over libyaml."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.formats.yaml import parse
from fleet.formats.yaml_atoms import Unclear
from fleet.formats.yaml_events import build
from fleet.formats.yaml_lines import LineReader
from fleet.formats.yaml_stream import read_stream

CALM = settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])

SCALARS = [
    "a", "lyon-1", "10.20.1.11", "10.0.0.0/24", "v1.35.4+k3s1", "1", "-5", "+7", "007", "1.5", ".5", "1e3", "no", "true", "~", "null", "y",
    "12:30", "84:00:50:16:03:9a", "2026-12-15", '"no"', "'a b'", '"a: b"', '"a # b"', '"x, y"', '"[x]"', '"a\\n"', "'it''s'", '""', "''",
    "aisle 7, shelf 2", "two words", "a  b", "a:b", "a: b", "a :b", "a:", "a #b", "a# b", "#c", "https://x.example/a?b=c&d", "@x", "`x", "%x",
    "!x", "&x", "*x", "|", ">", "|-", "|+", "-", "- a", "-x", "--", "---", "...", "?", "? a", "?a", ":", ":a", ",", "a,b", "a, b", "[", "]",
    "{", "}", "[]", "{}", "[ ]", "[a, b]", "[a,b]", "[a, [b, c]]", "[a, ]", "{a: b}", "{a: b, c: [d, e]}", "{a: {b: c}, d: e}", "{a: b,c: d}",
    "{ a: b }", "{a: }", "{a}", "{a: b, a: c}", '{"a": "b"}', '{"a":"b"}', "[a: b]", '["a, b", c]', "['[', x]", '[x, "]"]', "{a: b}c",
    "{a: b} # c", "[{a: 1}, {b: 2}]", "{{ x }}", "$x", "(x)", "x(y)", "a'b", 'a"b', "'a'b", '"a"b', "é", "\u00a0", "a\u2028b", "a\tb", "\t", "<<",
    "=", "a=b", "/x", ".", "..", "~x", "\\", "a\\b", "^", ";", "^a", "a;b", "a|b", "0x1F", "1_000", "A" * 40, "", " ", "a ", '"a" ', "{a: b} ",
]  # fmt: skip
KEYS = [
    "a",
    "b",
    "name",
    "node.x/y",
    "no",
    "y",
    "null",
    "1",
    "<<",
    '"a"',
    "'b'",
    '"k: x"',
    "a b",
    "é",
    "a ",
    "?",
    "- a",
    "a-b",
    "_",
    ".x",
    "{a",
    "[a",
]
scalars = st.sampled_from(SCALARS)
indents = st.integers(0, 4).map(lambda n: " " * n) | st.sampled_from(["\t", "  \t"])
starts = st.lists(st.sampled_from(["", "- ", "-  ", "-", "# ", "? "]), max_size=2).map("".join)
colons = st.sampled_from([": ", ":", ":  ", " : ", ": \t"])
ends = st.sampled_from(["", "", "", " ", " # c", " #c: d", "\r"])
lines = st.one_of(
    st.tuples(indents, starts, st.sampled_from(KEYS), colons, scalars, ends).map("".join),
    st.tuples(indents, starts, st.sampled_from(KEYS), st.just(":"), ends).map("".join),
    st.tuples(indents, st.just("- "), scalars, ends).map("".join),
    st.tuples(indents, scalars).map("".join),
    st.sampled_from(["", "---", "--- ", "...", "# c", "  # c: d", "--- a", "%YAML 1.2", " "]),
)
soup = st.lists(lines, min_size=1, max_size=6).map("\n".join)
SAMPLE = """\
# a comment: here
kind: Site
metadata: {name: lyon-1, labels: {region: eu-west, ring: "pilot"}}
spec:
  nodes:
    - {name: a, role: server, ports: [80, 443], address: 10.20.1.11}
    - name: b
      labels:
        gpu: none   # trailing

      list:
      - one
      - "two"
      script: |
        #!/bin/sh

        exit 0
  other: |-
      x: y
       z
  empty:
  last: 1.5
---
- a
- b: 1
  c: [x, [y]]
"""
edits = st.lists(
    st.tuples(
        st.integers(0, len(SAMPLE)),
        st.integers(0, 3),
        st.sampled_from(
            [
                "",
                " ",
                "  ",
                "\n",
                "\t",
                *[":", "-", "#", "[", "]", "{", "}", ",", '"', "'", "|", ">", "&", "*", "!", "?", "\\", "a"],
                "---\n",
                ": ",
            ]
        ),
    ),
    min_size=1,
    max_size=4,
)


def exact(value: object) -> object:
    """Make 1, 1.0 and True unequal, and the order of keys matter."""
    if isinstance(value, dict):
        return [(key, exact(child)) for key, child in value.items()]
    if isinstance(value, list):
        return ("list", [exact(child) for child in value])
    return (type(value).__name__, value)


def agree(text: str) -> bool:
    """Compare the two readers; say whether the fast one read the text, at least as a stream."""
    data = text.encode()
    documents, problems = build(data)
    fast = read_stream(data)
    if fast is not None:
        assert problems == [], (text, fast)
        assert exact(fast) == exact(documents), text
    return fast is not None


@CALM
@given(soup)
def test_soup_of_lines(text):
    agree(text + "\n")


@CALM
@given(edits)
def test_a_spec_with_edits(changes):
    text = SAMPLE
    for start, length, new in changes:
        text = text[:start] + new + text[start + length :]
    agree(text)


@CALM
@given(st.text(st.sampled_from("ab1 \n:-#[]{},\"'|~.\\")))
def test_soup_of_characters(text):
    agree(text + "\n")


@CALM
@given(scalars, scalars, scalars)
def test_every_scalar_in_every_place(one, two, three):
    for text in (f"a: {one}\nb: {two}\n", f"- {one}\n- {two}\n", f"a: [{one}, {two}]\n", f"a: {{b: {one}, c: {two}}}\n",
                 f"a: [{{b: {one}}}, [{two}, {three}]]\n", f"{one}: {two}\n", f"a:\n  - {one}: {two}\n    b: {three}\n"):  # fmt: skip
        agree(text)


ITEM = """\
    - name: {0}
      role: {1}
      labels:
        app: {2}
        deep:
          rack: "{3}"
      vars:
        x: {4}
"""
heads = st.sampled_from(["", "nodes:\n", "spec:\n  nodes:\n", "a: b\nnodes:\n"])
tails = st.sampled_from(
    ["", "# c\n", "last: x\n", "        more: 1\n", "      # c\n      more: 1\n", "    - plain\n", "\n      more: 1\n"]
)
short = st.sampled_from(
    ["a", "b-1", "10.0.0.1", "1", '"q"', "no", "{a: b}", "[x, y]", "", "x # c", "|", "1e3", "'s'", 'a"b', "x: y"]
)
items = st.tuples(short, short, short, st.sampled_from(["r0", "r1", "", 'r"0', "r\\\\", "r\x07", "é"]), short).map(
    lambda values: ITEM.format(*values)
)
odd_lines = st.tuples(
    st.integers(0, 8), st.sampled_from(["", "      extra: 1\n", "  # c\n", "        app: twice\n", "      -\n", "\n"])
)


@CALM
@given(heads, st.lists(items, min_size=2, max_size=5), st.lists(odd_lines, max_size=2), tails)
def test_items_that_are_nearly_alike(head, made, odd, tail):
    """The reader of repeated items takes only what is surely one of them; most of these have something odd in them."""
    lines = "".join(made).splitlines(keepends=True)
    for at, line in odd:
        lines.insert(at, line)
    agree(head + "".join(lines) + tail)


def test_items_that_are_alike_are_read_whole():
    """Once the first is known: the line reader alone would not see a difference."""
    reader = LineReader()
    text = "nodes:\n" + "".join(ITEM.format(f"n-{at}", "server", "pos", f"r{at}", at) for at in range(50))
    assert reader.read(text) == build(text.encode())[0][0]
    (shape,) = reader._repeats._shapes["    - name"]
    assert shape.lines == 8
    assert shape.pattern.match(text, len("nodes:\n"))


def test_one_that_goes_on_where_others_end_is_left_to_the_line_reader():
    made = [ITEM.format(at, "agent", "pos", "r", "1") for at in "abcd"]
    made[2] += "      more: 1\n"
    text = "nodes:\n" + "".join(made)
    assert exact(LineReader().read(text)) == exact(build(text.encode())[0][0])


def test_each_scalar_alone_in_every_place():
    read = sum(
        agree(text)
        for one in SCALARS
        for text in (
            f"a: {one}\n",
            f"- {one}\n",
            f"a: [{one}]\n",
            f"a: {{b: {one}}}\n",
            f"{one}: a\n",
            f"a: {one} # c\n",
        )
    )
    assert read > 300


def test_the_fast_reader_reads_the_sample_by_itself():
    first, second = SAMPLE.split("---\n")
    reader = LineReader()
    assert [reader.read(first), reader.read(second)] == build(SAMPLE.encode())[0]
    assert parse(SAMPLE.replace("\n", "\r\n").encode()) == [reader.read(first), reader.read(second)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1\nb:\n- x\n- y: 2\n  z:\nc:\n  d: ~\n", {"a": 1, "b": ["x", {"y": 2, "z": None}], "c": {"d": None}}),
        ("- a: |\n    x\n\n    y\n\n  b: c\n- |-\n  z\n", [{"a": "x\n\ny\n", "b": "c"}, "z"]),
        ("a: {b: [{c: d, e: [f]}, g], h: {}}\n", {"a": {"b": [{"c": "d", "e": ["f"]}, "g"], "h": {}}}),
        ("# c\n\na:   b   # c\n  # d\nc: # e\n  d: e\n", {"a": "b", "c": {"d": "e"}}),
    ],
)
def test_what_it_reads_by_itself(text, value):
    assert exact(LineReader().read(text)) == exact(value)


@pytest.mark.parametrize(
    "text",
    [
        "a: |\n  x\n     \n  y\n", "a: |\n  x\ty\n", "a: b\n# \x07\n", 'a: "x\x07"\n', "a: 'x\u2028y'\n",
        "a: no\n", "no: a\n", "a: 1e3\n", "a: 1\na: 2\n", "{a: 1, a: 2}\n", "a: &x b\n", "a: *x\n", "a: !x b\n", "a: b\n  c\n", "a: >\n  b\n",
        "a: |+\n  b\n", "a: |2\n   b\n", "a:\tb\n", "\ta: b\n", "a: b: c\n", "<<: {a: b}\n", "? a\n: b\n", "1: a\n", "a: [b\n", "a: 'b\n",
        "a:\n   b: 1\n  c: 2\n", "a: b\n   - c\n", "- a\nb: c\n", "a: {b: no}\n", "- - a\n", 'a: "\\x41"\n', "a: \x07\n", "# \x07\n",
        "a: {b: c} d\n", "a: [b, ]\n", "", "# c\n", "a:\n" + "".join(f"{' ' * n}a:\n" for n in range(1, 90)), "a: " + "[" * 12 + "]" * 12,
    ],
)  # fmt: skip
def test_what_it_leaves_to_the_strict_builder(text):
    with pytest.raises(Unclear):
        LineReader().read(text)


def test_many_brackets_on_one_line_cost_no_more_than_their_length():
    text = "a: [" + ", ".join(["[" + ", ".join(["x"] * 100) + "]"] * 1000) + ", [" * 20 + "\n"
    with pytest.raises(Unclear):
        LineReader().read(text)
