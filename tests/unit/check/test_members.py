"""Rules about who is in a fleet and in a cluster."""

import pytest
from msgspec.structs import replace

from fleet.check import even_etcd, join_target, max_removed, moved_node, quorum, split_cluster, tokens_first
from fleet.check.picture import Picture
from fleet.model.change import Change
from fleet.model.verdict import Verdict
from tests.unit.check.fleets import NODE_PLACE, PLACE, changed, cluster, facts, given, node

UPGRADE = Change("k3s", "edit", "K3s", "v1.34.6+k3s1", "v1.35.4+k3s1", ("k3s.service",))


def etcd(names: str) -> dict:
    return {name: facts(datastore="etcd") for name in names}


def gone(removed: str, staying: str) -> list[Verdict]:
    """Servers of one etcd cluster, of which some left the spec."""
    nodes = [node(name) for name in staying]
    return list(
        quorum.judge(
            Picture(
                given(
                    *nodes,
                    clusters=[cluster(staying, datastore="etcd")],
                    now=etcd(removed + staying),
                    wanted=etcd(staying),
                    changes=[],
                    removed=tuple(removed),
                )
            )
        )
    )


def test_two_etcd_servers_gone_at_once_are_refused():
    assert gone("bc", "a") == [
        Verdict(
            "quorum",
            "refused",
            "lyon-1",
            "2 of 3 etcd servers left the spec at once (b, c): 1 stay, quorum needs 2",
            "Put all but one back: a server leaves etcd and Kubernetes before the next one goes.",
            PLACE,
        )
    ]


def test_two_of_five_are_refused_although_quorum_would_hold():
    (verdict,) = gone("de", "abc")
    assert (verdict.outcome, verdict.message[:1]) == ("refused", "2")


def test_one_of_two_is_refused():
    (verdict,) = gone("b", "a")
    assert verdict.outcome == "refused"


def test_one_of_three_warns_until_it_is_retired():
    (verdict,) = gone("c", "ab")
    assert verdict.outcome == "warning"
    assert verdict.message == "c left the spec and is still one of 3 members of etcd"


def lost(missing: dict[str, str], servers: str = "abc", *, datastore: str = "etcd") -> list[Verdict]:
    """Servers of a living cluster and an agent, of which nothing changes but what was emptied."""
    nodes = [*(node(name) for name in servers), node("till", "agent")]
    held = {name: facts(datastore=datastore) for name in servers if missing.get(name) != "emptied"}
    picture = given(
        *nodes,
        clusters=[cluster(servers, ["till"], datastore=datastore)],
        now=held,
        wanted={name: facts(datastore=datastore) for name in servers},
        changes=[changed(each, first=True) for each in nodes if missing.get(each.name) == "emptied"],
    )
    return list(quorum.judge(Picture(replace(picture, missing=missing))))


def test_a_cluster_that_lost_two_of_three_servers_is_to_be_restored():
    assert lost({"b": "silent", "c": "emptied", "till": "silent"}) == [
        Verdict(
            "quorum",
            "warning",
            "lyon-1",
            "etcd has lost its quorum, 2 of 3: b does not answer, c holds nothing any more",
            "Bring back those that are only away. Else what is left to do is a restore, by hand: "
            "docs/k3s.md#restore. Until then no server can join.",
            PLACE,
        )
    ]


@pytest.mark.parametrize(
    ("missing", "servers", "count"),
    [
        ({"b": "emptied", "c": "emptied"}, "abc", 1),
        ({"a": "silent", "b": "silent"}, "abc", 1),
        ({"c": "emptied"}, "abc", 0),
        ({"c": "silent"}, "abc", 0),
        ({"d": "silent", "e": "emptied"}, "abcde", 0),
        ({"c": "silent", "d": "silent", "e": "silent"}, "abcde", 1),
        ({"a": "silent", "b": "silent", "c": "silent"}, "abc", 0),
        ({"till": "silent"}, "abc", 0),
    ],
)
def test_a_majority_that_is_up_and_a_site_without_a_link_need_no_restore(missing, servers, count):
    assert len(lost(missing, servers)) == count
    assert lost(missing, servers, datastore="external") == []


def test_servers_that_are_yet_to_join_were_never_members():
    """One server that grows to three: the new ones answered, and held nothing before either."""
    picture = given(*(node(name) for name in "abc"), clusters=[cluster("abc")], now={"a": facts(datastore="etcd")})
    assert list(quorum.judge(Picture(replace(picture, missing={"b": "silent"})))) == []


def test_agents_and_closed_shops_are_none_of_quorums_business():
    picture = Picture(
        given(
            node("a"),
            clusters=[cluster()],
            now={"x": facts(role="agent", datastore="etcd"), "y": facts(datastore="etcd", cluster="closed")},
            changes=[],
            removed=("x", "y"),
        )
    )
    assert not list(quorum.judge(picture))


def pair(*changes: Change) -> list[Verdict]:
    a, b = node("a"), node("b")
    picture = Picture(
        given(
            a,
            b,
            clusters=[cluster("ab", growing=True)],
            now=etcd("ab"),
            wanted=etcd("ab"),
            changes=[changed(a, *changes)],
        )
    )
    return list(quorum.judge(picture))


def test_a_restart_of_one_of_two_members_warns():
    (verdict,) = pair(UPGRADE)
    assert (verdict.rule, verdict.outcome) == ("quorum", "warning")


def test_a_change_without_a_restart_of_k3s_does_not():
    assert pair(Change("file", "edit", "/etc/motd", "a", "b", ("chrony.service",))) == []


def test_three_members_stand_a_restart():
    nodes = [node(name) for name in "abc"]
    picture = Picture(
        given(
            *nodes,
            clusters=[cluster("abc")],
            now=etcd("abc"),
            wanted=etcd("abc"),
            changes=[changed(each, UPGRADE) for each in nodes],
        )
    )
    assert not list(quorum.judge(picture))


@pytest.mark.parametrize(
    ("servers", "datastore", "count"), [("ab", "etcd", 1), ("abc", "etcd", 0), ("ab", "external", 0), ("a", "etcd", 0)]
)
def test_an_even_number_of_etcd_servers_warns(servers, datastore, count):
    nodes = [node(name) for name in servers]
    picture = Picture(given(*nodes, clusters=[cluster(servers, datastore=datastore, growing=True)]))
    verdicts = list(even_etcd.judge(picture))
    assert len(verdicts) == count
    assert all((v.rule, v.outcome) == ("even-etcd", "warning") for v in verdicts)


def removal(gone: int, enrolled: int, allowed: str) -> list[Verdict]:
    names = [f"n{i}" for i in range(enrolled)]
    return list(max_removed.judge(Picture(given(records=names, removed=names[:gone], max_removed=allowed))))


def test_a_table_that_was_cut_short_is_refused():
    assert removal(101, 10_000, "1%") == [
        Verdict(
            "max-removed",
            "refused",
            "acme",
            "101 of 10,000 enrolled nodes are gone from the spec (n0, n1, n2 and 98 more), maxRemoved 1% allows 100",
            "Put them back where a file was cut short, or raise maxRemoved in the Fleet document.",
        )
    ]


@pytest.mark.parametrize(
    ("gone", "enrolled", "allowed", "refused"),
    [
        (100, 10_000, "1%", False),
        (1, 6, "1%", False),
        (2, 6, "1%", True),
        (0, 6, "0%", False),
        (1, 6, "0%", True),
        (5, 1000, "0.5%", False),
        (6, 1000, "0.5%", True),
        (3, 6, "3", False),
        (4, 6, "3", True),
        (6, 6, "100%", False),
    ],
)
def test_how_many_may_go(gone, enrolled, allowed, refused):
    assert [v.outcome for v in removal(gone, enrolled, allowed)] == (["refused"] if refused else [])


def test_a_node_that_moves_is_refused():
    till = node("till", "agent", site="paris-1", cluster="paris-1")
    picture = Picture(
        given(
            till,
            now={"till": facts(role="agent")},
            wanted={"till": facts(role="agent", site="paris-1", cluster="paris-1")},
        )
    )
    assert list(moved_node.judge(picture)) == [
        Verdict(
            "moved-node",
            "refused",
            "till",
            "site lyon-1 -> paris-1",
            "Put it back: an enrolled node keeps its site and role; other hardware takes another name.",
            NODE_PLACE,
        )
    ]


def test_a_renamed_site_is_one_verdict():
    nodes = [node(f"n{i}", "agent", site="lyon-2", cluster="lyon-2") for i in range(1200)]
    picture = Picture(
        given(
            *nodes,
            now={n.name: facts(role="agent") for n in nodes},
            wanted={n.name: facts(role="agent", site="lyon-2", cluster="lyon-2") for n in nodes},
        )
    )
    (verdict,) = moved_node.judge(picture)
    assert verdict.subject == "n0"
    assert verdict.message == "site lyon-1 -> lyon-2 (and of 1,199 more nodes)"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ({"role": "agent"}, {"role": "server"}, "role agent -> server"),
        ({"role": "server"}, {"role": "none", "cluster": ""}, "role server -> none"),
        ({"cluster": "lyon-1-kitchen"}, {}, "cluster lyon-1-kitchen -> lyon-1"),
    ],
)
def test_role_and_cluster_stay_as_well(before, after, message):
    picture = Picture(given(node("a"), now={"a": facts(**before)}, wanted={"a": facts(**after)}))
    assert [verdict.message for verdict in moved_node.judge(picture)] == [message]


def test_a_node_that_stays_passes():
    assert not list(
        moved_node.judge(Picture(given(node("a"), now={"a": facts("v1.34.6+k3s1")}, wanted={"a": facts()})))
    )
    assert not list(moved_node.judge(Picture(given(node("a"), wanted={"a": facts()}))))


def joining(*, is_lost: bool) -> list[Verdict]:
    a, b = node("a"), node("b", address="10.20.1.12")
    return list(join_target.judge(Picture(given(a, b, clusters=[cluster("ab", is_lost=is_lost)]))))


def test_a_cluster_that_lost_all_servers_warns():
    """An empty server joins those that live: there is nothing to say."""
    assert joining(is_lost=False) == []
    (verdict,) = joining(is_lost=True)
    assert (verdict.rule, verdict.outcome) == ("join-target", "warning")


def split(**told: str) -> list[Verdict]:
    """Servers a, b and c, and the hash of its CA that each has told."""
    picture = given(node("a"), node("b"), node("c"), clusters=[cluster("abc")], records="abc")
    records = {
        name: replace(record, learned={"k3s_ca": told[name]} if name in told else {})
        for name, record in picture.records.items()
    }
    return list(split_cluster.judge(Picture(replace(picture, records=records))))


def test_servers_of_one_cluster_have_one_ca():
    assert split() == split(b="11" * 32) == split(a="11" * 32, c="11" * 32) == []
    (verdict,) = split(a="11" * 32, b="22" * 32, c="11" * 32)
    assert (verdict.rule, verdict.outcome, verdict.subject) == ("split-cluster", "refused", "lyon-1")
    assert verdict.message == "its servers have different CAs: a 111111111111, b 222222222222, c 111111111111"
    assert "fleet node replace" in verdict.hint


TOKEN, AGENT_TOKEN = "lyon-1.k3s-token", "lyon-1.k3s-agent-token"


def rotated(change, *, wanted, held, **more):
    """Servers a and b and agent c, of which `wanted` are in the plan's scope; git has the second value of both tokens."""
    nodes = [node("a"), node("b"), node("c", "agent")]
    return Picture(
        given(
            *nodes,
            clusters=[cluster("ab", agents=("c",), growing=True)],
            wanted={name: facts(role="agent" if name == "c" else "server") for name in wanted},
            changes=[change],
            tokens=held,
            fingerprints={TOKEN: "two", AGENT_TOKEN: "two"},
            **more,
        )
    )


def test_an_agent_comes_with_no_token_that_a_server_does_not_know():
    change = changed(node("c", "agent"))
    both = {TOKEN: "two", AGENT_TOKEN: "two"}
    picture = rotated(change, wanted="c", held={"a": both, "b": {**both, AGENT_TOKEN: "one"}})
    assert list(tokens_first.judge(picture)) == [
        Verdict(
            "tokens-first",
            "refused",
            "c",
            f"it would come with the new `{AGENT_TOKEN}`, which server b does not know yet",
            "Take b into the plan: it is outside its scope.",
            NODE_PLACE,
        )
    ]
    assert not list(tokens_first.judge(rotated(change, wanted="bc", held={"a": both, "b": {AGENT_TOKEN: "one"}})))
    assert not list(tokens_first.judge(rotated(change, wanted="c", held={"a": both, "b": both})))
    assert not list(tokens_first.judge(rotated(change, wanted="c", held={"a": {TOKEN: "one", AGENT_TOKEN: "two"}})))


def test_a_server_that_joins_comes_with_no_token_that_another_one_does_not_know():
    old = {"a": {TOKEN: "one", AGENT_TOKEN: "two"}}
    (verdict,) = tokens_first.judge(rotated(changed(node("b"), first=True), wanted="b", held=old))
    assert (verdict.subject, TOKEN in verdict.message) == ("b", True)
    assert not list(tokens_first.judge(rotated(changed(node("b"), first=True), wanted="ab", held=old)))
    assert not list(tokens_first.judge(rotated(changed(node("b")), wanted="b", held=old))), (
        "it tells the cluster itself"
    )
