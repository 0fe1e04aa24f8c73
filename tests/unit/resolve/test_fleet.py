"""Specs become nodes and clusters: order of inheritance, defaults, clusters, clashes."""

from __future__ import annotations

import pytest

from fleet.errors import MistakesError, SpecError
from fleet.model.learned import Learned, LearnedCluster, LearnedNode
from fleet.resolve import origins, resolve
from tests.specs import FLEET, ONE, document, loaded, node_of, resolved


def mistakes(*documents: str) -> list[str]:
    with pytest.raises(MistakesError) as caught:
        resolved(*documents)
    return [mistake.message for mistake in caught.value.mistakes]


def test_inheritance_weakest_first() -> None:
    layers = ["fleet", "fleet-profile-1", "fleet-profile-2", "site-profile", "site", "set-profile", "set"]
    layers += ["node-profile", "node"]
    profiles = [name for name in layers if "profile" in name]

    def spec(name: str) -> str:
        """Each layer says who is strongest, and one thing that only layers up to itself say."""
        seen = "".join(f", v{at}: {name}" for at in range(layers.index(name), len(layers)))
        return f"{{top: {name}{seen}}}"

    fleet = resolved(
        document(
            "Fleet",
            "acme",
            f"k3s: {{channel: stable}}\nprofiles: [fleet-profile-1, fleet-profile-2]\nvars: {spec('fleet')}",
        ),
        *(document("Profile", name, f"vars: {spec(name)}") for name in profiles),
        document(
            "Site",
            "lyon",
            f"""
            profiles: [site-profile]
            vars: {spec("site")}
            nodes:
              - {{name: a, role: none, address: 10.0.0.1, profiles: [node-profile], vars: {spec("node")}}}
            nodeSets:
              - {{name: s, count: 1, role: none, start: 10.0.0.9, profiles: [set-profile], vars: {spec("set")}}}
            """,
        ),
    )
    listed = node_of(fleet, "a").settings.vars
    assert listed["top"] == "node"
    # v5 was last said by the set's profile, which a listed node does not have: the site's word stands.
    assert [listed[f"v{at}"] for at in range(9)] == [
        "fleet", "fleet-profile-1", "fleet-profile-2", "site-profile", "site", "site", "site", "node-profile", "node",
    ]  # fmt: skip
    of_set = node_of(fleet, "lyon-s-001").settings.vars
    assert of_set["top"] == "set"
    assert [of_set[f"v{at}"] for at in range(9)] == [
        "fleet", "fleet-profile-1", "fleet-profile-2", "site-profile", "site", "set-profile", "set", "set", "set",
    ]  # fmt: skip


def test_selectors_see_labels_and_what_every_node_has() -> None:
    fleet = resolved(
        document(
            "Fleet",
            "acme",
            """
            profiles:
              - {name: by-label, selector: {matchLabels: {gpu: nvidia}}}
              - {name: by-site-label, selector: {matchLabels: {country: fr}}}
              - {name: by-role, selector: {matchLabels: {role: none}}}
              - {name: by-set, selector: {matchExpressions: [{key: set, operator: In, values: [s]}]}}
              - {name: by-arch, selector: {matchLabels: {arch: arm64}}}
              - {name: not-fr, selector: {matchExpressions: [{key: country, operator: NotIn, values: [fr]}]}}
              - {name: no-ring, selector: {matchExpressions: [{key: ring, operator: DoesNotExist}]}}
            """,
        ),
        *(
            document("Profile", name, f"vars: {{{name}: 1}}")
            for name in ("by-label", "by-site-label", "by-role", "by-set", "by-arch", "not-fr", "no-ring")
        ),
        document(
            "Site",
            "lyon",
            """
            nodes:
              - {name: a, role: none, address: 10.0.0.1, arch: arm64}
              - {name: b, role: none, address: 10.0.0.2, arch: amd64, labels: {gpu: nvidia, ring: pilot}}
            nodeSets:
              - {name: s, count: 1, role: none, arch: amd64, start: 10.0.0.9}
            """,
            labels="{country: fr}",
        ),
    )
    assert set(node_of(fleet, "a").settings.vars) == {"by-site-label", "by-role", "by-arch", "no-ring"}
    assert set(node_of(fleet, "b").settings.vars) == {"by-label", "by-site-label", "by-role"}
    assert set(node_of(fleet, "lyon-s-001").settings.vars) == {"by-site-label", "by-role", "by-set", "no-ring"}


def test_a_selector_does_not_see_labels_that_a_profile_gives() -> None:
    fleet = resolved(
        document(
            "Fleet",
            "acme",
            """
            k3s: {version: v1.36.3+k3s1}
            profiles: [labels, {name: more, selector: {matchLabels: {tier: edge}}}]
            """,
        ),
        document("Profile", "labels", "k3s: {labels: {tier: edge}}"),
        document("Profile", "more", "vars: {seen: true}"),
        document("Site", "lyon", ONE),
    )
    (node,) = fleet.nodes
    assert node.settings.k3s.labels == {"tier": "edge"}
    assert node.settings.vars == {}


def test_defaults_of_a_bare_node() -> None:
    fleet = resolved(FLEET, document("Site", "lyon", ONE))
    (node,) = fleet.nodes
    assert (node.connection.type, node.connection.user, node.connection.port) == ("ssh", "fleet", 22)
    assert (node.connection.become, node.connection.address) == (True, "10.20.1.11")
    assert (node.settings.hardening, node.settings.k3s.version) == ("none", "v1.36.3+k3s1")
    assert (node.cluster, node.role, node.set) == ("lyon", "server", "")
    assert fleet.sites["lyon"].time_zone == "UTC"
    assert fleet.max_removed == "1%"
    cluster = fleet.clusters["lyon"]
    assert (cluster.datastore, cluster.url, cluster.servers) == ("sqlite", "https://10.20.1.11:6443", ("lyon-1-a",))
    assert (cluster.token, cluster.agent_token) == ("lyon.k3s-token", "lyon.k3s-agent-token")


def test_a_channel_is_what_the_lock_pinned_and_the_stronger_layer_chooses() -> None:
    site = document("Site", "lyon", "k3s: {channel: stable}\n" + ONE)
    fleet = resolved(document("Fleet", "acme", "k3s: {version: v1.35.1+k3s1}"), site)
    assert fleet.nodes[0].settings.k3s.version == "v1.36.3+k3s1"
    assert fleet.unlocked == ()


def test_what_the_lock_does_not_pin_is_said() -> None:
    fleet = resolved(document("Fleet", "acme", "k3s: {version: v1.35.1+k3s1}"), document("Site", "lyon", ONE))
    assert fleet.unlocked == ("v1.35.1+k3s1",)
    fleet = resolved(document("Fleet", "acme", "k3s: {channel: latest}"), document("Site", "lyon", ONE))
    assert fleet.unlocked == ("channel latest",)
    fleet = resolved(
        document("Fleet", "acme", "k3s: {version: v1.36.3+k3s1, airGap: true}"), document("Site", "lyon", ONE)
    )
    assert fleet.unlocked == ("images of v1.36.3+k3s1",)


def test_learned_architecture_fills_in_and_is_pending_before() -> None:
    site = document("Site", "lyon", "nodes: [{name: a, role: server, address: 10.0.0.1}]")
    assert resolved(FLEET, site).pending == {"arch": 1}
    known = Learned(nodes={"a": LearnedNode(arch="arm64")})
    fleet = resolved(FLEET, site, learned=known)
    assert (fleet.pending, fleet.nodes[0].arch) == ({}, "arm64")


def test_clusters_named_joined_and_grown() -> None:
    three = "".join(f"  - {{name: p{at}, role: server, address: 10.0.0.{at}}}\n" for at in (1, 2, 3))
    fleet = resolved(
        FLEET,
        document("Site", "paris", "cluster: {endpoint: k3s.paris.example}\nnodes:\n" + three),
        document(
            "Site",
            "lyon",
            """
            clusters: {line: {datastore: etcd}}
            nodes:
              - {name: l1, role: server, address: 10.0.1.1, cluster: line}
              - {name: l2, role: none, address: 10.0.1.2}
            """,
        ),
        document(
            "Site",
            "nice",
            "cluster: {join: paris}\nnodeSets: [{name: till, count: 2, role: agent, start: 10.0.2.1}]",
        ),
    )
    paris = fleet.clusters["paris"]
    assert paris.servers == ("p1", "p2", "p3")
    assert paris.agents == ("nice-till-001", "nice-till-002")
    assert (paris.datastore, paris.quorum) == ("etcd", 2)
    assert (paris.url, paris.tls_san) == ("https://k3s.paris.example:6443", ("k3s.paris.example",))
    assert (fleet.clusters["lyon-line"].datastore, fleet.clusters["lyon-line"].quorum) == ("etcd", 1)
    assert node_of(fleet, "l2").cluster == ""
    assert not paris.existed
    learned = Learned(clusters={"paris": LearnedCluster(existed=True)})
    again = resolved(FLEET, document("Site", "paris", "nodes:\n" + three), learned=learned)
    assert again.clusters["paris"].existed


def test_the_join_address_of_an_ipv6_server_is_in_brackets() -> None:
    site = document("Site", "lyon", 'nodes: [{name: a, role: server, address: "fd00:0:0::11"}]')
    assert resolved(FLEET, site).clusters["lyon"].url == "https://[fd00::11]:6443"


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        (
            "[{name: a, role: server, address: 10.0.0.1}, {name: b, role: server, address: 10.0.0.2}]",
            "cluster lyon has 2 etcd servers: an even number survives no more losses than 1",
        ),
        ("[{name: a, role: agent, address: 10.0.0.1}]", "a is an agent of cluster lyon, which has no server"),
        (
            "[{name: a, role: none, address: 10.0.0.1}, {name: b, role: none, address: 10.0.0.1}]",
            "b and a both have address 10.0.0.1 at site lyon",
        ),
        (
            (
                "[{name: a, role: none, address: 10.0.0.1, connection: {address: 192.0.2.1}},"
                " {name: b, role: none, address: 10.0.0.2, connection: {address: 192.0.2.1}}]"
            ),
            "b and a are both reached at 192.0.2.1 port 22",
        ),
    ],
)
def test_mistakes_that_take_more_than_one_line_to_see(nodes: str, words: str) -> None:
    found = mistakes(FLEET, document("Site", "lyon", f"nodes: {nodes}"))
    assert words in found


def test_a_clash_names_both_places() -> None:
    with pytest.raises(MistakesError) as caught:
        resolved(
            FLEET,
            document("Site", "lyon", "nodes: [{name: a, role: none, address: 10.0.0.1}]"),
            document("Site", "nice", "nodes: [{name: a, role: none, address: 10.0.0.2}]"),
        )
    (mistake,) = caught.value.mistakes
    assert mistake.message == "node a is there twice: site lyon has it too"
    assert (mistake.place.document, mistake.place.path) == (2, ("spec", "nodes", 0))
    assert [(other.document, other.path) for other in mistake.others] == [(1, ("spec", "nodes", 0))]


def test_sites_may_share_a_network_where_the_way_to_them_differs() -> None:
    fleet = resolved(
        FLEET,
        document(
            "Site", "a", "connection: {jumpHost: a.example}\nnodes: [{name: a1, role: none, address: 192.168.1.9}]"
        ),
        document(
            "Site", "b", "connection: {jumpHost: b.example}\nnodes: [{name: b1, role: none, address: 192.168.1.9}]"
        ),
    )
    assert [node.connection.jump_host for node in fleet.nodes] == ["a.example", "b.example"]


def test_growing_allows_an_even_number() -> None:
    nodes = "nodes: [{name: a, role: server, address: 10.0.0.1}, {name: b, role: server, address: 10.0.0.2}]"
    fleet = resolved(FLEET, document("Site", "lyon", f"cluster: {{growing: true}}\n{nodes}"))
    assert fleet.clusters["lyon"].growing


def test_every_mistake_is_told_at_once() -> None:
    found = mistakes(
        FLEET,
        document("Site", "a", "nodes: [{name: x, role: agent, address: 10.0.0.1}]"),
        document(
            "Site", "b", "nodes: [{name: x, role: none, address: 10.0.0.2}, {name: y, role: none, address: 10.0.0.2}]"
        ),
    )
    assert len(found) == 4
    assert {"node x is there twice: site a has it too", "x is an agent of cluster a, which has no server"} <= set(found)


def test_a_key_that_fleet_sets_itself_is_refused_where_it_is_written() -> None:
    with pytest.raises(MistakesError) as caught:
        resolved(
            document("Fleet", "acme", "k3s: {version: v1.36.3+k3s1, config: {node-name: x}}"),
            document("Site", "l", ONE),
        )
    (mistake,) = caught.value.mistakes
    assert mistake.message == "k3s.config.node-name is set by fleet itself: it is the node's name"
    assert (mistake.place.document, mistake.place.path) == (0, ("spec", "k3s", "config", "node-name"))


def test_a_servers_key_is_left_out_on_agents_that_inherit_it_and_an_error_where_written() -> None:
    both = "nodes: [{name: a, role: server, address: 10.0.0.1}, {name: b, role: agent, address: 10.0.0.2%s}]"
    fleet = document("Fleet", "acme", "k3s: {version: v1.36.3+k3s1, config: {disable: [traefik]}}")
    resolved(fleet, document("Site", "l", both % ""))
    with pytest.raises(SpecError) as caught:
        resolved(fleet, document("Site", "l", both % ", k3s: {config: {cluster-cidr: 10.9.0.0/16}}"))
    (problem,) = caught.value.problems
    assert problem.path == "spec.nodes[1].k3s.config.cluster-cidr"


def test_declared_but_not_enforced_is_said() -> None:
    fleet = resolved(
        document("Fleet", "acme", "k3s: {version: v1.36.3+k3s1}\nrolloutPolicy: standard"),
        document("RolloutPolicy", "standard", "gates: [{type: node}]"),
        document("Segmentation", "zero", "mode: audit\nzones: [{name: hq, cidrs: [10.0.0.0/8]}]\nflows: []"),
        document("Site", "lyon", ONE),
    )
    assert [text.partition(":")[0] for text in fleet.unenforced] == ["Segmentation zero"]


def test_origins_name_the_line_that_won() -> None:
    spec = loaded(
        document("Fleet", "acme", "k3s: {version: v1.36.3+k3s1, config: {disable: [traefik]}}\nvars: {ntp: a, dns: d}"),
        document("Profile", "base", "k3s: {config: {disable+: [servicelb]}}\nos: {packages: [chrony]}"),
        document(
            "Site",
            "lyon",
            "profiles: [base]\nvars: {ntp: b}\nnodes: [{name: a, role: server, arch: amd64, address: 10.0.0.1}]",
            labels="{country: fr}",
        ),
    )
    fleet = resolve(spec, Learned())
    found = {
        origin.path: (origin.value, origin.place.document, origin.place.path)
        for origin in origins(spec, Learned(), fleet.nodes[0])
    }
    assert found == {
        "k3s.config.disable[0]": ("traefik", 0, ("spec", "k3s", "config", "disable", 0)),
        "k3s.config.disable[1]": ("servicelb", 1, ("spec", "k3s", "config", "disable+", 0)),
        "k3s.version": ("v1.36.3+k3s1", 0, ("spec", "k3s", "version")),
        "labels.country": ("fr", 2, ("metadata", "labels", "country")),
        "os.packages[chrony].name": ("chrony", 1, ("spec", "os", "packages", 0, "name")),
        "vars.dns": ("d", 0, ("spec", "vars", "dns")),
        "vars.ntp": ("b", 2, ("spec", "vars", "ntp")),
    }


def test_a_stronger_content_replaces_a_weaker_template_and_a_file_without_any_is_refused() -> None:
    fleet = resolved(
        document("Fleet", "acme", "os: {files: [{path: /etc/x, template: x.j2, mode: '0600'}]}"),
        document(
            "Site",
            "lyon",
            "os: {files: [{path: /etc/x, content: own}]}\nnodes: [{name: a, role: none, address: 10.0.0.1}]",
        ),
        files={"x.j2": "weak"},
    )
    (file,) = fleet.nodes[0].settings.os.files
    assert (file.content.kind, file.content.value, file.mode) == ("text", "own", "0600")
    found = mistakes(
        FLEET,
        document("Profile", "p", "os: {files: [{path: /etc/x, content: here}]}"),
        document(
            "Site",
            "lyon",
            "os: {files: [{path: /etc/x, mode: '0600'}]}\nnodes: [{name: a, role: none, address: 10.0.0.1}]",
        ),
    )
    assert found == ["/etc/x has no content on a: none of its layers gives one"]


def test_null_takes_a_whole_part_away() -> None:
    fleet = resolved(
        document("Fleet", "acme", "os: {packages: [chrony], sysctl: {vm.swappiness: 10}}"),
        document(
            "Site",
            "lyon",
            "nodes: [{name: a, role: none, address: 10.0.0.1, os: {packages: null}},"
            " {name: b, role: none, address: 10.0.0.2, os: {packages: [nano]}}]",
        ),
    )
    a, b = fleet.nodes
    assert (a.settings.os.packages, a.settings.os.sysctl) == ((), {"vm.swappiness": "10"})
    assert [package.name for package in b.settings.os.packages] == ["chrony", "nano"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("drift: {interval: 30m}", "drift"),
        ("git: {branch: main}", "git"),
        ("secrets: {type: command, command: [./x]}", "secrets"),
    ],
)
def test_fields_that_nothing_acts_on_yet_are_said(said: str, words: str) -> None:
    fleet = resolved(
        document("Fleet", "acme", said), document("Site", "l", "nodes: [{name: a, role: none, address: 10.0.0.1}]")
    )
    assert [text.partition(":")[0] for text in fleet.unenforced] == [words]


def test_fields_that_say_nothing_to_do_are_no_promise() -> None:
    fleet = resolved(
        document("Fleet", "acme", "secrets: {type: vault}\nos: {updates: {mode: none}}"),
        document("Site", "l", "nodes: [{name: a, role: none, address: 10.0.0.1}]"),
    )
    assert fleet.unenforced == ()


def test_a_node_that_only_a_name_leads_to() -> None:
    """DNS knows its address: it is dialled there, agents join there, and K3s finds its own address by itself."""
    site = """
        nodes:
          - {name: a, role: server, connection: {address: a.lyon.acme.example}}
          - {name: b, role: agent, connection: {address: b.lyon.acme.example, port: 2222}}
        """
    fleet = resolved(FLEET, document("Site", "lyon", site))

    assert [(node.addresses, node.connection.address) for node in fleet.nodes] == [
        ((), "a.lyon.acme.example"),
        ((), "b.lyon.acme.example"),
    ]
    assert fleet.clusters["lyon"].url == "https://a.lyon.acme.example:6443"
    elsewhere = "connection: {address: gw.acme.example}\nnodes:\n  - {name: a, role: none}"
    with pytest.raises(SpecError) as caught:
        loaded(FLEET, document("Site", "lyon", elsewhere))
    assert "expected one of address and addresses, found none" in caught.value.problems[0].message


def test_profiles_apply_in_the_order_of_the_list_whatever_their_selectors_ask_for() -> None:
    uses = """
        profiles:
          - {name: p0, selector: {matchLabels: {b: "2"}}}
          - p1
          - {name: p2, selector: {matchLabels: {a: "1", b: "2"}}}
          - {name: p3, selector: {matchExpressions: [{key: a, operator: Exists}]}}
          - {name: p4, selector: {matchLabels: {}}}
          - {name: p5, selector: {matchLabels: {a: "1"}, matchExpressions: [{key: c, operator: DoesNotExist}]}}
          - {name: p6, selector: {matchLabels: {role: none}}}
          - {name: p0, selector: {matchLabels: {a: "1"}}}
          - {name: p7}
        """
    site = """
        nodes:
          - {name: x, role: none, address: 10.0.0.1, labels: {a: "1", b: "2"}}
          - {name: y, role: none, address: 10.0.0.2, labels: {a: "1", c: "3"}}
          - {name: z, role: none, address: 10.0.0.3, labels: {b: "2"}}
        """
    profiles = [document("Profile", f"p{at}", f"vars: {{last: p{at}, p{at}: 1}}") for at in range(8)]
    fleet = resolved(document("Fleet", "acme", uses), *profiles, document("Site", "lyon", site))

    seen = {name: node_of(fleet, name).settings.vars for name in "xyz"}
    assert {name: [key for key in values if key != "last"] for name, values in seen.items()} == {
        "x": ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"],
        "y": ["p1", "p3", "p4", "p6", "p0", "p7"],
        "z": ["p0", "p1", "p4", "p6", "p7"],
    }
    without_last = uses.replace("          - {name: p7}\n", "")
    fleet = resolved(document("Fleet", "acme", without_last), *profiles, document("Site", "lyon", site))
    assert [node_of(fleet, name).settings.vars["last"] for name in "xyz"] == ["p0", "p0", "p6"]
