"""render: the whole fleet as an Ansible project in a folder."""

from __future__ import annotations

from pathlib import Path

from fleet.model.plan import Scope
from fleet.model.project import FolderReport, Shipped
from fleet.operations.intent import Intent, check_locked
from fleet.operations.preparing import project_inputs, write_project
from fleet.ports.folder import Folder
from fleet.resolve import in_scope


def render(intent: Intent, scope: Scope, folder: Folder, path: Path, shipped: Shipped) -> FolderReport:
    """Makes `path` hold the project. Raises SpecError for every template's fault, before or without a half project."""
    check_locked(intent)
    nodes = in_scope(intent.fleet, scope)
    return write_project(intent, project_inputs(intent, shipped), nodes, folder, path)
