"""Selectors, with Kubernetes's meaning: they see the labels of Site, set and node, and the built-in ones."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from fleet.model.spec.scalars import Labels, doc


class MatchExpression(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One requirement on a label."""

    key: Annotated[str, doc("The label.", "ring")]
    operator: Annotated[Literal["In", "NotIn", "Exists", "DoesNotExist"], doc("How it is compared.", "In")]
    values: Annotated[list[str], doc("With In and NotIn: the values.", ["pilot", "early"])] | UnsetType = UNSET


class Selector(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """All requirements must hold. `site`, `role`, `set`, `cluster` and `arch` are labels that every node has."""

    match_labels: Annotated[Labels, doc("Labels and the values they must have.", {"ring": "pilot"})] | UnsetType = UNSET
    match_expressions: (
        Annotated[list[MatchExpression], doc("Further requirements.", [{"key": "gpu", "operator": "Exists"}])]
        | UnsetType
    ) = UNSET
