"""Who may run the module on a real node, and where nothing may be managed."""

from __future__ import annotations

import json
from typing import Any

import pytest


def test_only_root_brings_a_bundle_onto_a_real_node(desk: Any) -> None:
    # Check mode: should the refusal ever be lost, this machine is only looked at.
    done = desk.alone("--root", "/", "--check", prelude="os.geteuid = lambda: 1000")
    assert done.returncode == 1
    assert json.loads(done.stdout)["msg"] == "root: /: only root can bring a bundle onto a node: set ansible_become"


@pytest.mark.parametrize("path", ["/proc", "/sys", "/dev", "/var/lib/fleet"])
def test_a_folder_that_may_not_be_written_to_may_not_be_replaced(desk: Any, path: str) -> None:
    desk.file(path, b"x")
    assert desk.refused() == f"bundle: {path}: nothing may be managed there"
