"""Which nodes of a plan are confirmed over a new connection: those whose way in changes."""

import pytest
from msgspec.structs import replace

from fleet.estimate import confirmed
from fleet.model.bundle import BundleUnit, BundleUser
from fleet.model.change import Change
from fleet.model.node import ContentSource, NodeFile, OsSettings, Updates
from fleet.model.plan import Plan
from fleet.model.tree import Revision
from fleet.report.plan_text import plan_lines
from tests.unit.estimate.test_radius import FIRST, FLEET, KIOSK, SETTINGS, change

PLAIN = OsSettings((), {}, (), (), (), Updates())


def way(seconds: int, **own: object) -> object:
    """The kiosk, with a deadline and settings of its own."""
    settings = replace(SETTINGS, os=replace(PLAIN, **own))
    return replace(KIOSK, connection=replace(KIOSK.connection, confirm_seconds=seconds), settings=settings)


def file(path: str, **more: object) -> NodeFile:
    return NodeFile(path, ContentSource("text", "x"), **more)


def found(node: object, *changes: Change) -> tuple[str, ...]:
    return confirmed(replace(FLEET, nodes=(node,)), [change(node, *changes)])


@pytest.mark.parametrize(
    ("one", "is_asked"),
    [
        (Change("file", "edit", "/etc/nftables.conf"), True),
        (Change("file", "remove", "/etc/ssh/sshd_config.d/a.conf"), True),
        (Change("file", "edit", "/home/ops/.ssh/authorized_keys"), True),
        (Change("file", "edit", "/etc/motd", reloads=("wg-quick@wg0.service",)), True),
        (Change("file", "add", "/etc/systemd/system/ssh.service.d/a.conf"), True),
        (Change("file", "add", "/etc/systemd/system/ssh.service"), True),
        (Change("unit", "edit", "nftables.service"), True),
        (Change("user", "edit", "ops"), True),
        (Change("sysctl", "edit", "net.ipv4.conf.all.rp_filter"), True),
        (Change("sysctl", "edit", "net.core.somaxconn"), False),
        (Change("file", "edit", "/etc/motd", restarts=("chrony.service",)), False),
        (Change("file", "edit", "/etc/systemd/system/chrony.service"), False),
        (Change("package", "add", "nftables"), False),
        (Change("k3s", "edit", "K3s", restarts=("k3s.service",)), False),
        (FIRST, False),
    ],
)
def test_a_change_of_the_way_in_is_confirmed(one: Change, *, is_asked: bool) -> None:
    assert found(way(90), Change("file", "edit", "/etc/other"), one) == (("kiosk",) if is_asked else ())
    assert found(way(0), one) == (), "not where no time is given"


@pytest.mark.parametrize(
    "own",
    [
        {"files": (file("/etc/sudoers.d/ops"),)},
        {"files": (file("/etc/motd", reload=("ssh.service",)),)},
        {"files": (file("/etc/motd", confirm=True),)},
        {"units": (BundleUnit("nftables.service", enabled=True),)},
        {"users": (BundleUser("ops"),)},
        {"sysctl": {"net.ipv6.conf.all.accept_ra": "0"}},
    ],
)
def test_of_a_new_node_everything_changes(own: dict[str, object]) -> None:
    assert found(way(90, **own), FIRST) == ("kiosk",)


def test_of_kernel_parameters_the_file_is_what_changes() -> None:
    one = Change("file", "edit", "/etc/sysctl.d/80-fleet.conf")
    assert found(way(90, sysctl={"net.ipv4.conf.all.rp_filter": "1"}), one) == ("kiosk",)
    assert found(way(90, sysctl={"vm.swappiness": "1"}), one) == ()


def test_what_the_spec_marks_is_confirmed() -> None:
    marked = way(90, files=(file("/etc/motd", confirm=True), file("/etc/issue")))
    assert found(marked, Change("file", "edit", "/etc/motd")) == ("kiosk",)
    assert found(marked, Change("file", "edit", "/etc/issue")) == ()


def test_the_plan_says_how_many() -> None:
    from fleet.estimate import radius
    from fleet.model.lock import Lock
    from fleet.model.plan import EVERYTHING

    node = way(90)
    made = Plan(
        fleet="acme", revision=Revision("4be1f02" + "0" * 33, "main"), tree_digest="", scope=EVERYTHING, total=1, staying=0,
        removed=(), nodes=(change(node, FIRST),), groups=(), verdicts=(),
        radius=radius(FLEET, [change(node, FIRST)], Lock(), {}), confirming=("kiosk",),
    )  # fmt: skip
    said = "Way in   1 node is confirmed over a new connection, or put back what changes there"
    assert said in [each.text for each in plan_lines(made)]
