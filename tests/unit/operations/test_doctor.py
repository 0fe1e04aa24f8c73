"""doctor: whom it asks what, and which of the answers are judged; the judging itself is in tests/unit/diagnose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from fleet.errors import UnavailableError
from fleet.model.batch import NodeAnswer, NodeTask
from fleet.model.diagnosis import Diagnosis, Surroundings
from fleet.model.node import Node
from fleet.model.record import Record
from fleet.operations.doctor import DoctorHands, doctor
from fleet.operations.intent import Intent
from fleet.testing import MemoryClock, MemoryHand, MemoryRecords
from tests.specs import FLEET, VERSION, document
from tests.unit.operations.hosts import ED, LYON, PLAIN, held
from tests.unit.render.ground import intent

WELL = Surroundings("2.19.0", "2.4.1", "2.40.0", "9.2", open_files=4096, state_free=10**12)
NOW = 1_750_000_000.0
DAY = 86_400.0
MIRRORED = document(
    "Fleet", "acme", f"k3s: {{version: {VERSION}}}\nartifacts: {{mirrors: ['https://one.example/k3s/', 'https://two.example']}}"
)  # fmt: skip


class Machine:
    def __init__(self, seen: Surroundings = WELL) -> None:
        self.seen = seen

    def look(self) -> Surroundings:
        return self.seen


class Mirror:
    """Has every file, but for mirrors in `down`; `asked` are the URLs whose size was wanted."""

    def __init__(self, *down: str) -> None:
        self.down = down
        self.asked: list[str] = []

    def fetch(self, url: str, limit: int) -> bytes:
        raise LookupError(f"{url}: doctor fetches nothing, not even {limit} bytes")

    def size(self, url: str) -> int:
        self.asked.append(url)
        if any(url.startswith(one) for one in self.down):
            raise UnavailableError(f"{url}: HTTP 404")
        return 70_000_000


class Ground:
    def __init__(
        self, *answers: NodeAnswer, records: Sequence[Record] = (), mirror: Mirror | None = None, seen: Surroundings = WELL
    ) -> None:  # fmt: skip
        self.hand = MemoryHand({answer.node: answer for answer in answers})
        self.clock = MemoryClock(NOW)
        self.records = MemoryRecords(records, self.clock.now)
        self.mirror = mirror or Mirror()
        self.machine = Machine(seen)

    def look(self, made: Intent, nodes: Sequence[Node] | None = None, *, asks: bool = True) -> list[Diagnosis]:
        hands = DoctorHands(
            self.machine, self.mirror, self.hand if asks else None, self.records, self.clock, forks=5
        )  # fmt: skip
        return list(doctor(made, made.fleet.nodes if nodes is None else nodes, hands))


def probed(node: str, **said: object) -> NodeAnswer:
    return NodeAnswer(node, "done", result={"probe": {"now": NOW, "python": "3.11.2", "systemd": "running", **said}})


def of(check: str, found: Sequence[Diagnosis]) -> list[Diagnosis]:
    return [each for each in found if each.check == check]


def doubts(found: Sequence[Diagnosis]) -> dict[str, Diagnosis]:
    return {each.check: each for each in found if each.outcome != "ok"}


PINS = {"known_hosts": "".join(f"10.0.0.{at} ssh-ed25519 {ED}\n" for at in (1, 2, 3))}


def test_all_is_well() -> None:
    found = Ground(*(probed(name) for name in "abc")).look(intent(PLAIN, LYON, files=PINS))
    assert {each.outcome for each in found} == {"ok"}
    assert {"ansible", "host-keys", "clock", "python", "systemd"} <= {each.check for each in found}


def test_the_controller_comes_first_and_equal_things_together() -> None:
    found = Ground(probed("a", python="3.6.9"), probed("b", python="3.6.9"), probed("c")).look(intent(PLAIN, LYON))
    checks = [each.check for each in found]
    assert checks.index("host-keys") < checks.index("clock")
    (python,) = of("python", found)
    assert (python.outcome, python.subjects) == ("wrong", ("a", "b"))


def test_every_node_is_asked_once_in_one_task() -> None:
    ground = Ground()
    ground.look(intent(PLAIN, LYON))
    assert ground.hand.tasks == [
        (NodeTask("probe", {"fleet_run_modules": {"a": [], "b": [], "c": []}}), ("a", "b", "c"))
    ]


def test_modules_are_those_that_the_nodes_own_k3s_needs() -> None:
    site = document(
        "Site", "lyon",
        """
        nodes:
          - {name: s, role: server, arch: amd64, address: 10.0.0.1, k3s: {config: {flannel-backend: wireguard-native}}}
          - {name: t, role: agent, arch: amd64, address: 10.0.0.2}
          - {name: h, role: none, address: 10.0.0.3}
        """,
    )  # fmt: skip
    ground = Ground(probed("s", modules={"wireguard": "absent"}))
    found = ground.look(intent(FLEET, site))
    wanted = ground.hand.tasks[0][0].variables["fleet_run_modules"]
    assert "wireguard" in wanted["s"]
    assert "wireguard" not in wanted["t"]
    assert "br_netfilter" in wanted["t"]
    assert wanted["h"] == []
    assert doubts(found)["kernel-modules"].subjects == ("s",)


def test_no_node_is_asked_where_none_is_to_be() -> None:
    ground = Ground()
    for found in (ground.look(intent(PLAIN, LYON), asks=False), ground.look(intent(PLAIN, LYON), nodes=())):
        assert of("clock", found) == []
        assert of("ansible", found)
    assert ground.hand.tasks == []


def test_who_does_not_answer_is_told_with_why_and_since_when() -> None:
    ground = Ground(
        NodeAnswer("a", "unreachable", "no route"),
        NodeAnswer("b", "failed", "exit 1"),
        probed("c"),
        records=[held("b")],
    )
    ground.clock.advance(3 * DAY)
    found = of("contact", ground.look(intent(PLAIN, LYON)))
    assert {each.subjects: each.message for each in found} == {
        ("a",): "no route; never answered yet",
        ("b",): "exit 1; last answered 3 days ago",
    }


def test_nodes_that_were_not_asked_and_were_silent_for_long_are_told() -> None:
    ground = Ground(probed("c"), records=[held("a"), held("c"), held("orphan")])
    ground.clock.advance(8 * DAY)
    ground.records.save([held("b")])
    (found,) = of("contact", ground.look(intent(PLAIN, LYON), asks=False))
    assert (found.subjects, found.message) == (("a", "c"), "no answer for 8 days")
    nodes = intent(PLAIN, LYON).fleet.nodes
    assert of("contact", ground.look(intent(PLAIN, LYON), nodes=nodes[2:])) == [], "it has just answered"


@pytest.mark.parametrize("result", [{}, {"probe": None}, {"probe": {"python": "3.11"}}, {"probe": {"now": "noon"}}])
def test_an_answer_that_cannot_be_read_is_none(result: dict[str, object]) -> None:
    (found,) = of(
        "contact", Ground(NodeAnswer("a", "done", result=result), probed("b"), probed("c")).look(intent(PLAIN, LYON))
    )
    assert found.subjects == ("a",)
    assert found.message.startswith("what it tells of itself cannot be read: ")


def test_another_machine_than_the_enrolled_one() -> None:
    records = [held("a"), held("b")]
    ground = Ground(
        probed("a", machine_id="machine of a"),
        probed("b", machine_id="m9"),
        probed("c", machine_id="m8"),
        records=records,
    )
    (found,) = of("machine-id", ground.look(intent(PLAIN, LYON, records=MemoryRecords(records))))
    assert (found.outcome, found.subjects) == ("wrong", ("b",))


def test_a_clock_is_compared_with_when_its_host_was_asked() -> None:
    """Not with when all had been: of thousands, the last one answers minutes later."""
    told = {name: probed(name).result for name in "abc"}
    late = NodeAnswer("a", "done", result=told["a"], began=NOW - 1, ended=NOW + 1)
    off = NodeAnswer("b", "done", result=told["b"], began=NOW + 90, ended=NOW + 91)
    fast = NodeAnswer("c", "done", result=told["c"], began=NOW - 31, ended=NOW - 30)
    found = {each.subjects: each for each in of("clock", Ground(late, off, fast).look(intent(PLAIN, LYON)))}
    assert {subjects: each.outcome for subjects, each in found.items()} == {("b",): "wrong", ("c",): "warning"}
    assert "behind" in found[("b",)].message
    assert "ahead" in found[("c",)].message


def test_without_times_the_whole_look_is_taken_for_them() -> None:
    """Nothing is told of a clock that was right at any moment of it."""
    ground = Ground()

    def slow(task: NodeTask, nodes: Sequence[str]) -> Iterator[NodeAnswer]:
        for name in nodes:
            ground.clock.advance(100)
            yield probed(name, now=NOW + 50, task=task.playbook)

    ground.hand.run = slow  # type: ignore[method-assign]
    assert of("clock", ground.look(intent(PLAIN, LYON)))[0].outcome == "ok"


def test_hosts_without_a_pinned_key_are_named_and_sandboxes_are_not() -> None:
    site = LYON.replace("10.0.0.3}", "10.0.0.3, connection: {type: sandbox}}")
    found = Ground().look(intent(PLAIN, site, files={"known_hosts": f"10.0.0.2 ssh-ed25519 {ED}\n"}), asks=False)
    assert doubts(found)["host-keys"].subjects == ("a",)


def test_only_the_nodes_of_the_scope_are_looked_at() -> None:
    ground = Ground(probed("b"))
    made = intent(PLAIN, LYON)
    found = ground.look(made, nodes=made.fleet.nodes[1:2])
    assert doubts(found)["host-keys"].subjects == ("b",)
    assert ground.hand.tasks[0][1] == ("b",)


def test_what_fleet_lock_does_not_pin() -> None:
    fleet = document("Fleet", "acme", "k3s: {version: v1.2.3+k3s1}")
    site = document("Site", "lyon", "nodes: [{name: a, role: server, arch: amd64, address: 10.0.0.1}]")
    found = doubts(Ground().look(intent(fleet, site), asks=False))["lock"]
    assert (found.outcome, found.subjects) == ("wrong", ("v1.2.3+k3s1",))


def test_each_mirror_is_asked_for_a_file_that_is_pinned() -> None:
    mirror = Mirror("https://two.example")
    found = of("mirror", Ground(mirror=mirror).look(intent(MIRRORED), asks=False))
    path = f"{VERSION}/k3s"
    assert mirror.asked == [f"https://one.example/k3s/{path}", f"https://two.example/{path}"]
    assert [(each.outcome, each.subjects) for each in found] == [("ok", ()), ("warning", ("https://two.example",))]
    assert found[1].message == f"https://two.example/{path}: HTTP 404"


def test_no_mirror_is_asked_while_nothing_is_pinned() -> None:
    mirror = Mirror()
    empty = '{"format": "fleet.lock/v1", "renderer": 1, "channels": {}, "releases": {}}'
    found = Ground(mirror=mirror).look(intent(MIRRORED, files={"fleet.lock": empty}), asks=False)
    assert (mirror.asked, of("mirror", found)) == ([], [])


def test_the_machine_and_the_forks_are_judged() -> None:
    few = Surroundings("2.19.0", "2.4.1", "2.40.0", "", open_files=70, state_free=1, state_path="/small")
    found = doubts(Ground(seen=few).look(intent(PLAIN), asks=False))
    assert found["ssh"].message == "OpenSSH is not there"
    assert found["open-files"].message == "70 open files for 5 forks are few"
    assert found["state"].subjects == ("/small",)
