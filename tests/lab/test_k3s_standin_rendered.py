"""What the product renders, on the stand-in: its golden files, read as files, and nothing of its code."""

import re
from pathlib import Path

import pytest

from tests.lab.k3s import keys, settings
from tests.lab.k3s_layer import k3s_layer
from tests.lab.machines import Machines

RENDERS = Path(__file__).parents[1] / "golden/renders"
RELEASES = {
    path.name: f"{path.name}.99+k3s1" for path in RENDERS.iterdir() if path.name in {"v1.34", "v1.35", "v1.36", "v1.37"}
}
NODES = sorted(
    path.parents[3] for minor in RELEASES for path in RENDERS.glob(f"{minor}/contents/*/etc/rancher/k3s/config.yaml")
)
SERVER = "/var/lib/rancher/k3s/server"


@pytest.mark.parametrize("node", NODES, ids=lambda node: f"{node.parents[1].name}-{node.name}")
def test_every_config_of_the_golden_fleets_is_taken(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the checks of the same minor: no key is unknown, none is of the other role, every value is of its kind."""
    version = RELEASES[node.parents[1].name]
    monkeypatch.setattr(settings, "VERSION", version)
    values = settings.read_files(node / "etc/rancher/k3s/config.yaml")
    role = (
        "server"
        if keys.keys_of("server", version).keys() - keys.keys_of("agent", version).keys() & values.keys()
        else "agent"
    )

    found = settings.check_file(role, values, keys.keys_of(role, version))

    settings.check_values(role, found)
    assert found.keys() == values.keys()


def test_a_hardened_server_starts_with_a_real_api_server() -> None:
    """psa.yaml, audit.yaml, admission plugins, network policies and a namespace: all are read by the real thing."""
    rendered = RENDERS / "v1.36/contents/lyon-a"
    with Machines(k3s_layer()) as machines:
        machine = machines.add("lyon-a")
        machine.install_k3s("v1.36.1+k3s1")
        for file in rendered.rglob("*"):
            if file.is_file() and not {"opt", "sysctl.d", "systemd"} & set(file.parts):
                machine.write(f"/{file.relative_to(rendered)}", "")
                machine.path(f"/{file.relative_to(rendered)}").write_bytes(file.read_bytes())
        config = machine.read("/etc/rancher/k3s/config.yaml")
        machine.write("/etc/rancher/k3s/config.yaml", re.sub(r"node-ip: .*", f"node-ip: {machine.address}", config))
        for name in ("server-token", "agent-token"):
            machine.write(f"/etc/rancher/k3s/{name}", f"{name}-secret\n")

        server = machine.start("k3s", "server")

        server.wait_ready()
        server.wait_said("Applied manifest at /var/lib/rancher/k3s/server/manifests/namespace.yaml")
        server.wait_said("Applied manifest at /var/lib/rancher/k3s/server/manifests/fleet-cis-network-policies.yaml")
        assert '"kind":"Event"' in machine.read(f"{SERVER}/logs/audit.log")
        assert machine.run("k3s", "kubectl", "get", "networkpolicies", "-A", "-o", "name").count("networkpolicy/") > 2
        assert machine.read(f"{SERVER}/node-token").endswith("::node:agent-token-secret\n")
