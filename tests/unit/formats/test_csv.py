import pytest

from fleet.formats.csv import Row, Table, TableError, read_table


def errors(text: bytes) -> list[tuple[int, int, str, str]]:
    with pytest.raises(TableError) as caught:
        read_table(text)
    return [(e.line, e.column, e.problem, e.hint) for e in caught.value.errors]


def test_cells_stay_strings_and_rows_know_their_line():
    table = read_table(b"store,serial,city\n017,1e3,Paris\n\n,,\nno,0o17,  Lyon \n")
    assert table == Table(
        ("store", "serial", "city"),
        (
            Row(2, {"store": "017", "serial": "1e3", "city": "Paris"}),
            Row(5, {"store": "no", "serial": "0o17", "city": "  Lyon "}),
        ),
    )


def test_bom_crlf_quotes_and_newlines_inside_cells():
    text = b'\xef\xbb\xbfname,note\r\na,"one\r\ntwo, ""three"""\r\nb,\xc3\xa9\r\n'
    assert read_table(text).rows == (
        Row(2, {"name": "a", "note": 'one\r\ntwo, "three"'}),
        Row(4, {"name": "b", "note": "é"}),
    )


def test_header_only_is_an_empty_table():
    assert read_table(b"a,b\n") == Table(("a", "b"), ())


def test_every_wrong_row_is_told():
    assert errors(b'a,b\n1\n"x\ny",2,3\n1,2\n1,2,3\n') == [
        (2, 1, "1 cells where the header has 2 columns", "Write a comma for each empty cell"),
        (3, 1, "3 cells where the header has 2 columns", "Put quotes round a cell that holds a comma"),
        (6, 1, "3 cells where the header has 2 columns", "Put quotes round a cell that holds a comma"),
    ]


def test_wrong_rows_are_told_even_before_an_open_quote():
    assert [(line, problem) for line, _, problem, _ in errors(b'a,b\n1\n1,"2\n')] == [
        (2, "1 cells where the header has 2 columns"),
        (3, "a quoted cell starts in this row and does not end"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", (1, 1, "the table has no header", "Name the columns in the first line")),
        (b"\n\n", (1, 1, "the table has no header", "Name the columns in the first line")),
        (b",,\n1,2,3\n", (1, 1, "the table has no header", "Name the columns in the first line")),
        (b"a;b\n1;2\n", (1, 1, "one column called `a;b`", "Separate with commas, not semicolons")),
        (b"a\tb\n1\t2\n", (1, 1, "one column called `a\tb`", "Separate with commas, not tabs")),
        (b"a,b,a\n1,2,3\n", (1, 1, "the column `a` stands in the header twice", "Rename one")),
        (b"a,,b\n1,2,3\n", (1, 1, "column 2 has no name", "Name it in the header, or remove it")),
        (b"a, b\n1,2\n", (1, 1, "the column ` b` has spaces around it", "Write `b`")),
        (b'a,b\n1,"2"x\n', (2, 1, "text behind a closing quote", 'Write "" for a quote inside a quoted cell')),
        (b"a,b\nM\xfcnchen,2\n", (2, 2, "byte 0xfc is not UTF-8", "Save the table as UTF-8")),
        (b"\xef\xbb\xbfa\n\xc3\xa9\xff\n", (2, 2, "byte 0xff is not UTF-8", "Save the table as UTF-8")),
        (
            b"a\nb\x00c\n",
            (2, 2, "a NUL byte", "Save the table as CSV in UTF-8; this looks like a binary file or UTF-16"),
        ),
        (
            b"a\n" + b"x" * 131_073 + b"\n",
            (2, 1, "a quoted cell starts in this row and does not end", "Close the double quote"),
        ),
    ],
)
def test_mistakes_have_a_place_and_a_hint(text, expected):
    assert errors(text) == [expected]


def test_all_mistakes_of_a_header_are_told():
    assert [problem for *_, problem, _ in errors(b"a,,a\n")] == [
        "column 2 has no name",
        "the column `a` stands in the header twice",
    ]
