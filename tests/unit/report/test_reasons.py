"""Failures by reason: what only names a node makes no reason another one."""

from __future__ import annotations

from fleet.model.trouble import ReasonGroup, Trouble
from fleet.report import by_reason, reason_lines


def failed(node: str, reason: str) -> Trouble:
    return Trouble("failed", node, reason)


def test_equal_reasons_are_one_line_with_the_largest_group_first() -> None:
    groups = by_reason(
        [failed("z", "no space left"), *(failed(f"till-{at}", "chrony.service did not start") for at in range(14))]
    )
    assert [line.text for line in reason_lines(groups, "fleet rollout show 7f3c -v")] == [
        "x chrony.service did not start: 14 nodes (till-0, till-1, till-2 and 11 more)",
        "x no space left: 1 node (z)",
    ]


def test_the_name_of_the_node_makes_no_other_reason_but_the_name_of_another_one_does() -> None:
    assert by_reason([failed("till-1", "till-1: timed out"), failed("till-2", "till-2: timed out")]) == (
        ReasonGroup("failed", "NODE: timed out", ("till-1", "till-2")),
    )
    others = (("till-1", "till-10"), ("till-2", "till-20"), ("till-1", "old-till-1"), ("till-2", "old-till-2"))
    named = [failed(node, f"{other} is up") for node, other in others]
    assert [group.reason for group in by_reason(named)] == [
        "till-10 is up", "till-20 is up", "old-till-1 is up", "old-till-2 is up",
    ]  # fmt: skip


def test_an_address_that_one_node_names_is_its_own_and_one_that_several_name_is_not() -> None:
    own = [failed(f"n{at}", f"ssh: connect to host 10.0.0.{at} port 22: Connection timed out") for at in (1, 2)]
    six = [failed(f"m{at}", f"ssh: connect to host fd00::{at} port 22: Connection timed out") for at in (1, 2)]
    mirrors = [failed(f"{name}{at}", f"mirror 10.9.9.{at} is down") for name in "ab" for at in (1, 2)]
    assert by_reason([*own, *six, *mirrors]) == (
        ReasonGroup("failed", "ssh: connect to host ADDRESS port 22: Connection timed out", ("n1", "n2", "m1", "m2")),
        ReasonGroup("failed", "mirror 10.9.9.1 is down", ("a1", "b1")),
        ReasonGroup("failed", "mirror 10.9.9.2 is down", ("a2", "b2")),
    )


def test_ids_of_machines_are_names_and_what_a_program_ended_with_is_none() -> None:
    ids = [failed(f"n{at}", f"its machine-id is {at}c1ee2d0a9f84c11b6b2, not the enrolled one") for at in (1, 2)]
    exits = [failed(f"m{at}", f"chrony.service did not start: exit {at}") for at in (1, 2)]
    assert [(group.reason, len(group.nodes)) for group in by_reason([*ids, *exits])] == [
        ("its machine-id is ID, not the enrolled one", 2),
        ("chrony.service did not start: exit 1", 1),
        ("chrony.service did not start: exit 2", 1),
    ]


def test_who_waited_for_a_server_of_their_own_is_one_group_apart_from_who_failed() -> None:
    blocked = [
        Trouble("blocked", f"{site}-till", f"server {site}-a failed: no disk", f"{site}-a") for site in ("lyon", "nice")
    ]
    assert by_reason([failed("oslo-a", "no disk"), *blocked]) == (
        ReasonGroup("blocked", "server SERVER failed: no disk", ("lyon-till", "nice-till")),
        ReasonGroup("failed", "no disk", ("oslo-a",)),
    )


def test_a_reason_that_all_say_word_by_word_is_told_as_it_is() -> None:
    assert by_reason([failed("a", "a is down"), failed("a", "a is down")]) == (
        ReasonGroup("failed", "a is down", ("a",)),
    )


def test_a_thousand_reasons_are_twenty_lines_and_what_is_left() -> None:
    groups = by_reason(failed(f"n{at}", f"reason {at}") for at in range(1000))
    lines = [line.text for line in reason_lines(groups, "fleet rollout show 7f3c -v")]
    assert len(lines) == 21
    assert lines[-1] == "x 980 more reasons, of 980 nodes: fleet rollout show 7f3c -v"
