"""Who is away at once: counted by events, by a budget's rules and as it truly is."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from fleet.model import event as ev
from fleet.model.event import Event
from fleet.model.rollout import AwayNode, GroupBudget
from fleet.simulator.absence import Away
from fleet.testing.orders import plain, rollout

NODES = [replace(node, groups=("all", "quorum")) for node in plain("a", "b", "c", "d", base="b1:old")]
ORDER = replace(
    rollout([replace(NODES[0], is_away=True), *NODES[1:]]),
    budgets=(GroupBudget("all", 2, (AwayNode("elsewhere"),)), GroupBudget("quorum", 4, (), is_quorum=True)),
)


def most(events: Iterable[Event], offline: Iterable[str] = ()) -> dict[str, tuple[int, int, int]]:
    """Nodes, the most away as far as it is known, and truly; by group and for the one site."""
    away = Away(ORDER, offline)
    for event in events:
        away.hear(event)
    return {group.name: (group.nodes, group.known, group.away) for group in (*away.groups(), *away.sites())}


def started(*names: str) -> Event:
    return ev.BatchStarted("7f3c-0001", names)


def applied(name: str) -> Event:
    return ev.NodeApplied(name, "yard", "7f3c-0001", f"b1:{name}")


def test_who_was_away_before_counts_from_the_beginning() -> None:
    assert most([]) == {"all": (5, 2, 2), "quorum": (4, 1, 1), "yard": (4, 1, 1)}


def test_the_most_at_once_and_not_the_sum() -> None:
    turns = [started("b"), applied("b"), started("c"), applied("c"), started("d"), applied("d")]

    assert most(turns) == {"all": (5, 3, 3), "quorum": (4, 2, 2), "yard": (4, 2, 2)}
    assert most([started("b", "c"), applied("b"), started("d")]) == {
        "all": (5, 4, 4),
        "quorum": (4, 3, 3),
        "yard": (4, 3, 3),
    }


def test_who_failed_or_does_not_answer_stays_away() -> None:
    for event in (ev.NodeFailed("b", "yard", "7f3c-0001", "why"), ev.NodeUnreachable("b", "yard", "7f3c-0001", "why")):
        assert most([started("b"), event, started("c")])["all"] == (5, 4, 4)


def test_who_comes_back_though_it_was_away_makes_room() -> None:
    assert most([started("a"), applied("a"), started("b"), started("c")])["quorum"] == (4, 2, 2)


def test_who_never_answers_counts_although_nobody_knows() -> None:
    assert most([started("c")], offline=["b"]) == {"all": (5, 3, 4), "quorum": (4, 2, 3), "yard": (4, 2, 3)}
    assert most([started("b")], offline=["b"])["all"] == (5, 3, 3), "from here on it is known"


def test_who_is_away_for_long_counts_in_no_budget_but_that_of_a_quorum() -> None:
    gone = ev.NodesLongOffline(("a", "elsewhere"))

    assert most([gone, started("b", "c")]) == {"all": (5, 2, 4), "quorum": (4, 3, 3), "yard": (4, 3, 3)}
    assert most([gone, started("a"), started("b", "c")])["all"] == (5, 2, 4), (
        "tried all the same, it takes nothing away"
    )
    back = [gone, started("a"), applied("a"), started("a", "b", "c", "d")]
    assert most(back)["all"] == (5, 4, 5), "and once it is back it counts again"
