"""What somebody changed on a node behind fleet's back."""

from fleet.diff import edits
from fleet.model.bundle import Bundle, BundleArtifact, BundleFacts, BundleFile, BundleFolder, BundleUnit
from fleet.model.change import Change

WANTED = Bundle(
    node="n1",
    digest="b1:x",
    facts=BundleFacts(),
    files=(
        BundleFile("/etc/motd", sha256="a" * 64),
        BundleFile("/etc/rancher/k3s/config.yaml", sha256="b" * 64, restart=("k3s.service",)),
        BundleFile("/etc/chrony.conf", sha256="c" * 64, reload=("chrony.service",)),
    ),
    artifacts=(BundleArtifact("/usr/local/bin/k3s", "d" * 64, restart=("k3s.service",)),),
    folders=(BundleFolder("/var/lib/acme"),),
    units=(BundleUnit("k3s.service", enabled=True, state="started"),),
)


def test_each_path_is_one_change_of_its_own_kind():
    differing = ["/var/lib/acme", "/usr/local/bin/k3s", "/etc/rancher/k3s/config.yaml", "/etc/motd", "/etc/chrony.conf"]
    assert edits(differing, WANTED) == (
        Change("file", "edit", "/etc/chrony.conf", "changed on the node", "as in git", (), ("chrony.service",)),
        Change("file", "edit", "/etc/motd", "changed on the node", "as in git"),
        Change("config", "edit", "/etc/rancher/k3s/config.yaml", "changed on the node", "as in git", ("k3s.service",)),
        Change("artifact", "edit", "/usr/local/bin/k3s", "changed on the node", "as in git", ("k3s.service",)),
        Change("folder", "edit", "/var/lib/acme", "changed on the node", "as in git"),
    )


def test_a_path_that_git_changes_anyway_is_not_told_twice():
    assert edits(["/etc/motd", "/etc/chrony.conf"], WANTED, {"/etc/chrony.conf"}) == (
        Change("file", "edit", "/etc/motd", "changed on the node", "as in git"),
    )


def test_a_unit_that_somebody_stopped_is_a_change():
    assert edits(["k3s.service", "gone.service"], WANTED) == (
        Change("unit", "edit", "k3s.service", "changed on the node", "as in git"),
    )


def test_a_path_that_goes_away_needs_no_mending():
    assert edits(["/etc/gone.conf"], WANTED) == ()


def test_nothing_differs_on_a_node_that_nobody_touched():
    assert edits([], WANTED) == ()
