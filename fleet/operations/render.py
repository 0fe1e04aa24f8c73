"""render: the whole fleet as an Ansible project in a folder."""

from __future__ import annotations

from pathlib import Path

from fleet.errors import SpecError
from fleet.model.plan import Scope
from fleet.model.project import FolderReport, Shipped
from fleet.operations.intent import Intent, check_locked, each_rendered
from fleet.operations.preparing import project_inputs
from fleet.ports.folder import Folder
from fleet.render import RenderError
from fleet.render.project import project
from fleet.resolve import in_scope


def render(intent: Intent, scope: Scope, folder: Folder, path: Path, shipped: Shipped) -> FolderReport:
    """Makes `path` hold the project. Raises SpecError for every template's fault, before or without a half project."""
    check_locked(intent)
    nodes = in_scope(intent.fleet, scope)
    inputs = project_inputs(intent, shipped)
    try:
        return folder.write(path, project(inputs, nodes, intent.tree.revision.commit))
    except RenderError:
        each_rendered(intent, nodes, intent.renderer.sketch)
        raise SpecError([], intent.spec.documents) from None
