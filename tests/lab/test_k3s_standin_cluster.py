"""The full stand-in as a cluster: three servers with etcd and an agent, as K3s's documentation says they behave.

The tests share the cluster and run in the order of the file; the last one ends it.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.lab.errors import LabError
from tests.lab.k3s_layer import k3s_layer
from tests.lab.machines import Machine, Machines, Program

VERSION = "v1.36.1+k3s1"
CONFIG = "/etc/rancher/k3s/config.yaml"
SERVER = "/var/lib/rancher/k3s/server"
TOKEN = "correct-horse"
COMMON = f"token: {TOKEN}\nsecrets-encryption: true\nwrite-kubeconfig-mode: '0640'\n"
READY = ["True"]


class Cluster:
    def __init__(self, machines: Machines) -> None:
        self.machines = machines
        self.programs: dict[str, Program] = {}
        self.seconds: dict[str, float] = {}

    def machine(self, name: str) -> Machine:
        return next(machine for machine in self.machines.machines if machine.name == name)

    def start(self, name: str, role: str, config: str) -> Program:
        """Install and start; the caller waits."""
        machine = next((found for found in self.machines.machines if found.name == name), None) or self.machines.add(
            name
        )
        machine.install_k3s(VERSION)
        machine.write(CONFIG, config)
        self.programs[name] = machine.start("k3s", role)
        return self.programs[name]

    def kubectl(self, *words: str, on: str = "s1", stdin: str | None = None) -> str:
        return self.machine(on).run("k3s", "kubectl", *words, stdin=stdin)

    def get(self, *words: str, on: str = "s1") -> Any:
        return json.loads(self.kubectl("get", *words, "-o", "json", on=on))

    def ready(self, node: str, on: str = "s1") -> list[str]:
        """The status of the node's Ready condition; empty where there is no node."""
        found = self.kubectl("get", "node", node, "--ignore-not-found", "-o", "json", on=on)
        conditions = json.loads(found)["status"].get("conditions", []) if found else []
        return [row["status"] for row in conditions if row["type"] == "Ready"]


def until(condition: Callable[[], bool], what: str, timeout: float = 30) -> None:
    give_up = time.monotonic() + timeout
    while True:
        try:
            if condition():
                return
        except LabError:
            pass
        if time.monotonic() > give_up:
            raise LabError(f"not within {timeout} s: {what}")
        time.sleep(0.2)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Machines(k3s_layer()) as machines:
        cluster = Cluster(machines)
        first = cluster.start("s1", "server", f"{COMMON}cluster-init: true\nnode-label: [acme.example/a=1]\n")
        cluster.seconds["s1"] = first.wait_ready()
        full = cluster.machine("s1").read(f"{SERVER}/token").strip()
        join = f"server: https://{cluster.machine('s1').address}:6443\n"
        # One with the short form of the token, one with the full one.
        others = {"s2": COMMON + join, "s3": COMMON.replace(TOKEN, full) + join}
        for name, config in others.items():
            cluster.seconds[name] = cluster.start(name, "server", config).wait_ready()
        agent = (
            f"token: {full}\n{join}node-label: [acme.example/till=1]\nnode-taint: ['acme.example/till=1:NoSchedule']\n"
        )
        cluster.seconds["a1"] = cluster.start("a1", "agent", agent).wait_ready()
        yield cluster


def test_four_nodes_three_members_in_little_time_and_memory(cluster: Cluster) -> None:
    for node in ("s1", "s2", "s3", "a1"):
        until(lambda node=node: cluster.ready(node) == READY, f"{node} is Ready")
    nodes = {node["metadata"]["name"]: node for node in cluster.get("nodes")["items"]}
    assert {node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes.values()} == {VERSION}
    for name in ("s1", "s2", "s3"):
        until(lambda name=name: "node-role.kubernetes.io/etcd" in labels(cluster, name), f"roles of {name}")
    assert "node-role.kubernetes.io/control-plane" not in labels(cluster, "a1")
    for name, node in nodes.items():
        assert node["status"]["nodeInfo"]["machineID"] == cluster.machine(name).read("/etc/machine-id").strip()
    until(lambda: voters(cluster) == {"s1", "s2", "s3"}, "three voters")
    members = cluster.machine("s1").run(*etcdctl("member", "list"))
    assert sorted(re.findall(r"started, (s\d)-[0-9a-f]{8}", members)) == ["s1", "s2", "s3"]
    sizes = {name: memory(program) for name, program in cluster.programs.items()}
    print(f"seconds: {cluster.seconds}; megabytes: {sizes}")
    assert max(sizes.values()) < 700


def voters(cluster: Cluster) -> set[str]:
    nodes = cluster.get("nodes")["items"]
    rows = {node["metadata"]["name"]: node["status"]["conditions"] for node in nodes}
    return {
        name for name, found in rows.items() for row in found if (row["type"], row["status"]) == ("EtcdIsVoter", "True")
    }


def labels(cluster: Cluster, node: str) -> dict[str, str]:
    found: dict[str, str] = cluster.get("node", node)["metadata"]["labels"]
    return found


def test_labels_come_with_each_start_and_taints_with_the_first(cluster: Cluster) -> None:
    """pkg/agent/run.go, updateMutableLabels: what node-label names is set, what it names no more stays."""
    before = cluster.machine("a1").read(CONFIG)
    after = before.replace("till=1]", "till=2, acme.example/more=1]").replace("till=1:NoSchedule", "late=1:NoSchedule")
    assert after.count("=2, ") == after.count("late=1") == 1
    for config, till in ((after, "2"), (before, "1")):
        cluster.programs["a1"].stop()
        cluster.start("a1", "agent", config).wait_ready()
        until(lambda till=till: labels(cluster, "a1")["acme.example/till"] == till, f"the label is {till}")
    assert labels(cluster, "a1")["acme.example/more"] == "1"
    until(lambda: taint_keys(cluster, "a1") == {"acme.example/till"}, "taints are those of registration")
    until(lambda: cluster.ready("a1") == READY, "a1 is Ready")


def etcdctl(*arguments: str) -> list[str]:
    tls = f"{SERVER}/tls/etcd"
    files = (f"--cacert={tls}/server-ca.crt", f"--cert={tls}/client.crt", f"--key={tls}/client.key")
    return ["env", "ETCDCTL_API=3", "etcdctl", "--endpoints=https://127.0.0.1:2379", *files, *arguments]


def memory(program: Program) -> int:
    """Resident megabytes of the program and all that it started."""
    total = 0
    for pid in program.machine.run("ps", "-e", "-o", "rss=").split():
        total += int(pid)
    return total // 1024


def test_files_and_modes(cluster: Cluster) -> None:
    first = cluster.machine("s1")

    def mode(name: str) -> int:
        return first.path(name).lstat().st_mode & 0o777

    for secret in ("token", "cred/passwd", "tls/server-ca.key", "tls/client-admin.key", "tls/etcd/client.key"):
        assert mode(f"{SERVER}/{secret}") == 0o600, secret
    assert (mode(SERVER), mode(f"{SERVER}/tls"), mode(f"{SERVER}/db")) == (0o700, 0o700, 0o700)
    assert mode("/etc/rancher/k3s/k3s.yaml") == 0o640
    assert mode("/etc/rancher/node/password") == 0o600
    assert first.run("readlink", "-f", f"{SERVER}/node-token").strip() == f"{SERVER}/token"
    assert re.fullmatch(rf"K10[0-9a-f]{{64}}::server:{TOKEN}\n", first.read(f"{SERVER}/token"))
    digest = first.run("sha256sum", f"{SERVER}/tls/server-ca.crt").split()[0]
    assert first.read(f"{SERVER}/token").startswith(f"K10{digest}::")
    assert {cluster.machine(name).read(f"{SERVER}/token") for name in ("s2", "s3")} == {first.read(f"{SERVER}/token")}
    listening = first.run("sh", "-c", "cat /proc/net/tcp /proc/net/tcp6").upper()
    assert all(f":{port:04X} " in listening for port in (6443, 6444, 2379, 2380))


def test_without_credentials_nobody_comes_in(cluster: Cluster) -> None:
    url = f"https://{cluster.machine('s1').address}:6443"
    agent = cluster.machine("a1")

    assert agent.run("curl", "-sk", f"{url}/ping") == "pong"
    assert "BEGIN CERTIFICATE" in agent.run("curl", "-sk", f"{url}/cacerts")
    for path in ("/api/v1/nodes", "/v1-k3s/config", "/v1-k3s/server-bootstrap"):
        assert agent.run("curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", f"{url}{path}") == "401", path
    # A header that a front proxy would set is nobody's to send.
    spoofed = ("-H", "X-Remote-User: system:admin", "-H", "X-Remote-Group: system:masters")
    assert agent.run("curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", *spoofed, f"{url}/api/v1/nodes") == "401"


def test_a_kubelet_may_not_read_secrets(cluster: Cluster) -> None:
    folder = "/var/lib/rancher/k3s/agent"
    pair = (
        "--cacert",
        f"{folder}/server-ca.crt",
        "--cert",
        f"{folder}/client-kubelet.crt",
        "--key",
        f"{folder}/client-kubelet.key",
    )
    url = f"https://{cluster.machine('s1').address}:6443"
    curl = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *pair]

    assert cluster.machine("a1").run(*curl, f"{url}/api/v1/nodes/a1") == "200"
    assert cluster.machine("a1").run(*curl, f"{url}/api/v1/namespaces/kube-system/secrets") == "403"


def test_taints_act_at_registration_only_and_labels_of_others_stay_until_a_start(cluster: Cluster) -> None:
    assert labels(cluster, "a1")["acme.example/till"] == "1"
    taint = {"key": "acme.example/till", "value": "1", "effect": "NoSchedule"}
    until(
        lambda: cluster.get("node", "a1")["spec"]["taints"] == [taint], "the taint of a node that is not ready is gone"
    )
    config = cluster.machine("a1").read(CONFIG).replace("till=1", "till=2")
    cluster.programs["a1"].stop()

    cluster.start("a1", "agent", config).wait_ready()

    until(lambda: labels(cluster, "a1")["acme.example/till"] == "2", "the label is that of node-label")
    assert cluster.get("node", "a1")["spec"]["taints"] == [taint]
    cluster.kubectl("label", "node", "a1", "acme.example/till=3", "--overwrite")
    assert labels(cluster, "a1")["acme.example/till"] == "3"
    managers = json.loads(cluster.kubectl("get", "--raw", "/api/v1/nodes/a1"))["metadata"]["managedFields"]
    assert {row["manager"] for row in managers} == {"k3s", "kubectl-label"}


def test_a_deleted_node_stays_away_until_k3s_starts_again(cluster: Cluster) -> None:
    secret = ("secret", "a1.node-password.k3s", "-n", "kube-system", "--ignore-not-found", "-o", "name")
    until(lambda: "ownerReferences" in cluster.get(*secret[:4])["metadata"], "the Node owns its password")
    cluster.kubectl("delete", "node", "a1")
    until(lambda: cluster.kubectl("get", *secret) == "", "the password goes with the Node")
    time.sleep(3)
    assert cluster.ready("a1") == []
    cluster.programs["a1"].stop()

    cluster.start("a1", "agent", cluster.machine("a1").read(CONFIG)).wait_ready()

    until(lambda: cluster.ready("a1") == READY, "a1 is there again")


def test_manifests_are_applied_and_a_changed_one_again(cluster: Cluster) -> None:
    file = f"{SERVER}/manifests/acme.yaml"
    text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: acme, labels: {colour: red}}\n"
    cluster.machine("s2").write(file, text)
    until(lambda: cluster.get("ns", "acme")["metadata"]["labels"]["colour"] == "red", "the namespace is there")

    cluster.machine("s2").write(file, text.replace("red", "green"))
    until(lambda: cluster.get("ns", "acme")["metadata"]["labels"]["colour"] == "green", "the namespace is changed")
    cluster.machine("s2").path(file).unlink()
    cluster.machine("s2").write(
        f"{SERVER}/manifests/bad.yaml", "kind: Nonsense\napiVersion: acme.example/v1\nmetadata: {name: a}\n"
    )
    cluster.programs["s2"].wait_said('no matches for kind \\"Nonsense\\"')
    assert cluster.get("ns", "acme")["metadata"]["name"] == "acme"


POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec: {{nodeName: a1, containers: [{{name: a, image: acme.example/a}}]}}
"""
BUDGET = """
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: strict}
spec: {minAvailable: 1, selector: {matchLabels: {app: guarded}}}
"""


def test_a_drain_evicts_but_not_what_a_budget_guards(cluster: Cluster) -> None:
    cluster.kubectl("apply", "-f", "-", stdin=f"{POD.format(name='free')}---{POD.format(name='guarded')}---{BUDGET}")
    for name in ("free", "guarded"):
        until(lambda name=name: cluster.get("pod", name)["status"].get("phase") == "Running", f"{name} runs")

    said = cluster.machine("s1").run("k3s", "kubectl", "drain", "a1", "--timeout=4s", check=False)

    assert "global timeout reached" in said
    assert "Cannot evict pod as it would violate the pod's disruption budget" in said
    assert cluster.kubectl("get", "pods", "-o", "name") == "pod/guarded\n"
    assert cluster.get("node", "a1")["spec"]["unschedulable"] is True
    cluster.kubectl("delete", "pdb", "strict")
    cluster.kubectl("drain", "a1")
    assert cluster.kubectl("get", "pods", "-o", "name") == ""
    cluster.kubectl("uncordon", "a1")


def test_secrets_lie_encrypted_in_etcd(cluster: Cluster) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: in-plain-sight}\n"
    cluster.kubectl("apply", "-f", "-", stdin=secret)

    stored = cluster.machine("s3").run(
        "sh", "-c", " ".join([*etcdctl("get", "/registry/secrets/default/s"), "| base64 -w0"])
    )

    import base64

    assert b"k8s:enc:aescbc" in base64.b64decode(stored)
    assert b"in-plain-sight" not in base64.b64decode(stored)


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("wrong", "failed to validate token: 401 Unauthorized"),
        (
            f"K10{'0' * 64}::server:{TOKEN}",
            f"token CA hash does not match the Cluster CA certificate hash: {'0' * 64} !=",
        ),
        (f"K10{'0' * 63}::server:{TOKEN}", "invalid token CA hash length"),
        ("K10nonsense", "invalid token format"),
    ],
)
def test_a_server_with_a_wrong_token_is_turned_away(cluster: Cluster, token: str, message: str) -> None:
    join = f"server: https://{cluster.machine('s1').address}:6443\n"
    stranger = cluster.start("s9", "server", COMMON.replace(TOKEN, f"'{token}'") + join)

    assert stranger.wait_end() == 1
    assert message in stranger.said
    cluster.machine("s9").wipe()


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("wrong", "Failed to validate connection to cluster at https://10.78.0.11:6443: 401 Unauthorized"),
        (f"K10{'0' * 64}::server:{TOKEN}", "token CA hash does not match the Cluster CA certificate hash"),
    ],
)
def test_an_agent_with_a_wrong_token_waits_for_ever(cluster: Cluster, token: str, message: str) -> None:
    join = f"server: https://{cluster.machine('s1').address}:6443\n"
    stranger = cluster.start("a9", "agent", f"token: '{token}'\n{join}")

    stranger.wait_said(message)
    assert stranger.process.poll() is None
    assert cluster.ready("a9") == []
    cluster.machine("a9").wipe()


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("cluster-cidr: 10.52.0.0/16", "cluster-cidr"),
        ("flannel-backend: wireguard-native", "flannel-backend"),
        ("disable: [servicelb]", "disable-service-lb"),
        ("secrets-encryption: false", "secrets-encryption"),
        ("supervisor-metrics: true", "supervisor-metrics"),
    ],
)
def test_a_server_with_another_critical_value_is_turned_away(cluster: Cluster, line: str, key: str) -> None:
    join = f"server: https://{cluster.machine('s1').address}:6443\n"
    config = COMMON.replace("secrets-encryption: true\n", "") if key == "secrets-encryption" else COMMON
    stranger = cluster.start("s9", "server", f"{config}{join}{line}\n")

    assert stranger.wait_end() == 1
    assert f"critical configuration mismatched: {key}" in stranger.said
    assert (
        "failed to bootstrap cluster data: failed to validate server configuration: "
        "critical configuration value mismatch between servers"
    ) in stranger.said
    cluster.machine("s9").wipe()


def test_a_value_that_may_differ_does_not_matter_and_a_removed_node_takes_its_member(cluster: Cluster) -> None:
    join = f"server: https://{cluster.machine('s1').address}:6443\n"
    fourth = cluster.start("s9", "server", f"{COMMON}{join}disable: [traefik]\nnode-label: [acme.example/b=2]\n")
    fourth.wait_ready()
    until(lambda: cluster.ready("s9") == READY, "s9 is Ready")
    until(lambda: "node-role.kubernetes.io/etcd" in labels(cluster, "s9"), "s9 has its member's name")
    fourth.stop()
    assert " s9-" in cluster.machine("s1").run(*etcdctl("member", "list"))

    cluster.kubectl("delete", "node", "s9")

    assert " s9-" not in cluster.machine("s1").run(*etcdctl("member", "list"))
    cluster.machine("s9").wipe()


def test_a_reinstalled_agent_is_turned_away_until_its_secret_is_gone(cluster: Cluster) -> None:
    config = cluster.machine("a1").read(CONFIG)
    cluster.machine("a1").wipe()

    agent = cluster.start("a1", "agent", config)

    agent.wait_said("Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password'")
    assert agent.process.poll() is None
    secret = cluster.get("secret", "a1.node-password.k3s", "-n", "kube-system")
    assert secret["immutable"] is True
    cluster.kubectl("delete", "secret", "a1.node-password.k3s", "-n", "kube-system")
    agent.wait_ready()
    assert cluster.get("secret", "a1.node-password.k3s", "-n", "kube-system")["data"] != secret["data"]


def test_its_heartbeat_stops_and_comes_back(cluster: Cluster) -> None:
    """A node is silent when its Lease has run out: after 40 s, but here after 4."""
    faults = "/var/lib/k3s-standin/faults.json"
    cluster.machine("a1").write(faults, '{"not-ready": true, "lease-seconds": 4}')
    until(lambda: cluster.ready("a1") == ["False"], "a1 says that it is not ready")
    until(lambda: taint_keys(cluster, "a1") >= {"node.kubernetes.io/not-ready"}, "a1 has the taint of it")
    cluster.machine("a1").write(faults, '{"lease-seconds": 4}')
    until(lambda: cluster.ready("a1") == READY, "a1 is Ready again")

    cluster.programs["a1"].stop()

    until(lambda: cluster.ready("a1") == ["Unknown"], "a1 is silent", timeout=60)
    until(lambda: taint_keys(cluster, "a1") >= {"node.kubernetes.io/unreachable"}, "a1 has the taint of it")
    cluster.machine("a1").path(faults).unlink()
    cluster.start("a1", "agent", cluster.machine("a1").read(CONFIG)).wait_ready()
    until(lambda: cluster.ready("a1") == READY, "a1 is Ready again")
    until(lambda: taint_keys(cluster, "a1") == {"acme.example/till"}, "only its own taint is left")


def taint_keys(cluster: Cluster, node: str) -> set[str]:
    return {taint["key"] for taint in cluster.get("node", node)["spec"].get("taints", [])}


def test_quorum(cluster: Cluster) -> None:
    """Two of three do, one does not; the agent finds another server; what was written stays."""
    config = cluster.machine("s1").read(CONFIG)
    cluster.programs["s1"].stop()
    cluster.kubectl("label", "node", "s2", "acme.example/two=of-three", on="s2")
    until(lambda: "a1" in cluster.kubectl("get", "nodes", on="s2"), "s2 answers")

    cluster.machine("s3").power_off()

    written = cluster.machine("s2").run(
        "timeout", "5", "k3s", "kubectl", "label", "node", "s2", "acme.example/x=y", check=False
    )
    assert "labeled" not in written
    first = cluster.start("s1", "server", config)
    first.wait_ready()
    assert labels(cluster, "s1") is not None
    assert labels(cluster, "s2")["acme.example/two"] == "of-three"
    until(lambda: cluster.ready("a1") == READY, "the agent is still there")
