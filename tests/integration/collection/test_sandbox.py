"""The collection through the real ansible-playbook, on nodes that are directories."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NODE = "lyon-1-a"
UNIT = b"[Service]\nExecStart=/usr/local/bin/k3s server\n[Install]\nWantedBy=multi-user.target\n"


def fill(project: Any, config: bytes = b"write-kubeconfig-mode: '0600'\n") -> None:
    project.nodes[NODE] = {
        "facts": {"site": "lyon-1", "role": "server"},
        "files": [
            project.file("/etc/chrony/conf.d/acme.conf", b"server {{ ntp }} iburst\n"),
            project.file("/etc/rancher/k3s/config.yaml", config, mode="0600", restart=["k3s.service"]),
            project.file("/etc/systemd/system/k3s.service", UNIT, restart=["k3s.service"]),
        ],
        "units": [{"name": "k3s.service", "enabled": True, "state": "started"}],
    }


def tree(root: Path) -> dict[str, tuple[int, int, int, bytes]]:
    seen = {}
    for path in sorted(root.rglob("*")):
        found = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        seen[str(path.relative_to(root))] = (found.st_mode, found.st_ino, found.st_mtime_ns, content)
    return seen


def test_first_run_changes_and_second_run_touches_nothing(project: Any) -> None:
    fill(project)
    first = project.apply()
    assert (first.code, first.stats[NODE]["changed"], first.stats[NODE]["ok"]) == (0, 1, 1)
    root = project.sandbox(NODE)
    assert (root / "etc/chrony/conf.d/acme.conf").read_bytes() == b"server {{ ntp }} iburst\n"
    record = json.loads((root / "var/lib/fleet/record.json").read_text())
    assert (record["commit"], record["controller"], record["node"]) == ("4be1f02", "test", NODE)
    assert first.hosts[NODE]["digest"] == record["digest"] == project.bundle(NODE)["digest"]
    before = tree(root)
    second = project.play()
    assert (second.code, second.stats[NODE]["changed"], second.stats[NODE]["ok"]) == (0, 0, 1)
    assert second.hosts[NODE]["changes"] == []
    assert tree(root) == before


def test_a_tampered_byte_is_one_change_on_one_host(project: Any) -> None:
    fill(project)
    project.nodes["lyon-1-b"] = project.nodes[NODE]
    project.apply()
    path = project.sandbox(NODE) / "etc/rancher/k3s/config.yaml"
    path.write_bytes(b"write-kubeconfig-mode: '0644'\n")
    result = project.play()
    assert {host: one["changed"] for host, one in result.stats.items()} == {NODE: 1, "lyon-1-b": 0}
    assert [c["path"] for c in result.hosts[NODE]["changes"]] == ["/etc/rancher/k3s/config.yaml"]
    assert result.hosts[NODE]["restarted"] == ["k3s.service"]
    assert path.read_bytes() == b"write-kubeconfig-mode: '0600'\n"


def test_check_and_diff_mode_show_and_write_nothing(project: Any) -> None:
    fill(project)
    project.write()
    result = project.play("--check", "--diff")
    assert (result.code, result.stats[NODE]["changed"]) == (0, 1)
    assert not project.sandbox(NODE).exists()
    project.play()
    fill(project, b"write-kubeconfig-mode: '0640'\n")
    project.write()
    before = tree(project.sandbox(NODE))
    shown = project.play("--check", "--diff", machine=False).output
    assert "-write-kubeconfig-mode: '0600'" in shown
    assert "+write-kubeconfig-mode: '0640'" in shown
    assert tree(project.sandbox(NODE)) == before


def test_a_removed_file_goes_and_the_original_returns(project: Any) -> None:
    fill(project)
    motd = project.sandbox(NODE) / "etc/motd"
    motd.parent.mkdir(parents=True)
    motd.write_bytes(b"theirs\n")
    project.nodes[NODE]["files"].append(project.file("/etc/motd", b"ours\n"))
    project.apply()
    assert motd.read_bytes() == b"ours\n"
    project.nodes[NODE]["files"] = project.nodes[NODE]["files"][1:3]
    result = project.apply()
    actions = {c["path"]: c["action"] for c in result.hosts[NODE]["changes"]}
    assert (actions["/etc/motd"], actions["/etc/chrony/conf.d/acme.conf"]) == ("restore", "remove")
    assert motd.read_bytes() == b"theirs\n"
    assert not (project.sandbox(NODE) / "etc/chrony").exists()


def test_expect_of_another_digest_is_refused(project: Any) -> None:
    fill(project)
    project.apply()
    before = tree(project.sandbox(NODE))
    fill(project, b"older: true\n")
    project.hostvars[NODE] = {"fleet_expect": "b1:" + "0" * 64}
    result = project.apply()
    assert (result.code, result.stats[NODE]["failures"]) == (2, 1)
    assert result.hosts[NODE]["step"] == "expect"
    assert "(commit 4be1f02 by test)" in result.hosts[NODE]["msg"]
    assert tree(project.sandbox(NODE)) == before
    assert project.play("-e", "fleet_take_over=drill").code == 0


def test_a_wrong_artifact_is_refused_with_nothing_half_written(project: Any) -> None:
    fill(project)
    wrong = project.root.parent / "k3s"
    wrong.write_bytes(b"not what was pinned")
    wanted = hashlib.sha256(b"k3s").hexdigest()
    project.nodes[NODE]["artifacts"] = [{"path": "/usr/local/bin/k3s", "sha256": wanted}]
    project.urls[NODE] = {"/usr/local/bin/k3s": [wrong.as_uri()]}
    result = project.apply()
    assert (result.code, result.hosts[NODE]["step"], result.hosts[NODE]["changed"]) == (2, "fetch", False)
    assert (
        f"sha256 is {hashlib.sha256(b'not what was pinned').hexdigest()}, wanted {wanted}" in result.hosts[NODE]["msg"]
    )
    left = [str(path.relative_to(project.sandbox(NODE))) for path in project.sandbox(NODE).rglob("*") if path.is_file()]
    assert sorted(left) == ["etc/machine-id", "var/lib/fleet/lock"]
    wrong.write_bytes(b"k3s")
    assert project.play().code == 0


def test_a_failed_validate_keeps_the_old_file(project: Any) -> None:
    fill(project)
    project.apply()
    fill(project, b"broken\n")
    project.nodes[NODE]["files"][1]["validate"] = "grep -q kubeconfig {file}"
    result = project.apply()
    assert (result.code, result.hosts[NODE]["step"]) == (2, "validate")
    path = project.sandbox(NODE) / "etc/rancher/k3s/config.yaml"
    assert path.read_bytes() == b"write-kubeconfig-mode: '0600'\n"


def test_a_bundle_that_is_not_rendered_is_told(project: Any) -> None:
    fill(project)
    project.write()
    (project.root / "bundles" / f"{NODE}.json").unlink()
    result = project.play()
    assert result.code == 2
    assert f"bundles/{NODE}.json of the rendered project {project.root}: No such file" in result.hosts[NODE]["msg"]


def test_a_large_bundle_travels_as_a_file_and_is_taken_away(project: Any) -> None:
    fill(project)
    large = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(20_000))
    project.nodes[NODE]["files"].append(project.file("/opt/raw.bin", large))
    remote = project.root.parent / "remote"
    project.hostvars[NODE] = {"ansible_remote_tmp": str(remote)}
    result = project.apply()
    assert (result.code, result.stats[NODE]["changed"]) == (0, 1)
    assert (project.sandbox(NODE) / "opt/raw.bin").read_bytes() == large
    assert list(remote.iterdir()) == []
    assert project.play().stats[NODE]["changed"] == 0


def test_it_works_without_pipelining(project: Any) -> None:
    fill(project)
    project.hostvars[NODE] = {"ansible_pipelining": False}
    assert project.apply().stats[NODE]["changed"] == 1
    assert project.play().stats[NODE]["changed"] == 0


def test_observe_reads_the_record_and_what_differs(project: Any) -> None:
    fill(project)
    project.write()
    empty = project.play(book="observe.yml")
    assert (empty.code, empty.hosts[NODE]["record"]) == (0, {})
    assert not project.sandbox(NODE).exists()
    project.play()
    before = tree(project.sandbox(NODE))
    seen = project.play(book="observe.yml")
    assert (seen.stats[NODE]["changed"], seen.hosts[NODE]["changes"]) == (0, [])
    assert seen.hosts[NODE]["record"]["digest"] == project.bundle(NODE)["digest"]
    assert json.loads(seen.hosts[NODE]["record"]["manifest"]) == project.nodes[NODE]
    assert tree(project.sandbox(NODE)) == before
    (project.sandbox(NODE) / "etc/chrony/conf.d/acme.conf").write_text("edited")
    seen = project.play(book="observe.yml")
    assert [(c["path"], c["action"]) for c in seen.hosts[NODE]["changes"]] == [
        ("/etc/chrony/conf.d/acme.conf", "update")
    ]


def test_the_module_alone_does_the_same_as_ansible(project: Any, module: Path) -> None:
    fill(project)
    project.apply()
    bundle = project.root / "bundles" / f"{NODE}.json"
    command = [sys.executable, str(module), "--bundle", str(bundle), "--root"]
    done = subprocess.run([*command, str(project.sandbox(NODE))], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["changed"] is False
    other = project.root.parent / "other"
    subprocess.run([*command, str(other)], capture_output=True, text=True, check=True)
    names = [{str(path.relative_to(root)) for path in root.rglob("*")} for root in (other, project.sandbox(NODE))]
    assert names[0] == names[1]


@pytest.mark.parametrize("who", ["packages", "users"])
def test_packages_and_users_of_a_sandbox_are_left_alone_with_a_word(project: Any, who: str) -> None:
    fill(project)
    project.groups = {"role_none": [NODE], f"has_{who}": [NODE]}
    project.hostvars[NODE] = {
        "fleet_packages": [{"name": "chrony"}],
        "fleet_users": [{"name": "alice", "authorized_keys": ["ssh-ed25519 AAAA"]}],
    }
    project.write()
    shown = project.play(machine=False)
    assert shown.code == 0
    word = "1 packages are not installed" if who == "packages" else "1 users are not made"
    assert f"{word}: {project.sandbox(NODE)} is a sandbox" in shown.output
    assert "changed=1 " in shown.output
