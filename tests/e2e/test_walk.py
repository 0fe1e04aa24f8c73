"""A shop that was away for two minors is walked up through each, by one `fleet apply`; on folders that play the nodes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.e2e.command import BIN, Ran, execute

V34, V35, V36 = "v1.34.6+k3s1", "v1.35.4+k3s1", "v1.36.3+k3s1"
SPEC = """\
apiVersion: fleet/v1alpha1
kind: Fleet
metadata: {{name: acme}}
spec:
  k3s: {{version: {version}}}
  artifacts: {{mirrors: ["file://{mirror}"]}}
---
apiVersion: fleet/v1alpha1
kind: Site
metadata: {{name: lyon}}
spec:
  nodes:
    - {{name: lyon-a, role: server, arch: amd64, address: 10.0.0.1}}
    - {{name: lyon-till, role: agent, arch: amd64, address: 10.0.0.2}}
"""


class Shop:
    def __init__(self, folder: Path) -> None:
        self.folder, self.mirror = folder / "shop", folder / "mirror"
        self.folder.mkdir()
        (folder / "password").write_text("only for this test\n")
        for version in (V34, V35, V36):
            place = self.mirror / version
            place.mkdir(parents=True)
            for arch, name in (("amd64", "k3s"), ("arm64", "k3s-arm64"), ("arm", "k3s-armhf")):
                data = f"{name} {version}\n".encode()
                (place / name).write_bytes(data)
                (place / f"sha256sum-{arch}.txt").write_text(f"{hashlib.sha256(data).hexdigest()}  {name}\n")

    def fleet(self, *words: str) -> Ran:
        password = {"FLEET_VAULT_PASSWORD_FILE": str(self.folder.parent / "password")}
        return execute([str(BIN / "fleet"), *words], self.folder, password)

    def want(self, version: str) -> None:
        (self.folder / "fleet.yaml").write_text(SPEC.format(version=version, mirror=self.mirror))
        assert self.fleet("lock").code == 0

    def events(self) -> list[dict[str, object]]:
        ran = self.fleet("apply", "--yes", "--json", "--sandbox", "../nodes")
        assert ran.code == 0, ran.text
        return [json.loads(line) for line in ran.out.splitlines()]

    def held(self) -> dict[str, tuple[str, str]]:
        """What binary each node has, and which version it tells."""
        found = {}
        for name in ("lyon-a", "lyon-till"):
            root = self.folder.parent / "nodes" / name
            record = json.loads((root / "var/lib/fleet/record.json").read_text())
            found[name] = ((root / "usr/local/bin/k3s").read_text().split()[1], record["learned"]["k3s_version"])
        return found


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.want(V34)
    assert made.fleet("secret", "generate").code == 0
    assert [event["event"] for event in made.events()][-1] == "RolloutFinished"
    assert made.held() == dict.fromkeys(("lyon-a", "lyon-till"), (V34, V34))
    for version in (V35, V36):  # one release of each minor stays in fleet.lock
        made.want(version)
    return made


def test_one_apply_takes_each_step(shop: Shop) -> None:
    plan = shop.fleet("plan", "--sandbox", "../nodes")
    assert plan.code == 3, plan.text
    assert (
        f"  ! K3s goes to {V35} first, then on to {V36}, in 1 cluster (lyon): fleet apply takes each step" in plan.out
    )
    assert f"K3s {V34} -> {V35}" in plan.out
    events = shop.events()
    assert [event["event"] for event in events if str(event["event"]).startswith("Rollout")] == [
        "RolloutStarted", "RolloutFinished", "RolloutStarted", "RolloutFinished",
    ]  # fmt: skip
    assert [event["node"] for event in events if event["event"] == "NodeApplied"] == ["lyon-a", "lyon-till"] * 2
    assert shop.held() == dict.fromkeys(("lyon-a", "lyon-till"), (V36, V36))
    generations = sorted((shop.folder.parent / "nodes/lyon-a/var/lib/fleet/generations").iterdir())
    versions = [json.loads(json.loads((one / "manifest.json").read_text())["manifest"])["facts"] for one in generations]
    assert [facts["k3s_version"] for facts in versions] == [V34, V35]
    assert shop.fleet("plan", "--sandbox", "../nodes").code == 0


def test_a_saved_plan_is_exactly_its_own_step(shop: Shop) -> None:
    assert shop.fleet("plan", "--sandbox", "../nodes", "--out", "step.json").code == 3
    assert shop.fleet("apply", "step.json").code == 0
    assert shop.held() == dict.fromkeys(("lyon-a", "lyon-till"), (V35, V35))


def test_a_step_in_which_a_node_fails_is_the_last_one(shop: Shop) -> None:
    """A folder stands where the agent's binary is to be."""
    binary = shop.folder.parent / "nodes/lyon-till/usr/local/bin/k3s"
    binary.unlink()
    binary.mkdir()
    (binary / "in-the-way").touch()
    ran = shop.fleet("apply", "--yes", "--json", "--sandbox", "../nodes")
    assert ran.code == 4, ran.text
    types = [json.loads(line)["event"] for line in ran.out.splitlines()]
    assert (types.count("RolloutStarted"), types[-1]) == (1, "RolloutHalted")
    assert (shop.folder.parent / "nodes/lyon-a/usr/local/bin/k3s").read_text().split()[1] == V35
