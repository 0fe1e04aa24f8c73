"""A host comes, is adopted as it is, and is given back as it was; and what doctor says of hosts."""

import json

import pytest

from tests.hosts.ground import Ground
from tests.lab.host import Host

NODE = "south-office"
LINE = "- {name: south-a, role: server, address: 10.77.1.15}"
MOTD = "/etc/motd"


@pytest.fixture
def office(ground: Ground) -> Host:
    """A seventh host, in use already: it has a greeting of its own, and acme as a spec would bring it."""
    host = ground.lab.grow(7)[6]
    host.write(MOTD, "an office, for years\n")
    return host


def test_a_host_in_use_is_adopted_without_a_restart_and_given_back_as_it_was(ground: Ground, office: Host) -> None:
    checkout = ground.checkout
    others = ground.moments()
    before = office.tree("/etc", "/usr/local", "/var/lib")
    shown = office.run(["ssh-keygen", "-l", "-f", "/etc/ssh/ssh_host_ed25519_key.pub"]).split()[1]
    checkout.edit("sites/south.yaml", LINE, f"{LINE}\n    - {{name: {NODE}, role: none, address: {office.address}}}")
    checkout.commit("An office")
    checkout.fleet("node", "trust", NODE, "--fingerprint", shown)

    said = checkout.fleet("node", "adopt", NODE, "--check", code=3)
    assert MOTD in said.out
    assert "- an office, for years" in said.out
    assert office.tree("/etc", "/usr/local", "/var/lib") == before, "a look writes nothing at all"

    said = checkout.fleet("node", "adopt", NODE, code=3)
    assert MOTD in said.out
    assert office.read(MOTD) == "an office, for years\n"
    said = checkout.fleet("apply", "--yes", "--node", NODE)
    assert f"being adopted and left as they are: {NODE}" in said.text, "what waits for a word is not overwritten"
    assert office.read(MOTD) == "an office, for years\n"

    checkout.fleet("node", "adopt", NODE, "--take", MOTD, code=3)
    checkout.fleet("node", "adopt", NODE, "--take-all")
    assert office.read(MOTD) == f"{ground.greeting('south-a')} to {NODE} at south\n"
    assert office.unit_show("acme.service", "ActiveState") == {"ActiveState": "inactive"}, "adopting starts nothing"
    checkout.fleet("apply", "--yes", "--node", NODE)
    assert office.unit_show("acme.service", "ActiveState") == {"ActiveState": "active"}
    assert ground.touched_since(others) == {}

    said = checkout.fleet("node", "retire", NODE, code=2)
    assert "is a node of the fleet" in said.err
    checkout.edit("sites/south.yaml", f"\n    - {{name: {NODE}, role: none, address: {office.address}}}", "")
    checkout.commit("The office closes")
    said = checkout.fleet("plan")
    assert NODE in said.out, "an orphan is shown, and not touched"
    assert office.unit_show("acme.service", "ActiveState") == {"ActiveState": "active"}
    checkout.fleet("node", "retire", NODE, "--yes")
    assert office.read(MOTD) == "an office, for years\n"
    assert office.unit_show("acme.service", "LoadState", "ActiveState") == {
        "LoadState": "not-found",
        "ActiveState": "inactive",
    }
    assert office.run(["sh", "-c", "ls /var/lib/fleet /etc/acme 2>/dev/null; true"]) == ""
    assert office.address not in (checkout.folder / "known_hosts").read_text()
    assert checkout.git("status", "--porcelain") == ""
    assert checkout.plan("--refresh")["changing"] == 0
    assert ground.touched_since(others) == {}


def test_doctor_names_what_is_wrong_and_on_which_hosts_and_what_to_do(ground: Ground) -> None:
    ground.checkout.fleet("doctor")
    broken, away = ground.hosts["south-a"], ground.hosts["south-till-001"]
    broken.run(["sh", "-c", "systemd-run --unit=broken --quiet /bin/false; sleep 1"])
    broken.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/usr/local"])
    away.link_down()
    before = ground.moments()
    try:
        said = ground.checkout.fleet("doctor", "--json", code=3)
    finally:
        broken.run(["umount", "/usr/local"])
        broken.run(["systemctl", "reset-failed"])
        away.link_up()
    found = [one for one in json.loads(said.out)["diagnoses"] if one["outcome"] != "ok"]
    assert all(one["hint"] for one in found), "each says what to do"
    units = [one for one in found if "systemd" in one["message"]]
    assert [one["subjects"] for one in units] == [["south-a"]], found
    assert units[0]["message"] == "systemd says degraded: broken.service failed"
    disks = [one for one in found if "/usr/local" in one["message"]]
    assert [one["subjects"] for one in disks] == [["south-a"]]
    silent = [one for one in found if one["subjects"] == ["south-till-001"]]
    assert len(silent) == 1
    assert ground.touched_since({name: one for name, one in before.items() if name != "south-a"}) == {}
