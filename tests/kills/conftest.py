"""Of the kills a twelfth in each run, of those that come twice half as many, others with the next commit.

Who names a test gets it; in soak, all come.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.turn import turn

EVERY = bool(os.environ.get("FLEET_EVERY_KILL"))
PARTS = {"test_killed_there": 10 if EVERY else 12, "test_who_goes_on_is_killed_as_well": 10 if EVERY else 24}
"""The rounds of soak are the ten turns of both kinds."""
LEFT = pytest.StashKey[int]()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.keyword or any("::" in arg for arg in config.args):
        return
    left = []
    for name, parts in PARTS.items():
        kills = [item for item in items if item.originalname == name]  # type: ignore[attr-defined]
        left += [item for at, item in enumerate(kills) if at % parts != turn(parts)]
    items[:] = [item for item in items if item not in left]
    config.hook.pytest_deselected(items=left)
    config.stash[LEFT] = len(left)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if left := config.stash.get(LEFT, 0):
        terminalreporter.write_line(f"NOT IN TURN with this commit: {left} kills (make soak LANE=kills has all)")
