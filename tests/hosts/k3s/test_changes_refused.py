"""Changes that a living cluster would not survive: each is refused with its rule's name, and no host is even asked.

On the clusters as they were formed; git and hosts are left as they were found.
"""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.hosts.checkout import Checkout
from tests.hosts.ground import SERVERS, Ground
from tests.lab.files import FileState

V33, V34, V36 = "v1.33.6+k3s1", "v1.34.2+k3s1", "v1.36.1+k3s1"
NORTH_B = "- {name: north-b, role: server, arch: amd64, address: 10.77.1.12"
KEPT = ("/etc", "/usr/local", "/var/lib/fleet", "/root")
State = tuple[dict[str, FileState], dict[str, str], int]


@pytest.fixture
def checkout(formed: Ground) -> Iterator[Checkout]:
    """As git has it, before and after."""
    head = formed.checkout.head
    yield formed.checkout
    formed.checkout.git("reset", "--quiet", "--hard", head)


@pytest.fixture(scope="module", autouse=True)
def before(formed: Ground) -> dict[str, State]:
    return {name: state(formed, name) for name in formed.hosts}


def state(ground: Ground, name: str) -> State:
    """Files, K3s's processes and logins of a host."""
    host = ground.hosts[name]
    unit = host.unit_show(ground.k3s_unit(name), "MainPID", "ActiveEnterTimestampMonotonic", "NRestarts")
    return host.tree(*KEPT), unit, host.journal("ssh.service").count("Accepted publickey")


def downgrade(checkout: Checkout) -> None:
    checkout.edit("fleet.yaml", V34, V33)
    checkout.fleet("lock")


def skip(checkout: Checkout) -> None:
    """With a release of each minor in fleet.lock a cluster is walked up; here somebody took one out."""
    checkout.edit("fleet.yaml", V34, V36)
    checkout.fleet("lock")
    lock = json.loads((checkout.folder / "fleet.lock").read_text())
    lock["releases"] = {name: release for name, release in lock["releases"].items() if not name.startswith("v1.35.")}
    checkout.write("fleet.lock", json.dumps(lock))


def cluster_cidr(checkout: Checkout) -> None:
    checkout.edit(
        "sites/north.yaml",
        "  timeZone: Europe/Paris\n",
        "  timeZone: Europe/Paris\n  k3s: {config: {cluster-cidr: 10.52.0.0/16}}\n",
    )


def one_server_differs(checkout: Checkout) -> None:
    checkout.edit("sites/north.yaml", NORTH_B, f"{NORTH_B}, k3s: {{config: {{disable-network-policy: true}}}}")


@pytest.mark.parametrize(
    ("change", "rules", "subject", "message"),
    [
        (skip, {"version-skip", "version-unlocked"}, "north", f"K3s {V34} -> {V36} leaves out v1.35"),
        (downgrade, {"version-downgrade"}, "north", f"K3s {V34} -> {V33} goes back to an older version"),
        (cluster_cidr, {"immutable-keys"}, "north", "cluster-cidr 10.42.0.0/16 -> 10.52.0.0/16"),
        (
            one_server_differs,
            {"critical-keys-differ"},
            "north",
            "disable-network-policy is false on north-a and true on north-b",
        ),
    ],
    ids=["a minor is skipped", "a downgrade", "another cluster-cidr", "servers that differ"],
)
def test_it_is_refused_with_its_rules_name(
    checkout: Checkout, change: Callable[[Checkout], None], rules: set[str], subject: str, message: str
) -> None:
    rollouts = checkout.fleet("rollout", "list", "--json").document()["rollouts"]
    change(checkout)
    checkout.commit("A change that is no good")

    planned = checkout.fleet("plan", code=2)
    refused = checkout.fleet("plan", "--json", code=2).document()["verdicts"]
    applied = checkout.fleet("apply", "--yes", code=2)

    assert {verdict["rule"] for verdict in refused if verdict["outcome"] == "refused"} == rules
    assert (subject, message) in {(verdict["subject"], verdict["message"]) for verdict in refused}
    for rule in rules:
        assert f"See docs/rules/{rule}.md" in planned.out
    assert message in planned.out
    assert any(f"refused, the first by {rule}: " in applied.err for rule in rules), applied.err
    assert checkout.fleet("rollout", "list", "--json").document()["rollouts"] == rollouts, "none began"


def test_an_even_count_of_etcd_servers_is_a_mistake_of_the_spec(checkout: Checkout) -> None:
    path = checkout.folder / "sites/north.yaml"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if "name: north-c," not in line))
    checkout.commit("Two servers are enough")

    for argv in (("validate",), ("plan",), ("apply", "--yes")):
        said = checkout.fleet(*argv, code=2)
        assert "cluster north has 2 etcd servers: an even number survives no more losses than 1" in said.text
        assert "docs/rules/even-etcd.md" in said.text


def test_a_lost_quorum_is_not_planned(checkout: Checkout) -> None:
    """Two of three servers leave the spec at once."""
    path = checkout.folder / "sites/north.yaml"
    gone = ("name: north-b,", "name: north-c,")
    text = "".join(line for line in path.read_text().splitlines(True) if not any(name in line for name in gone))
    path.write_text(
        text.replace("  timeZone: Europe/Paris\n", "  timeZone: Europe/Paris\n  cluster: {datastore: etcd}\n")
    )
    checkout.commit("One server is enough")

    refused = checkout.fleet("plan", "--json", code=2).document()["verdicts"]

    assert "quorum" in {verdict["rule"] for verdict in refused if verdict["outcome"] == "refused"}
    assert "refused" in checkout.fleet("apply", "--yes", code=2).err


def test_no_host_was_touched_or_even_asked(formed: Ground, before: dict[str, State]) -> None:
    """By any of the above."""
    assert {name for name in formed.hosts if state(formed, name) != before[name]} == set()
    assert formed.checkout.plan("--refresh")["changing"] == 0
    assert set(SERVERS) <= set(formed.hosts)
