import pytest

from fleet.formats.yaml import parse
from fleet.formats.yaml_hand import WIDTH, dump

NODE = {"name": "lyon-1-a", "role": "server", "address": "10.20.1.11", "labels": {"web": "true"}}


def test_short_things_stand_on_one_line():
    site = {
        "kind": "Site",
        "metadata": {"name": "lyon-1", "labels": {"region": "eu-west"}},
        "spec": {
            "nodes": [NODE, {**NODE, "vars": {"text": "one\ntwo\n", "list": [1, 2.5, None, True]}}],
            "vars": {"a": 1},
        },
    }

    text = dump(site, frozenset({"spec", "nodes"}))

    assert text == (
        "kind: Site\n"
        "metadata: {name: lyon-1, labels: {region: eu-west}}\n"
        "spec:\n"
        "  nodes:\n"
        '    - {name: lyon-1-a, role: server, address: 10.20.1.11, labels: {web: "true"}}\n'
        "    - name: lyon-1-a\n"
        "      role: server\n"
        "      address: 10.20.1.11\n"
        '      labels: {web: "true"}\n'
        "      vars:\n"
        "        text: |\n"
        "          one\n"
        "          two\n"
        "        list: [1, 2.5, null, true]\n"
        "  vars: {a: 1}\n"
    )
    assert parse(text.encode()) == [site]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"), ("v1.35.4+k3s1", "v1.35.4+k3s1"), ("10.20.1.11", "10.20.1.11"), ("10.0.0.0/8", "10.0.0.0/8"),
        ("~/.ssh/key", "~/.ssh/key"), ("/etc/motd", "/etc/motd"), ("two words", "two words"), ("true", '"true"'),
        ("no", '"no"'), ("y", '"y"'), ("", '""'), ("2026-12-15", '"2026-12-15"'), ("1.5", '"1.5"'), ("10.1", '"10.1"'),
        ("84:00:50:16:03:42", '"84:00:50:16:03:42"'), ("36171E236692", '"36171E236692"'), ("a: b", '"a: b"'),
        ("a #b", '"a #b"'), ("{{ x }}", '"{{ x }}"'), ("a, b", '"a, b"'), ("[a]", '"[a]"'), ("secret:db", '"secret:db"'),
        (5, "5"), (True, "true"), (None, "null"), ([], "[]"), ({}, "{}"),
    ],
)  # fmt: skip
def test_quotes_only_where_they_are_needed(value, text):
    assert dump({"k": value}) == f"k: {text}\n"
    assert dump({"k": [value]}) == f"k: [{text}]\n"


def test_what_does_not_fit_is_a_block():
    wide = {"k": ["x" * 40, "y" * 40, "z" * 40], "deep": {"a": [["x" * WIDTH]]}}
    text = dump(wide)
    assert text == (f"k:\n  - {'x' * 40}\n  - {'y' * 40}\n  - {'z' * 40}\ndeep:\n  a:\n    - - {'x' * WIDTH}\n")
    assert parse(text.encode()) == [wide]


def test_no_line_is_wider_than_it_has_to_be():
    value = {"nodes": [{f"key{n}": "v" * n for n in range(width)} for width in range(1, 16)]}
    text = dump(value, frozenset({"nodes"}))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert parse(text.encode()) == [value]


def test_a_key_that_is_too_long_for_a_line():
    value = {"x" * 1100: {"a": 1}, "k": {"y" * 1100: "b"}}
    assert parse(dump(value).encode()) == [value]


@pytest.mark.parametrize("value", [float("nan"), "\ud800"])
def test_what_readers_do_not_agree_on(value):
    with pytest.raises(ValueError, match="YAML"):
        dump({"k": value})
