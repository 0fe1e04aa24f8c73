"""Equal changes of many nodes as one group."""

import hashlib
import time
from typing import get_args

import pytest

from fleet.diff import groups
from fleet.diff.naming import without_names
from fleet.model.change import Change, ChangeKind, NodeChange
from fleet.model.plan import ChangeGroup

UPGRADE = Change("k3s", "edit", "K3s", "v1.34.6+k3s1", "v1.35.4+k3s1", ("k3s.service",))
CONFIG = "/etc/rancher/k3s/config.yaml"


class Texts:
    """Contents by sha256, and how often each was asked for."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = {hashlib.sha256(content).hexdigest(): content for content in contents}
        self.asked: list[str] = []

    def __call__(self, sha256: str) -> bytes | None:
        self.asked.append(sha256)
        return self.contents.get(sha256)

    def edit(self, path: str, before: bytes, after: bytes, kind: str = "file") -> Change:
        ids = [hashlib.sha256(content).hexdigest() for content in (before, after)]
        self.contents |= dict(zip(ids, (before, after), strict=True))
        return Change(kind, "edit", path, *ids, restarts=("a.service",))


def node(name: str, *changes: Change, site: str = "lyon-1") -> NodeChange:
    return NodeChange(name, site, site, "server", "b1:old", "b1:new", changes)


def test_nothing_gives_no_group():
    assert groups((), Texts()) == ()


def test_equal_changes_are_one_group_with_its_sites():
    plan = [node("a", UPGRADE), node("b", UPGRADE), node("c", UPGRADE, site="paris-1"), node("d", UPGRADE)]
    assert groups(plan, Texts()) == (ChangeGroup(UPGRADE, nodes=4, sites=2, sample=("a", "b", "c")),)


def test_one_shared_edit_keeps_its_ids_and_is_looked_up_once():
    texts = Texts()
    edit = texts.edit("/etc/chrony", b"server ntp1\nrtcsync\n", b"server ntp2\nrtcsync\n")
    (group,) = groups([node("a", edit), node("b", edit)], texts)
    assert group.change == edit
    assert group.diff == ("- server ntp1", "+ server ntp2")
    assert len(texts.asked) == 2


def test_unique_files_with_the_same_edit_are_one_group():
    texts = Texts()
    plan = [
        node(
            f"n{i}",
            texts.edit(CONFIG, f"node-name: n{i}\nv: 1\n".encode(), f"node-name: n{i}\nv: 2\n".encode(), "config"),
        )
        for i in range(10)
    ]
    assert groups(plan, texts) == (
        ChangeGroup(
            Change("config", "edit", CONFIG, restarts=("a.service",)),
            nodes=10,
            sites=1,
            diff=("- v: 1", "+ v: 2"),
            sample=("n0", "n1", "n2"),
        ),
    )


def test_different_edits_of_one_path_are_groups_of_their_own():
    texts = Texts()
    first = texts.edit("/etc/a", b"x\n", b"y\n")
    second = texts.edit("/etc/a", b"x\n", b"z\n")
    found = groups([node("a", first), node("b", second), node("c", second)], texts)
    assert [(g.nodes, g.diff) for g in found] == [(2, ("- x", "+ z")), (1, ("- x", "+ y"))]


def motd(texts: Texts, name: str, site: str, *, ntp: str = "") -> NodeChange:
    old, new = (f"{name} at {site}: {word}\n{ntp}".encode() for word in ("kept", "owned"))
    return node(name, texts.edit("/etc/motd", old, new), site=site)


def test_lines_that_differ_in_names_alone_are_one_group():
    texts = Texts()
    (group,) = groups([motd(texts, f"s{i // 2}-n{i}", f"s{i // 2}") for i in range(6)], texts)
    assert (group.nodes, group.sites) == (6, 3)
    assert group.diff == ("- {node.name} at {site.name}: kept", "+ {node.name} at {site.name}: owned")
    assert group.change == Change("file", "edit", "/etc/motd", restarts=("a.service",))


def test_lines_with_the_sites_name_are_one_group():
    texts = Texts()
    plan = []
    for site in ("lyon", "paris"):
        edit = texts.edit("/etc/site", b"none\n", f"{site}\n".encode())
        plan += [node(f"{site}-{i}", edit, site=site) for i in range(3)]
    (group,) = groups(plan, texts)
    assert (group.nodes, group.diff) == (6, ("- none", "+ {site.name}"))


def test_a_single_node_shows_its_name_as_it_is():
    texts = Texts()
    (group,) = groups([motd(texts, "till", "lyon")], texts)
    assert group.diff == ("- till at lyon: kept", "+ till at lyon: owned")


def test_the_name_of_another_node_stays():
    texts = Texts()
    edit = texts.edit("/etc/ntp", b"server x\n", b"server n0\n")
    (group,) = groups([node("n0", edit), node("n1", edit), node("n2", edit, site="paris-1")], texts)
    assert group.diff == ("- server x", "+ server n0")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a bar a-b a1 (a)", "{node.name} bar a-b a1 ({node.name})"),
        ("lyon-1 lyon-12 lyon-1.acme", "{site.name} lyon-12 {site.name}.acme"),
        ("nothing", "nothing"),
    ],
)
def test_only_whole_names_are_names(text, expected):
    assert without_names(text, "a", "lyon-1") == expected


def test_different_restarts_are_groups_of_their_own():
    texts = Texts()
    edit = texts.edit("/etc/a", b"x\n", b"y\n")
    silent = Change("file", "edit", "/etc/a", edit.before, edit.after)
    assert len(groups([node("a", edit), node("b", silent)], texts)) == 2


def test_servers_and_agents_that_restart_k3s_are_one_group():
    agent = Change("k3s", "edit", "K3s", "v1.34.6+k3s1", "v1.35.4+k3s1", ("k3s-agent.service",))
    (group,) = groups([node("a", UPGRADE), node("b", agent), node("c", agent)], Texts())
    assert (group.nodes, group.change.before, group.change.after) == (3, "v1.34.6+k3s1", "v1.35.4+k3s1")
    assert group.change.restarts == ("k3s-agent.service", "k3s.service")


def test_what_comes_whole_is_one_group_per_path():
    plan = [node(f"n{i}", Change("file", "add", "/etc/a", "", f"{i:064x}")) for i in range(5)]
    assert groups(plan, Texts()) == (
        ChangeGroup(Change("file", "add", "/etc/a"), nodes=5, sites=1, sample=("n0", "n1", "n2")),
    )


def test_modes_do_not_mix_with_contents():
    texts = Texts()
    mode = Change("file", "edit", "/etc/a", "mode 0644", "mode 0600", ("a.service",))
    found = groups([node("a", texts.edit("/etc/a", b"x", b"y"), mode)], texts)
    assert {g.change.after for g in found} == {"mode 0600", hashlib.sha256(b"y").hexdigest()}


def test_a_content_that_nobody_kept_is_said():
    texts = Texts(b"new")
    edit = Change("file", "edit", "/etc/a", "f" * 64, hashlib.sha256(b"new").hexdigest())
    (group,) = groups([node("a", edit)], texts)
    assert group.diff == ("  the old content is not kept here",)


def test_a_new_value_of_a_secret_shows_no_value():
    contents = {"1" * 64: b"token={secret pos}\n", "2" * 64: b"token={secret pos}\n"}
    (group,) = groups([node("a", Change("file", "edit", "/etc/a", "1" * 64, "2" * 64))], contents.get)
    assert group.diff == ("  a secret in it has a new value",)


def test_a_node_whose_record_says_the_same_in_other_bytes_is_counted():
    assert groups([node("a")], Texts()) == (
        ChangeGroup(Change("fact", "edit", "record"), nodes=1, sites=1, sample=("a",)),
    )


def test_k3s_comes_first_then_the_larger_groups():
    motd = Change("package", "add", "vim", "", "any version")
    found = groups(
        [node("a", Change("package", "add", "apt", "", "any version"), motd), node("b", motd, UPGRADE)], Texts()
    )
    assert [g.change.subject for g in found] == ["K3s", "vim", "apt"]


def test_too_many_different_diffs_are_one_group_without():
    texts = Texts()
    plan = [node(f"n{i}", texts.edit("/etc/a", b"x", f"y{i}".encode())) for i in range(600)]
    (group,) = groups(plan, texts)
    assert (group.nodes, group.diff) == (600, ("  the lines differ from node to node",))
    assert group.change == Change("file", "edit", "/etc/a", restarts=("a.service",))
    assert len(texts.asked) == 2 * 501


def test_up_to_five_hundred_different_diffs_are_shown():
    texts = Texts()
    plan = [node(f"n{i}", texts.edit("/etc/a", b"x", f"y{i}".encode())) for i in range(500)]
    assert len(groups(plan, texts)) == 500


def test_ten_thousand_unique_files_cost_no_more_each_than_a_thousand():
    few, many = grouped(1_000), grouped(10_000)
    assert many < 25 * few + 0.05, "the cost of a file grows with their number"


def grouped(number: int) -> float:
    """CPU seconds of grouping the changes of so many nodes, each with a file of its own."""
    texts = Texts()
    filler = "".join(f"kubelet-arg-{i}: some-value\n" for i in range(30))
    plan = []
    for i in range(number):
        before = f"cluster-dns: 10.43.0.10\nnode-name: n{i}\n{filler}v: 1\n".encode()
        after = f"cluster-dns: 10.43.0.10\nnew: n{i}\nnode-name: n{i}\n{filler}v: 2\n".encode()
        plan.append(node(f"n{i}", texts.edit(CONFIG, before, after, "config"), UPGRADE, site=f"s{i % (number // 10)}"))
    start = time.process_time()
    found = groups(plan, texts)
    spent = time.process_time() - start
    assert [(g.nodes, g.sites) for g in found] == [(number, number // 10)] * 2
    assert found[1].diff == ("+ new: {node.name}", "- v: 1", "+ v: 2")
    return spent


def test_every_kind_of_change_has_its_place():
    kinds = get_args(ChangeKind)
    found = groups([node("n", Change(kind, "edit", "x")) for kind in kinds], Texts())
    assert {group.change.kind for group in found} == set(kinds)
