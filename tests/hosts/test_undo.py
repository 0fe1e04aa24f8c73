"""Changes that would cut a host off: it undoes them alone, whatever becomes of the controller and of itself."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.hosts.checkout import Checkout
from tests.lab.host import Host
from tests.lab.lab import Lab

pytestmark = pytest.mark.timeout(300)
SECONDS = 15
NODE = "till"
RULES, SSHD, SUDOERS = "/etc/nftables.conf", "/etc/ssh/sshd_config.d/acme.conf", "/etc/sudoers.d/acme"
KEPT = ("/etc/nftables.conf", "/etc/ssh", "/etc/sudoers.d", "/etc/systemd/system", "/etc/motd")
GOOD, BETTER = "tcp dport 23 drop", "tcp dport { 23, 24 } drop"
CUT = "tcp dport 22 drop"
RECORD = "/var/lib/fleet/record.json"
UNDONE = f"undone: nobody confirmed it over a new connection within {SECONDS} s: what was there before is back"

FLEET = f"""\
apiVersion: fleet/v1alpha1
kind: Fleet
metadata: {{name: acme}}
spec:
  connection: {{user: fleet, privateKey: KEY, confirmTimeout: {SECONDS}s}}
  vars: {{rule: "RULE", motd: first}}
---
apiVersion: fleet/v1alpha1
kind: Site
metadata: {{name: lyon}}
spec:
  timeZone: Europe/Paris
  network: {{cidr: 10.77.0.0/16, gateway: 10.77.0.1}}
  nodes:
    - {{name: {NODE}, role: none, arch: amd64, address: ADDRESS}}
  os:
    files:
      - path: {RULES}
        template: rules.j2
        reload: [nftables.service]
      - path: /etc/motd
        content: "{{{{ vars.motd }}}}\\n"
      # MORE
    units:
      - {{name: nftables.service, enabled: true, state: started}}
"""

RULESET = """\
#!/usr/sbin/nft -f
flush ruleset
table inet acme {
  chain input {
    type filter hook input priority filter; policy accept;
    {{ vars.rule }}
  }
}
"""


@dataclass
class Place:
    host: Host
    checkout: Checkout

    def rule(self, old: str, new: str) -> str:
        self.checkout.edit("fleet.yaml", f'rule: "{old}"', f'rule: "{new}"')
        return self.checkout.commit(new)

    def more(self, text: str) -> None:
        self.checkout.edit("fleet.yaml", "      # MORE\n", f"{text}      # MORE\n")
        self.checkout.commit("More files")

    def ruleset(self) -> str:
        return self.host.run(["nft", "list", "ruleset"])

    def hashes(self) -> str:
        """Of all that fleet and its undoing could touch, with modes, owners and the record."""
        script = 'find "$@" -xdev \\( -type f -o -type l \\) -printf "%m %u %g %p %l\\n" -exec sha256sum {} + | sort'
        return self.host.run(["sh", "-c", script, "sh", *KEPT, RECORD])

    def is_clean(self) -> bool:
        """Nothing is left of a probation."""
        left = self.host.run(["sh", "-c", "ls -d /var/lib/fleet/probation /etc/systemd/system/fleet-undo* 2>&1; true"])
        timers = self.host.run(["systemctl", "list-units", "--all", "--no-legend", "fleet-undo*.timer"])
        return left.count("No such file") == 2 and timers.strip() == ""

    def wait_until(self, text: str, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while text not in self.ruleset() or not self.is_clean():
            assert time.monotonic() < ends, f"not within {seconds} s: {self.ruleset()}"
            time.sleep(0.5)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A host with a firewall of fleet's, brought in and confirmed."""
    lab, folder = Lab.create(), tmp_path_factory.mktemp("undo")
    try:
        (host,) = lab.grow(1)
        (folder / "home").mkdir()
        checkout = Checkout(lab, folder / "acme", folder / "home")
        checkout.folder.mkdir()
        checkout.git("init", "--quiet", "--initial-branch=main")
        text = FLEET.replace("KEY", str(lab.ssh_key)).replace("RULE", GOOD).replace("ADDRESS", host.address)
        checkout.write("fleet.yaml", text)
        checkout.write("rules.j2", RULESET)
        checkout.write("known_hosts", lab.known_hosts.read_text())
        checkout.write(".gitignore", ".fleet/\n")
        checkout.commit("Describe the site")
        made = Place(host, checkout)
        checkout.fleet("apply", "--yes")
        yield made
    finally:
        lab.down()


@pytest.fixture
def settled(place: Place) -> Iterator[Place]:
    """As the first commit says, before and after."""
    yield place
    place.checkout.git("read-tree", "-u", "--reset", place.checkout.git("rev-list", "--max-parents=0", "HEAD"))
    place.checkout.git("commit", "--quiet", "--allow-empty", "--message", "Go back to the start")
    place.checkout.plan("--refresh")
    place.checkout.fleet("apply", "--yes")


def failure(place: Place, *argv: str) -> str:
    said = place.checkout.fleet("apply", "--yes", "--json", *argv, code=4)
    (one,) = [*said.events("NodeFailed"), *said.events("NodeUnreachable")]
    assert one["event"] == "NodeFailed", said.text
    return str(one["reason"])


def test_a_good_change_is_confirmed_and_stays_over_a_reboot(settled: Place) -> None:
    assert settled.is_clean()
    settled.rule(GOOD, BETTER)
    settled.checkout.fleet("apply", "--yes")
    assert settled.is_clean()
    assert "{ 23, 24 }" in settled.ruleset()
    time.sleep(SECONDS + 3)
    settled.host.reboot()
    assert "{ 23, 24 }" in settled.ruleset()
    assert settled.checkout.plan("--refresh")["changing"] == 0


def test_a_change_that_cuts_ssh_is_undone_by_the_host_alone(settled: Place) -> None:
    before = settled.hashes()
    settled.rule(GOOD, CUT)
    reason = failure(settled)
    assert reason.startswith(UNDONE), reason
    assert settled.hashes() == before
    assert GOOD in settled.ruleset()
    assert settled.is_clean()
    (said,) = settled.host.run(["journalctl", "--no-pager", "-o", "cat", "-t", "fleet"]).splitlines()
    assert said.startswith("undone: b1:")
