import pytest

from fleet.formats.yaml import dump, dump_mapping_item, dump_scalar, parse


def test_a_document():
    value = {
        "write-kubeconfig-mode": "0600",
        "serial": "36171E236692",
        "mac": "84:00:50:16:03:42",
        "on": True,
        "count": 3,
        "ratio": 1.0,
        "nothing": None,
        "none": [],
        "empty": {},
        "disable": ["traefik", "no"],
        "hosts": [{"name": "a", "ports": [80, 443]}, {"name": "b"}, [], [[1], {"x": {}}]],
        "script": "#!/bin/sh\n\nexit 0\n",
        "nested": {"text": "a\nb", "list": ["x\ny\n"]},
        "10": "ten",
    }
    assert (
        dump(value)
        == """\
write-kubeconfig-mode: "0600"
serial: "36171E236692"
mac: "84:00:50:16:03:42"
"on": true
count: 3
ratio: 1.0
nothing: null
none: []
empty: {}
disable:
  - "traefik"
  - "no"
hosts:
  - name: "a"
    ports:
      - 80
      - 443
  - name: "b"
  - []
  - - - 1
    - x: {}
script: |
  #!/bin/sh

  exit 0
nested:
  text: |-
    a
    b
  list:
    - |
      x
      y
"10": "ten"
"""
    )
    assert parse(dump(value).encode()) == [value]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", '""'), ("a", '"a"'), ("no", '"no"'), ('say "hi"', '"say \\"hi\\""'), ("a\\b", '"a\\\\b"'), ("café", '"café"'),
        ("a\nb", '"a\\nb"'), ("\t\r\0\x1b\x7f", '"\\t\\r\\0\\e\\x7F"'), ("\x85\u2028\ufeff", '"\\x85\\u2028\\uFEFF"'),
        ("\U0001f600", '"\U0001f600"'), ("\U000e0001", '"\\U000E0001"'),
        (True, "true"), (False, "false"), (None, "null"), (0, "0"), (-12, "-12"), (1.5, "1.5"), (-0.0, "-0.0"),
        (1e16, "10000000000000000.0"), (1e-7, "0.0000001"), ({}, "{}"), ([], "[]"), ((), "[]"),
    ],
)  # fmt: skip
def test_scalars(value, text):
    assert dump_scalar(value) == text
    assert dump(value) == text + "\n"
    read = parse(dump(value).encode())[0]
    assert read == (list(value) if isinstance(value, tuple) else value)
    assert type(read) is type(value) or isinstance(value, tuple)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a\nb\n", "|\n  a\n  b"),
        ("a\nb", "|-\n  a\n  b"),
        ("a\n", "|\n  a"),
        ("a\n\n  b: #c\n", "|\n  a\n\n    b: #c"),
        ("---\n...\n", "|\n  ---\n  ..."),
        ("a\n\n", '"a\\n\\n"'),
        ("\na\n", '"\\na\\n"'),
        (" a\nb\n", '" a\\nb\\n"'),
        ("a \nb\n", '"a \\nb\\n"'),
        ("a\n  \nb\n", '"a\\n  \\nb\\n"'),
        ("a\tb\nc\n", '"a\\tb\\nc\\n"'),
        ("a\r\nb\r\n", '"a\\r\\nb\\r\\n"'),
        ("a\nb\x85c\n", '"a\\nb\\x85c\\n"'),
        ("\n", '"\\n"'),
    ],
)
def test_text_of_several_lines_is_a_block_only_where_it_comes_back_whole(text, written):
    assert dump({"k": text}) == f"k: {written}\n"
    assert parse(dump({"k": text}).encode()) == [{"k": text}]


@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("name", "name"), ("node.kubernetes.io/role", "node.kubernetes.io/role"), ("a-b_c", "a-b_c"), ("_", "_"),
        ("no", '"no"'), ("y", '"y"'), ("N", '"N"'), ("null", '"null"'), ("True", '"True"'), ("1", '"1"'), ("", '""'),
        ("<<", '"<<"'), ("a b", '"a b"'), ("-a", '"-a"'), ("é", '"é"'), ("a:b", '"a:b"'), ("a\n", '"a\\n"'), (".inf", '".inf"'),
    ],
)  # fmt: skip
def test_keys(key, written):
    assert dump({key: 1}) == f"{written}: 1\n"
    assert parse(dump({key: 1}).encode()) == [{key: 1}]


def test_keys_longer_than_yaml_allows_on_one_line():
    for value in ("x", {"a": ["b"]}, [1], "a\nb\n"):
        document = {"list": [{"k" * 1500: value, "z": 1}]}
        assert parse(dump(document).encode()) == [document]


def test_items_join_to_the_mapping():
    value = {"b": {"x": [1, {"y": "z\n"}]}, "a": "1", "c": "one\ntwo\n"}
    assert "".join(dump_mapping_item(key, child) for key, child in value.items()) == dump(value)
    inner = "".join(dump_mapping_item(key, child, 2) for key, child in value.items())
    assert "all:\n" + inner == dump({"all": value})


def test_order_is_kept_or_sorted():
    value = {"b": [{"z": 1, "x": 2}], "a": {"d": 1, "c": 2}}
    assert dump(value) == "b:\n  - z: 1\n    x: 2\na:\n  d: 1\n  c: 2\n"
    assert dump(value, sort_keys=True) == "a:\n  c: 2\n  d: 1\nb:\n  - x: 2\n    z: 1\n"
    assert dump_mapping_item("a", {"d": 1, "c": 2}, sort_keys=True) == "a:\n  c: 2\n  d: 1\n"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), "\ud800", {"\udfff": 1}])
def test_values_that_readers_would_not_agree_on_are_refused(value):
    with pytest.raises(ValueError):
        dump([value])


@pytest.mark.parametrize("value", [{1: 2}, {None: 1}, b"x", {1, 2}, object()])
def test_types_that_yaml_does_not_know_are_refused(value):
    with pytest.raises(TypeError):
        dump([value])
