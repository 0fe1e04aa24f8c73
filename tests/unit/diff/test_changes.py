"""What one node has to become different in."""

import hashlib

import pytest

from fleet.diff import changes, content_id, secret_texts, shown
from fleet.model.bundle import (
    Bundle,
    BundleArtifact,
    BundleFacts,
    BundleFile,
    BundleFolder,
    BundlePackage,
    BundleUnit,
    BundleUser,
    SecretRef,
)
from fleet.model.change import Change
from fleet.model.manifest import Manifest, read_manifest

OLD = "a" * 64
NEW = "b" * 64


def wanted(**parts) -> Bundle:
    return Bundle(node="n1", digest="b1:x", **{"facts": BundleFacts(), **parts})


def test_nothing_changes_where_both_say_the_same():
    parts = {
        "facts": BundleFacts(site="s", role="server", k3s_version="v1.35.4+k3s1"),
        "files": (BundleFile("/etc/motd", sha256=OLD),),
        "units": (BundleUnit("k3s.service", enabled=True),),
        "sysctl": {"vm.swappiness": "10"},
    }
    assert changes(Manifest(**parts), wanted(**parts)) == ()


def test_a_first_application_is_one_change():
    bundle = wanted(
        facts=BundleFacts(k3s_version="v1.35.4+k3s1"),
        files=tuple(BundleFile(f"/etc/{i}", sha256=OLD, restart=("a.service",)) for i in range(30)),
    )
    assert changes(None, bundle) == (Change("first", "add", "everything", "", "v1.35.4+k3s1"),)


def test_first_applications_share_one_value():
    bundle = wanted(facts=BundleFacts(k3s_version="v1.35.4+k3s1"))
    other = wanted(facts=BundleFacts(k3s_version="v1.35.4+k3s1"))
    assert changes(None, bundle) is changes(None, other)


def test_a_plain_host_has_no_version_to_show():
    assert changes(None, wanted()) == (Change("first", "add", "everything"),)


def test_a_record_without_its_manifest_may_restart_everything():
    bundle = wanted(
        facts=BundleFacts(k3s_version="v1.35.4+k3s1"),
        files=(BundleFile("/etc/a", sha256=OLD, restart=("chrony.service",)),),
        artifacts=(BundleArtifact("/usr/local/bin/k3s", OLD, restart=("k3s.service",)),),
    )
    assert changes(None, bundle, has_record=True) == (
        Change("first", "edit", "everything", "unknown", "v1.35.4+k3s1", ("chrony.service", "k3s.service")),
    )


def test_an_upgrade_is_one_change_and_swallows_what_it_moves():
    base = Manifest(
        facts=BundleFacts(role="server", k3s_version="v1.34.6+k3s1"),
        artifacts=(BundleArtifact("/usr/local/bin/k3s", OLD, restart=("k3s.service",)),),
    )
    bundle = wanted(
        facts=BundleFacts(role="server", k3s_version="v1.35.4+k3s1"),
        artifacts=(BundleArtifact("/usr/local/bin/k3s", NEW, restart=("k3s.service",)),),
    )
    assert changes(base, bundle) == (
        Change("k3s", "edit", "K3s", "v1.34.6+k3s1", "v1.35.4+k3s1", restarts=("k3s.service",)),
    )


def test_an_upgrade_of_an_agent_restarts_the_agents_unit():
    base = Manifest(facts=BundleFacts(role="agent", k3s_version="v1.34.6+k3s1"))
    bundle = wanted(facts=BundleFacts(role="agent", k3s_version="v1.35.4+k3s1"))
    assert changes(base, bundle)[0].restarts == ("k3s-agent.service",)


def test_an_upgrade_hides_no_edit_of_a_file():
    base = Manifest(
        facts=BundleFacts(role="server", k3s_version="v1.34.6+k3s1"),
        files=(
            BundleFile("/etc/rancher/k3s/config.yaml", sha256=OLD),
            BundleFile("/etc/systemd/system/k3s.service", sha256=OLD),
        ),
    )
    bundle = wanted(
        facts=BundleFacts(role="server", k3s_version="v1.35.4+k3s1"),
        files=(
            BundleFile("/etc/rancher/k3s/config.yaml", sha256=NEW),
            BundleFile("/etc/systemd/system/k3s.service", sha256=NEW),
        ),
    )
    assert [(c.kind, c.subject) for c in changes(base, bundle)] == [
        ("k3s", "K3s"),
        ("config", "/etc/rancher/k3s/config.yaml"),
        ("file", "/etc/systemd/system/k3s.service"),
    ]


def test_k3s_going_away_takes_its_unit_along():
    base = Manifest(
        facts=BundleFacts(role="server", k3s_version="v1.34.6+k3s1"),
        files=(BundleFile("/etc/systemd/system/k3s.service", sha256=OLD),),
        units=(BundleUnit("k3s.service", enabled=True, state="started"),),
    )
    assert changes(base, wanted(facts=BundleFacts(role="server"))) == (
        Change("k3s", "remove", "K3s", "v1.34.6+k3s1", ""),
    )


def test_the_binary_of_the_same_version_is_an_artifact():
    facts = BundleFacts(role="server", k3s_version="v1.35.4+k3s1")
    base = Manifest(facts=facts, artifacts=(BundleArtifact("/usr/local/bin/k3s", OLD, restart=("k3s.service",)),))
    bundle = wanted(facts=facts, artifacts=(BundleArtifact("/usr/local/bin/k3s", NEW, restart=("k3s.service",)),))
    assert changes(base, bundle) == (
        Change("artifact", "edit", "/usr/local/bin/k3s", OLD, NEW, restarts=("k3s.service",)),
    )


def test_mirrors_that_move_change_nothing():
    base = Manifest(artifacts=(BundleArtifact("/usr/local/bin/k3s", OLD),))
    bundle = wanted(artifacts=(BundleArtifact("/usr/local/bin/k3s", OLD, urls=("https://mirror/k3s",)),))
    assert changes(base, bundle) == ()


def test_files_added_edited_and_removed():
    base = Manifest(
        files=(
            BundleFile("/etc/gone", sha256=OLD, restart=("old.service",)),
            BundleFile("/etc/kept", sha256=OLD, restart=("before.service",)),
        )
    )
    bundle = wanted(
        files=(
            BundleFile("/etc/kept", sha256=NEW, restart=("before.service",), reload=()),
            BundleFile("/etc/new", sha256=NEW, reload=("nginx.service",)),
        )
    )
    assert changes(base, bundle) == (
        Change("file", "remove", "/etc/gone", OLD, "", restarts=("old.service",)),
        Change("file", "edit", "/etc/kept", OLD, NEW, restarts=("before.service",)),
        Change("file", "add", "/etc/new", "", NEW, reloads=("nginx.service",)),
    )


def test_an_edit_restarts_what_the_wanted_file_names():
    base = Manifest(files=(BundleFile("/etc/a", sha256=OLD, restart=("old.service",)),))
    bundle = wanted(files=(BundleFile("/etc/a", sha256=NEW, restart=("new.service",)),))
    assert changes(base, bundle) == (
        Change("file", "edit", "/etc/a", OLD, NEW, restarts=("new.service",)),
        Change("file", "edit", "/etc/a", "restarts old.service", "restarts new.service"),
    )


def test_modes_and_owners_are_shown():
    base = Manifest(files=(BundleFile("/etc/a", sha256=OLD, mode="0644", restart=("a.service",)),))
    bundle = wanted(files=(BundleFile("/etc/a", sha256=OLD, mode="0600", owner="app", restart=("a.service",)),))
    assert changes(base, bundle) == (
        Change("file", "edit", "/etc/a", "mode 0644, owner root:root", "mode 0600, owner app:root", ("a.service",)),
    )


def test_seeds_are_no_part_of_what_a_node_holds():
    file = BundleFile("/etc/motd", sha256=OLD)
    seed = BundleFile("/etc/rancher/k3s/config.yaml.d/join.yaml", sha256=NEW, seed=True)
    assert changes(Manifest(files=(file,)), wanted(files=(file, seed))) == ()


def test_two_manifests_compare_as_well():
    base, after = Manifest(sysctl={"a": "1"}), Manifest(sysctl={"a": "2"})
    assert changes(base, after) == (Change("sysctl", "edit", "a", "1", "2"),)


def test_the_other_parts():
    base = Manifest(
        folders=(BundleFolder("/srv/a", mode="0755"),),
        units=(BundleUnit("a.service", enabled=True, state="started"),),
        packages=(BundlePackage("chrony"), BundlePackage("vim")),
        users=(BundleUser("ops", groups=("adm",), authorized_keys=("ssh-ed25519 AAAAC3NzaOLD0123456789 alice",)),),
        sysctl={"vm.swappiness": "10", "kernel.panic": "10"},
        facts=BundleFacts(datastore="sqlite"),
    )
    bundle = wanted(
        folders=(BundleFolder("/srv/a", mode="0700"), BundleFolder("/srv/b")),
        units=(BundleUnit("a.service", enabled=False),),
        packages=(BundlePackage("chrony", version="4.3-2"),),
        users=(BundleUser("ops", groups=("adm",), authorized_keys=("ssh-ed25519 AAAAC3NzaNEW0123456789 alice",)),),
        sysctl={"vm.swappiness": "20", "vm.overcommit_memory": "1"},
        facts=BundleFacts(datastore="etcd"),
    )
    assert changes(base, bundle) == (
        Change("folder", "edit", "/srv/a", "mode 0755", "mode 0700"),
        Change("folder", "add", "/srv/b", "", "mode 0755, owner root:root"),
        Change("unit", "edit", "a.service", "enabled, started", "disabled"),
        Change("package", "edit", "chrony", "any version", "4.3-2"),
        Change("package", "remove", "vim", "any version", ""),
        Change("user", "edit", "ops", "keys …LD0123456789 alice", "keys …EW0123456789 alice"),
        Change("sysctl", "remove", "kernel.panic", "10", ""),
        Change("sysctl", "add", "vm.overcommit_memory", "", "1"),
        Change("sysctl", "edit", "vm.swappiness", "10", "20"),
        Change("fact", "edit", "datastore", "sqlite", "etcd"),
    )


def test_a_secret_counts_by_its_fingerprint_and_never_shows():
    old = BundleFile("/etc/app", segments=("token=", SecretRef("pos", fingerprint="f1"), "\n"))
    new = BundleFile("/etc/app", segments=("token=", SecretRef("pos", fingerprint="f2"), "\n"))
    (change,) = changes(Manifest(files=(old,)), wanted(files=(new,)))
    assert change.before == content_id(old)
    assert change.after == content_id(new)
    assert len(change.before) == 64
    assert change.before != change.after
    assert shown(old) == b"token={secret pos}\n"
    assert secret_texts((old, BundleFile("/etc/b", sha256=OLD))) == {content_id(old): b"token={secret pos}\n"}


def test_a_plain_file_is_known_by_the_sha256_of_its_content():
    sha256 = hashlib.sha256(b"hello\n").hexdigest()
    assert content_id(BundleFile("/etc/motd", sha256=sha256)) == sha256
    assert shown(BundleFile("/etc/motd", sha256=sha256)) is None


def test_a_manifest_is_read_back_with_its_defaults():
    text = (
        '{"facts":{"role":"server","config":{"cluster-cidr":["10.42.0.0/16"]}},'
        '"files":[{"path":"/etc/a","segments":["x",{"name":"pos","fingerprint":"f1"}]}],'
        '"sysctl":{"vm.swappiness":"10"},"of-a-newer-fleet":1}'
    )
    assert read_manifest(text) == Manifest(
        facts=BundleFacts(role="server", config={"cluster-cidr": ["10.42.0.0/16"]}),
        files=(BundleFile("/etc/a", segments=("x", SecretRef("pos", fingerprint="f1"))),),
        sysctl={"vm.swappiness": "10"},
    )


@pytest.mark.parametrize("text", ["", "[]", '{"files":[{"mode":"0644"}]}', '{"files":{}}'])
def test_what_a_node_made_up_is_no_manifest(text):
    with pytest.raises(ValueError, match=r"."):
        read_manifest(text)


def test_labels_and_taints_are_told_one_by_one_and_restart_nothing():
    path = "/etc/rancher/k3s/config.yaml.d/20-fleet-node.yaml"
    base = Manifest(
        files=(BundleFile(path, sha256=OLD),),
        facts=BundleFacts(labels={"app": "pos", "old": "x", "kept": "y"}, taints=("a=b:NoSchedule", "c:NoExecute")),
    )
    bundle = wanted(
        files=(BundleFile(path, sha256=NEW),),
        facts=BundleFacts(labels={"app": "till", "kept": "y", "new": ""}, taints=("c:NoExecute", "a=z:NoSchedule")),
    )
    assert changes(base, bundle) == (
        Change("label", "edit", "app", "pos", "till"),
        Change("label", "add", "new"),
        Change("label", "remove", "old", "x"),
        Change("taint", "remove", "a=b:NoSchedule"),
        Change("taint", "add", "a=z:NoSchedule"),
    )
    another_mode = wanted(files=(BundleFile(path, sha256=OLD, mode="0600"),), facts=base.facts)
    assert [change.subject for change in changes(base, another_mode)] == [path], "else the file speaks for itself"


def test_kernel_settings_are_told_once():
    base = Manifest(files=(BundleFile("/etc/sysctl.d/80-fleet.conf", sha256=OLD),), sysctl={"vm.swappiness": "10"})
    bundle = wanted(files=(BundleFile("/etc/sysctl.d/80-fleet.conf", sha256=NEW),), sysctl={"vm.swappiness": "20"})
    assert changes(base, bundle) == (Change("file", "edit", "/etc/sysctl.d/80-fleet.conf", OLD, NEW),)
