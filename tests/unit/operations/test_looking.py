"""status, node list, node show and a node's history: from records and journal, beside what git wants."""

from __future__ import annotations

import pytest

from fleet.errors import SpecError, UsageError
from fleet.model.event import (
    BatchEnded,
    BatchStarted,
    NodeApplied,
    NodeBlocked,
    NodeFailed,
    NodeUnreachable,
    RolloutStarted,
)
from fleet.model.plan import Scope
from fleet.model.record import Record
from fleet.model.rollout import RolloutNode, RolloutOrder, WaveOrder
from fleet.model.status import CommitRow, NodeRow
from fleet.model.tree import Revision
from fleet.operations.intent import Intent
from fleet.operations.nodes import detail, history, rows
from fleet.operations.status import status
from fleet.ports.journal import Step
from fleet.testing import MemoryClock, MemoryJournal, MemoryRecords
from tests.specs import FLEET, document
from tests.unit.render.ground import intent

HEAD = Revision("c" * 40, "main")
SITES = (
    FLEET,
    document(
        "Site",
        "lyon",
        "nodes: [{name: a, role: server, arch: amd64, address: 10.0.0.1, vars: {x: 1}}, {name: b, role: agent, address: 10.0.0.2}]",
        labels="{ring: pilot}",
    ),
    document("Site", "oslo", "nodes: [{name: o, role: none, address: 10.0.1.1}]"),
)


def record(node: str, digest: str, commit: str = "a" * 40, at: float = 0.0, base: str = "") -> Record:
    return Record(node, "acme", f"machine-{node}", digest, commit=commit, at=at, base=base)


def looked(*records: Record) -> Intent:
    return intent(*SITES, records=MemoryRecords(records))


def test_status_counts_nodes_by_commit_newest_first() -> None:
    records = MemoryRecords(
        [
            record("n5", "b1:5", "b" * 40, at=50),
            record("n1", "b1:1", "a" * 40, at=10),
            record("n3", "b1:3", "a" * 40, at=30),
            record("n2", "b1:2", "a" * 40, at=20),
            record("n4", "b1:4", "a" * 40, at=5),
            record("never", "", "a" * 40, at=99),
        ]
    )
    found = status(records, (), HEAD, "/tmp/box", now=0.0)
    assert found.commits == (
        CommitRow("b" * 40, 1, 50, 50, ("n5",)),
        CommitRow("a" * 40, 4, 5, 30, ("n1", "n2", "n3")),
    )
    assert (found.reported, found.revision, found.sandbox, found.rollouts) == (5, HEAD, "/tmp/box", ())


def test_status_of_nothing() -> None:
    found = status(MemoryRecords(), (), HEAD, "", now=0.0)
    assert (found.reported, found.commits) == (0, ())


def test_commits_of_one_time_are_in_the_order_of_their_name() -> None:
    records = MemoryRecords([record("x", "b1:1", "b" * 40, at=1), record("y", "b1:2", "a" * 40, at=1)])
    assert [row.commit[0] for row in status(records, (), HEAD, "", now=0.0).commits] == ["a", "b"]


def test_a_node_is_current_behind_or_never_was() -> None:
    wanted = {row.name: row for row in rows(looked(), Scope())}
    assert {row.state for row in wanted.values()} == {"never"}
    made = looked()
    digest = made.renderer.sketch(made.fleet.nodes[0]).digest
    found = rows(looked(record("a", digest, at=7.0), record("b", "b1:old"), record("o", "", base="b1:half")), Scope())
    assert [row.state for row in found] == ["current", "behind", "behind"]
    assert found[0] == NodeRow(
        "a", "lyon", "server", "lyon", "10.0.0.1", "amd64", "v1.36.3+k3s1", "current", "a" * 40, 7.0
    )
    assert found[2] == NodeRow("o", "oslo", "none", "", "10.0.1.1", "", "", "behind", "a" * 40, 0.0)


def test_a_node_that_somebody_changed_is_behind() -> None:
    made = looked()
    digest = made.renderer.sketch(made.fleet.nodes[0]).digest
    edited = Record("a", "acme", "m", digest, differs=("/etc/rancher/k3s/config.yaml",))
    assert next(row.state for row in rows(looked(edited), Scope())) == "behind"


def test_node_list_takes_a_scope() -> None:
    assert [row.name for row in rows(looked(), Scope(sites=("oslo",)))] == ["o"]
    assert [row.name for row in rows(looked(), Scope(selector="ring=pilot,role=agent"))] == ["b"]
    assert [row.name for row in rows(looked(), Scope(limit=2))] == ["a", "b"]
    with pytest.raises(UsageError, match="there is no site nowhere"):
        rows(looked(), Scope(sites=("nowhere",)))


def test_one_node_whole() -> None:
    held = record("a", "b1:old")
    found = detail(looked(held), "a", origin=False, log=("one",))
    assert found.row.state == "behind"
    assert found.labels == {"ring": "pilot"}
    assert found.record == held
    assert found.log == ("one",)
    assert found.origins == ()
    assert found.settings["vars"] == {"x": 1}
    assert found.settings["connection"]["user"] == "fleet"
    assert found.files == (
        "/etc/rancher/k3s/agent-token", "/etc/rancher/k3s/config.yaml", "/etc/rancher/k3s/server-token",
        "/etc/systemd/system/k3s.service", "/usr/local/bin/k3s",
    )  # fmt: skip


def test_where_each_value_comes_from() -> None:
    found = detail(looked(), "a", origin=True).origins
    assert [(each.path, each.value, each.where) for each in found] == [
        ("k3s.version", "v1.36.3+k3s1", "spec.yaml:5"),
        ("labels.ring", "pilot", "spec.yaml:10"),
        ("vars.x", 1, "spec.yaml:12"),
    ]


def test_a_node_that_is_not_in_the_spec() -> None:
    with pytest.raises(UsageError, match="there is no node lyon-1"):
        detail(looked(), "lyon-1", origin=False)


def test_a_template_fault_of_another_node_hides_nobody() -> None:
    sites = (
        document("Fleet", "acme", ""),
        document("Site", "lyon", "nodes: [{name: a, role: none, address: 10.0.0.1, os: {files: [{path: /x, content: '{{ vars.x }}'}]}}]"),
        document("Site", "oslo", "nodes: [{name: o, role: none, address: 10.0.1.1}]"),
    )  # fmt: skip
    assert detail(intent(*sites), "o", origin=False).files == ()
    with pytest.raises(SpecError):
        detail(intent(*sites), "a", origin=False)


def test_the_history_of_a_node_is_oldest_first_and_its_own() -> None:
    clock = MemoryClock(1_700_000_000.0)
    journal = MemoryJournal(clock)
    lease = journal.acquire("ops")
    for at, events in enumerate(
        (
            (NodeFailed(node="a", site="lyon", batch_id="1", reason="no disk"),),
            (NodeUnreachable(node="a", site="lyon", batch_id="1", reason="timed out"), NodeApplied(node="b", site="lyon", batch_id="1", digest="b1:b")),
            (NodeBlocked(node="a", site="lyon", by="s", reason="s failed"),),
            (BatchStarted(batch_id="1", nodes=("a",)), NodeApplied(node="a", site="lyon", batch_id="1", digest="b1:a", changed=3), BatchEnded(batch_id="1")),
        )
    ):  # fmt: skip
        clock.advance(60)
        order = RolloutOrder(
            f"r{at}",
            "acme",
            "a" * 40,
            "ops",
            (WaveOrder("everyone", (RolloutNode("a", "lyon", "", "none", 0, "", "b1:a"),)),),
            5,
        )
        journal.begin(lease, order)
        started = RolloutStarted(
            rollout_id=order.id, fleet="acme", commit="a" * 40, controller="ops", epoch=1, nodes=1, waves=1
        )
        journal.append(lease, order.id, Step(events=(started, *events)))
    assert history(journal, "a") == (
        "2023-11-14 22:14:20Z  r0  failed: no disk",
        "2023-11-14 22:15:20Z  r1  unreachable: timed out",
        "2023-11-14 22:16:20Z  r2  blocked: s failed",
        "2023-11-14 22:17:20Z  r3  applied, 3 changed",
    )
    assert history(journal, "b") == ("2023-11-14 22:15:20Z  r1  applied, 0 changed",)
    assert history(journal, "c") == ()
