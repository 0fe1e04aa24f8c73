"""Two sites on six hosts of the lab, the spec that describes them, and what a host is at one moment."""

import json
import re
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.hosts.checkout import BIN, Checkout, Said
from tests.lab.files import FileState
from tests.lab.host import Host
from tests.lab.lab import Lab

NORTH, SOUTH = ("north-a", "north-b", "north-c", "north-till-001"), ("south-a", "south-till-001")
NAMES = (*NORTH, *SOUTH)
"""The nodes, on host1 to host6."""
SERVERS = ("north-a", "north-b", "north-c", "south-a")
GREETED = {"north-till-001": "sites/north.yaml", "south-a": "sites/south.yaml", "south-till-001": "sites/south.yaml"}
"""The nodes whose greeting tests change, and where git says it."""
OLD, NEW = "v1.35.3+k3s1", "v1.35.4+k3s1"
UNIT_TIMES = ("ActiveEnterTimestampMonotonic", "MainPID", "NRestarts", "ActiveState", "UnitFileState")
MANAGED = ("/etc", "/usr/local", "/usr/bin", "/var/lib/fleet", "/var/lib/rancher", "/opt", "/root")

FLEET = """\
apiVersion: fleet/v1alpha1
kind: Fleet
metadata: {name: acme}
spec:
  k3s: {version: VERSION}
  artifacts: {mirrors: ["http://10.77.0.1/k3s"]}
  connection: {user: fleet, privateKey: KEY}
  profiles: [base]
  vars: {greeting: welcome}
"""

PROFILE = """\
apiVersion: fleet/v1alpha1
kind: Profile
metadata: {name: base}
spec:
  hardening: cis
  k3s:
    config: {write-kubeconfig-mode: "0600", disable: [traefik]}
    registries: {mirrors: {docker.io: {endpoint: ["https://registry.acme.example"]}}}
    labels: {acme.example/fleet: acme}
    manifests:
      - {name: acme, source: files/namespace.yaml}
  os:
    packages:
      - {name: fleet-lab-tool, version: 1.0-1}
    sysctl: {net.core.somaxconn: 2048}
    files:
      - path: /etc/motd
        content: "{{ vars.greeting }} to {{ node.name }} at {{ site.name }}\\n"
      - path: /etc/acme/acme.conf
        template: templates/acme.conf.j2
        mode: "0640"
        validate: grep -q ^greeting= {file}
        restart: [acme.service]
      - path: /etc/systemd/system/acme.service
        source: files/acme.service
        restart: [acme.service]
    units:
      - {name: acme.service, enabled: true, state: started}
"""

NORTH_SITE = """\
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: north, labels: {country: fr}}
spec:
  timeZone: Europe/Paris
  network: {cidr: 10.77.0.0/16, gateway: 10.77.0.1}
  nodes:
    - {name: north-a, role: server, arch: amd64, address: 10.77.1.11}
    - {name: north-b, role: server, arch: amd64, address: 10.77.1.12}
    - {name: north-c, role: server, arch: amd64, address: 10.77.1.13}
  nodeSets:
    - name: till
      count: 1
      role: agent
      arch: amd64
      addresses: 10.77.1.14-10.77.1.14
      vars: {greeting: welcome}
"""

SOUTH_SITE = """\
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: south, labels: {country: it}}
spec:
  timeZone: Europe/Rome
  vars: {greeting: welcome}
  network: {cidr: 10.77.0.0/16, gateway: 10.77.0.1}
  nodes:
    - {name: south-a, role: server, address: 10.77.1.15}
  nodeSets:
    - {name: till, count: 1, role: agent, addresses: 10.77.1.16-10.77.1.16}
"""

UNIT = """\
[Unit]
Description=acme, which reads its file once
[Service]
EnvironmentFile=/etc/acme/acme.conf
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""

NAMESPACE = """\
apiVersion: v1
kind: Namespace
metadata: {name: acme}
"""


@dataclass(frozen=True)
class Moment:
    """All of a host that a needless apply could touch: files with inode and times, units with their last start."""

    files: dict[str, FileState]
    units: dict[str, dict[str, str]]

    def touched(self, later: "Moment") -> set[str]:
        """Paths and units that are not the same later."""
        files = {
            path for path in self.files.keys() | later.files.keys() if self.files.get(path) != later.files.get(path)
        }
        return files | {name for name in self.units if self.units[name] != later.units[name]}


@dataclass(frozen=True)
class First:
    """The first apply, on clean hosts, and what it left: all by node, but for `said`, `commit` and `pending`.

    `starts` and `is_active` are when the K3s unit began to start and when it had (microseconds of one clock);
    `joined` counts the nodes that a founding server knows.
    """

    said: Said
    commit: str
    pending: dict[str, int]
    originals: dict[str, str]
    wanted: dict[str, str]
    versions: dict[str, str]
    starts: dict[str, int]
    is_active: dict[str, int]
    joined: dict[str, int]


@dataclass
class Ground:
    """The lab's hosts by the names of their nodes, and the checkout; `base` is the commit that tests go back to."""

    lab: Lab
    hosts: dict[str, Host]
    checkout: Checkout
    folder: Path
    base: str

    def k3s_unit(self, name: str) -> str:
        return "k3s.service" if name in SERVERS else "k3s-agent.service"

    def moment(self, name: str) -> Moment:
        host = self.hosts[name]
        units = {
            unit: host.unit_show(unit, *UNIT_TIMES) for unit in (self.k3s_unit(name), "acme.service", "ssh.service")
        }
        return Moment(host.tree(*MANAGED), units)

    def moments(self) -> dict[str, Moment]:
        return {name: self.moment(name) for name in self.hosts}

    def touched_since(self, before: dict[str, Moment]) -> dict[str, set[str]]:
        """What is not as it was, by the nodes on which anything is not."""
        found = {name: moment.touched(self.moment(name)) for name, moment in before.items()}
        return {name: paths for name, paths in found.items() if paths}

    def starts_of(self, unit: str) -> dict[str, int]:
        """How often systemd has started a unit on each host since it booted."""
        return {name: host.journal(unit).count(f"Started {unit}") for name, host in self.hosts.items()}

    def greeting(self, name: str, checkout: Checkout | None = None) -> str:
        """What git says that this node's /etc/motd begins with."""
        if name not in GREETED:
            return "welcome"
        text = ((checkout or self.checkout).folder / GREETED[name]).read_text()
        return str(re.findall(r"greeting: (.*)}", text)[0])

    def greet(self, name: str, text: str, checkout: Checkout | None = None) -> str:
        """Another greeting, committed: of both nodes of site south, or of the agent of site north. It changes two files
        on each, and acme.service reads one of them.
        """
        where = checkout or self.checkout
        where.edit(GREETED[name], f"greeting: {self.greeting(name, where)}}}", f"greeting: {text}}}")
        return where.commit(f"Greet {name} with {text}")

    def settle(self) -> None:
        """Links up, git as at the start but for greetings, every host as git says: each test finds the fleet like this."""
        for host in self.hosts.values():
            host.link_up()
        checkout = self.checkout
        changed = set(checkout.git("diff", "--name-only", self.base).split())
        if checkout.git("status", "--porcelain") or changed - set(GREETED.values()):
            checkout.git("read-tree", "-u", "--reset", self.base)
            checkout.git("clean", "--quiet", "--force", "-d")
            checkout.git("commit", "--quiet", "--allow-empty", "--message", "Go back to the start")
        if checkout.plan("--refresh")["changing"]:
            checkout.fleet("apply", "--yes")

    def apply_first(self) -> First:
        originals = {name: host.read("/etc/motd") for name, host in self.hosts.items()}
        pending = self.checkout.plan()["pending"]
        said = self.checkout.fleet("apply", "--yes", "--json")
        times = {
            name: host.unit_show(self.k3s_unit(name), "InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
            for name, host in self.hosts.items()
        }
        return First(
            said=said,
            commit=self.checkout.head,
            pending=pending,
            originals=originals,
            wanted={event["node"]: event["digest"] for event in said.events("NodeApplied")},
            versions={name: host.run(["k3s", "--version"]) for name, host in self.hosts.items()},
            starts={name: int(found["InactiveExitTimestampMonotonic"]) for name, found in times.items()},
            is_active={name: int(found["ActiveEnterTimestampMonotonic"]) for name, found in times.items()},
            joined={name: self._joined(name) for name in ("north-a", "south-a")},
        )

    def _joined(self, server: str) -> int:
        url = f"http://{self.hosts[server].address}:6443/standin/nodes"
        return len(json.loads(self.lab.in_controller(["curl", "-fsS", url]).stdout))

    def secret_values(self) -> dict[str, str]:
        """Every secret of the fleet, as ansible-vault tells it."""
        import yaml

        found: dict[str, str] = {}
        for vault in sorted((self.checkout.folder / "secrets").glob("*.yaml")):
            said = self.checkout.run([str(BIN / "ansible-vault"), "view", str(vault)])
            found |= yaml.safe_load(said.out)
        return found


def write_spec(checkout: Checkout, lab: Lab, version: str) -> None:
    checkout.write("fleet.yaml", FLEET.replace("KEY", str(lab.ssh_key)).replace("VERSION", version))
    checkout.write("profiles/base.yaml", PROFILE)
    checkout.write("sites/north.yaml", NORTH_SITE)
    checkout.write("sites/south.yaml", SOUTH_SITE)
    checkout.write("files/acme.service", UNIT)
    checkout.write("files/namespace.yaml", NAMESPACE)
    checkout.write("templates/acme.conf.j2", "greeting={{ vars.greeting }}\nnode={{ node.name }}\n")
    checkout.write("known_hosts", lab.known_hosts.read_text())
    checkout.write(".gitignore", ".fleet/\n")


def make_ground(lab: Lab, hosts: list[Host], folder: Path, version: str = OLD) -> Ground:
    """The repository as an operator makes it: spec, `fleet lock`, `fleet secret generate`, commit. Nothing is applied."""
    home = folder / "home"
    home.mkdir()
    (home / "vault-password").write_text(secrets.token_hex(16))
    checkout = Checkout(lab, folder / "acme", home)
    checkout.folder.mkdir()
    checkout.git("init", "--quiet", "--initial-branch=main")
    write_spec(checkout, lab, version)
    checkout.fleet("lock")
    checkout.fleet("secret", "generate")
    base = checkout.commit("Describe the two sites")
    return Ground(lab, dict(zip(NAMES, hosts, strict=True)), checkout, folder, base)


def holders(folder: Path, texts: list[str]) -> set[Path]:
    """Files below a folder that hold one of the texts."""
    argv = ["grep", "-rlaF", "--devices=skip", *(word for text in texts for word in ("-e", text)), str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return {Path(line) for line in done.stdout.splitlines()}
