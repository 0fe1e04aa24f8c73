"""What hosts cost, and what they are sent: fleet against the play in benchmarks/play, on 20 real hosts of the lab.

Both sides bring the same files, log in by the same options of ssh, and open their connections anew in each run. What a
side costs is what the kernel counts in the control groups of the controller and of the hosts, with all that is started
there; what a host is sent is what the bridge's port to it counts.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from table import Row

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from tests.lab.cgroups import Cgroup  # noqa: E402
from tests.lab.host import Host  # noqa: E402
from tests.lab.lab import Lab  # noqa: E402

BIN = Path(sys.executable).parent
HOSTS, FORKS = 20, 20
KILOBYTE = 1000
PATHS = (
    "/etc/acme/acme.conf", "/etc/acme/limits.conf", "/etc/agent/agent.conf", "/etc/motd",
    "/etc/systemd/system/acme.service", "/etc/systemd/system/agent.service",
)  # fmt: skip
SSH = "StrictHostKeyChecking yes\nGlobalKnownHostsFile /dev/null\nUpdateHostKeys no\nBatchMode yes\n"
ALIVE = "ServerAliveInterval 15\nServerAliveCountMax 4\n"
FLEET = """\
apiVersion: fleet/v1alpha1
kind: Fleet
metadata: {name: acme}
spec:
  connection: {user: fleet, privateKey: KEY}
  vars: {greeting: none}
  os:
    files:
      - {path: /etc/acme/acme.conf, template: templates/acme.conf.j2, restart: [acme.service]}
      - {path: /etc/acme/limits.conf, source: files/limits.conf, restart: [acme.service]}
      - {path: /etc/agent/agent.conf, template: templates/agent.conf.j2, restart: [agent.service]}
      - {path: /etc/motd, template: templates/motd.j2}
      - {path: /etc/systemd/system/acme.service, source: files/acme.service, restart: [acme.service]}
      - {path: /etc/systemd/system/agent.service, source: files/agent.service, restart: [agent.service]}
    units:
      - {name: acme.service, enabled: true, state: started}
      - {name: agent.service, enabled: true, state: started}
---
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: shop}
spec:
  network: {cidr: 10.77.0.0/16, gateway: 10.77.0.1}
  nodeSets:
    - {name: till, count: COUNT, role: none, addresses: 10.77.1.11-10.77.1.LAST}
"""


@dataclass
class Cost:
    """Seconds of CPU and bytes, of all hosts together."""

    controller: float
    hosts: float
    sent: int


@dataclass
class Side:
    name: str
    costs: list[Cost] = field(default_factory=list)

    @property
    def least(self) -> Cost:
        """What the work costs: whatever else a shared machine does meanwhile can only add to it."""
        parts = ("controller", "hosts", "sent")
        controller, hosts, sent = (min(getattr(cost, part) for cost in self.costs) for part in parts)
        return Cost(controller, hosts, sent)


class Field:
    """The lab's hosts, a fleet that describes them and a play that does."""

    def __init__(self, lab: Lab, hosts: list[Host], folder: Path) -> None:
        self.lab = lab
        self.hosts = hosts
        self.names = [f"shop-till-{number:03}" for number in range(1, len(hosts) + 1)]
        self.fleet = folder / "fleet"
        self.play = folder / "play"
        self.home = folder / "home"
        self._group: Cgroup = lab.cgroup.child("bench")  # beside the hosts' own
        self._group.create()
        self.home.mkdir()
        self._write_fleet()
        self._write_play()

    def _write_fleet(self) -> None:
        for part in ("templates", "files"):
            shutil.copytree(HERE / "play" / part, self.fleet / part)
        for path in (self.fleet / "templates").iterdir():
            text = (
                path.read_text().replace("greeting }}", "vars.greeting }}").replace("inventory_hostname", "node.name")
            )
            path.write_text(text)
        text = FLEET.replace("KEY", str(self.lab.ssh_key)).replace("COUNT", str(len(self.hosts)))
        (self.fleet / "fleet.yaml").write_text(text.replace("LAST", str(10 + len(self.hosts))))
        shutil.copy(self.lab.known_hosts, self.fleet / "known_hosts")
        (self.fleet / ".gitignore").write_text(".fleet/\n")
        self.git("init", "--quiet")

    def _write_play(self) -> None:
        shutil.copytree(HERE / "play", self.play)
        hosts = {name: {"ansible_host": host.address} for name, host in zip(self.names, self.hosts, strict=True)}
        shared = {"ansible_user": "fleet", "ansible_python_interpreter": "/usr/bin/python3"}
        (self.play / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": shared}}))
        options = f"IdentityFile {self.lab.ssh_key}\nUserKnownHostsFile {self.fleet / 'known_hosts'}\n{SSH}{ALIVE}"
        (self.play / "ssh_config").write_text(options)
        (self.play / "ansible.cfg").write_text(
            f"[defaults]\ninventory = hosts.json\nforks = {FORKS}\nstdout_callback = minimal\n[connection]\n"
            f"pipelining = true\n[ssh_connection]\n"
            f"ssh_args = -F {self.play / 'ssh_config'} -o ControlMaster=auto -o ControlPersist=60s\n"
        )

    def greet(self, word: str) -> None:
        """One line of one file, committed."""
        path = self.fleet / "fleet.yaml"
        lines = path.read_text().splitlines()
        lines = [f"  vars: {{greeting: {word}}}" if "greeting:" in line else line for line in lines]
        path.write_text("\n".join(lines) + "\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"Greet with {word}")

    def git(self, *words: str) -> None:
        author = ("-c", "user.name=bench", "-c", "user.email=bench@acme.example")
        subprocess.run(["git", *author, *words], cwd=self.fleet, check=True)

    @property
    def environment(self) -> dict[str, str]:
        kept = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LC_ALL": "C.UTF-8"}
        return kept | {"GIT_CONFIG_GLOBAL": "/dev/null", "NO_COLOR": "1"}

    # ---- measuring

    def cost_of(self, argv: list[str], cwd: Path, codes: tuple[int, ...] = (0,)) -> Cost:
        """Of one run, whose connections are all its own."""
        self._close_connections()
        controller, hosts, sent = self._used(self._group), self._used_by_hosts(), self._sent()
        done = subprocess.run(
            self._group.enter(self.lab.controller_command(argv)), cwd=cwd, env=self.environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode not in codes:
            raise SystemExit(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        time.sleep(1)  # what ends on the hosts after the answer
        return Cost(
            self._used(self._group) - controller, self._used_by_hosts() - hosts, self._sent() - sent
        )  # fmt: skip

    def _close_connections(self) -> None:
        self._group.kill()
        time.sleep(0.5)

    def _used(self, group: Cgroup) -> float:
        """Seconds of CPU of a group and all below it (cgroup-v2, cpu.stat)."""
        for folder in group.directories:
            if (folder / "cpu.stat").exists():
                words = (folder / "cpu.stat").read_text().split()
                return int(words[words.index("usage_usec") + 1]) / 1e6
        raise SystemExit("this kernel counts no CPU time of control groups")

    def _used_by_hosts(self) -> float:
        return sum(self._used(host.cgroup) for host in self.hosts)

    def _sent(self) -> int:
        """Bytes that the bridge has sent to the hosts."""
        argv = ["ip", "-netns", self.lab.network.bridge, "-statistics", "-json", "link", "show"]
        links = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
        ports = {host.name for host in self.hosts}
        return sum(link["stats64"]["tx"]["bytes"] for link in links if link["ifname"] in ports)

    def content(self) -> str:
        """One sha256 over the files of all hosts, their modes, and that both units run."""
        state = hashlib.sha256()
        for host in self.hosts:
            state.update(host.run(["sha256sum", *PATHS]).encode())
            state.update(host.run(["stat", "--format=%n %a %U", *PATHS]).encode())
            state.update(host.run(["systemctl", "is-active", "acme.service", "agent.service"]).encode())
        return state.hexdigest()


@contextmanager
def field_of(folder: Path, count: int) -> Iterator[Field]:
    lab = Lab.create()
    try:
        yield Field(lab, lab.grow(count), folder)
    finally:
        lab.down()


def compare(folder: Path, runs: int, count: int = HOSTS) -> list[Row]:
    """In each round both sides change the same line, and then have nothing to change."""
    with field_of(folder, count) as ground:
        fleet, play = str(BIN / "fleet"), [str(BIN / "ansible-playbook"), "site.yml"]
        sides = {name: Side(name) for name in ("change", "its", "same", "its same", "silent", "empty")}
        ground.greet("first")
        ground.cost_of([fleet, "apply", "--yes"], ground.fleet)
        for number in range(runs):
            word = f"fleet{number}"
            ground.greet(word)
            sides["change"].costs.append(ground.cost_of([fleet, "apply", "--yes"], ground.fleet))
            ours = ground.content()
            sides["same"].costs.append(ground.cost_of([fleet, "plan", "--refresh"], ground.fleet))
            sides["silent"].costs.append(ground.cost_of([fleet, "apply", "--yes"], ground.fleet))
            sides["its same"].costs.append(ground.cost_of([*play, "-e", f"greeting={word}"], ground.play))
            if ground.content() != ours:
                raise SystemExit("the play has changed what fleet brought: the two sides are not the same")
            sides["its"].costs.append(ground.cost_of([*play, "-e", f"greeting=plays{number}"], ground.play))
            sides["empty"].costs.append(ground.cost_of([play[0], "empty.yml"], ground.play))
            ground.cost_of([*play, "-e", f"greeting={word}"], ground.play)
        return rows_of({name: side.least for name, side in sides.items()}, count)


def rows_of(costs: dict[str, Cost], count: int) -> list[Row]:
    change, same, theirs, idle = costs["change"], costs["same"], costs["its"], costs["its same"]
    more = (change.sent - costs["empty"].sent) / count / KILOBYTE
    return [
        *against(f"one file and a restart, {count} hosts", change, theirs),
        *against(f"nothing to change, {count} hosts asked", same, idle),
        Row(f"nothing to change, {count} hosts, none asked", f"{costs['silent'].controller:.2f} s CPU", "no byte sent",
            costs["silent"].sent < KILOBYTE * count),
        Row("one-line change: bytes to a host", f"{change.sent / count / KILOBYTE:.1f} kB"),
        Row("  an empty module's task", f"{costs['empty'].sent / count / KILOBYTE:.1f} kB"),
        Row("  more than that", f"{more:.1f} kB", "<= 10 kB", more <= 10),
    ]  # fmt: skip


def against(job: str, ours: Cost, theirs: Cost) -> list[Row]:
    rows = [Row(job, "")]
    for place in ("controller", "hosts"):
        mine, other = getattr(ours, place), getattr(theirs, place)
        shown = f"{other / mine:.1f} times less CPU ({mine:.2f} s against {other:.2f} s)"
        rows.append(Row(f"  {place}: fleet against the play", shown, ">= 3 times", other / mine >= 3))
    return rows
