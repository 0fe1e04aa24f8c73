"""The kind RolloutPolicy: waves, budgets, gates, windows, and what to do on failure."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from fleet.model.spec.scalars import Amount, Cron, Date, Duration, Name, Percentage, TimeZone, Url, doc
from fleet.model.spec.selector import Selector


class WaveSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A wave. What no wave names comes in a last one."""

    name: Annotated[Name, doc("Unique among waves.", "pilot")]
    selector: (
        Annotated[Selector, doc("Which nodes; absent: all that are left.", {"matchLabels": {"ring": "pilot"}})]
        | UnsetType
    ) = UNSET
    limit: (
        Annotated[
            Amount, doc("At most so many units, or this share of those that no earlier wave took, rounded up.", "10%")
        ]
        | UnsetType
    ) = UNSET
    success_threshold: Annotated[Percentage, doc("Stands above the policy's.", "100%")] | UnsetType = UNSET
    min_finished: Annotated[Percentage, doc("Stands above the policy's.", "50%")] | UnsetType = UNSET
    approval: Annotated[bool, doc("Whether a person must approve the wave before it starts.", True)] | UnsetType = UNSET


class BudgetSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How many nodes of a group may be away at once: minAvailable, maxUnavailable, or both."""

    group_by: Annotated[list[str], doc("Labels that make a group.", ["site"])] | UnsetType = UNSET
    min_available: Annotated[Amount, doc("At least so many stay up.", "90%")] | UnsetType = UNSET
    max_unavailable: Annotated[Amount, doc("At most so many are down.", 1)] | UnsetType = UNSET


class RateSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How fast a rollout grows."""

    base_rate_per_minute: Annotated[
        float, Meta(title="more than 0", description="Nodes per minute at the start.", gt=0, examples=[10])
    ]
    increment_factor: (
        Annotated[
            float,
            Meta(
                title="1 or more", description="What the rate is multiplied with after each wave.", ge=1, examples=[2]
            ),
        ]
        | UnsetType
    ) = UNSET


class DrainSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a Kubernetes Node is drained."""

    timeout: Annotated[Duration, doc("How long pods get.", "5m")] | UnsetType = UNSET
    force: Annotated[bool, doc("Whether pods without a controller are deleted too.", False)] | UnsetType = UNSET


class NodeGate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="node"):
    """The role's K3s unit and those that are to be started are up, and the Node is Ready. Asked after a wave."""

    timeout: Annotated[Duration, doc("How long it may take.", "5m")] | UnsetType = UNSET


class ClusterGate(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="cluster"
):
    """All Nodes are there, and as Ready as before."""

    timeout: Annotated[Duration, doc("How long it may take.", "5m")] | UnsetType = UNSET


class HttpGate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="http"):
    """A URL answers with a status, and a text where one is named; one with {node.…} is asked for each node, after a wave."""

    url: Annotated[
        Url, doc("May hold {node.name}, {node.address}, {node.site} and {wave}.", "https://{node.address}/healthz")
    ]
    expect: (
        Annotated[
            int,
            Meta(
                title="an HTTP status from 100 to 599",
                description="The status. Default 200.",
                ge=100,
                le=599,
                examples=[200],
            ),
        ]
        | UnsetType
    ) = UNSET
    contains: (
        Annotated[
            str,
            Meta(
                description="A text that is within the first 64 KiB of the answer: an error page may say 200.",
                min_length=1,
                examples=['"status":"ok"'],
            ),
        ]
        | UnsetType
    ) = UNSET
    timeout: Annotated[Duration, doc("How long it may take.", "30s")] | UnsetType = UNSET


class PrometheusGate(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="prometheus"
):
    """A query's value lies within bounds: max, min, or both."""

    url: Annotated[Url, doc("Prometheus itself.", "https://prometheus.acme.example")]
    query: Annotated[
        str, Meta(description="PromQL that gives one number.", min_length=1, examples=["sum(rate(errors_total[5m]))"])
    ]
    max: Annotated[float, doc("The largest good value.", 0.01)] | UnsetType = UNSET
    min: Annotated[float, doc("The smallest good value.", 0.99)] | UnsetType = UNSET
    timeout: Annotated[Duration, doc("How long it may take.", "30s")] | UnsetType = UNSET


class CommandGate(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="command"
):
    """A command on the controller ends with 0. It reads what it is asked about as JSON."""

    command: Annotated[
        list[str],
        Meta(
            description="The command and its arguments; may hold {wave}.",
            min_length=1,
            examples=[["./smoke.sh", "{wave}"]],
        ),
    ]
    timeout: Annotated[Duration, doc("How long it may take.", "5m")] | UnsetType = UNSET


Gate = NodeGate | ClusterGate | HttpGate | PrometheusGate | CommandGate


class ScheduleSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """When nodes may change."""

    at: Annotated[Cron, doc("When the window opens: five fields of cron.", "0 2 * * 1-5")]
    duration: Annotated[Duration, doc("How long it stays open.", "3h")]
    time_zone: (
        Annotated[TimeZone, doc("`site`, each site's own, or a zone of the IANA database. Default site.", "site")]
        | UnsetType
    ) = UNSET


class FreezeSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Days on which nothing changes, the first and the last included."""

    from_: Annotated[Date, doc("The first day.", "2026-12-15")] = field(name="from")
    to: Annotated[Date, doc("The last day.", "2027-01-05")]
    reason: Annotated[str, doc("Why.", "Christmas")] | UnsetType = UNSET


class RolloutPolicySpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How a change goes out."""

    unit: (
        Annotated[Literal["cluster", "node"], doc("What waves count and never split. Default cluster.", "cluster")]
        | UnsetType
    ) = UNSET
    waves: (
        Annotated[
            list[WaveSpec],
            doc("Waves in their order.", [{"name": "pilot", "selector": {"matchLabels": {"ring": "pilot"}}}]),
        ]
        | UnsetType
    ) = UNSET
    success_threshold: (
        Annotated[Percentage, doc("Share of succeeded among ended nodes that a wave needs.", "95%")] | UnsetType
    ) = UNSET
    min_finished: (
        Annotated[Percentage, doc("Share of a wave's nodes that must have ended. Default 50%.", "50%")] | UnsetType
    ) = UNSET
    disruption_budget: (
        Annotated[BudgetSpec, doc("How many nodes may be away at once.", {"groupBy": ["site"], "maxUnavailable": 1})]
        | UnsetType
    ) = UNSET
    offline_after: Annotated[Duration, doc("Until then an offline node uses up budget.", "24h")] | UnsetType = UNSET
    offline_policy: (
        Annotated[Literal["defer", "count"], doc("defer: caught up later; count: a failure.", "defer")] | UnsetType
    ) = UNSET
    batch_size: (
        Annotated[
            int,
            Meta(title="a count from 1 to 1000", description="Hosts per Ansible run.", ge=1, le=1000, examples=[50]),
        ]
        | UnsetType
    ) = UNSET
    exponential_rate: (
        Annotated[RateSpec, doc("How fast the rollout grows.", {"baseRatePerMinute": 10, "incrementFactor": 2})]
        | UnsetType
    ) = UNSET
    min_success_time: Annotated[Duration, doc("How long each wave soaks.", "10m")] | UnsetType = UNSET
    progress_deadline: Annotated[Duration, doc("How long one node may take.", "30m")] | UnsetType = UNSET
    max_failures: Annotated[Amount, doc("Failures of the whole rollout at which it pauses.", "1%")] | UnsetType = UNSET
    approvers: (
        Annotated[
            list[str],
            doc(
                "Who may approve waves: user names, or `user@machine`. Absent: whoever may drive rollouts here.",
                ["ops"],
            ),
        ]
        | UnsetType
    ) = UNSET
    drain: Annotated[DrainSpec, doc("How Nodes are drained.", {"timeout": "5m"})] | UnsetType = UNSET
    gates: Annotated[list[Gate], doc("What must hold before and after each wave.", [{"type": "node"}])] | UnsetType = (
        UNSET
    )
    update_schedule: (
        Annotated[ScheduleSpec, doc("When nodes may change.", {"at": "0 2 * * 1-5", "duration": "3h"})] | UnsetType
    ) = UNSET
    freezes: (
        Annotated[list[FreezeSpec], doc("Days on which nothing changes.", [{"from": "2026-12-15", "to": "2027-01-05"}])]
        | UnsetType
    ) = UNSET
    on_failure: (
        Annotated[
            Literal["pause", "rollback", "continue"],
            doc(
                "What follows a failure. With rollback a node that its own gate is against goes back, too. Default pause.",
                "pause",
            ),
        ]
        | UnsetType
    ) = UNSET
