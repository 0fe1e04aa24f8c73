import pytest

from fleet.formats.yaml_marks import Position, Positions, locate

TEXT = b"""\
kind: Site
spec:
  nodes:
    - {name: a, role: server}
    - name: "caf\xc3\xa9"
      labels: &l {x: y}
      other: *l
---
base: &base
  one: 1
both: {two: 2, <<: *base}
list: [<<, {<<: [*base, {three: 3, one: 4}]}]
"<<": text
block: |
  text
empty:
last: 1
"""


@pytest.mark.parametrize(
    ("document", "path", "expected"),
    [
        (0, [], Position(1, 1)),
        (0, ["kind"], Position(1, 7, 1, 1)),
        (0, ["spec"], Position(3, 3, 2, 1)),
        (0, ["spec", "nodes", 0], Position(4, 7)),
        (0, ["spec", "nodes", 0, "role"], Position(4, 23, 4, 17)),
        (0, ["spec", "nodes", 1, "name"], Position(5, 13, 5, 7)),
        (0, ["spec", "nodes", 1, "labels", "x"], Position(6, 22, 6, 19)),
        (0, ["spec", "nodes", 1, "other"], Position(6, 15, 7, 7)),
        (1, ["both", "one"], Position(10, 8, 10, 3)),
        (1, ["list", 1, "one"], Position(10, 8, 10, 3)),
        (1, ["list", 1, "three"], Position(12, 33, 12, 26)),
        (1, ["<<"], Position(13, 7, 13, 1)),
        (1, ["block"], Position(14, 8, 14, 1)),
        (1, ["empty"], Position(16, 7, 16, 1)),
    ],
)
def test_places(document, path, expected):
    assert locate(TEXT, document, path) == expected


@pytest.mark.parametrize(
    ("document", "path", "expected"),
    [
        (0, ["spec", "nodes", 2, "role"], Position(4, 5, 3, 3, is_exact=False)),
        (0, ["spec", "nodes", "x"], Position(4, 5, 3, 3, is_exact=False)),
        (0, ["kind", "x"], Position(1, 7, 1, 1, is_exact=False)),
        (0, ["absent"], Position(1, 1, is_exact=False)),
        (0, ["spec", 0], Position(3, 3, 2, 1, is_exact=False)),
        (2, ["kind"], Position(1, 1, is_exact=False)),
        (-1, [], Position(1, 1, is_exact=False)),
    ],
)
def test_the_nearest_place_where_the_path_ends_early(document, path, expected):
    assert locate(TEXT, document, path) == expected


def test_what_stands_before_a_syntax_error_is_found():
    positions = Positions(b"a: 1\n---\nb: 2\n---\nc: [\n")
    assert positions.locate(1, ["b"]) == Position(3, 4, 3, 1)
    assert positions.locate(2, ["c"]) == Position(1, 1, is_exact=False)


def test_documents_count_from_0_with_bom_crlf_and_empty_ones():
    positions = Positions(b"\xef\xbb\xbf---\r\n---\r\na: 1\r\n")
    assert positions.locate(1, ["a"]) == Position(3, 4, 3, 1)
    assert positions.locate(0, []) == Position(2, 1)


def test_many_lookups_compose_once():
    count = 20_000
    positions = Positions(b"".join(b"k%d: 1\n" % n for n in range(count)))
    assert [positions.locate(0, [f"k{n}"]).line for n in range(count)] == list(range(1, count + 1))


def test_a_quoted_merge_key_merges_nothing():
    assert locate(b'a: {"<<": {q: 1}}\n', 0, ["a", "q"]) == Position(1, 4, 1, 1, is_exact=False)
    assert locate(b"a: {<<: {q: 1}}\n", 0, ["a", "q"]) == Position(1, 13, 1, 10)
