"""A new version of K3s on hosts that run an old one: from the mirror, one server at a time, and only when it is whole.

These hosts run the light stand-in, which has no API server: `--no-cluster`. tests/hosts/k3s drains.
"""

import json

from tests.hosts.ground import NAMES, NEW, OLD, SERVERS, Ground
from tests.lab.host import Host


def test_a_damaged_binary_is_refused_by_the_first_hosts_and_goes_no_further(ground: Ground) -> None:
    upgrade(ground)
    before = ground.moments()
    ground.lab.mirror.break_(f"{NEW}/k3s", "corrupt")
    said = ground.checkout.fleet("apply", "--yes", "--json", "--no-cluster", code=4)
    ground.lab.mirror.mend()
    failed = {event["node"]: event["reason"] for event in said.events("NodeFailed")}
    assert sorted(failed) == ["north-a", "south-a"]
    assert all("sha256 is " in reason and "http://10.77.0.1/k3s/" in reason for reason in failed.values())
    assert sorted(event["node"] for event in said.events("NodeBlocked")) == sorted(set(NAMES) - set(failed))
    assert ground.touched_since(before) == {"north-a": {"/var/lib/fleet"}, "south-a": {"/var/lib/fleet"}}, (
        "what is not verified never stands beside what is run"
    )


def test_an_upgrade_goes_one_server_at_a_time_and_agents_come_last(ground: Ground) -> None:
    ground.base = upgrade(ground)  # there is no way back: a downgrade is refused
    said = ground.checkout.fleet("plan", code=3)
    assert f"K3s {OLD} -> {NEW}" in said.out
    assert "restarts k3s one server at a time" in said.out
    said = ground.checkout.fleet("apply", "--yes", "--json", "--no-cluster")
    order = [event["node"] for event in said.events("NodeApplied")]
    assert [name for name in order if name.startswith("north")] == ["north-a", "north-b", "north-c", "north-till-001"]
    assert [name for name in order if name.startswith("south")] == ["south-a", "south-till-001"]
    for name, host in ground.hosts.items():
        assert host.run(["k3s", "--version"]).startswith(f"k3s version {NEW} ")
        assert host.unit_show(ground.k3s_unit(name), "ActiveState") == {"ActiveState": "active"}
    for name in SERVERS:
        check_saved(ground.hosts[name], "sqlite" if name == "south-a" else "etcd")
    said = ground.checkout.fleet("apply", "--yes")
    assert "Nothing to do" in said.out


def check_saved(host: Host, datastore: str) -> None:
    """Once, by the K3s of before, with the token of its time. The stand-in's snapshot holds its version alone."""
    (folder,) = host.run(["ls", "/var/lib/fleet/snapshots"]).split()
    assert folder == f"00000001-{OLD}"
    place = f"/var/lib/fleet/snapshots/{folder}"
    told = json.loads(host.read(f"{place}/manifest.json"))
    assert (told["k3s_version"], told["datastore"]) == (OLD, datastore)
    assert host.read(f"{place}/token") == host.read("/var/lib/rancher/k3s/server/token")
    assert host.stat(f"{place}/token").mode == 0o600
    files = host.run(["ls", place]).split()
    if datastore == "sqlite":
        assert files == ["manifest.json", "state.db", "token"]
        return
    assert files == ["manifest.json", "token"]
    (snapshot,) = host.run(["ls", "/var/lib/rancher/k3s/server/db/snapshots"]).split()
    assert snapshot.startswith(f"fleet-before-upgrade-of-{OLD.replace('+', '-')}-")
    assert host.read(f"/var/lib/rancher/k3s/server/db/snapshots/{snapshot}") == f"{OLD}\n"


def upgrade(ground: Ground) -> str:
    ground.checkout.edit("fleet.yaml", OLD, NEW)
    ground.checkout.fleet("lock")
    return ground.checkout.commit("Bring K3s forward")
