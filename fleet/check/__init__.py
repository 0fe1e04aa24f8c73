"""check: every rule's verdict on a plan. One module a rule: its stable name `RULE`, and `judge`.

Pure. A rule's page is docs/rules/RULE.md. A new rule is a module here, a line in `RULES` and a page.
"""

from __future__ import annotations

from types import ModuleType

from fleet.check import (
    agents_per_server,
    certificate_horizon,
    cluster_cidr_capacity,
    critical_keys_differ,
    datastore_transition,
    embedded_registry_without_mirrors,
    etcd_s3_config_secret,
    even_etcd,
    flannel_backend_live,
    hardening_live,
    immutable_keys,
    join_target,
    max_removed,
    moved_node,
    protect_kernel_defaults,
    quorum,
    sd_card_etcd,
    secrets_encryption_late,
    servers_first,
    snapshot_before_upgrade,
    split_cluster,
    tokens_first,
    version_downgrade,
    version_skip,
    version_unlocked,
    version_unsupported,
    wireguard_module,
)
from fleet.check.picture import Picture
from fleet.model.check import CheckInput
from fleet.model.verdict import Verdict

RULES: tuple[ModuleType, ...] = (
    max_removed,
    moved_node,
    version_downgrade,
    version_skip,
    version_unlocked,
    version_unsupported,
    snapshot_before_upgrade,
    servers_first,
    tokens_first,
    immutable_keys,
    datastore_transition,
    flannel_backend_live,
    critical_keys_differ,
    secrets_encryption_late,
    split_cluster,
    join_target,
    quorum,
    even_etcd,
    cluster_cidr_capacity,
    agents_per_server,
    sd_card_etcd,
    wireguard_module,
    embedded_registry_without_mirrors,
    etcd_s3_config_secret,
    protect_kernel_defaults,
    hardening_live,
    certificate_horizon,
)

__all__ = ["RULES", "check"]


def check(given: CheckInput) -> tuple[Verdict, ...]:
    """What every rule says, refusals first, each kind in the order of `RULES`, then of cluster or node."""
    picture = Picture(given)
    verdicts = [verdict for rule in RULES for verdict in rule.judge(picture)]
    return tuple(sorted(verdicts, key=lambda verdict: verdict.outcome != "refused"))
