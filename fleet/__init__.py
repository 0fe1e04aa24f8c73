"""One declarative fleet spec in git becomes standard K3s and Ansible configuration, planned and applied.

The flow, one verb a room, left to right; what passes between two verbs is a noun in `fleet.model`::

    Tree --load--> Spec --resolve(+Learned)--> Nodes, Clusters --render--> Bundles
      --diff(+Records)--> Changes --check, estimate--> Plan --decide--> Events, Effects

Verbs are pure. `ports` are the holes in the wall, `adapters` fill them, `operations` string verbs and ports
together as generators of events, `wiring` names the concrete adapters, and `workspace` is the library's face.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fleet.errors import FleetError
    from fleet.workspace import Workspace

__version__ = "0.1.0"
__all__ = ["FleetError", "Workspace", "__version__"]


def __getattr__(name: str) -> Any:
    """The public names, imported when they are first asked for: `fleet --help` needs neither."""
    if name == "Workspace":
        from fleet.workspace import Workspace

        return Workspace
    if name == "FleetError":
        from fleet.errors import FleetError

        return FleetError
    raise AttributeError(f"module 'fleet' has no attribute {name!r}")
