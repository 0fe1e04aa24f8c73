"""A change of K3s's version: one Change, whatever files it moves."""

from __future__ import annotations

from fleet.k3s import paths
from fleet.model.bundle import BundleFacts
from fleet.model.change import Action, Change

_UNITS = tuple(paths.unit_name(role) for role in ("server", "agent"))
_UNIT_FILES = tuple(
    path for role in ("server", "agent") for path in (paths.unit_path(role), paths.environment_path(role))
)


def upgrade(base: BundleFacts, wanted: BundleFacts) -> Change | None:
    """The one Change of kind `k3s` (an upgrade, an installation, a removal), None where the version stays."""
    if base.k3s_version == wanted.k3s_version:
        return None
    action: Action = "add" if not base.k3s_version else "remove" if not wanted.k3s_version else "edit"
    role = wanted.role if wanted.k3s_version else base.role
    restarts = (paths.unit_name(role),) if action == "edit" else ()
    return Change("k3s", action, "K3s", base.k3s_version, wanted.k3s_version, restarts)


def is_noise(change: Change) -> bool:
    """Whether a Change beside `upgrade` only says it again: the binary, its images, K3s's unit coming or going."""
    if change.kind == "artifact":
        return change.subject == paths.BINARY or "/agent/images/k3s-airgap-images" in change.subject
    if change.kind == "unit":
        return change.subject in _UNITS
    return change.kind == "file" and change.action != "edit" and change.subject in _UNIT_FILES
