"""Plans as people and programs get them, against the files beside this one. A changed text is changed there by hand."""

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from fleet.model.change import Change, NodeChange
from fleet.model.plan import BlastRadius, ChangeGroup, Forecast, Plan, PlannedBudget, PlannedTime, PlannedWave, Scope
from fleet.model.tree import Revision
from fleet.model.verdict import Verdict
from fleet.report import PlanReport, plan_document, plan_lines

HERE = Path(__file__).parent

UPGRADE = Change("k3s", "edit", "K3s", "v1.34.6+k3s1", "v1.35.4+k3s1", ("k3s-agent.service", "k3s.service"))
CHRONY = Change("file", "edit", "/etc/chrony/conf.d/acme.conf", "a" * 64, "b" * 64, ("chrony.service",))
COMMIT = Revision("4be1f02" + "0" * 33, "main", "Upgrade K3s", "ops@acme.example")
CIDR = Verdict(
    "immutable-keys",
    "refused",
    "lyon-1",
    "cluster-cidr 10.42.0.0/16 -> 10.52.0.0/16",
    "K3s cannot change cluster-cidr after a cluster exists. Put the old value back, or rebuild the cluster.",
    where="sites/lyon.yaml:22:7",
)


def node(number: int, *changes: Change, base: str = "b1:old") -> NodeChange:
    site = f"lyon-{number // 10}"
    return NodeChange(f"{site}-n{number % 10}", site, site, "server", base, "b1:new", changes)


def plan(**parts) -> Plan:
    nodes = parts.get("nodes", ())
    return Plan(
        **{
            "fleet": "acme-retail",
            "revision": COMMIT,
            "tree_digest": "t1:x",
            "scope": Scope(),
            "total": 10_000,
            "staying": 10_000,
            "removed": (),
            "nodes": (),
            "groups": (),
            "verdicts": (),
            "radius": BlastRadius(),
            "reported": 9_998,
            "waves": (PlannedWave("everyone", len(nodes), len(nodes)),) if nodes else (),
            **parts,
        }
    )


PLANS = {
    "upgrade": plan(
        staying=6_880,
        nodes=tuple(node(i, UPGRADE) for i in range(3_120)),
        groups=(
            ChangeGroup(UPGRADE, 3_108, 1_036, sample=("lyon-0-n0",)),
            ChangeGroup(
                CHRONY,
                12,
                12,
                diff=("- server ntp1.acme.example iburst", "+ server ntp2.acme.example iburst"),
                sample=("lyon-0-n1",),
            ),
        ),
        radius=BlastRadius(
            nodes=3_120,
            sites=1_048,
            clusters=1_048,
            servers=1_036,
            restarts={"chrony.service": 12, "k3s-agent.service": 2_072, "k3s.service": 1_036},
            clusters_upgraded=1_036,
            downtime_sites=36,
            downtime_seconds=30,
            mirror_bytes=217_560_000_000,
        ),
        draining=tuple(node(i).node for i in range(1_000)),
        waves=(
            PlannedWave("pilot", 12, 4),
            PlannedWave("ramp", 311, 104, needs_approval=True),
            PlannedWave("everyone", 2_797, 940),
        ),
        budget=PlannedBudget(1_048, stuck=("site=nice-1",), lacking={"app": 36}),
        time=PlannedTime("0 2 * * 1-5", "site", 10_800.0, 3_108, 1_764_036_000.0, "Christmas", soak=600.0, rate=12.5),
        forecast=Forecast(
            seconds=190_000.0,
            ends=1_764_226_000.0,
            windows=2,
            at_night=True,
            approvals=1,
            left=4,
            batch_seconds=151.4,
            measured=50,
            forks=20,
        ),
        gates=("command ./smoke.sh {wave}", "http https://{node.address}/healthz"),
        rolls_back=True,
        held_back={"7f3c21aa": ("lyon-9-n0", "lyon-9-n1")},
    ),
    "nothing": plan(),
    "held": plan(held_back={"7f3c21aa": ("lyon-9-n0",)}),
    "refused": plan(
        staying=9_997,
        nodes=tuple(node(i, Change("config", "edit", "/etc/rancher/k3s/config.yaml")) for i in range(3)),
        groups=(
            ChangeGroup(
                Change("config", "edit", "/etc/rancher/k3s/config.yaml", restarts=("k3s.service",)),
                3,
                1,
                diff=('- cluster-cidr: "10.42.0.0/16"', '+ cluster-cidr: "10.52.0.0/16"'),
            ),
        ),
        verdicts=(
            CIDR,
            *(
                Verdict("sd-card-etcd", "warning", f"s{i}", "etcd runs on cards: a", "Use an SSD.", where="s.yaml:1:1")
                for i in range(3)
            ),
            *(Verdict("agents-per-server", "warning", f"s{i}", f"{400 + i} agents", "Split it.") for i in range(7)),
        ),
        radius=BlastRadius(
            nodes=3, sites=1, clusters=1, servers=3, restarts={"k3s.service": 3}, downtime_sites=1, downtime_seconds=30
        ),
    ),
    "first": plan(
        fleet="demo",
        revision=Revision("4be1f02" + "0" * 33, "main", dirty=True),
        scope=Scope(sites=("lyon-0",), limit=5),
        total=6,
        staying=0,
        reported=0,
        nodes=tuple(node(i, base="") for i in range(6)),
        groups=(ChangeGroup(Change("first", "add", "everything", "", "v1.35.4+k3s1"), 6, 1),),
        radius=BlastRadius(nodes=6, sites=1, clusters=1, servers=6, mirror_bytes=420_000_000),
        pending={"arch": 6},
        unenforced=("segmentation", "waves of rolloutPolicy standard"),
        sandbox="/tmp/demo",
    ),
    "kinds": plan(
        total=9,
        staying=7,
        reported=9,
        revision=Revision(),
        removed=("kiosk-1", "kiosk-2", "kiosk-3", "kiosk-4"),
        nodes=tuple(node(i, CHRONY) for i in range(2)),
        groups=tuple(
            ChangeGroup(change, 1, 1)
            for change in (
                Change("first", "edit", "everything", "unknown", "v1.35.4+k3s1", ("k3s-agent.service",)),
                Change("k3s", "add", "K3s", "", "v1.35.4+k3s1"),
                Change("k3s", "remove", "K3s", "v1.35.4+k3s1", ""),
                Change("label", "edit", "acme.example/app", "pos", "till"),
                Change("label", "add", "acme.example/ring", "", "pilot"),
                Change("label", "remove", "acme.example/old", "x"),
                Change("taint", "add", "acme.example/gpu=true:NoSchedule"),
                Change("taint", "remove", "acme.example/old:NoExecute"),
                Change("file", "add", "/etc/motd", "", "a" * 64, reloads=("nginx.service",)),
                Change("file", "remove", "/etc/issue", "a" * 64),
                Change("file", "edit", "/etc/issue", "mode 0644", "mode 0600"),
                Change("folder", "add", "/srv/data", "", "mode 0700, owner root:root"),
                Change("artifact", "edit", "/usr/local/bin/k3s", "a" * 64, "b" * 64, ("k3s.service", "a.service")),
                Change("unit", "edit", "chrony.service", "enabled, started", "disabled"),
                Change("package", "add", "chrony", "", "4.3-2"),
                Change("package", "remove", "vim", "any version"),
                Change("user", "edit", "ops", "groups none", "groups adm"),
                Change("sysctl", "edit", "vm.swappiness", "10", "20"),
                Change("fact", "edit", "datastore", "sqlite", "etcd"),
                Change("fact", "edit", "record"),
            )
        ),
        radius=BlastRadius(nodes=2, sites=1, servers=2),
    ),
}


def schema() -> dict:
    """Through JSON, so that defaults are lists as in the file, not tuples."""
    return json.loads(msgspec.json.encode(msgspec.json.schema(PlanReport)))


@pytest.mark.parametrize("name", sorted(PLANS))
def test_text(name):
    text = "".join(f"{line.text}\n" for line in plan_lines(PLANS[name]))
    assert text == (HERE / f"{name}.txt").read_text()


def test_every_text_has_its_plan():
    assert {path.stem for path in HERE.glob("*.txt")} == set(PLANS)


@pytest.mark.parametrize("name", sorted(PLANS))
def test_json_follows_the_schema(name):
    document = json.loads(msgspec.json.encode(plan_document(PLANS[name])))
    jsonschema.Draft202012Validator(schema()).validate(document)
    assert document["format"] == "fleet.plan-report/v1"
    assert document["changing"] == len(document["nodes"]) == len(PLANS[name].nodes)
    assert document["is_refused"] is (name == "refused")


def test_json_of_a_refusal():
    document = json.loads(msgspec.json.encode(plan_document(PLANS["refused"])))
    assert document["verdicts"][0] == {
        "rule": "immutable-keys",
        "outcome": "refused",
        "subject": "lyon-1",
        "message": "cluster-cidr 10.42.0.0/16 -> 10.52.0.0/16",
        "hint": "K3s cannot change cluster-cidr after a cluster exists. Put the old value back, or rebuild the cluster.",
        "where": "sites/lyon.yaml:22:7",
        "page": "docs/rules/immutable-keys.md",
    }
    assert document["waves"] == [{"name": "everyone", "nodes": 3}]


def test_the_shape_is_the_one_that_programs_rely_on():
    """Fields may be added here, never renamed or taken away under this format's name."""
    assert schema() == json.loads((HERE / "plan-report.schema.json").read_text())
