"""Bad days on real hosts: a third of them in a run, another third with each commit; all with FLEET_EVERY_DAY=1."""

import os

import pytest

from tests.hosts.days.day import Day
from tests.hosts.ground import Ground
from tests.turn import turn

THIRDS = 3


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Which third is no secret: it is said, and the rest counts as deselected."""
    days = sorted((item for item in items if "/hosts/days/" in item.nodeid), key=lambda item: item.nodeid)
    if os.environ.get("FLEET_EVERY_DAY") == "1" or config.option.keyword or any("::" in arg for arg in config.args):
        return
    now = turn(THIRDS)
    left = {item.nodeid for number, item in enumerate(days) if number % THIRDS != now}
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left])
    items[:] = [item for item in items if item.nodeid not in left]
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and left:
        reporter.write_line(f"bad days: {len(days) - len(left)} of {len(days)}, third {now + 1} of {THIRDS}")


@pytest.fixture
def day(ground: Ground) -> Day:
    """An ordinary change of one node, north-till-001, to which something will happen."""
    return Day(ground)
