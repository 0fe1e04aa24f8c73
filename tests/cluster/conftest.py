"""One API server for all tests here, cleared after each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.stage import ApiServerStage
from tests.lab.apiserver.build import ensure_apiserver, find_go
from tests.lab.apiserver.server import ApiServer


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with ApiServer(tmp_path_factory.mktemp("apiserver")) as running:
        yield running


@pytest.fixture
def stage(api: ApiServer) -> Iterator[ApiServerStage]:
    staged = ApiServerStage(api)
    yield staged
    staged.clear()


def pytest_sessionstart() -> None:
    """The first time this takes minutes, which no test's time limit is to pay for."""
    if find_go():
        ensure_apiserver()
