"""`fleet rollout show` as lines: what happened, failures by reason, and by which rollout it was taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, get_args

from fleet.cli.lines.events import EventLines, Troubled, trouble_of
from fleet.cli.lines.status import progress_lines
from fleet.formats.words import count
from fleet.model.trouble import Trouble
from fleet.report import Line, by_reason, clean, reason_lines

if TYPE_CHECKING:
    from fleet.operations.progress import Story


def story_lines(story: Story, again: Callable[[str], str], *, with_nodes: bool) -> Iterator[Line]:
    """`with_nodes`: a line for each node that did not come through, where it happened, and none for their reasons."""
    lines, troubled = EventLines(again), get_args(Troubled)
    troubles: list[Trouble] = []
    for at, event in enumerate(story.events, 1):
        if isinstance(event, troubled) and not with_nodes:
            troubles.append(trouble_of(event))
            told: list[Line] = []
        else:
            told = lines.of(event)
        if at == len(story.events):
            yield from _reasons(troubles, story.row.id, again)
        yield from told
    if story.undone_by:
        show = again(f"rollout show {story.undone_by}")
        yield Line(
            clean(f"rolled back by rollout {story.undone_by}: {count(story.undone, 'node')} ({show})"), "warning"
        )
    yield from progress_lines(story.row, again)


def _reasons(troubles: list[Trouble], rollout_id: str, again: Callable[[str], str]) -> Iterator[Line]:
    if not troubles:
        return
    every = again(f"rollout show {rollout_id} -v")
    groups = by_reason(troubles)
    yield from reason_lines(groups, every)
    asked = next((group.nodes[0] for group in groups if group.kind != "blocked"), "")
    more = f"{again(f'node log {asked} --output')} says more of one; " if asked else ""
    yield Line(clean(f"{more}{every} names every node"), "next")
