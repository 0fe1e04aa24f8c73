"""Labels and taints of Nodes that are registered: they come, change and go, others' stay, and K3s is not restarted for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.hosts.ground import Ground
from tests.hosts.k3s.asked import comes_true, items, kubectl, ready
from tests.lab.host import Host

SITE, ZONE = "sites/south.yaml", "  timeZone: Europe/Rome\n"
NODES = {"south-a": "k3s.service", "south-till-001": "k3s-agent.service"}
TILL = "south-till-001"
NODE_CONFIG = "/etc/rancher/k3s/config.yaml.d/20-fleet-node.yaml"
K3S_OWN = "/var/lib/rancher/k3s/agent"
THEIRS = {"key": "acme.example/theirs", "value": "x", "effect": "PreferNoSchedule"}


class South:
    """Site south, whose nodes run throughout."""

    def __init__(self, ground: Ground) -> None:
        self.ground, self.checkout = ground, ground.checkout
        self.server: Host = ground.hosts["south-a"]
        self.line = ZONE

    def says(self, k3s: str) -> None:
        """What site south says of k3s, committed."""
        line = f"{ZONE}  k3s: {{{k3s}}}\n" if k3s else ZONE
        self.checkout.edit(SITE, self.line, line)
        self.line = line
        self.checkout.commit(f"South: {k3s or 'as the profile says'}")

    def changes(self) -> set[tuple[str, str, str, tuple[str, ...]]]:
        groups = (group["change"] for group in self.checkout.plan()["groups"])
        return {(each["kind"], each["action"], each["subject"], tuple(each["restarts"])) for each in groups}

    def labels(self, name: str = TILL) -> dict[str, str]:
        found = self.node(name)["metadata"]["labels"]
        return {key: value for key, value in found.items() if key.startswith("acme.example/")}

    def taints(self, name: str = TILL) -> list[dict[str, str]]:
        return sorted(self.node(name)["spec"].get("taints", []), key=lambda taint: taint["key"])

    def node(self, name: str) -> dict[str, Any]:
        return items(self.server, "nodes")[name]

    def starts(self) -> dict[str, dict[str, str]]:
        shown = ("MainPID", "NRestarts", "ActiveEnterTimestampMonotonic")
        return {name: self.ground.hosts[name].unit_show(unit, *shown) for name, unit in NODES.items()}


@pytest.fixture
def south(formed: Ground) -> Iterator[South]:
    """Left as it was found."""
    south = South(formed)
    assert comes_true(lambda: set(NODES) <= set(ready(south.server)))
    kubectl(south.server, "label", "node", TILL, "acme.example/theirs=kept")
    kubectl(south.server, "taint", "node", TILL, "acme.example/theirs=x:PreferNoSchedule")
    yield south
    kubectl(south.server, "label", "node", TILL, "acme.example/theirs-", "acme.example/app-")
    kubectl(south.server, "taint", "node", TILL, "acme.example/theirs:PreferNoSchedule-")


def test_labels_and_taints_come_change_and_go_while_k3s_runs_on(south: South) -> None:
    started = south.starts()
    assert south.labels() == {"acme.example/fleet": "acme", "acme.example/theirs": "kept"}

    south.says('labels: {acme.example/app: pos}, taints: ["acme.example/pos=true:NoSchedule"]')
    assert south.changes() == {
        ("label", "add", "acme.example/app", ()),
        ("taint", "add", "acme.example/pos=true:NoSchedule", ()),
    }
    south.checkout.fleet("apply", "--yes")
    for name in NODES:
        assert (south.labels(name)["acme.example/fleet"], south.labels(name)["acme.example/app"]) == ("acme", "pos")
    pos = {"key": "acme.example/pos", "value": "true", "effect": "NoSchedule"}
    assert (south.taints(), south.taints("south-a")) == ([pos, THEIRS], [pos])

    # Another value of both, and one gone that K3s itself set when it registered the Node.
    south.says(
        'labels: {acme.example/app: till, acme.example/fleet: null}, taints: ["acme.example/pos=shared:NoSchedule"]'
    )
    south.checkout.fleet("apply", "--yes")
    assert south.labels() == {"acme.example/app": "till", "acme.example/theirs": "kept"}
    assert south.labels("south-a") == {"acme.example/app": "till"}
    assert south.taints() == [{**pos, "value": "shared"}, THEIRS]
    assert "acme.example/app=till" in south.ground.hosts[TILL].read(NODE_CONFIG)

    south.says("")
    south.checkout.fleet("apply", "--yes")
    assert south.labels() == {"acme.example/fleet": "acme", "acme.example/theirs": "kept"}
    assert south.taints() == [THEIRS]
    assert south.starts() == started, "K3s ran on"

    south.ground.hosts[TILL].run(["systemctl", "restart", "k3s-agent"], timeout=120)
    kubectl(south.server, "label", "node", TILL, "acme.example/fleet-")
    south.ground.hosts[TILL].run(["systemctl", "restart", "k3s-agent"], timeout=120)
    assert comes_true(lambda: "acme.example/fleet" in south.labels()), "K3s sets what its own file says"
    assert south.labels() == {"acme.example/fleet": "acme", "acme.example/theirs": "kept"}, "and nothing of before"
    assert south.checkout.plan("--refresh")["changing"] == 0


def test_a_label_that_somebody_else_changed_is_refused_and_nothing_is_touched(south: South) -> None:
    south.says("labels: {acme.example/app: pos}")
    south.checkout.fleet("apply", "--yes", "--node", TILL)
    kubectl(south.server, "label", "node", TILL, "acme.example/app=kiosk", "--overwrite")
    before = south.ground.moment(TILL)
    south.says("labels: {acme.example/app: till}")
    said = south.checkout.fleet("apply", "--yes", "--node", TILL, code=4)
    assert (
        "the label acme.example/app of the Node south-till-001 is 'kiosk' by kubectl-label, and 'till' in the spec"
        in said.out
    )
    assert "kubectl label node south-till-001 acme.example/app-" in said.out
    touched = {path for path in before.touched(south.ground.moment(TILL)) if not path.startswith(K3S_OWN)}
    assert (south.labels()["acme.example/app"], touched) == ("kiosk", set())

    south.checkout.fleet("apply", "--yes", "--node", TILL, "--no-cluster")
    assert south.labels()["acme.example/app"] == "kiosk", "Kubernetes was left out of it"
    kubectl(south.server, "label", "node", TILL, "acme.example/app-")
    south.says("")
    south.checkout.fleet("apply", "--yes")
    assert south.labels() == {"acme.example/fleet": "acme", "acme.example/theirs": "kept"}
    assert south.checkout.plan("--refresh")["changing"] == 0
