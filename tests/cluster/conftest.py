"""One API server for all tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.apiserver.server import ApiServer


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with ApiServer(tmp_path_factory.mktemp("apiserver")) as running:
        yield running
