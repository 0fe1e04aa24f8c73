"""Groups and verdicts: however many there are, a person gets a page."""

from fleet.model.change import Change
from fleet.model.plan import ChangeGroup
from fleet.model.verdict import Verdict
from fleet.report.groups import group_lines
from fleet.report.verdicts import verdict_lines


def edit(number: int, *diff: str) -> ChangeGroup:
    return ChangeGroup(Change("file", "edit", f"/etc/{number:04d}", "a" * 64, "b" * 64), 2, 1, diff=diff)


def test_columns_stand_in_line():
    groups = [edit(1), ChangeGroup(Change("package", "add", "vim", "", "any version"), 1_200, 7)]
    assert [each.text for each in group_lines(groups)] == [
        "  ~ /etc/0001                     2 nodes, 1 site",
        "  + package vim: any version  1,200 nodes, 7 sites",
    ]


def test_diffs_have_their_kinds():
    kinds = [each.kind for each in group_lines([edit(1, "- a", "+ b", "  … 4 more lines")])]
    assert kinds == ["group", "removed", "added", "plain"]


def test_hundreds_of_groups_are_not_hundreds_of_lines():
    lines = [each.text for each in group_lines([edit(i) for i in range(540)])]
    assert len(lines) == 41
    assert lines[-1] == (
        "  … 500 more groups (1,000 changes) of /etc/0040, /etc/0041, /etc/0042 and 497 more: fleet plan --json lists them"
    )


def test_of_many_different_edits_of_one_path_the_first_are_shown():
    edits = [ChangeGroup(edit(1).change, 1, 1, diff=(f"+ {i}",)) for i in range(30)]
    lines = [each.text for each in group_lines([*edits, edit(2)])]
    assert [text for text in lines if "+" in text] == ["      + 0", "      + 1", "      + 2", "      + 3"]
    assert "/etc/0002" in lines[-2]
    assert lines[-1] == "  … 26 more groups (26 changes) of /etc/0001: fleet plan --json lists them"


def test_long_diffs_of_many_groups_leave_room():
    lines = [each.text for each in group_lines([edit(i, *["+ x"] * 21) for i in range(20)])]
    assert sum(text == "      + x" for text in lines) == 189
    assert lines[-1] == "        21 lines of difference: fleet plan --json shows them"


def test_escapes_in_a_path_do_not_reach_the_terminal():
    (line,) = group_lines([ChangeGroup(Change("file", "remove", "/etc/\x1b[2J", "a" * 64), 1, 1)])
    assert line.text == "  - /etc/\\x1b[2J  1 node, 1 site"


def test_equal_verdicts_are_one_line():
    verdicts = [
        Verdict("version-skip", "refused", f"s{i}", "leaves out v1.34", "Go through it.", where="a.yaml:1:1")
        for i in range(1_036)
    ]
    assert [each.text for each in verdict_lines(verdicts, "refused")] == [
        "  s0 and 1,035 more: leaves out v1.34 (a.yaml:1:1)",
        "    Go through it. See docs/rules/version-skip.md",
    ]


def test_many_different_verdicts_of_a_rule_are_counted():
    verdicts = [Verdict("quorum", "refused", f"s{i}", f"message {i}") for i in range(100)]
    lines = [each.text for each in verdict_lines(verdicts, "refused")]
    assert len(lines) == 11
    assert lines[1] == "    See docs/rules/quorum.md"
    assert lines[-1] == "  … 95 more of quorum: fleet plan --json lists them"
