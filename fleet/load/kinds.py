"""Documents by kind, and the fast path: one conversion of a whole document into structs."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import msgspec

from fleet.model.spec.document import API_VERSION, Kind, Metadata
from fleet.model.spec.fleet import FleetSpec
from fleet.model.spec.policy import RolloutPolicySpec
from fleet.model.spec.profile import ProfileSpec
from fleet.model.spec.scalars import doc
from fleet.model.spec.segmentation import SegmentationSpec
from fleet.model.spec.site import SiteSpec
from fleet.model.spec.siteset import SiteSetSpec

KINDS: tuple[str, ...] = get_args(Kind)


class _Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    api_version: Annotated[Literal["fleet/v1alpha1"], doc("Always this.", API_VERSION)] = msgspec.field(
        name="apiVersion"
    )
    metadata: Annotated[Metadata, doc("What the document says of itself.", {"name": "lyon-1"})]


class FleetDocument(_Envelope, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="Fleet"):
    """The fleet's defaults; exactly one."""

    spec: Annotated[FleetSpec, doc("The fleet's defaults.", {"k3s": {"version": "v1.35.4+k3s1"}})]


class ProfileDocument(
    _Envelope, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="Profile"
):
    """Reusable node configuration."""

    spec: Annotated[ProfileSpec, doc("Reusable node configuration.", {"hardening": "cis"})]


class SiteDocument(_Envelope, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="Site"):
    """A place with its nodes."""

    spec: Annotated[SiteSpec, doc("A place with its nodes.", {"timeZone": "Europe/Paris"})]


class SiteSetDocument(
    _Envelope, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="SiteSet"
):
    """Many sites from one table."""

    spec: Annotated[
        SiteSetSpec,
        doc("Many sites from one table.", {"source": {"csv": "s.csv"}, "template": {"metadata": {"name": "{store}"}}}),
    ]


class SegmentationDocument(
    _Envelope, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="Segmentation"
):
    """Zones and the flows between them."""

    spec: Annotated[SegmentationSpec, doc("Zones and flows.", {"mode": "audit"})]


class RolloutPolicyDocument(
    _Envelope, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="RolloutPolicy"
):
    """How a change goes out."""

    spec: Annotated[RolloutPolicySpec, doc("How a change goes out.", {"batchSize": 50})]


AnyDocument = (
    FleetDocument | ProfileDocument | SiteDocument | SiteSetDocument | SegmentationDocument | RolloutPolicyDocument
)
TYPES: dict[str, type[msgspec.Struct]] = {
    "Fleet": FleetDocument,
    "Profile": ProfileDocument,
    "Site": SiteDocument,
    "SiteSet": SiteSetDocument,
    "Segmentation": SegmentationDocument,
    "RolloutPolicy": RolloutPolicyDocument,
}


def convert(value: Any, kind: str) -> Any:
    """The document as a struct of `TYPES[kind]`. Raises msgspec.ValidationError for the first thing that is wrong."""
    return msgspec.convert(value, TYPES[kind])
