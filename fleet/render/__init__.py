"""render: Node -> Bundle, and Bundles -> a complete Ansible project. Pure, and byte-identical for equal input.

renderer      one node's bundle, sharing what nodes have in common
slots         files made once for many nodes where they can be
k3s_config    config.yaml and registries.yaml, key by key
k3s_files     what K3s takes on a node: files, folders, binary, unit
content       users' texts and templates, rendered once per distinct input
sandbox       jinja2 without a way out; limits: its fuel and bounds; placeholders: secrets without their values
views         what templates see
inventory     nodes as an Ansible inventory
manifest      the canonical manifest and its digest
project       the Ansible project that stock ansible-playbook applies without fleet
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fleet.render.renderer import Renderer, RenderError, Sketch

RENDERER = 2
"""Version of the renderer, pinned by fleet.lock: raised when equal input gives other bundles (design, decision 8)."""

__all__ = ["RENDERER", "RenderError", "Renderer", "Sketch"]


def __getattr__(name: str) -> Any:
    """The renderer, and jinja2 with it, when something is rendered: an inventory needs neither."""
    if name in __all__:
        from fleet.render import renderer

        return getattr(renderer, name)
    raise AttributeError(f"module 'fleet.render' has no attribute {name!r}")
