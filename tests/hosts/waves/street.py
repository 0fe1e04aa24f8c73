"""A street of shops: plain hosts in sites, each with a service that is away while it restarts, and the spec of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.hosts.checkout import Checkout
from tests.hosts.ground import MANAGED, UNIT_TIMES
from tests.hosts.waves.availability import Probes
from tests.lab.files import FileState
from tests.lab.host import Host
from tests.lab.lab import Lab

SHOP = Path(__file__).with_name("shop.py")
PORT = 8080
BUDGET = 1
LOG = "/var/lib/fleet/applications.jsonl"
FLEET = """\
apiVersion: fleet/v1alpha1
kind: Fleet
metadata: {name: street}
spec:
  connection: {user: fleet, privateKey: KEY}
  rolloutPolicy: careful
  vars: {greeting: welcome}
  os:
    files:
      - {path: /usr/local/lib/shop.py, source: files/shop.py, restart: [shop.service]}
      - {path: /etc/systemd/system/shop.service, source: files/shop.service, restart: [shop.service]}
      - path: /etc/shop/greeting
        content: "{{ vars.greeting }} to {{ node.name }}\\n"
        restart: [shop.service]
    units:
      - {name: shop.service, enabled: true, state: started}
"""
SITE = """\
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: NAME}
spec:
  network: {cidr: 10.77.0.0/16, gateway: 10.77.0.1}
  nodeSets:
    - {name: office, count: 1, role: none, labels: {ring: office}, addresses: OFFICE-OFFICE}
"""
TILLS = "    - {name: till, count: COUNT, role: none, addresses: ADDRESSES}\n"
POLICY = """\
apiVersion: fleet/v1alpha1
kind: RolloutPolicy
metadata: {name: careful}
spec:
  waves:
    - {name: pilot, selector: {matchLabels: {site: lyon, ring: office}}, successThreshold: 100%}
    - {name: offices, selector: {matchLabels: {ring: office}}}
    - {name: half, limit: 50%, approval: true}
    - {name: everyone}
  disruptionBudget: {groupBy: [site], maxUnavailable: BUDGET}
  minFinished: 30%
  minSuccessTime: 5s
  onFailure: rollback
  gates:
    - {type: node, timeout: 30s}
    - {type: http, url: "http://{node.address}:8080/", timeout: 20s}
    - {type: http, url: "http://10.77.0.1/health", timeout: 5s}
"""
OPENING = """\
---
apiVersion: fleet/v1alpha1
kind: RolloutPolicy
metadata: {name: opening}
spec: {}
"""
UNIT = """\
[Unit]
Description=A shop
[Service]
Type=notify
ExecStart=/usr/bin/python3 /usr/local/lib/shop.py
[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Plan:
    """Hosts of each site, who is off before a change, who is lost in the middle of it, and whom the two keep from it."""

    sites: Mapping[str, int]
    off: tuple[str, ...]
    lost: str
    blocked: tuple[str, ...]

    @property
    def size(self) -> int:
        return sum(self.sites.values())

    def nodes(self) -> dict[str, tuple[str, ...]]:
        return {
            site: (f"{site}-office-001", *(f"{site}-till-{number:03}" for number in range(1, count)))
            for site, count in self.sites.items()
        }


SMALL = Plan(
    {"lyon": 2, "milan": 3, "nice": 1, "oslo": 2},
    ("milan-till-001", "milan-till-002"),
    "nice-office-001",
    ("milan-office-001",),
)
LARGE = Plan(
    dict.fromkeys(("lyon", "milan", "nice", "oslo", "paris"), 4),
    ("milan-till-001", "milan-till-002", "milan-till-003"),
    "oslo-till-002",
    ("milan-office-001", "oslo-till-003"),
)


@dataclass
class Street:
    lab: Lab
    plan: Plan
    hosts: dict[str, Host]
    checkout: Checkout

    @property
    def sites(self) -> dict[str, tuple[str, ...]]:
        return self.plan.nodes()

    def probes(self) -> Probes:
        targets = {name: f"{host.address}:{PORT}" for name, host in self.hosts.items()}
        return Probes(targets, self.lab.controller_command)

    def greet(self, word: str) -> str:
        old = next(line for line in (self.checkout.folder / "fleet.yaml").read_text().splitlines() if "  vars:" in line)
        self.checkout.edit("fleet.yaml", old, f"  vars: {{greeting: {word}}}")
        return self.checkout.commit(f"Greet with {word}")

    def moment(self, name: str) -> tuple[dict[str, FileState], dict[str, str]]:
        """All of a host that a needless apply could touch."""
        host = self.hosts[name]
        return host.tree(*MANAGED), host.unit_show("shop.service", *UNIT_TIMES)

    def greetings(self) -> dict[str, str]:
        return {name: host.read("/etc/shop/greeting").split()[0] for name, host in self.hosts.items()}

    def applications(self, commit: str) -> dict[str, int]:
        """How often each host was changed for a commit, by its own account."""
        lines = {name: map(json.loads, host.read(LOG).splitlines()) for name, host in self.hosts.items()}
        return {name: sum(line["commit"] == commit for line in those) for name, those in lines.items()}


def make_street(lab: Lab, hosts: Iterable[Host], plan: Plan, folder: Path, budget: str = str(BUDGET)) -> Street:
    """The repository, committed. Nothing is applied."""
    home = folder / "home"
    home.mkdir()
    checkout = Checkout(lab, folder / "street", home)
    checkout.folder.mkdir()
    checkout.git("init", "--quiet", "--initial-branch=main")
    checkout.write("fleet.yaml", FLEET.replace("KEY", str(lab.ssh_key)))
    checkout.write("policy.yaml", POLICY.replace("BUDGET", budget) + OPENING)
    checkout.write("files/shop.py", SHOP.read_text())
    checkout.write("files/shop.service", UNIT)
    checkout.write("known_hosts", lab.known_hosts.read_text())
    checkout.write(".gitignore", ".fleet/\n")
    first = 11
    for site, count in plan.sites.items():
        checkout.write(f"sites/{site}.yaml", site_text(site, first, count))
        first += count
    checkout.commit("Describe the street")
    names = [name for those in plan.nodes().values() for name in those]
    return Street(lab, plan, dict(zip(names, hosts, strict=True)), checkout)


def site_text(name: str, first: int, count: int) -> str:
    """An office, and tills as far as there are hosts for them."""
    text = SITE.replace("NAME", name).replace("OFFICE", f"10.77.1.{first}")
    addresses = f"10.77.1.{first + 1}-10.77.1.{first + count - 1}"
    return text + TILLS.replace("COUNT", str(count - 1)).replace("ADDRESSES", addresses) if count > 1 else text
