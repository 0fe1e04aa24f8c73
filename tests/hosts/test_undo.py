"""Changes that would cut a host off: it undoes them alone, whatever becomes of the controller and of itself."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.checkout import BIN, Checkout
from tests.lab.host import Host
from tests.lab.lab import Lab

pytestmark = pytest.mark.timeout(300)
SECONDS = 15
NODE = "till"
RULES, SSHD, SUDOERS = "/etc/nftables.conf", "/etc/ssh/sshd_config.d/acme.conf", "/etc/sudoers.d/zz-acme"
KEPT = ("/etc/nftables.conf", "/etc/ssh", "/etc/sudoers.d", "/etc/systemd/system", "/etc/motd")
GOOD, BETTER = "tcp dport 23 drop", "tcp dport { 23, 24 } drop"
CUTS = (f"tcp dport {{ 22, {port} }} drop" for port in range(1000, 1100))
"""Each cuts SSH, and is another bundle: of one that was undone the next run is told first."""
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

    def hashes(self, *more: str) -> str:
        """Of all that fleet and its undoing could touch, with modes, owners and the record."""
        script = 'find "$@" -xdev \\( -type f -o -type l \\) -printf "%m %u %g %p %l\\n" -exec sha256sum {} + | sort'
        return self.host.run(["sh", "-c", script, "sh", *KEPT, RECORD, *more])

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.host.read(RECORD))
        return found

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
        (folder / "home/vault-password").write_text("of no vault")
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
    """The node's own words, in the rollout that this begins; of one that was killed before it may tell as well."""
    said = place.checkout.fleet("apply", "--yes", "--json", *argv, code=4)
    (rollout,) = {one["rollout_id"] for one in said.events("RolloutStarted")}
    ended = [one for one in said.events() if one.get("batch_id", "").startswith(rollout) and "node" in one]
    assert [one["event"] for one in ended] == ["NodeFailed"], said.text
    return str(ended[0]["reason"])


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
    settled.rule(GOOD, next(CUTS))
    reason = failure(settled)
    assert reason.startswith(UNDONE), reason
    assert settled.hashes() == before
    assert GOOD in settled.ruleset()
    assert settled.is_clean()
    (said,) = settled.host.run(["journalctl", "--no-pager", "-o", "cat", "-t", "fleet"]).splitlines()
    assert said.startswith("undone: b1:")


def test_a_change_that_fails_there_is_undone_at_once(settled: Place) -> None:
    before = settled.hashes()
    settled.rule(GOOD, "tcp dport nonsense drop")
    began = time.monotonic()
    reason = failure(settled)
    assert "nftables.service" in reason
    assert reason.endswith("; what was there before is back"), reason
    assert time.monotonic() - began < SECONDS
    assert settled.hashes() == before
    assert GOOD in settled.ruleset()
    assert settled.is_clean()


def cut_off(place: Place, seconds: int) -> str:
    """The change that cuts SSH is in place, and of the controller nothing is left. Returns the rollout."""
    cut = next(CUTS)
    place.checkout.edit("fleet.yaml", f"confirmTimeout: {SECONDS}s", f"confirmTimeout: {seconds}s")
    place.rule(GOOD, cut)
    running = place.checkout.start("apply", "--yes", "--json")
    rollout = running.wait_for("RolloutStarted")["rollout_id"]
    ends = time.monotonic() + 60
    while cut not in place.ruleset():
        assert time.monotonic() < ends
        time.sleep(0.1)
    running.kill()
    place.checkout.lab.in_controller(["pkill", "-9", "-f", str(place.checkout.folder)], check=False)
    running.end()
    return str(rollout)


def test_with_the_controller_killed_the_host_is_as_alone(settled: Place) -> None:
    before = settled.hashes()
    rollout = cut_off(settled, SECONDS)
    settled.wait_until(GOOD, SECONDS + 10)
    assert settled.hashes() == before
    said = settled.checkout.fleet("rollout", "resume", rollout, "--json", code=4)
    (failed,) = said.events("NodeFailed")
    assert failed["reason"] == UNDONE, "who asks first is told, and nothing is tried again"
    assert settled.hashes() == before


@pytest.mark.parametrize("way", ["in order", "by the plug"])
def test_a_reboot_before_the_confirmation_undoes_it(settled: Place, way: str) -> None:
    before = settled.hashes()
    cut_off(settled, 280)
    if way == "in order":
        settled.host.reboot()
    else:
        settled.host.kill()
        settled.host.start()
        settled.host.wait_running()
    assert GOOD in settled.ruleset()
    assert settled.is_clean()
    assert settled.hashes() == before
    assert settled.host.unit_show("nftables.service", "ActiveState") == {"ActiveState": "active"}
    times = {
        unit: int(settled.host.unit_show(unit, name)[name])
        for unit, name in (
            ("fleet-undo.service", "ExecMainExitTimestampMonotonic"),
            ("nftables.service", "ExecMainStartTimestampMonotonic"),
            ("ssh.service", "ExecMainStartTimestampMonotonic"),
        )
    }
    assert times["fleet-undo.service"] <= min(times["nftables.service"], times["ssh.service"]), times


@pytest.mark.parametrize(
    ("path", "text", "mode", "more", "stood"),
    [
        (SSHD, "Port 2222", "0644", "reload: [ssh.service], ", "refused"),
        (SUDOERS, "fleet ALL=(ALL) !ALL", "0440", "", "sudo"),
    ],
    ids=["sshd listens elsewhere", "sudo lets nobody through"],
)
def test_what_a_new_login_cannot_get_through_is_undone(
    settled: Place, path: str, text: str, mode: str, more: str, stood: str
) -> None:
    before = settled.hashes()
    settled.more(f'      - {{path: {path}, content: "{text}\\n", {more}mode: "{mode}"}}\n')
    reason = failure(settled)
    assert reason.startswith(UNDONE), reason
    assert stood in reason
    assert settled.hashes() == before
    assert settled.is_clean()
    settled.checkout.plan("--refresh")


def order_back(place: Place, digest: str, folder: Path) -> None:
    """By stock Ansible, as a controller orders it."""
    project = folder / "rendered"
    place.checkout.fleet("render", str(project))
    said = place.checkout.run([str(BIN / "ansible-playbook"), "site.yml", "-e", f"fleet_undo={digest}"], cwd=project)
    assert "changed=1" in said.out, said.text


def test_a_host_goes_back_to_the_bundle_before_by_order(settled: Place, tmp_path: Path) -> None:
    before, ruled = settled.record()["digest"], settled.host.read(RULES)
    settled.rule(GOOD, BETTER)
    settled.checkout.fleet("apply", "--yes")
    assert settled.record()["digest"] != before
    order_back(settled, before, tmp_path)
    assert settled.record()["digest"] == before
    assert settled.host.read(RULES) == ruled
    assert GOOD in settled.ruleset()
    assert settled.is_clean()


USERS = "/etc/passwd", "/etc/group", "/etc/shadow", "/home/fleet/.ssh"


def test_users_come_back_and_those_that_were_made_go(settled: Place) -> None:
    """One user is made, the one that fleet logs in as gets a shell that lets nobody in, and other keys."""
    before = settled.hashes(*USERS)
    settled.checkout.edit(
        "fleet.yaml",
        "  os:\n    files:",
        "  os:\n    users:\n"
        "      - {name: ops, groups: [adm], shell: /bin/bash, authorizedKeys: [ssh-ed25519 AAAA ops]}\n"
        "      - {name: fleet, groups: [adm], shell: /usr/sbin/nologin, authorizedKeys: [ssh-ed25519 BBBB me]}\n"
        "    files:",
    )
    settled.checkout.commit("Users")
    reason = failure(settled)
    assert reason.startswith(UNDONE), reason
    assert settled.hashes(*USERS) == before
    assert settled.host.run(["sh", "-c", "ls /home"]) == "fleet\n"
    assert settled.is_clean()


def test_good_users_are_confirmed_and_stay_until_they_are_ordered_back(settled: Place, tmp_path: Path) -> None:
    before, said = settled.record()["digest"], settled.host.run(["getent", "passwd", "fleet"])
    users = "    users: [{name: ops, groups: [adm], shell: /bin/bash, authorizedKeys: [ssh-ed25519 AAAA ops]},"
    users += " {name: fleet, shell: /bin/sh}]\n"
    settled.checkout.edit("fleet.yaml", "  os:\n    files:", f"  os:\n{users}    files:")
    settled.checkout.commit("A user")
    settled.checkout.fleet("apply", "--yes")
    assert settled.is_clean()
    assert settled.host.run(["id", "-nG", "ops"]) == "ops adm\n"
    assert "AAAA" in settled.host.read("/home/ops/.ssh/authorized_keys")
    assert settled.host.run(["getent", "passwd", "fleet"]) != said
    order_back(settled, before, tmp_path)
    assert settled.record()["digest"] == before
    assert settled.host.run(["getent", "passwd", "ops"], check=False) == ""
    assert settled.host.run(["getent", "passwd", "fleet"]) == said
    assert settled.is_clean()
