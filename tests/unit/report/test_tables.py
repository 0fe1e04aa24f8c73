"""Tables, the list of nodes, and status."""

from fleet.model.record import Record
from fleet.report import Column, Line, NodeRow, node_lines, status, status_lines, table_lines
from fleet.report.status import moment

ROWS = [
    NodeRow("lyon-1-a", "lyon-1", "lyon-1", "server", "10.20.1.11", "v1.35.4+k3s1", "applied", "4be1f02" + "0" * 33),
    NodeRow(
        "lyon-1-till-001", "lyon-1", "lyon-1", "agent", "10.20.1.32", "v1.35.4+k3s1", "differs", "91ac2d7" + "0" * 33
    ),
    NodeRow("kiosk", "lyon-1", "", "none", "10.20.1.99", "", "never"),
]


def texts(lines: tuple[Line, ...]) -> list[str]:
    return [each.text for each in lines]


def test_nodes_on_a_pipe():
    assert texts(node_lines(ROWS)) == [
        "NODE             SITE    ROLE    STATE    K3S           COMMIT   ADDRESS     CLUSTER",
        "lyon-1-a         lyon-1  server  applied  v1.35.4+k3s1  4be1f02  10.20.1.11",
        "lyon-1-till-001  lyon-1  agent   differs  v1.35.4+k3s1  91ac2d7  10.20.1.32",
        "kiosk            lyon-1  none    never                           10.20.1.99",
    ]


def test_a_narrow_terminal_shrinks_from_the_right():
    lines = texts(node_lines(ROWS, 60))
    assert lines == [
        "NODE             SITE    ROLE    STATE    K3S         COMMIT",
        "lyon-1-a         lyon-1  server  applied  v1.35.4+k…  4be1f…",
        "lyon-1-till-001  lyon-1  agent   differs  v1.35.4+k…  91ac2…",
        "kiosk            lyon-1  none    never",
    ]
    assert all(len(text) <= 60 for text in lines)


def test_names_are_never_cut():
    lines = texts(node_lines(ROWS, 10))
    assert lines[2] == "lyon-1-till-001  lyon-1"


def test_a_table_that_fits_stays_as_it_is():
    columns = (Column("A", is_name=True), Column("B"))
    assert texts(table_lines(columns, [("x", "y")], 80)) == ["A  B", "x  y"]
    assert texts(table_lines(columns, [])) == ["A  B"]


def test_what_a_node_wrote_does_not_reach_the_terminal():
    assert texts(table_lines((Column("A"),), [("\x1b[31mred",)]))[1] == "\\x1b[31mred"


def record(node: str, commit: str, at: float) -> Record:
    return Record(node=node, fleet="acme", machine_id=f"id-{node}", digest="b1:x", commit=commit, at=at)


NEW, OLD = "4be1f02" + "0" * 33, "91ac2d7" + "0" * 33
SITES = {"a": "lyon", "b": "lyon", "c": "paris", "d": "paris"}
RECORDS = {
    "a": record("a", NEW, 1_795_000_000),
    "b": record("b", OLD, 1_794_000_000),
    "c": record("c", NEW, 1_795_000_600),
    "x": record("x", OLD, 1_790_000_000),
}


def test_status_says_what_is_applied_where_since_when_by_which_commit():
    assert texts(status_lines(status("acme", NEW, SITES, RECORDS))) == [
        "fleet acme at 4be1f02: 3 of 4 nodes applied",
        "",
        "COMMIT         NODES  SITES  SINCE                 LAST",
        "4be1f02 (git)  2      2      2026-11-18 11:06 UTC  2026-11-18 11:16 UTC",
        "91ac2d7        1      1      2026-11-06 21:20 UTC  2026-11-06 21:20 UTC",
        "never applied: 1 node (d)",
        "left the spec: 1 node (x)",
        "",
        "fleet plan shows what would change; fleet node list shows each node.",
    ]


def test_status_of_a_fleet_that_was_never_applied():
    assert texts(status_lines(status("acme", "", SITES, {}))) == [
        "fleet acme: 0 of 4 nodes applied",
        "never applied: 4 nodes (a, b, c and 1 more)",
        "",
        "fleet plan shows what would change; fleet node list shows each node.",
    ]


def test_times_that_a_node_made_up():
    assert [moment(at) for at in (0, -5, 1e300, float("nan"), float("inf"))] == ["unknown"] * 5
