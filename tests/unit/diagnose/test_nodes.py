"""What hosts told, judged: each doubt names its nodes once, and what is well is said once."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fleet.diagnose import Seen, of_nodes, of_silence
from fleet.model.diagnosis import Diagnosis, Probe, Room

DAY = 86400.0
NOW = 1_800_000_000.0
GB = 1_000_000_000
WELL = Probe(
    now=NOW, machine_id="a" * 32, python="3.11.2", systemd="running", controllers=("cpu", "memory"),
    rooms=(Room("/", 20 * GB, 40 * GB, 900_000, 1_000_000), Room("/var/lib/fleet", 20 * GB, 40 * GB, 900_000, 1_000_000)),
    modules={"overlay": "loaded", "vxlan": "available"},
)  # fmt: skip


def seen(name: str = "a", *, k3s: bool = True, enrolled: str = "", **what: object) -> Seen:
    return Seen(name, replace(WELL, **what), NOW - 1, NOW + 1, k3s, enrolled)


def doubts(*nodes: Seen) -> list[Diagnosis]:
    return [each for each in of_nodes(nodes) if each.outcome != "ok"]


def test_a_host_on_a_good_day_passes_every_check() -> None:
    found = list(of_nodes([seen("a"), seen("b")]))

    assert [each.check for each in found] == [
        "clock", "room", "read-only", "kernel-modules", "cgroups", "systemd", "python", "machine-id",
    ]  # fmt: skip
    assert {each.outcome for each in found} == {"ok"}


def test_without_nodes_nothing_is_said_of_them() -> None:
    assert list(of_nodes([])) == []


@pytest.mark.parametrize(
    ("now", "outcome", "message"),
    [
        (0.0, "wrong", "its clock is 20,833 days behind"),  # a clock of 1970
        (NOW - 1 - 4, "", ""),
        (NOW - 1 - 5, "warning", "its clock is 5 s behind"),
        (NOW - 1 - 59, "warning", "its clock is 59 s behind"),
        (NOW - 1 - 60, "wrong", "its clock is 60 s behind"),
        (NOW, "", ""),
        (NOW + 1 + 4, "", ""),
        (NOW + 1 + 5, "warning", "its clock is 5 s ahead"),
        (NOW + 1 + 3 * 3600, "wrong", "its clock is 3 h ahead"),
    ],
)
def test_a_clock_is_off_by_what_the_asking_does_not_explain(now: float, outcome: str, message: str) -> None:
    found = doubts(seen(now=now))

    assert [(each.outcome, each.message) for each in found] == ([(outcome, message)] if outcome else [])
    assert all("timedatectl set-ntp" in each.hint for each in found)


def test_a_slow_answer_is_no_wrong_clock() -> None:
    slow = Seen("a", replace(WELL, now=NOW + 25), NOW, NOW + 30)

    assert doubts(slow) == []


@pytest.mark.parametrize(
    ("room", "message"),
    [
        (Room("/var/lib/fleet", 500_000_000, 4 * GB), "500 MB of 4.0 GB are free at /var/lib/fleet"),
        (Room("/var/lib/rancher", 3 * GB, 100 * GB), "3.0 GB of 100 GB are free at /var/lib/rancher"),
        (Room("/", 20 * GB, 40 * GB, 10, 1_000_000), "10 of 1,000,000 inodes are free at /"),
    ],
)
def test_a_disk_that_fills_is_said_before_it_is_full(room: Room, message: str) -> None:
    (found,) = doubts(seen(rooms=(room,)))

    assert (found.check, found.outcome, found.message, found.subjects) == ("room", "warning", message, ("a",))


def test_one_file_system_is_said_once_and_the_one_of_tmp_not_at_all() -> None:
    small = Room("/", 1000, GB)
    rooms = (small, replace(small, path="/etc"), replace(small, path="/tmp", total=5))

    assert [each.message for each in doubts(seen(rooms=rooms))] == ["1.0 kB of 1.0 GB are free at /"]


def test_what_has_to_be_written_and_cannot_be() -> None:
    rooms = tuple(replace(WELL.rooms[0], path=path, readonly=True) for path in ("/", "/etc", "/var/lib/fleet"))

    (found,) = doubts(seen(rooms=rooms))

    assert (found.check, found.outcome, found.message) == (
        "read-only",
        "wrong",
        "/etc, /var/lib/fleet cannot be written",
    )


def test_an_image_with_a_root_that_is_read_only_by_design_is_well() -> None:
    assert doubts(seen(rooms=(replace(WELL.rooms[0], readonly=True), WELL.rooms[1]))) == []


def test_modules_that_the_kernel_lacks_are_named_with_all_nodes_that_lack_them() -> None:
    lacking = {"vxlan": "absent", "br_netfilter": "absent", "overlay": "built-in", "ip_tables": "unknown"}

    (found,) = doubts(seen("b", modules=lacking), seen("a", modules=lacking), seen("c"))

    assert (found.check, found.outcome) == ("kernel-modules", "wrong")
    assert found.message == "the kernel has no module br_netfilter, vxlan"
    assert found.subjects == ("a", "b")


def test_k3s_wants_the_controller_of_memory() -> None:
    off = {"controllers": ("cpu", "pids")}

    assert [each.check for each in doubts(seen(**off))] == ["cgroups"]
    assert doubts(seen(k3s=False, **off)) == []


@pytest.mark.parametrize("state", ["degraded", "maintenance", "stopping"])
def test_failed_units_are_said(state: str) -> None:
    (found,) = doubts(seen(systemd=state))

    assert (found.check, found.message) == ("systemd", f"systemd says {state}")
    (found,) = doubts(seen(systemd=state, failed_units=("cups.service", "acme.timer")))
    assert found.message == f"systemd says {state}: cups.service, acme.timer failed"


@pytest.mark.parametrize(
    ("version", "is_old"), [("3.6.8", True), ("3.7.17", True), ("3.8.0", False), ("3.13.1", False)]
)
def test_python_that_is_too_old(version: str, *, is_old: bool) -> None:
    assert [each.check for each in doubts(seen(python=version))] == (["python"] if is_old else [])


def test_another_machine_than_the_enrolled_one() -> None:
    assert [each.check for each in doubts(seen(enrolled="b" * 32))] == ["machine-id"]
    assert doubts(seen(enrolled="a" * 32)) == []


def test_nodes_that_do_not_answer_with_when_they_last_did() -> None:
    contacts = {"a": NOW - 3 * DAY, "b": NOW - 3 * DAY}
    found = list(of_silence({"b": "timed out", "a": "timed out", "c": "timed out", "d": "no route"}, contacts, NOW))

    assert [(each.message, each.subjects) for each in found] == [
        ("timed out; last answered 3 days ago", ("a", "b")),
        ("timed out; never answered yet", ("c",)),
        ("no route; never answered yet", ("d",)),
    ]


def test_nodes_not_asked_are_said_after_a_week_of_silence() -> None:
    contacts = {"a": NOW - 6.9 * DAY, "b": NOW - 7 * DAY, "c": NOW - 40 * DAY}

    assert [(each.message, each.subjects) for each in of_silence({}, contacts, NOW)] == [
        ("no answer for 40 days", ("c",)),
        ("no answer for 7 days", ("b",)),
    ]
