import pytest

from fleet.formats import FormatError
from fleet.formats.yaml import parse, parse_all_errors


def mistakes(text: bytes) -> list[tuple[int, int, str]]:
    found = [(e.line, e.column, e.problem) for e in parse_all_errors(text)]
    with pytest.raises(FormatError) as caught:
        parse(text)
    assert (caught.value.line, caught.value.column, caught.value.problem) == found[0]
    return found


def test_documents_of_a_stream():
    assert parse(b"") == []
    assert parse(b"# nothing\n") == []
    assert parse(b"---\n---\na: 1\n...\n---\n- b\n") == [None, {"a": 1}, ["b"]]


def test_a_small_site():
    text = b"""\
kind: Site
metadata: {name: lyon-1, labels: {ring: pilot}}
spec:
  nodes:
    - {name: a, role: server, address: 10.20.1.11}
    - name: b
      labels:
        gpu: none
  script: |
    #!/bin/sh
    exit 0
  folded: >-
    one
    two
  quoted: "caf\\u00e9 \\x41"
  single: 'it''s'
"""
    assert parse(text) == [
        {
            "kind": "Site",
            "metadata": {"name": "lyon-1", "labels": {"ring": "pilot"}},
            "spec": {
                "nodes": [
                    {"name": "a", "role": "server", "address": "10.20.1.11"},
                    {"name": "b", "labels": {"gpu": "none"}},
                ],
                "script": "#!/bin/sh\nexit 0\n",
                "folded": "one two",
                "quoted": "café A",
                "single": "it's",
            },
        }
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None), ("~", None), ("", None), ("true", True), ("false", False),
        ("0", 0), ("-0", 0), ("7", 7), ("+7", 7), ("-12", -12), ("123456789012345678901", 123456789012345678901),
        ("1.5", 1.5), ("-0.25", -0.25), ("+1.10", 1.1), ("0.0", 0.0),
        ("2026-12-15", "2026-12-15"), ("2026-12-15T10:00:00Z", "2026-12-15T10:00:00Z"),
        ("10.0.0.1", "10.0.0.1"), ("10.0.0.0/24", "10.0.0.0/24"), ("v1.35.4+k3s1", "v1.35.4+k3s1"), ("1.2.3", "1.2.3"),
        ("10%", "10%"), ("30m", "30m"), ("8080:80", "8080:80"), ("84:00:50:16:03:9a", "84:00:50:16:03:9a"),
        ("y", "y"), ("n", "n"), ("none", "none"), ("nope", "nope"), ("-x", "-x"), (".", "."), ("..", ".."), ("+", "+"), ("_1", "_1"), ("1_a", "1_a"),
        ("fe80::1", "fe80::1"), ("::1", "::1"), ("1e", "1e"), ("e3", "e3"), ("0xg", "0xg"), ("nUlL", "nUlL"),
        ('"no"', "no"), ("'1e3'", "1e3"), ('"1"', "1"), ('""', ""), ("!!str 12:30:45", "12:30:45"), ("!!str no", "no"),
        ("&a b", "b"), ("=x", "=x"), ("<<x", "<<x"), ("a b  c", "a b  c"), ("a#b", "a#b"), ("a: b", {"a": "b"}),
    ],
)  # fmt: skip
def test_scalars(text, value):
    (read,) = parse(b"k:\n - " + text.encode() + b"\n")
    assert read == {"k": [value]}
    assert type(read["k"][0]) is type(value)


AMBIGUOUS = [
    "no", "No", "NO", "yes", "Yes", "YES", "on", "On", "ON", "off", "Off", "OFF", "True", "TRUE", "False", "FALSE",
    "Null", "NULL", "=", "1e3", "1E3", "36171E236692", "1.5e3", "1.5e+3", "-1e-3", ".5", "1.", "-.5", "._5", "-_5", "0o17", "017", "08", "-017",
    "0x1F", "0X1f", "0b101", "1_000", "1_000.5", "12:30:45", "12:30", "02:00", "-1:30", "84:00:50:16:03:42", "190:20:30.15",
    ".inf", "-.inf", "+.INF", ".Inf", ".nan", ".NaN", ".NAN", "1" * 400 + ".0", "9" * 4001,
]  # fmt: skip


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_what_readers_understand_differently_is_refused_as_value_and_as_key(text):
    for stream, column in ((f"a: {text}\n", 4), (f"{text}: a\n", 1), (f"? {text}\n: a\n", 3), (f"- [{text}, a]\n", 4)):
        if len(text) > 1000 and not stream.startswith(("a", "-", "?")):
            continue
        ((line, found_column, problem),) = mistakes(stream.encode())
        assert (line, found_column) == (1, column)
        assert problem.startswith(f"`{text[:60]}`")
    assert parse(f'a: "{text}"\n'.encode()) == [{"a": text}]
    assert parse(f"'{text[:900]}': a\n".encode()) == [{text[:900]: "a"}]


def test_hints_say_how_to_mend():
    hints = {e.problem.split("`")[1]: e.hint for e in parse_all_errors(b"a: no\nb: 12:30\nc: 1e3\nd: NULL\ne: =\n")}
    assert hints == {
        "no": 'Write "no" or false',
        "12:30": 'Write "12:30"',
        "1e3": 'Write "1e3" for text, or the number in plain decimal digits',
        "NULL": 'Write "NULL" or null',
        "=": 'Write "="',
    }


def test_all_mistakes_are_found_and_a_syntax_error_is_the_last():
    text = b"a: no\nb: {x: 1, x: 2}\na: 1\nc: !vault x\n1: y\nd: [1e3,\ne: 2\n"
    assert mistakes(text) == [
        (1, 4, "`no` is a boolean to some YAML readers and text to others"),
        (2, 11, "the key `x` stands here twice"),
        (3, 1, "the key `a` stands here twice"),
        (4, 4, "the tag !vault is not understood here"),
        (5, 1, "a key must be a string, but here is `1`"),
        (6, 5, "`1e3` is a number to some YAML readers and text or another number to others"),
        (7, 5, "did not find expected ',' or ']' (while parsing a flow sequence)"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "column", "problem"),
    [
        (b"a: 1\nb: 2\na: 3\n", 3, 1, "the key `a` stands here twice"),
        (b'a: 1\n"a": 3\n', 2, 1, "the key `a` stands here twice"),
        (b"a:\n\tb: 1\n", 2, 1, "a tab in the indentation"),
        (b"a:\n  b: 1\n \tc: 1\n", 3, 2, "a tab in the indentation"),
        (b"a: *b\n", 1, 4, "the alias *b has no anchor before it"),
        (b"a: &x 1\n---\nb: *x\n", 3, 4, "the alias *x has no anchor before it"),
        (b"a: &x [*x]\n", 1, 8, "the alias *x stands inside its own anchor"),
        (b"&x a: {b: &y {c: [*y]}}\n", 1, 19, "the alias *y stands inside its own anchor"),
        (b"a: !!binary aGk=\n", 1, 4, "the tag !!binary is not understood here"),
        (b"a: !!python/object:os.system x\n", 1, 4, "the tag !!python/object:os.system is not understood here"),
        (b"a: ! x\n", 1, 4, "the tag ! is not understood here"),
        (b"a: !!map {}\n", 1, 4, "the tag !!map is not understood here"),
        (b"1: a\n", 1, 1, "a key must be a string, but here is `1`"),
        (b"true: a\n", 1, 1, "a key must be a string, but here is `true`"),
        (b"? \n: a\n", 1, 2, "a key must be a string, but here is nothing"),
        (b"{~: a}\n", 1, 2, "a key must be a string, but here is `~`"),
        (b"? [a]\n: b\n", 1, 3, "a key must be a string, but here is a list or a mapping"),
        (b"{{ x }}: b\n", 1, 1, "a key must be a string, but here is a list or a mapping"),
        (b"a: &x 1\n*x : b\n", 2, 1, "a key must be a string"),
        (b"a: b: c\n", 1, 5, "mapping values are not allowed in this context"),
        (b"a: @b\n", 1, 4, "found character that cannot start any token (while scanning for the next token)"),
        (b"a: 1\n b: 2\n", 2, 3, "mapping values are not allowed in this context"),
        (b'a: "x\n', 1, 6, "found unexpected end of stream (while scanning a quoted scalar)"),
        (b"a: b\n\xff: c\n", 2, 1, "byte 0xff is not UTF-8"),
        (b"\xef\xbb\xbfa: \xc3\xa9\xe9\n", 1, 5, "byte 0xe9 is not UTF-8"),
        (b"\xff\xfea\x00", 1, 1, "byte 0xff is not UTF-8"),
        (b"a: b\nc: \x00\n", 2, 4, "the character U+0000 is not allowed in YAML"),
        (b"a: b\r\nc: \x1b[0m\n", 2, 4, "the character U+001B is not allowed in YAML"),
        (b"a: \xc2\x81\n", 1, 4, "the character U+0081 is not allowed in YAML"),
        (b"<<: 1\n", 1, 1, "`<<` takes a mapping or a list of mappings"),
        (b"<<: [{a: 1}, 2]\n", 1, 1, "`<<` takes a mapping or a list of mappings"),
        (b"<<: {a: 1}\n<<: {b: 1}\n", 2, 1, "the key `<<` stands here twice"),
        (b"[" * 101 + b"]" * 101, 1, 101, "more than 100 levels of nesting"),
    ],
)  # fmt: skip
def test_mistakes_have_their_place(text, line, column, problem):
    assert mistakes(text) == [(line, column, problem)]


def test_a_bom_and_crlf_are_fine():
    assert parse(b"\xef\xbb\xbfa: 1\r\nb:\r\n  - x\r\n") == [{"a": 1, "b": ["x"]}]


def test_depth_100_is_still_read():
    (value,) = parse(b"[" * 100 + b"]" * 100)
    for _ in range(99):
        (value,) = value
    assert value == []


def test_aliases_and_merges():
    text = b"""\
base: &base {a: 1, b: 2}
more: &more {b: 3, c: 4}
one: {<<: *base, b: 9}
two: {b: 9, <<: [*more, *base]}
four: {<<: [*more, *base]}
late: &late {<<: *base, d: 5}
three: {<<: *late}
same: *base
"<<": text
text: &t hello
*t : x
copy: *t
"""
    (value,) = parse(text)
    assert value["one"] == {"a": 1, "b": 9}
    assert value["two"] == {"a": 1, "b": 9, "c": 4}
    assert value["four"] == {"a": 1, "b": 3, "c": 4}
    assert value["three"] == {"a": 1, "b": 2, "d": 5}
    assert value["same"] is value["base"]
    assert value["<<"] == "text"
    assert value["hello"] == "x"
    assert value["copy"] == "hello"


def test_an_anchor_bomb_is_counted_and_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    ((line, _, problem),) = mistakes("\n".join(lines).encode())
    assert problem == "the aliases up to here unfold to more than 1,000,000 nodes"
    assert line == 7


def test_an_anchor_may_be_used_often():
    (value,) = parse(b"a: &a {x: 1}\nb: [" + b", ".join([b"*a"] * 10_000) + b"]\n")
    assert len(value["b"]) == 10_000


def test_aliases_may_not_nest_deeper_than_lists():
    lines = ["a0: &a0 []"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 120)]
    ((line, _, problem),) = mistakes("\n".join(lines).encode())
    assert problem == "more than 100 levels of nesting behind *a98"
    assert line == 100


def test_equal_strings_are_one_object():
    one, two = parse(b"- {kind-of: store-17, n: 2}\n- {kind-of: store-17, n: 2}\n")[0]
    assert one["kind-of"] is two["kind-of"]
    assert next(iter(one)) is next(iter(two))


def test_scalars_are_right_after_more_texts_than_are_remembered():
    count = 120_000
    (value,) = parse(b"".join(b"- x%d\n" % n for n in range(count)) + b"- true\n- x5\n- ~\n")
    assert value[:count] == [f"x{n}" for n in range(count)]
    assert value[count:] == [True, "x5", None]


def test_aliases_are_counted_over_all_documents():
    document = "a: &a [" + ", ".join(["x"] * 999) + "]\nb: [" + ", ".join(["*a"] * 600) + "]\n"
    assert len(parse(document.encode())) == 1
    ((line, _, problem),) = mistakes(f"{document}---\n{document}".encode())
    assert (line, problem) == (5, "the aliases up to here unfold to more than 1,000,000 nodes")


def test_the_end_of_a_block_is_kept_as_it_is():
    assert parse(b"a: |\n  x") == [{"a": "x"}]
    assert parse(b"a: |\n  x\n") == [{"a": "x\n"}]
    assert parse(b"a: |+\n  x\n---\nb: |+\n  x\n\n") == [{"a": "x\n"}, {"b": "x\n\n"}]
