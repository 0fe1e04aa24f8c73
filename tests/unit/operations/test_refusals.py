"""What no plan is made from: a lock that pins too little, and one of a newer renderer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleet.errors import UsageError
from fleet.model.plan import Scope
from fleet.operations.intent import Intent
from fleet.operations.plan import plan
from fleet.operations.render import render
from fleet.render import RENDERER
from fleet.testing import MemoryRecords
from tests.specs import FLEET, ONE, VERSION, document, lock
from tests.unit.operations.test_project_writer import SlowFolder
from tests.unit.render.ground import intent, shipped


def refused(made: Intent) -> list[UsageError]:
    """What plan and render say; neither may have written anything."""
    folder = SlowFolder()
    with pytest.raises(UsageError) as planned:
        plan(made, MemoryRecords(), Scope())
    with pytest.raises(UsageError) as rendered:
        render(made, Scope(), folder, Path("/out"), shipped())
    assert folder.files == {}
    return [planned.value, rendered.value]


def test_a_version_that_the_lock_does_not_pin() -> None:
    other = lock("v1.35.1+k3s1")
    for error in refused(intent(FLEET, document("Site", "lyon", ONE), files={"fleet.lock": other})):
        assert error.message == "fleet.lock does not pin v1.36.3+k3s1"
        assert error.hint == "Run `fleet lock`, look at the change, and commit fleet.lock."


def test_a_lock_of_a_newer_renderer() -> None:
    newer = json.dumps({**json.loads(lock(VERSION)), "renderer": RENDERER + 1})
    for error in refused(intent(FLEET, document("Site", "lyon", ONE), files={"fleet.lock": newer})):
        assert error.message == f"fleet.lock was written for renderer {RENDERER + 1}, this fleet has {RENDERER}"
    older = json.dumps({**json.loads(lock(VERSION)), "renderer": RENDERER})
    assert plan(intent(FLEET, document("Site", "lyon", ONE), files={"fleet.lock": older}), MemoryRecords(), Scope())
