"""The suites that every Applier and every Observer passes, here with the real ansible-runner."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fleet.adapters.ansible import AnsibleApplier, AnsibleObserver, Settings
from fleet.model.batch import BatchOrder, Observation
from fleet.model.record import Record
from fleet.testing.contracts.applier import ApplierContract
from fleet.testing.contracts.observer import ObserverContract


class TestApplier(ApplierContract):
    @pytest.fixture
    def applier(self, project: Any, run_dir: Path) -> AnsibleApplier:
        project.add("lyon-a", "lyon-b")
        return AnsibleApplier(Settings(run_dir), project.write)

    @pytest.fixture
    def order(self) -> BatchOrder:
        return BatchOrder("7f3c-0001", "7f3c", 1, ("lyon-b", "lyon-a"), {"lyon-a": "", "lyon-b": ""})

    @pytest.fixture
    def holds(self, project: Any) -> Callable[[str], str]:
        def digest(node: str) -> str:
            path = project.nodes_dir / node / "record"
            return str(json.loads(path.read_text())["digest"]) if path.exists() else ""

        return digest


class TestObserver(ObserverContract):
    @pytest.fixture
    def observer(self, project: Any, run_dir: Path) -> AnsibleObserver:
        project.add("lyon-a", "lyon-b")
        return AnsibleObserver(Settings(run_dir), project.write)

    @pytest.fixture
    def seen(self, project: Any, observer: AnsibleObserver) -> tuple[Observation, ...]:  # noqa: ARG002 - it adds the nodes
        record = Record("lyon-a", "acme", "m-1", "b1:x", arch="amd64")
        project.put("lyon-a", "record", msgspec.to_builtins(record))
        return (
            Observation("lyon-a", record=record, machine_id="m-1", arch="amd64"),
            Observation("lyon-b", machine_id="m-1", arch="amd64"),
        )
