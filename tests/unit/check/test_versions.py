"""Rules about K3s's version."""

import pytest
from msgspec.structs import replace

from fleet.check import (
    servers_first,
    snapshot_before_upgrade,
    version_downgrade,
    version_skip,
    version_unlocked,
    version_unsupported,
)
from fleet.check.picture import Picture
from fleet.model.verdict import Verdict
from tests.unit.check.fleets import NODE_PLACE, changed, cluster, facts, given, node


def going(before: str, after: str, **more) -> Picture:
    """One server that goes from one version to another."""
    a = node("a")
    return Picture(given(a, clusters=[cluster()], now={"a": facts(before)}, wanted={"a": facts(after)}, **more))


def test_a_skipped_minor_is_refused_and_names_the_release_to_go_through():
    assert list(version_skip.judge(going("v1.33.5+k3s1", "v1.35.4+k3s1"))) == [
        Verdict(
            "version-skip",
            "refused",
            "lyon-1",
            "K3s v1.33.5+k3s1 -> v1.35.4+k3s1 leaves out v1.34",
            "Set k3s.version to v1.34.6+k3s1 first, apply that, then go on.",
            NODE_PLACE,
        )
    ]


def test_a_year_away_leaves_out_each_minor_between():
    (verdict,) = version_skip.judge(going("v1.32.1+k3s1", "v1.35.4+k3s1"))
    assert verdict.message == "K3s v1.32.1+k3s1 -> v1.35.4+k3s1 leaves out v1.33, v1.34"
    assert verdict.hint == "Set k3s.version to a release of v1.33 first, apply that, then go on."


def test_the_next_minor_and_the_next_patch_pass():
    assert not list(version_skip.judge(going("v1.34.6+k3s1", "v1.35.4+k3s1")))
    assert not list(version_skip.judge(going("v1.35.1+k3s1", "v1.35.4+k3s1")))


def test_a_version_that_is_none_is_refused():
    (verdict,) = version_skip.judge(going("latest", "v1.35.4+k3s1"))
    assert verdict.outcome == "refused"
    assert verdict.message == "the record of a says that it holds K3s `latest`, which is no version"


def test_one_verdict_for_all_nodes_of_a_cluster():
    nodes = [node("a"), node("b", "agent"), node("c", "agent")]
    picture = Picture(
        given(
            *nodes,
            clusters=[cluster(agents=("b", "c"))],
            now={n.name: facts("v1.33.5+k3s1") for n in nodes},
            wanted={n.name: facts() for n in nodes},
        )
    )
    assert len(list(version_skip.judge(picture))) == 1


def test_a_downgrade_is_refused():
    (verdict,) = version_downgrade.judge(going("v1.35.4+k3s1", "v1.35.3+k3s1"))
    assert (verdict.rule, verdict.outcome, verdict.subject) == ("version-downgrade", "refused", "lyon-1")
    assert verdict.message == "K3s v1.35.4+k3s1 -> v1.35.3+k3s1 goes back to an older version"
    assert verdict.hint.startswith("Put v1.35.4+k3s1 back.")


def test_an_upgrade_is_no_downgrade():
    assert not list(version_downgrade.judge(going("v1.35.3+k3s1", "v1.35.3+k3s2")))
    assert not list(version_downgrade.judge(going("latest", "v1.35.3+k3s2")))


def test_a_minor_on_the_way_that_is_not_locked_is_refused():
    (verdict,) = version_unlocked.judge(going("v1.33.5+k3s1", "v1.35.4+k3s1", locked=["v1.35.4+k3s1"]))
    assert (verdict.rule, verdict.outcome) == ("version-unlocked", "refused")
    assert (
        verdict.message == "K3s v1.33.5+k3s1 -> v1.35.4+k3s1 passes through v1.34, of which fleet.lock has no release"
    )


def test_locked_minors_pass():
    assert not list(version_unlocked.judge(going("v1.33.5+k3s1", "v1.35.4+k3s1")))
    assert not list(version_unlocked.judge(going("v1.35.1+k3s1", "v1.35.4+k3s1", locked=[])))


@pytest.mark.parametrize(("before", "after"), [("v1.28.1+k3s1", "v1.29.1+k3s1"), ("v1.98.1+k3s1", "v1.99.1+k3s1")])
def test_a_minor_that_is_too_old_or_not_known_yet_warns_and_a_supported_one_does_not(before, after):
    (verdict,) = version_unsupported.judge(going(before, after))
    assert (verdict.rule, verdict.outcome) == ("version-unsupported", "warning")
    assert verdict.message.startswith(f"K3s {after} is none of the minors that this fleet supports: v1.")
    assert not list(version_unsupported.judge(going("v1.34.6+k3s1", "v1.35.4+k3s1")))


def server_and_agent(server: str, agent: str, **more) -> Picture:
    """What server a and agent b hold after the plan."""
    a, b = node("a"), node("b", "agent")
    wanted = {"a": facts(server), "b": facts(agent, "agent")}
    now = {"a": facts("v1.34.6+k3s1"), "b": facts("v1.34.6+k3s1", "agent")}
    return Picture(given(a, b, clusters=[cluster(agents=("b",))], now=now, wanted=wanted, **more))


def test_an_agent_newer_than_its_server_is_refused():
    assert list(servers_first.judge(server_and_agent("v1.34.6+k3s1", "v1.35.4+k3s1"))) == [
        Verdict(
            "servers-first",
            "refused",
            "lyon-1",
            "agent b would run K3s v1.35.4+k3s1, newer than server a with v1.34.6+k3s1",
            "Give a the same version.",
            NODE_PLACE,
        )
    ]


def test_agents_alone_in_the_plans_scope_are_refused():
    a, b = node("a"), node("b", "agent")
    picture = Picture(
        given(
            a,
            b,
            clusters=[cluster(agents=("b",))],
            now={"a": facts("v1.34.6+k3s1"), "b": facts("v1.34.6+k3s1", "agent")},
            wanted={"b": facts("v1.35.4+k3s1", "agent")},
            changes=[changed(b)],
        )
    )
    (verdict,) = servers_first.judge(picture)
    assert verdict.hint == "Take a into the plan: it is outside its scope."


def test_both_together_and_servers_ahead_pass():
    assert not list(servers_first.judge(server_and_agent("v1.35.4+k3s1", "v1.35.4+k3s1")))
    assert not list(servers_first.judge(server_and_agent("v1.35.4+k3s1", "v1.34.6+k3s1")))


def test_the_oldest_server_and_the_newest_agent_count():
    nodes = [node("a"), node("b"), node("c", "agent"), node("d", "agent")]
    old, new = "v1.34.6+k3s1", "v1.35.4+k3s1"
    held = {
        "a": facts(new, datastore="external"),
        "b": facts(old, datastore="external"),
        "c": facts(old, "agent"),
        "d": facts(new, "agent"),
    }
    clusters = [cluster("ab", "cd", datastore="external")]
    (verdict,) = servers_first.judge(Picture(given(*nodes, clusters=clusters, wanted=held)))
    assert verdict.message == "agent d would run K3s v1.35.4+k3s1, newer than server b with v1.34.6+k3s1"


def test_the_newest_locked_release_of_a_minor_is_the_one_to_go_through():
    locked = ["v1.34.5+k3s1", "v1.34.6+k3s2", "v1.34.6+k3s1", "no version", "v1.35.4+k3s1"]
    (verdict,) = version_skip.judge(going("v1.33.5+k3s1", "v1.35.4+k3s1", locked=locked))
    assert verdict.hint.startswith("Set k3s.version to v1.34.6+k3s2 first")


def test_a_cluster_without_a_change_is_not_judged():
    picture = server_and_agent("v1.34.6+k3s1", "v1.35.4+k3s1", changes=[])
    assert not list(servers_first.judge(picture))
    assert picture.touched == ()


def saved(before: str, after: str, datastore: str, command: tuple[str, ...] = ()) -> list[Verdict]:
    a = node("a")
    those = [replace(cluster(datastore=datastore), snapshot_command=command)]
    picture = given(a, clusters=those, now={"a": facts(before)}, wanted={"a": facts(after)})
    return list(snapshot_before_upgrade.judge(Picture(picture)))


def test_an_external_datastore_of_which_nobody_says_how_it_is_saved_is_not_upgraded():
    (verdict,) = saved("v1.34.6+k3s1", "v1.35.4+k3s1", "external")
    assert (verdict.rule, verdict.outcome, verdict.subject) == ("snapshot-before-upgrade", "refused", "lyon-1")
    assert "cluster: {snapshot: {command:" in verdict.hint
    assert saved("v1.34.6+k3s1", "v1.35.4+k3s1", "external", ("./snapshot.sh",)) == []
    assert saved("v1.35.4+k3s1", "v1.35.4+k3s1", "external") == []
    assert saved("v1.34.6+k3s1", "v1.35.4+k3s1", "sqlite") == saved("v1.34.6+k3s1", "v1.35.4+k3s1", "etcd") == []
