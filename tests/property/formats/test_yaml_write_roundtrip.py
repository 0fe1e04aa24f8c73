import io

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from fleet.formats import yaml_hand
from fleet.formats.yaml import dump, dump_mapping_item, parse

WORDS = st.sampled_from(
    [
        "no", "yes", "on", "y", "N", "null", "~", "", "1e3", "36171E236692", "0o17", "017", "0x1F", "12:30:45", "84:00:50:16:03:42",
        "1_000", ".inf", ".nan", "2026-12-15", "=", "<<", "- a", "a: b", "a #b", "#", "? x", "|", ">-", "%", "@", "`", "&a", "*a", "!x",
        "{{ x }}", "[a]", "'", '"', "\\", "---", "...", " a", "a ", "a\n b\n", "\n", "a\n\n", "a\n#b\n", "\ta\n", "a\tb\nc", "é\nü",
        "\x85", "\u2028", "\ufeff", "\x7f", "\0", "\r\n", "a\rb", "\U0001f600\nx", "-", ":", "-\n-\n", "a:\n  b\n",
    ]
)  # fmt: skip
NASTY = (
    WORDS | st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text(st.sampled_from("ab \n\t:#-'\"\\"))
)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = NASTY | st.none() | st.booleans() | st.integers() | FLOATS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NASTY, inner, max_size=4), max_leaves=12
)
CALM = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def same(one: object, other: object) -> bool:
    """Compare with types: 1 is not 1.0 is not True here."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@CALM
@given(VALUES)
def test_we_read_back_what_we_write(value):
    (read,) = parse(dump(value).encode())
    assert same(read, value)


@CALM
@given(VALUES)
def test_yaml_1_1_readers_agree(value):
    text = dump(value)
    assert same(yaml.load(text, yaml.SafeLoader), value)
    assert same(yaml.load(text, yaml.CSafeLoader), value)


@CALM
@given(VALUES)
def test_yaml_1_2_readers_agree(value):
    reader = YAML(typ="safe", pure=True)
    reader.version = (1, 2)
    assert same(reader.load(io.StringIO(dump(value))), value)


@CALM
@given(st.dictionaries(NASTY, VALUES, min_size=1, max_size=4))
def test_items_join_to_the_mapping(value):
    assert "".join(dump_mapping_item(key, child) for key, child in value.items()) == dump(value)
    assert same(
        parse("".join(["k:\n", *(dump_mapping_item(k, v, 4) for k, v in value.items())]).encode()), [{"k": value}]
    )


@CALM
@given(st.dictionaries(NASTY, VALUES, max_size=4))
def test_the_order_of_keys_does_not_matter_when_sorted(value):
    assert dump(dict(reversed(value.items())), sort_keys=True) == dump(value, sort_keys=True)


@CALM
@given(st.dictionaries(NASTY, VALUES, min_size=1, max_size=4), st.frozensets(NASTY, max_size=2))
def test_what_is_written_as_by_hand_is_read_alike_by_all(value, open_keys):
    text = yaml_hand.dump(value, open_keys)
    reader = YAML(typ="safe", pure=True)
    reader.version = (1, 2)
    assert same(parse(text.encode()), [value])
    assert same(yaml.load(text, yaml.CSafeLoader), value)
    assert same(reader.load(io.StringIO(text)), value)
