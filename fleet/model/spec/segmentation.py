"""The kind Segmentation: zones, the flows between them, and what must hold."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from fleet.model.spec.scalars import Cidr, Date, Duration, HostName, Name, Port, PortRule, doc
from fleet.model.spec.selector import Selector

Mode = Literal["enforce", "audit"]


class PodsSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pods, within their own site."""

    namespace: Annotated[Name, doc("The pods' namespace.", "payments")]
    selector: (
        Annotated[Selector, doc("Which pods of it; absent: all.", {"matchLabels": {"app": "payments"}})] | UnsetType
    ) = UNSET


class ZoneSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A zone: one of selector (nodes), pods and cidrs."""

    name: Annotated[Name, doc("Unique among zones.", "pos")]
    selector: Annotated[Selector, doc("The nodes of the zone.", {"matchLabels": {"app": "pos"}})] | UnsetType = UNSET
    pods: Annotated[PodsSpec, doc("The pods of the zone.", {"namespace": "payments"})] | UnsetType = UNSET
    cidrs: (
        Annotated[list[Cidr], Meta(description="The networks of the zone.", min_length=1, examples=[["10.0.0.0/16"]])]
        | UnsetType
    ) = UNSET
    except_: Annotated[list[Cidr], doc("Networks that are left out of cidrs.", ["10.0.0.0/8"])] | UnsetType = field(
        name="except", default=UNSET
    )
    mode: Annotated[Mode, doc("Stands above the mode of all.", "audit")] | UnsetType = UNSET


class FlowSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is allowed; everything else is denied, both ways."""

    from_: Annotated[Name, doc("The zone that opens the connection.", "pos")] = field(name="from")
    to: Annotated[Name, doc("The zone that answers.", "payments")]
    ports: (
        Annotated[list[PortRule], Meta(description="Ports; absent: all.", min_length=1, examples=[["tcp/8443"]])]
        | UnsetType
    ) = UNSET
    scope: (
        Annotated[Literal["site", "fleet"], doc("Within one site, or across the fleet. Default site.", "site")]
        | UnsetType
    ) = UNSET
    reason: Annotated[str, doc("Why.", "card payments")] | UnsetType = UNSET
    until: Annotated[Date, doc("The last day on which it is allowed.", "2027-06-30")] | UnsetType = UNSET


class GatewaysSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The nodes through which a hub topology goes."""

    selector: Annotated[Selector, doc("Which nodes are gateways.", {"matchLabels": {"wireguard": "gateway"}})]


class WireguardSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A WireGuard network between sites."""

    cidr: Annotated[Cidr, doc("The overlay's addresses.", "10.200.0.0/16")]
    topology: (
        Annotated[Literal["hub", "mesh"], doc("Through gateways, or each to each. Default hub.", "hub")] | UnsetType
    ) = UNSET
    gateways: (
        Annotated[GatewaysSpec, doc("With hub: the gateways.", {"selector": {"matchLabels": {"wireguard": "gateway"}}})]
        | UnsetType
    ) = UNSET
    endpoint: Annotated[HostName, doc("Where gateways are reached from outside.", "vpn.acme.example")] | UnsetType = (
        UNSET
    )
    port: Annotated[Port, doc("UDP port.", 51900)] | UnsetType = UNSET
    persistent_keepalive: Annotated[Duration, doc("How often a peer behind NAT speaks.", "25s")] | UnsetType = UNSET
    mtu: (
        Annotated[
            int,
            Meta(
                title="an MTU from 1280 to 9000",
                description="Largest packet, in bytes.",
                ge=1280,
                le=9000,
                examples=[1380],
            ),
        ]
        | UnsetType
    ) = UNSET


class OverlaySpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A network between sites."""

    wireguard: Annotated[WireguardSpec, doc("A WireGuard network.", {"cidr": "10.200.0.0/16"})]


class AssertionSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must hold, whatever flows say. `any` stands for every zone."""

    from_: Annotated[Name, doc("A zone, or any.", "guest-wifi")] = field(name="from")
    to: Annotated[Name, doc("A zone, or any.", "any")]
    ports: (
        Annotated[list[PortRule], Meta(description="Ports; absent: all.", min_length=1, examples=[["tcp/8443"]])]
        | UnsetType
    ) = UNSET
    scope: (
        Annotated[Literal["site", "fleet", "cross-site"], doc("Where it must hold. Default fleet.", "cross-site")]
        | UnsetType
    ) = UNSET
    reach: Annotated[Literal["never", "always"], doc("Whether from reaches to.", "never")]


class SegmentationSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Zones and the flows between them; everything else is denied."""

    mode: (
        Annotated[Mode, doc("enforce, or audit: count and log what enforce would drop. Default enforce.", "enforce")]
        | UnsetType
    ) = UNSET
    zones: Annotated[list[ZoneSpec], doc("The zones.", [{"name": "hq", "cidrs": ["10.0.0.0/16"]}])] | UnsetType = UNSET
    flows: (
        Annotated[list[FlowSpec], doc("What is allowed.", [{"from": "hq", "to": "pos", "ports": ["tcp/22"]}])]
        | UnsetType
    ) = UNSET
    overlay: (
        Annotated[OverlaySpec, doc("A network between sites.", {"wireguard": {"cidr": "10.200.0.0/16"}})] | UnsetType
    ) = UNSET
    assertions: (
        Annotated[list[AssertionSpec], doc("What must hold.", [{"from": "hq", "to": "any", "reach": "always"}])]
        | UnsetType
    ) = UNSET
