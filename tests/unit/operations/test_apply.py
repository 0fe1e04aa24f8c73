"""apply: what it refuses before anything is touched, what it keeps, and what it asks of the engine."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
import pytest

from fleet.errors import RefusedError, UsageError
from fleet.model.event import Event, NodeApplied, NodeFailed, RolloutFinished
from fleet.model.learned import LearnedCluster
from fleet.model.plan import Plan, Scope
from fleet.model.rollout import RolloutCounts, RolloutOrder
from fleet.model.verdict import Verdict
from fleet.operations.apply import ApplyOptions, Hands, apply, refuse
from fleet.operations.intent import Intent
from fleet.operations.plan import plan
from fleet.testing import MemoryRecords, MemorySecrets
from tests.specs import FLEET, ONE, document
from tests.unit.operations.hosts import EverySecret
from tests.unit.render.ground import COMMIT, intent

TOKENS = ("lyon.k3s-token", "lyon.k3s-agent-token")
EVERYTHING = Scope()
PLAINLY = ApplyOptions()
PLAIN = document("Fleet", "acme", "")
HOSTS = """
nodes:
  - {name: a, role: none, address: 10.0.0.1}
  - {name: b, role: none, address: 10.0.0.2}
"""


def secrets_lock(*names: str) -> dict[str, str]:
    listed = {name: {"file": "secrets/lyon.yaml", "version": 1, "fingerprint": "f" * 64} for name in names}
    return {"secrets/secrets.lock": json.dumps({"format": "fleet.secrets/v1", "secrets": listed})}


def planned(made: Intent, scope: Scope = EVERYTHING) -> Plan:
    return plan(made, MemoryRecords(), scope)


def refusal(made: Intent, options: ApplyOptions = PLAINLY, scope: Scope = EVERYTHING) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        refuse(made, planned(made, scope), options)
    return caught.value


class ScriptedEngine:
    """Applies every node but those in `failing`, and remembers its orders."""

    def __init__(self, *failing: str) -> None:
        self.failing = failing
        self.orders: list[RolloutOrder] = []

    def roll(self, order: RolloutOrder) -> Iterator[Event]:
        self.orders.append(order)
        for node in order.nodes:
            if node.name in self.failing:
                yield NodeFailed(node=node.name, site=node.site, batch_id="1", reason="no")
            else:
                yield NodeApplied(node=node.name, site=node.site, batch_id="1", digest=node.wanted, changed=1)
        yield RolloutFinished(rollout_id=order.id, counts=RolloutCounts(applied=len(order.nodes)))

    def resume(self, rollout_id: str) -> Iterator[Event]:
        raise LookupError(rollout_id)

    def stop(self) -> None:
        self.failing = ()


def hands(
    engine: ScriptedEngine | None = None,
    records: MemoryRecords | None = None,
    secrets: MemorySecrets | None = None,
) -> Hands:
    return Hands(engine or ScriptedEngine(), records or MemoryRecords(), secrets or EverySecret(), "ops@laptop")


def test_a_wrong_password_is_one_error_before_anything_starts() -> None:
    made = intent(FLEET, document("Site", "lyon", ONE), files=secrets_lock("lyon.k3s-token", "lyon.k3s-agent-token"))
    engine, secrets = ScriptedEngine(), MemorySecrets(fits=False)
    with pytest.raises(UsageError, match="does not open it"):
        list(apply(made, planned(made), hands(engine, secrets=secrets), PLAINLY))
    assert (len(secrets.opened), engine.orders) == (1, [])
    plain = intent(PLAIN, document("Site", "lyon", HOSTS))
    list(apply(plain, planned(plain), hands(engine, secrets=secrets), PLAINLY))
    assert (len(secrets.opened), len(engine.orders)) == (1, 1), "no secret is needed, so no password is"


def test_hosts_are_changed_from_a_commit() -> None:
    site = document("Site", "lyon", HOSTS)
    for made, said in (
        (
            intent(PLAIN, site, dirty=True),
            "hosts are changed from a commit, and this is 4be1f02 and uncommitted changes",
        ),
        (intent(PLAIN, site, commit=""), "hosts are changed from a commit, and this is a folder outside git"),
    ):
        error = refusal(made)
        assert str(error).startswith(said)
        assert error.hint == "Commit first, or say --allow-dirty."
        refuse(made, planned(made), ApplyOptions(allow_dirty=True))
    clean = intent(PLAIN, site)
    refuse(clean, planned(clean), PLAINLY)


def test_sandboxes_may_be_tried_without_a_commit() -> None:
    made = intent(PLAIN, document("Site", "lyon", HOSTS + "connection: {type: sandbox}"), dirty=True)
    refuse(made, planned(made), PLAINLY)
    one = HOSTS.replace("10.0.0.2}", "10.0.0.2, connection: {type: ssh}}")
    made = intent(PLAIN, document("Site", "lyon", one + "connection: {type: sandbox}"), dirty=True)
    assert "hosts are changed from a commit" in str(refusal(made))
    refuse(made, planned(made, Scope(nodes=("a",))), PLAINLY)


def test_what_is_not_enforced_yet_is_applied_only_when_said() -> None:
    zones = document("Segmentation", "shops", "zones: [{name: hq, cidrs: [10.0.0.0/16]}]")
    made = intent(document("Fleet", "acme", ""), zones, document("Site", "lyon", HOSTS))
    error = refusal(made)
    assert str(error).startswith(
        "the spec declares what is not enforced yet: Segmentation shops: no rule reaches a node"
    )
    assert error.hint == "--unenforced applies the rest all the same."
    refuse(made, planned(made), ApplyOptions(unenforced=True))


def test_a_refused_plan_stays_refused() -> None:
    made = intent(PLAIN, document("Site", "lyon", HOSTS))
    verdict = Verdict("quorum", "refused", "lyon", "loses quorum", "One at a time.")
    refused = msgspec.structs.replace(planned(made), verdicts=(verdict,))
    with pytest.raises(
        RefusedError, match=r"1 change\(s\) are refused, the first by quorum: lyon: loses quorum"
    ) as caught:
        refuse(made, refused, ApplyOptions(take_over="x", allow_dirty=True, unenforced=True))
    assert caught.value.hint == "One at a time."
    warned = msgspec.structs.replace(refused, verdicts=(msgspec.structs.replace(verdict, outcome="warned"),))
    refuse(made, warned, PLAINLY)


def test_missing_tokens_are_named() -> None:
    error = refusal(intent(FLEET, document("Site", "lyon", ONE)))
    assert str(error) == "secrets/ lacks lyon.k3s-agent-token, lyon.k3s-token"
    assert error.hint == "Run `fleet secret generate` and commit what it writes: apply never makes a secret."
    only = intent(FLEET, document("Site", "lyon", ONE), files=secrets_lock("lyon.k3s-token"))
    assert str(refusal(only)) == "secrets/ lacks lyon.k3s-agent-token"
    complete = intent(FLEET, document("Site", "lyon", ONE), files=secrets_lock(*TOKENS))
    refuse(complete, planned(complete), PLAINLY)


@pytest.mark.parametrize(
    ("said", "path"),
    [
        (
            "k3s: {registries: {configs: {r.example: {auth: {username: u, password: 'secret:reg'}}}}}",
            "/etc/rancher/k3s/registries.yaml",
        ),
        ("k3s: {config: {etcd-s3-secret-key: 'secret:reg'}}", "/etc/rancher/k3s/config.yaml"),
        (
            "vars: {pass: 'secret:reg'}\nos: {files: [{path: /etc/db.conf, content: '{{ vars.pass }}'}]}",
            "/etc/db.conf",
        ),
        (
            "vars: {pass: 'secret:reg'}\nk3s: {manifests: [{name: s, content: '{{ vars.pass | b64encode }}'}]}",
            "/var/lib/rancher/k3s/server/manifests/s.yaml",
        ),
        ("cluster: {datastore: {external: {endpointSecret: reg}}}", "/etc/rancher/k3s/config.yaml"),
        (
            "cluster: {datastore: {external: {endpointSecret: reg-endpoint, cert: c.crt, key: reg}}}",
            "/etc/rancher/k3s/datastore-client.key",
        ),
    ],
)
def test_every_other_secret_is_looked_for_too(said: str, path: str) -> None:
    documents = (FLEET, document("Site", "lyon", f"{ONE}{said}\n"))
    cert = {"c.crt": "-----BEGIN CERTIFICATE-----\n"}
    error = refusal(intent(*documents, files=secrets_lock(*TOKENS, "reg-endpoint") | cert))
    assert str(error) == f"secrets/ lacks reg (for {path})"
    assert "listed in secrets.lock" in error.hint
    complete = intent(*documents, files=secrets_lock(*TOKENS, "reg-endpoint", "reg") | cert)
    refuse(complete, planned(complete), PLAINLY)


def test_many_missing_secrets_are_counted() -> None:
    keys = ", ".join(f"k{at}: 'secret:s{at}'" for at in range(5))
    content = "".join(f"{{{{ vars.k{at} }}}}" for at in range(5))
    site = document("Site", "lyon", f"{HOSTS}vars: {{{keys}}}\nos: {{files: [{{path: /etc/x, content: '{content}'}}]}}")
    assert str(refusal(intent(PLAIN, site))) == (
        "secrets/ lacks s0 (for /etc/x), s1 (for /etc/x), s2 (for /etc/x) and 2 more"
    )


def test_tokens_are_named_first() -> None:
    site = document("Site", "lyon", f"{ONE}k3s: {{config: {{etcd-s3-secret-key: 'secret:a-key'}}}}")
    error = refusal(intent(FLEET, site, files=secrets_lock("lyon.k3s-agent-token")))
    assert str(error) == "secrets/ lacks lyon.k3s-token, a-key (for /etc/rancher/k3s/config.yaml)"


def test_only_changing_nodes_count() -> None:
    site = HOSTS.replace("10.0.0.2}", "10.0.0.2, vars: {pass: 'secret:reg'}}")
    site += "vars: {pass: plain}\nos: {files: [{path: /etc/x, content: '{{ vars.pass }}'}]}"
    made = intent(PLAIN, document("Site", "lyon", site))
    assert str(refusal(made)) == "secrets/ lacks reg (for /etc/x)"
    refuse(made, planned(made, Scope(nodes=("a",))), PLAINLY)


def test_a_text_that_looks_like_a_missing_secret_is_none() -> None:
    content = '{"fingerprint":""}{{ secrets.db }}'
    site = document("Site", "lyon", f"{HOSTS}os: {{files: [{{path: /etc/x, content: '{content}'}}]}}")
    made = intent(PLAIN, site, files=secrets_lock("db"))
    refuse(made, planned(made), PLAINLY)


def test_nothing_to_do_starts_nothing() -> None:
    made = intent(PLAIN, document("Site", "lyon", HOSTS))
    engine = ScriptedEngine()
    nothing = msgspec.structs.replace(planned(made), nodes=())
    assert list(apply(made, nothing, hands(engine), PLAINLY)) == []
    assert engine.orders == []


def test_a_refusal_comes_before_anything_is_kept_or_asked() -> None:
    made = intent(FLEET, document("Site", "lyon", ONE))
    engine, records = ScriptedEngine(), MemoryRecords()
    with pytest.raises(RefusedError):
        list(apply(made, planned(made), hands(engine, records), PLAINLY))
    assert engine.orders == []
    assert records._objects == {}


def test_the_order_says_who_wants_what_of_whom() -> None:
    site = ONE + "  - {name: lyon-1-b, role: agent, arch: arm64, address: 10.20.1.12}\n"
    made = intent(FLEET, document("Site", "lyon", site), files=secrets_lock(*TOKENS))
    engine = ScriptedEngine()
    events = list(apply(made, planned(made), hands(engine), ApplyOptions(forks=7, take_over="new laptop")))
    (order,) = engine.orders
    assert (order.fleet, order.commit, order.controller, order.forks, order.take_over) == (
        "acme", COMMIT, "ops@laptop", 7, "new laptop",
    )  # fmt: skip
    assert [wave.name for wave in order.waves] == ["everyone"]
    assert [(n.name, n.site, n.cluster, n.role, n.rank, n.base) for n in order.nodes] == [
        ("lyon-1-a", "lyon", "lyon", "server", 0, ""),
        ("lyon-1-b", "lyon", "lyon", "agent", 0, ""),
    ]
    assert [n.wanted for n in order.nodes] == [made.renderer.sketch(node).digest for node in made.fleet.nodes]
    assert [type(event).__name__ for event in events] == ["NodeApplied", "NodeApplied", "RolloutFinished"]
    other = ScriptedEngine()
    list(apply(made, planned(made), hands(other), PLAINLY))
    assert other.orders[0].id != order.id


def test_servers_have_their_rank() -> None:
    nodes = "".join(f"  - {{name: s{at}, role: server, arch: amd64, address: 10.0.0.{at}}}\n" for at in (3, 1, 2))
    made = intent(FLEET, document("Site", "lyon", "nodes:\n" + nodes), files=secrets_lock(*TOKENS))
    engine = ScriptedEngine()
    list(apply(made, planned(made), hands(engine), PLAINLY))
    assert [(node.name, node.rank) for node in engine.orders[0].nodes] == [("s3", 0), ("s1", 1), ("s2", 2)]


def test_contents_are_kept_for_later_diffs_and_no_secret_with_them() -> None:
    site = HOSTS + "os: {files: [{path: /etc/x, content: hello}, {path: /etc/y, content: 'p={{ secrets.db }}'}]}"
    made = intent(PLAIN, document("Site", "lyon", site), files=secrets_lock("db"))
    records = MemoryRecords()
    list(apply(made, planned(made), hands(records=records), PLAINLY))
    sketches = [made.renderer.sketch(node) for node in made.fleet.nodes]
    manifests = {sketch.digest: sketch.manifest for sketch in sketches}
    assert records.blobs(manifests) == manifests, "what is sent is known, also where no answer comes"
    kept = set(records._objects.values()) - {*manifests.values()}
    assert b"hello" in kept
    assert len(kept) == 2
    (text,) = kept - {b"hello"}
    assert text.startswith(b"p=")
    assert b"db" in text


def test_a_cluster_exists_once_a_server_came_through() -> None:
    nodes = "".join(f"  - {{name: s{at}, role: server, arch: amd64, address: 10.0.0.{at}}}\n" for at in (1, 2, 3))
    made = intent(FLEET, document("Site", "lyon", "nodes:\n" + nodes), files=secrets_lock(*TOKENS))
    records = MemoryRecords()
    list(apply(made, planned(made), hands(ScriptedEngine("s1", "s2", "s3"), records), PLAINLY))
    assert records.clusters() == {}
    events = apply(made, planned(made), hands(ScriptedEngine(), records), PLAINLY)
    assert isinstance(next(events), NodeApplied)
    assert records.clusters() == {"lyon": LearnedCluster(existed=True, datastore="etcd")}
    list(events)
    assert records.clusters() == {"lyon": LearnedCluster(existed=True, datastore="etcd")}


def test_what_is_known_of_a_cluster_stays_known() -> None:
    records = MemoryRecords()
    known = LearnedCluster(existed=True, datastore="etcd")
    records.learn_clusters({"lyon": known})
    made = intent(FLEET, document("Site", "lyon", ONE), files=secrets_lock(*TOKENS), records=records)
    assert len(list(apply(made, planned(made), hands(records=records), PLAINLY))) == 2
    assert records.clusters() == {"lyon": known}


def test_agents_found_no_cluster() -> None:
    site = ONE + "  - {name: lyon-1-b, role: agent, arch: arm64, address: 10.20.1.12}\n"
    made = intent(FLEET, document("Site", "lyon", site), files=secrets_lock(*TOKENS))
    records = MemoryRecords()
    list(apply(made, planned(made), hands(ScriptedEngine("lyon-1-a"), records), PLAINLY))
    assert records.clusters() == {}


def test_a_node_that_never_answered_may_hold_what_was_sent_to_it() -> None:
    """Its link was lost in the middle: what came through is no other controller's."""
    made = intent(PLAIN, document("Site", "lyon", HOSTS))
    made = msgspec.structs.replace(made, unanswered={"a": ("b1:sent",)})
    engine = ScriptedEngine()
    list(apply(made, planned(made), hands(engine), PLAINLY))
    (order,) = engine.orders
    assert {node.name: node.expected for node in order.nodes} == {"a": ",b1:sent", "b": ""}
    assert made.expected("a") == ",b1:sent"
