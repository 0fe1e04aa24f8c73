"""The kind Site: a place with its nodes."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from fleet.model.spec.fleet import Profiles
from fleet.model.spec.scalars import (
    AddressRange,
    Arch,
    Cidr,
    HostName,
    IpText,
    Jurisdiction,
    Labels,
    MacAddress,
    Name,
    RepositoryPath,
    Role,
    SecretName,
    TimeZone,
    doc,
)
from fleet.model.spec.settings import Layer


class CoordinatesSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the site is, in degrees (WGS 84)."""

    latitude: Annotated[
        float, Meta(title="degrees from -90 to 90", description="Degrees north.", ge=-90, le=90, examples=[45.76])
    ]
    longitude: Annotated[
        float, Meta(title="degrees from -180 to 180", description="Degrees east.", ge=-180, le=180, examples=[4.84])
    ]


class NetworkSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The site's local network."""

    cidr: Annotated[Cidr, doc("Its addresses; other sites may use the same.", "10.20.1.0/24")] | UnsetType = UNSET
    gateway: Annotated[IpText, doc("The router.", "10.20.1.1")] | UnsetType = UNSET


class ExternalSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A datastore outside the cluster."""

    endpoint_secret: Annotated[SecretName, doc("The secret that holds datastore-endpoint.", "lyon_datastore")]
    ca: Annotated[RepositoryPath, doc("CA certificate, a file of the repository.", "files/db-ca.pem")] | UnsetType = (
        UNSET
    )
    cert: (
        Annotated[RepositoryPath, doc("Client certificate, a file of the repository.", "files/db.pem")] | UnsetType
    ) = UNSET
    key: Annotated[SecretName, doc("The secret that holds the client certificate's key.", "db_key")] | UnsetType = UNSET


class ExternalDatastoreSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`datastore: {external: ...}`."""

    external: Annotated[ExternalSpec, doc("A datastore outside the cluster.", {"endpointSecret": "lyon_datastore"})]


class SnapshotSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an external datastore is saved before K3s is upgraded."""

    command: Annotated[
        list[str],
        Meta(
            description="Run on the controller; exit 0 means that a snapshot exists.",
            min_length=1,
            examples=[["./snapshot.sh", "lyon"]],
        ),
    ]


class ClusterSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The K3s cluster of a site."""

    join: Annotated[Name, doc("The nodes join the cluster of this site instead.", "paris-1")] | UnsetType = UNSET
    endpoint: (
        Annotated[HostName, doc("A VIP or DNS name where all servers answer: nodes join there.", "10.20.1.10")]
        | UnsetType
    ) = UNSET
    datastore: (
        Annotated[
            Literal["sqlite", "etcd"] | ExternalDatastoreSpec,
            doc("Default: sqlite with one server, etcd with more.", "etcd"),
        ]
        | UnsetType
    ) = UNSET
    growing: Annotated[bool, doc("An even number of etcd servers is on its way to an odd one.", True)] | UnsetType = (
        UNSET
    )
    snapshot: (
        Annotated[SnapshotSpec, doc("How an external datastore is saved.", {"command": ["./snapshot.sh"]})] | UnsetType
    ) = UNSET


class IdentitySpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is printed on the machine."""

    serial: Annotated[str, doc("Serial number.", "36171E236692")] | UnsetType = UNSET
    mac: Annotated[MacAddress, doc("MAC address.", "84:00:50:16:03:42")] | UnsetType = UNSET


class NodeSpec(Layer, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A machine. One of address and addresses, or neither where its `connection.address` is a name that DNS knows."""

    name: Annotated[Name, doc("Unique in the fleet; also the Kubernetes Node's name.", "lyon-1-a")]
    role: Annotated[Role, doc("K3s server, K3s agent, or none for a plain host.", "server")]
    arch: Annotated[Arch, doc("Learned from the node where it is absent.", "amd64")] | UnsetType = UNSET
    address: Annotated[IpText, doc("Its IP address, unique in the site.", "10.20.1.11")] | UnsetType = UNSET
    addresses: (
        Annotated[
            list[IpText],
            Meta(
                description="Its IP addresses, the preferred family first.",
                min_length=1,
                examples=[["10.20.1.11", "fd00:1::11"]],
            ),
        ]
        | UnsetType
    ) = UNSET
    labels: Annotated[Labels, doc("Labels that selectors see; Kubernetes does not.", {"gpu": "nvidia"})] | UnsetType = (
        UNSET
    )
    profiles: Annotated[Profiles, doc("Profiles of this node, weakest first.", ["kiosk"])] | UnsetType = UNSET
    cluster: Annotated[Name, doc("One of the site's `clusters`.", "tills")] | UnsetType = UNSET
    identity: (
        Annotated[IdentitySpec, doc("What is printed on the machine.", {"serial": "36171E236692"})] | UnsetType
    ) = UNSET


class NodeSetSpec(Layer, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Many like machines. One of addresses and start."""

    name: Annotated[Name, doc("Unique in the site.", "till")]
    count: Annotated[
        int,
        Meta(
            title="a count from 0 to 100000",
            description="How many. Growing never renames or re-addresses one that exists.",
            ge=0,
            le=100_000,
            examples=[12],
        ),
    ]
    role: Annotated[Role, doc("K3s server, K3s agent, or none for plain hosts.", "agent")]
    arch: Annotated[Arch, doc("Learned from the nodes where it is absent.", "arm64")] | UnsetType = UNSET
    addresses: (
        Annotated[
            AddressRange, doc("Where their addresses come from, in order.", "10.20.1.32/27", "10.20.1.40-10.20.1.60")
        ]
        | UnsetType
    ) = UNSET
    start: Annotated[IpText, doc("The first address; the others follow.", "10.20.1.40")] | UnsetType = UNSET
    name_pattern: (
        Annotated[str, doc("Default {site}-{set}-{index:03d}; index counts from 1.", "{site}-{set}-{index:03d}")]
        | UnsetType
    ) = UNSET
    labels: Annotated[Labels, doc("Labels that selectors see; Kubernetes does not.", {"app": "pos"})] | UnsetType = (
        UNSET
    )
    profiles: Annotated[Profiles, doc("Profiles of these nodes, weakest first.", ["till"])] | UnsetType = UNSET
    cluster: Annotated[Name, doc("One of the site's `clusters`.", "tills")] | UnsetType = UNSET


class SiteSegmentationSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What Segmentation does at this site."""

    mode: Annotated[Literal["enforce", "audit"], doc("Stands above the mode of Segmentation.", "audit")] | UnsetType = (
        UNSET
    )


class SiteSpec(Layer, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A place with its nodes."""

    time_zone: Annotated[TimeZone, doc("Time zone of windows. Default UTC.", "Europe/Paris")] | UnsetType = UNSET
    coordinates: Annotated[CoordinatesSpec, doc("Where it is.", {"latitude": 45.76, "longitude": 4.84})] | UnsetType = (
        UNSET
    )
    jurisdiction: Annotated[Jurisdiction, doc("Whose law holds: ISO 3166-1, or EU, or EEA.", "FR")] | UnsetType = UNSET
    operator: Annotated[Name, doc("Who runs it.", "acme-fr")] | UnsetType = UNSET
    network: (
        Annotated[NetworkSpec, doc("Its local network.", {"cidr": "10.20.1.0/24", "gateway": "10.20.1.1"})] | UnsetType
    ) = UNSET
    cluster: Annotated[ClusterSpec, doc("Its K3s cluster.", {"datastore": "etcd"})] | UnsetType = UNSET
    clusters: (
        Annotated[
            dict[Name, ClusterSpec],
            doc("Several clusters by name; each node names its own.", {"tills": {"datastore": "sqlite"}}),
        ]
        | UnsetType
    ) = UNSET
    profiles: Annotated[Profiles, doc("Profiles of the site's nodes, weakest first.", ["shop"])] | UnsetType = UNSET
    segmentation: (
        Annotated[SiteSegmentationSpec, doc("What Segmentation does here.", {"mode": "audit"})] | UnsetType
    ) = UNSET
    nodes: (
        Annotated[
            list[NodeSpec], doc("Its machines.", [{"name": "lyon-1-a", "role": "server", "address": "10.20.1.11"}])
        ]
        | UnsetType
    ) = UNSET
    node_sets: (
        Annotated[
            list[NodeSetSpec],
            doc(
                "Its sets of like machines.",
                [{"name": "till", "count": 12, "role": "agent", "addresses": "10.20.1.32/27"}],
            ),
        ]
        | UnsetType
    ) = UNSET
    from_: Annotated[Name, doc("The SiteSet whose row of this name is overlaid.", "stores")] | UnsetType = field(
        name="from", default=UNSET
    )
