"""Tables shrink to the terminal; names are never cut."""

from fleet.report import Column, Line, table_lines

COLUMNS = (
    Column("NODE", is_name=True),
    Column("SITE", is_name=True),
    Column("ROLE"),
    Column("STATE"),
    Column("K3S"),
    Column("COMMIT"),
    Column("ADDRESS"),
)
ROWS = [
    ("lyon-1-a", "lyon-1", "server", "applied", "v1.35.4+k3s1", "4be1f02", "10.20.1.11"),
    ("lyon-1-till-001", "lyon-1", "agent", "differs", "v1.35.4+k3s1", "91ac2d7", "10.20.1.32"),
    ("kiosk", "lyon-1", "none", "never", "", "", "10.20.1.99"),
]


def texts(lines: tuple[Line, ...]) -> list[str]:
    return [each.text for each in lines]


def test_a_pipe_is_as_wide_as_it_has_to_be():
    assert texts(table_lines(COLUMNS, ROWS)) == [
        "NODE             SITE    ROLE    STATE    K3S           COMMIT   ADDRESS",
        "lyon-1-a         lyon-1  server  applied  v1.35.4+k3s1  4be1f02  10.20.1.11",
        "lyon-1-till-001  lyon-1  agent   differs  v1.35.4+k3s1  91ac2d7  10.20.1.32",
        "kiosk            lyon-1  none    never                           10.20.1.99",
    ]


def test_a_narrow_terminal_shrinks_from_the_right():
    lines = texts(table_lines(COLUMNS, ROWS, 60))
    assert lines == [
        "NODE             SITE    ROLE    STATE    K3S         COMMIT",
        "lyon-1-a         lyon-1  server  applied  v1.35.4+k…  4be1f…",
        "lyon-1-till-001  lyon-1  agent   differs  v1.35.4+k…  91ac2…",
        "kiosk            lyon-1  none    never",
    ]
    assert all(len(text) <= 60 for text in lines)


def test_no_more_columns_go_than_have_to():
    lines = texts(table_lines(COLUMNS, ROWS, 61))
    assert lines[0] == "NODE             SITE    ROLE    STATE    K3S          COMMIT"


def test_names_are_never_cut():
    assert texts(table_lines(COLUMNS, ROWS, 10))[2] == "lyon-1-till-001  lyon-1"


def test_a_table_that_fits_stays_as_it_is():
    columns = (Column("A", is_name=True), Column("B"))
    assert texts(table_lines(columns, [("x", "y")], 80)) == ["A  B", "x  y"]
    assert texts(table_lines(columns, [])) == ["A  B"]


def test_what_a_node_wrote_does_not_reach_the_terminal():
    assert texts(table_lines((Column("A"),), [("\x1b[31mred",)]))[1] == "\\x1b[31mred"
