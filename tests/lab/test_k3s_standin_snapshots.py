"""The full stand-in's datastore: snapshots, restores, tokens, versions; each test on machines of its own."""

import json
import re
import time
from collections.abc import Iterator

import pytest

from tests.lab.k3s_layer import k3s_layer
from tests.lab.machines import Machine, Machines, Program

OLDER, VERSION, NEWER = "v1.35.4+k3s1", "v1.36.1+k3s1", "v1.37.1+k3s1"
CONFIG = "/etc/rancher/k3s/config.yaml"
SERVER = "/var/lib/rancher/k3s/server"
FAULTS = "/var/lib/k3s-standin/faults.json"
ETCD = "cluster-init: true\ntoken: first-secret\n"
BACKUP = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))"
RESET = "Managed etcd cluster membership has been reset, restart without --cluster-reset flag now."


@pytest.fixture
def machines() -> Iterator[Machines]:
    with Machines(k3s_layer()) as machines:
        yield machines


@pytest.fixture
def server(machines: Machines) -> Machine:
    return machines.add("s1")


def start(machine: Machine, config: str, version: str = VERSION) -> Program:
    machine.install_k3s(version)
    machine.write(CONFIG, config)
    program = machine.start("k3s", "server")
    program.wait_ready()
    return program


def refused(machine: Machine, config: str, version: str = VERSION) -> str:
    """What a server says that does not start."""
    machine.install_k3s(version)
    machine.write(CONFIG, config)
    program = machine.start("k3s", "server")
    assert program.wait_end() == 1, program.said
    return program.said


def remember(machine: Machine, name: str) -> None:
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n"
    machine.run("k3s", "kubectl", "apply", "-f", "-", stdin=text)


def remembered(machine: Machine) -> set[str]:
    said = machine.run("k3s", "kubectl", "get", "configmaps", "-o", "name")
    return {line.removeprefix("configmap/") for line in said.splitlines()} - {"kube-root-ca.crt"}


def save(machine: Machine) -> str:
    """Take a snapshot; its path."""
    said = machine.run("k3s", "etcd-snapshot", "save")
    name = re.search(r"Snapshot (on-demand-s1-\d+) saved\.", said)
    assert name, said
    return f"{SERVER}/db/snapshots/{name[1]}"


def reset(machine: Machine, *arguments: str) -> str:
    command = ["k3s", "server", "--cluster-reset", *arguments]
    return machine.run("sh", "-c", '"$@" 2>&1; echo "status $?"', "sh", *command, timeout=120)


def test_a_snapshot_takes_the_cluster_back_with_its_token_only(server: Machine) -> None:
    program = start(server, ETCD)
    remember(server, "before")
    snapshot = save(server)
    remember(server, "after")

    assert server.path(snapshot).stat().st_mode & 0o777 == 0o600
    name = snapshot.rpartition("/")[2]
    assert re.search(rf"(?m)^{name} +file://{snapshot} +\d+ +20\d\d-.*Z$", server.run("k3s", "etcd-snapshot", "ls"))
    listed = json.loads(server.run("k3s", "etcd-snapshot", "ls", "-o", "json"))
    assert [item["spec"]["snapshotName"] for item in listed["items"]] == [name]
    program.stop()

    said = reset(server, f"--cluster-reset-restore-path={snapshot}", "--token=another-secret")
    assert "bootstrap data already found and encrypted with different token" in said
    assert said.endswith("status 1\n")
    assert "snapshot path does not exist" in reset(server, "--cluster-reset-restore-path=/nowhere")
    said = reset(server, f"--cluster-reset-restore-path={snapshot}")
    assert RESET in said
    assert said.endswith("status 0\n")
    assert server.run("sh", "-c", f"ls -d {SERVER}/db/etcd-old-*").count("etcd-old-") == 2
    assert "previously reset, please remove the cluster-reset flag" in reset(server)
    start(server, ETCD)
    assert remembered(server) == {"before"}
    assert not server.path(f"{SERVER}/db/reset-flag").exists()


def test_a_snapshot_on_a_new_machine_brings_authorities_with_it(machines: Machines, server: Machine) -> None:
    program = start(server, ETCD)
    remember(server, "before")
    content, authority = server.path(save(server)).read_bytes(), server.read(f"{SERVER}/tls/server-ca.crt")
    program.stop()
    other = machines.add("s2")
    other.install_k3s(VERSION)
    other.write("/root/snapshot", "")
    other.path("/root/snapshot").write_bytes(content)
    other.write(CONFIG, ETCD)

    assert RESET in reset(other, "--cluster-reset-restore-path=/root/snapshot")
    start(other, ETCD)

    assert other.read(f"{SERVER}/tls/server-ca.crt") == authority
    assert remembered(other) == {"before"}


def test_a_full_token_founds_no_cluster(server: Machine) -> None:
    full = f"K10{'0' * 64}::server:first-secret"

    assert "only the short token format" in refused(server, ETCD.replace("first-secret", f"'{full}'"))


def test_three_servers_come_back_from_one(machines: Machines, server: Machine) -> None:
    """docs/cli/etcd-snapshot.md, "Multiple Servers": the others join again without their data."""
    first = start(server, ETCD)
    join = f"token: first-secret\nserver: https://{server.address}:6443\n"
    others = [machines.add(name) for name in ("s2", "s3")]
    programs = [start(other, join) for other in others]
    remember(server, "before")
    snapshot = save(server)
    remember(server, "after")
    for program in (*programs, first):
        program.stop()

    assert "rejoin the nodes" in reset(server, f"--cluster-reset-restore-path={snapshot}")
    start(server, ETCD)
    for other in others:
        other.run("rm", "-r", f"{SERVER}/db")
        start(other, join)

    assert {frozenset(remembered(machine)) for machine in (server, *others)} == {frozenset({"before"})}


def test_the_last_of_three_becomes_a_cluster_of_one(machines: Machines, server: Machine) -> None:
    first = start(server, ETCD)
    join = f"token: first-secret\nserver: https://{server.address}:6443\n"
    other = machines.add("s2")
    start(other, join)
    remember(server, "kept")
    other.power_off()
    first.stop()

    assert RESET in reset(server)
    start(server, ETCD)

    assert remembered(server) == {"kept"}


def test_a_rotated_token(machines: Machines, server: Machine) -> None:
    first = start(server, ETCD)
    before = save(server)
    join = f"token: first-secret\nserver: https://{server.address}:6443\n"
    other = machines.add("s2")
    second = start(other, join)

    said = server.run("k3s", "token", "rotate", "--token=no-secret", "--new-token=second-secret", check=False)
    assert "401 Unauthorized" in said
    said = server.run("k3s", "token", "rotate", "--token=first-secret", "--new-token=second-secret")
    assert "Token rotated, restart k3s nodes with new token" in said

    assert server.read(f"{SERVER}/token").endswith("::server:second-secret\n")
    for program in (second, first):
        program.stop()
    for late, partner in ((server, other), (other, server)):
        give_token(partner, "second-secret")
        # A quorum for the late one to read its bootstrap data by; it may end once the late one is gone.
        quorum = partner.start("k3s", "server")
        program = late.start("k3s", "server")
        assert program.wait_end() == 1
        assert "bootstrap data already found and encrypted with different token" in program.said
        quorum.stop()
        give_token(partner, "first-secret")
    for machine in (server, other):
        give_token(machine, "second-secret")
    new = [machine.start("k3s", "server") for machine in (server, other)]
    for program in new:
        program.wait_ready()
    # docs/cli/token.md: a snapshot from before the rotation needs the old one.
    for program in new:
        program.stop()
    assert "encrypted with different token" in reset(server, f"--cluster-reset-restore-path={before}")
    assert RESET in reset(server, f"--cluster-reset-restore-path={before}", "--token=first-secret")


def give_token(machine: Machine, token: str) -> None:
    machine.write(CONFIG, re.sub("(?m)^token: .*", f"token: {token}", machine.read(CONFIG)))


def test_minors_go_up_one_by_one_and_back_by_a_snapshot_only(server: Machine) -> None:
    start(server, ETCD, OLDER).stop()
    assert "a minor would be skipped" in refused(server, ETCD, NEWER)
    program = start(server, ETCD, OLDER)
    snapshot = save(server)
    program.stop()
    start(server, ETCD, VERSION).stop()

    assert f"written by {VERSION}, a newer minor than {OLDER}" in refused(server, ETCD, OLDER)
    reset(server, f"--cluster-reset-restore-path={snapshot}")
    start(server, ETCD, OLDER)
    assert f"Server Version: {OLDER}" in server.run("k3s", "kubectl", "version")


def test_an_agent_is_not_newer_than_its_server(machines: Machines, server: Machine) -> None:
    start(server, ETCD, OLDER)
    agent = machines.add("a1")
    agent.install_k3s(VERSION)
    agent.write(CONFIG, f"token: first-secret\nserver: https://{server.address}:6443\n")

    program = agent.start("k3s", "agent")

    assert program.wait_end() == 1
    assert f"an agent of {VERSION} is newer than its server, {OLDER}" in program.said


def test_sqlite_is_backed_up_and_becomes_etcd(machines: Machines, server: Machine) -> None:
    """A backup by sqlite3's own call, put back, takes the cluster back; a restart with cluster-init goes over to etcd."""
    program = start(server, "token: first-secret\n")
    assert "etcd database not found" in server.run("k3s", "etcd-snapshot", "save", check=False)
    remember(server, "before")
    program.stop()
    server.run("python3", "-c", BACKUP, f"{SERVER}/db/state.db", "/root/backup.db")
    program = start(server, "token: first-secret\n")
    assert remembered(server) == {"before"}
    remember(server, "after")
    program.stop()
    program = start(server, "token: first-secret\n")
    assert remembered(server) == {"before", "after"}
    program.stop()
    server.run("cp", "/root/backup.db", f"{SERVER}/db/state.db")
    program = start(server, "token: first-secret\n")
    assert remembered(server) == {"before"}

    joining = f"token: first-secret\nserver: https://{server.address}:6443\n"
    assert "keeps its data in sqlite" in refused(machines.add("s2"), joining)
    program.stop()
    start(server, "token: first-secret\ncluster-init: true\n")
    assert remembered(server) == {"before"}
    assert server.path(f"{SERVER}/db/state.db.migrated").exists()
    assert not server.path(f"{SERVER}/db/state.db").exists()


def test_what_it_can_be_told_to_do_badly(server: Machine) -> None:
    program = start(server, ETCD)
    remember(server, "lost")
    server.write(FAULTS, '{"snapshot": "fail"}')
    assert "told to fail (snapshot)" in server.run("k3s", "etcd-snapshot", "save", check=False)
    server.write(FAULTS, '{"slow-api": 2}')
    began = time.monotonic()
    server.run("k3s", "kubectl", "get", "nodes")
    assert time.monotonic() - began > 2
    program.stop()

    server.write(FAULTS, json.dumps({"crash-after": 1, "version": VERSION}))
    assert start(server, ETCD).wait_end() == 1
    server.write(FAULTS, json.dumps({"crash-after": 1, "version": NEWER}))
    assert start(server, ETCD).stop() == 0
    server.write(FAULTS, '{"lose-data": true, "start-delay": 3}')
    program = server.start("k3s", "server")
    assert program.wait_ready() > 3
    assert remembered(server) == set()
    assert json.loads(server.read(FAULTS)) == {"start-delay": 3}
    assert "told to lose its data" in program.said
