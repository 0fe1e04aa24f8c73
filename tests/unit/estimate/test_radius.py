"""What carrying out a plan touches and costs."""

from msgspec.structs import replace

from fleet.estimate import K3S_RESTART_SECONDS, radius
from fleet.model.change import Change, NodeChange
from fleet.model.cluster import Cluster
from fleet.model.fleet import ResolvedFleet
from fleet.model.lock import Lock, LockedFile, LockedRelease
from fleet.model.node import Connection, K3sSettings, Node, OsSettings, Settings, Updates
from fleet.model.plan import BlastRadius
from fleet.model.problem import Place
from fleet.model.verdict import Verdict

PLACE = Place("fleet.yaml")
SETTINGS = Settings(
    K3sSettings("v1.35.4+k3s1", {}, {}, {}, (), ()), "none", OsSettings((), {}, (), (), (), Updates()), {}
)
UPGRADE = Change("k3s", "edit", "K3s", "v1.34.6+k3s1", "v1.35.4+k3s1", ("k3s.service",))
AGENT_UPGRADE = Change("k3s", "edit", "K3s", "v1.34.6+k3s1", "v1.35.4+k3s1", ("k3s-agent.service",))
CHRONY = Change("file", "edit", "/etc/chrony", "a", "b", ("chrony.service",))
FIRST = Change("first", "add", "everything", "", "v1.35.4+k3s1")
LOCK = Lock(
    releases={
        "v1.35.4+k3s1": LockedRelease(
            "v1.35.4+k3s1",
            {"amd64": LockedFile("k3s", "1" * 64, 70_000_000), "arm64": LockedFile("k3s-arm64", "2" * 64, 60_000_000)},
        )
    }
)


def node(name: str, site: str, role: str, arch: str = "amd64") -> Node:
    connection = Connection("ssh", "10.0.0.1", 22, "fleet", become=True)
    return Node(
        name, site, site if role != "none" else "", role, "", ("10.0.0.1",), arch, {}, SETTINGS, connection, PLACE
    )


def cluster(name: str, servers: tuple[str, ...], agents: tuple[str, ...] = ()) -> Cluster:
    datastore = "sqlite" if len(servers) == 1 else "etcd"
    return Cluster(name, name, servers, agents, datastore, "https://x:6443", (), "t", "a", PLACE)


def change(each: Node, *changes: Change) -> NodeChange:
    return NodeChange(each.name, each.site, each.cluster, each.role, "b1:old", "b1:new", changes)


LYON_A, LYON_B = node("lyon-a", "lyon", "server"), node("lyon-b", "lyon", "agent", "arm64")
PARIS = tuple(node(f"paris-{i}", "paris", "server") for i in range(3))
KIOSK = node("kiosk", "nice", "none", "")
FLEET = ResolvedFleet(
    name="acme",
    nodes=(LYON_A, LYON_B, *PARIS, KIOSK),
    clusters={
        "lyon": cluster("lyon", ("lyon-a",), ("lyon-b",)),
        "paris": cluster("paris", ("paris-0", "paris-1", "paris-2")),
    },
    sites={},
)


def test_nothing_touches_nothing():
    assert radius(FLEET, (), LOCK, {}) == BlastRadius()


def test_an_upgrade_of_everything():
    changes = [
        change(LYON_A, UPGRADE, CHRONY),
        change(LYON_B, AGENT_UPGRADE),
        *(change(each, UPGRADE) for each in PARIS),
        change(KIOSK, CHRONY),
    ]
    assert radius(FLEET, changes, LOCK, {}) == BlastRadius(
        nodes=6,
        sites=3,
        clusters=2,
        servers=4,
        restarts={"chrony.service": 2, "k3s-agent.service": 1, "k3s.service": 4},
        clusters_upgraded=2,
        quorum_lost=0,
        downtime_sites=1,
        downtime_seconds=K3S_RESTART_SECONDS,
        mirror_bytes=4 * 70_000_000 + 60_000_000,
    )


def test_a_unit_that_two_files_restart_restarts_once():
    again = Change("file", "edit", "/etc/other", "a", "b", ("chrony.service",))
    assert radius(FLEET, [change(KIOSK, CHRONY, again)], LOCK, {}).restarts == {"chrony.service": 1}


def test_sites_with_several_servers_have_no_downtime():
    found = radius(FLEET, [change(each, UPGRADE) for each in PARIS], LOCK, {})
    assert (found.downtime_sites, found.downtime_seconds) == (0, 0)


def test_an_agents_restart_is_no_downtime_of_its_site():
    assert radius(FLEET, [change(LYON_B, AGENT_UPGRADE)], LOCK, {}).downtime_sites == 0


def test_a_first_application_fetches_k3s_and_upgrades_nobody():
    found = radius(FLEET, [change(LYON_A, FIRST)], LOCK, {})
    assert (found.mirror_bytes, found.clusters_upgraded, found.downtime_sites) == (70_000_000, 0, 0)


def test_a_pending_architecture_counts_as_the_largest():
    assert radius(FLEET, [change(KIOSK, FIRST)], LOCK, {}).mirror_bytes == 70_000_000


def test_a_version_that_is_not_locked_has_no_size():
    assert radius(FLEET, [change(LYON_A, FIRST)], Lock(), {}).mirror_bytes == 0


def test_other_artifacts_are_counted_by_their_sha256():
    images = Change("artifact", "add", "/srv/images.tar", "", "3" * 64)
    assert radius(FLEET, [change(LYON_A, images), change(LYON_B, images)], LOCK, {"3" * 64: 5}).mirror_bytes == 10


def test_quorum_is_lost_where_a_verdict_refuses():
    verdicts = [
        Verdict("quorum", "refused", "paris", "2 of 3 gone"),
        Verdict("quorum", "warning", "lyon", "1 of 3 gone"),
        Verdict("moved-node", "refused", "lyon-a", "site lyon -> paris"),
    ]
    assert radius(FLEET, [], LOCK, {}, verdicts).quorum_lost == 1


def test_images_of_air_gapped_nodes_are_fetched_too():
    images = {"amd64": LockedFile("i", "3" * 64, 200_000_000)}
    version = "v1.35.4+k3s1"
    lock = Lock(releases={version: replace(LOCK.releases[version], images=images)})
    gapped = replace(LYON_A, settings=replace(SETTINGS, k3s=replace(SETTINGS.k3s, air_gap=True)))
    fleet = replace(FLEET, nodes=(gapped, LYON_B))
    assert radius(fleet, [change(gapped, FIRST)], lock, {}).mirror_bytes == 270_000_000
    assert radius(fleet, [change(LYON_B, FIRST)], lock, {}).mirror_bytes == 60_000_000
