"""The kind Profile: reusable node configuration."""

from __future__ import annotations

from fleet.model.spec.settings import Layer


class ProfileSpec(Layer, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Reusable node configuration, named in the `profiles` of Fleet, Site, set or node."""
