"""The steps of these suites, and their recorded runs: each made once. What is too long for every commit goes by turns."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Any

import pytest

from tests.crash import recorded
from tests.crash.cases import Step, memory, steps
from tests.crash.driver import load
from tests.crash.recorded import Recording
from tests.turn import turn

LEFT = pytest.StashKey[list[str]]()
PARTS = 3
"""Of the tests marked `by_turn` one in so many runs, the next one with the next commit; in soak, all."""
NAMES = ("first", "change", "removal", "giving back")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Who names a test gets it."""
    if config.option.keyword or any("::" in arg for arg in config.args):
        return
    marked = [item for item in items if item.get_closest_marker("by_turn")]
    left = [item for at, item in enumerate(marked) if at % PARTS != turn(PARTS)]
    items[:] = [item for item in items if item not in left]
    config.hook.pytest_deselected(items=left)
    config.stash[LEFT] = [item.nodeid for item in left]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for name in config.stash.get(LEFT, ()):
        terminalreporter.write_line(f"NOT IN TURN with this commit: {name}")


@pytest.fixture(scope="session")
def module() -> ModuleType:
    return load(str(recorded.MODULE))


@pytest.fixture(scope="session")
def on_the_way(module: ModuleType) -> dict[str, Step]:
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        return steps(module, folder)


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def step(name: str, on_the_way: dict[str, Step]) -> Step:
    return on_the_way[name]


@pytest.fixture
def recording(name: str, record: Callable[[str], Recording]) -> Recording:
    return record(name)


@pytest.fixture
def quick() -> Iterator[str]:
    """A folder in memory where there is one: thousands of runs sync hundreds of thousands of times."""
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        yield folder


@pytest.fixture(scope="session")
def record(on_the_way: dict[str, Step], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Recording]:
    """The uninterrupted run of a step, on a real file system."""

    @cache
    def recording(name: str) -> Recording:
        return recorded.run(on_the_way[name], tmp_path_factory.mktemp("recorded"))

    return recording
