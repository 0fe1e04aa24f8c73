"""Makes the `exploded` fleet: every node listed by hand, at least three files of its own on each.

    python benchmarks/exploded.py DIR [NODES]

The same bytes for the same count: a fleet of 10,000 nodes is 4.5 MB of YAML and more.
"""

from __future__ import annotations

import sys
from pathlib import Path

NODES_PER_SITE = 8
TEMPLATES = {
    "agent.conf.j2": """\
# agent of {{ node.name }}
[agent]
name = {{ node.name }}
site = {{ site.name }}
address = {{ node.address }}
serial = {{ vars.serial }}
asset = {{ vars.asset }}
interval = {{ vars.interval }}
uplink = {{ vars.uplink }}
{% for server in vars.upstreams %}
upstream = https://{{ server }}:8443/{{ node.name }}
{% endfor %}
""",
    "exporter.yaml.j2": """\
instance: "{{ node.name }}"
labels:
  site: "{{ site.name }}"
  country: "{{ site.labels.country }}"
  app: "{{ node.labels.app }}"
  serial: "{{ vars.serial }}"
  installed: "{{ vars.installed }}"
{% if node.role == "server" %}
scrape: [kubelet, apiserver, etcd]
{% else %}
scrape: [kubelet]
{% endif %}
""",
    "motd.j2": "{{ node.name }} ({{ vars.asset }}) at {{ site.name }}, kept by {{ fleet.name }}\n",
}
UPSTREAMS = ["collect-1.acme.example", "collect-2.acme.example", "collect-3.acme.example"]


def main(folder: Path, nodes: int) -> None:
    (folder / "templates").mkdir(parents=True, exist_ok=True)
    (folder / "sites").mkdir(exist_ok=True)
    for name, text in TEMPLATES.items():
        (folder / "templates" / name).write_text(text)
    (folder / "fleet.yaml").write_text(fleet_text())
    (folder / "fleet.lock").write_text(lock_text())
    sites = nodes // NODES_PER_SITE
    for first in range(0, sites, 50):
        text = "---\n".join(site_text(site) for site in range(first, min(first + 50, sites)))
        (folder / "sites" / f"sites-{first:05d}.yaml").write_text(text)
    size = sum(path.stat().st_size for path in folder.rglob("*.yaml"))
    print(f"{sites} sites, {sites * NODES_PER_SITE} nodes, {size / 1e6:.1f} MB of YAML")


def fleet_text() -> str:
    files = "".join(
        f'      - path: {path}\n        template: templates/{name}\n        mode: "0644"\n'
        for path, name in (
            ("/etc/acme/agent.conf", "agent.conf.j2"),
            ("/etc/acme/exporter.yaml", "exporter.yaml.j2"),
            ("/etc/motd", "motd.j2"),
        )
    )
    upstreams = ", ".join(UPSTREAMS)
    return f"""\
apiVersion: fleet/v1alpha1
kind: Fleet
metadata: {{name: exploded}}
spec:
  k3s:
    version: v1.36.3+k3s1
    config: {{write-kubeconfig-mode: "0600", disable: [traefik]}}
    registries: {{mirrors: {{docker.io: {{endpoint: ["https://registry.acme.example"]}}}}}}
  vars:
    interval: 30
    upstreams: [{upstreams}]
  os:
    files:
{files}"""


def site_text(site: int) -> str:
    name = f"store-{site:05d}"
    block = f"10.{site // 250}.{site % 250}"
    lines = [
        f"apiVersion: fleet/v1alpha1\nkind: Site\nmetadata:\n  name: {name}\n",
        f"  labels: {{country: {('de', 'fr', 'it', 'es')[site % 4]}, ring: {'pilot' if site % 50 == 0 else 'rest'}}}\n",
        f"spec:\n  timeZone: Europe/Berlin\n  network: {{cidr: {block}.0/24, gateway: {block}.1}}\n  nodes:\n",
    ]
    for at in range(NODES_PER_SITE):
        serial = f"36{site:05d}E{at:04d}"
        lines.append(
            f"    - name: {name}-{at:02d}\n"
            f"      role: {'server' if at == 0 else 'agent'}\n"
            f"      arch: amd64\n"
            f"      address: {block}.{10 + at}\n"
            f"      labels:\n"
            f"        app: {('pos', 'kiosk', 'camera')[at % 3]}\n"
            f'        rack: "r{at % 2}"\n'
            f"      identity:\n"
            f'        serial: "{serial}"\n'
            f'        mac: "84:00:{site // 256 % 256:02x}:{site % 256:02x}:00:{at:02x}"\n'
            f"      vars:\n"
            f'        serial: "{serial}"\n'
            f'        asset: "asset-{site * NODES_PER_SITE + at:07d}"\n'
            f'        location: "hall {at} of {name}, shelf {at * 7 % 5}"\n'
            f'        contact: "ops-{site % 17}@acme.example"\n'
            f'        uplink: "switch-{at // 4}.{name}.acme.example, port {at % 4 + 1}"\n'
            f'        installed: "202{site % 6}-{site % 12 + 1:02d}-{at * 3 + 1:02d}"\n'
        )
    return "".join(lines)


def lock_text() -> str:
    binaries = ",".join(
        f'"{arch}":{{"name":"{name}","sha256":"{digit * 64}","size":70000000}}'
        for arch, name, digit in (("amd64", "k3s", "a"), ("arm64", "k3s-arm64", "b"), ("arm", "k3s-armhf", "c"))
    )
    release = f'{{"version":"v1.36.3+k3s1","binaries":{{{binaries}}}}}'
    return f'{{"format":"fleet.lock/v1","renderer":1,"channels":{{}},"releases":{{"v1.36.3+k3s1":{release}}}}}\n'


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10_000)
