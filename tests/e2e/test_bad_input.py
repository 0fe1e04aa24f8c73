"""What users' folders, mirrors and machines get wrong: the right exit code, words that help, nothing half-written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.e2e.command import BIN, Repository, execute

SITE = ("--site", "turin-1")
VERSION = "v1.36.3+k3s1"
K3S = "/usr/local/bin/k3s"
UNTOUCHED = {"/etc/machine-id"}
"""All that a node in a sandbox holds before its first apply."""


def falsify(repository: Repository) -> None:
    """Gives K3s another sha256 in fleet.lock than the mirror's files have."""
    path = repository.folder / "fleet.lock"
    lock = json.loads(path.read_text())
    for binary in lock["releases"][VERSION]["binaries"].values():
        binary["sha256"] = "0" * 64
    path.write_text(json.dumps(lock))
    repository.commit("A wrong sha256")


def test_a_wrong_sha256_stops_the_node_before_it_is_touched(repository: Repository):
    falsify(repository)

    ran = repository.apply(*SITE, code=4)

    failed = [line for line in ran.out.splitlines() if line.startswith("failed")]
    assert len(failed) == 1
    assert failed[0].startswith(f"failed turin-1-a: fetch: {K3S}: no source gave it: file://")
    assert f"wanted {'0' * 64}" in failed[0]
    assert "blocked turin-1-till-001: server turin-1-a failed" in ran.out
    assert ran.out.splitlines()[-1].startswith("fleet apply ")
    assert repository.files("turin-1-a") == UNTOUCHED


def test_the_right_sha256_again_comes_through(repository: Repository):
    falsify(repository)
    repository.apply(*SITE, code=4)
    repository.git("revert", "--no-edit", "HEAD")

    ran = repository.apply(*SITE)

    assert ran.out.splitlines()[-1].endswith("done: 2 applied")
    assert VERSION in repository.read("turin-1-a", K3S)


def test_a_mirror_folder_that_is_away_fails_the_nodes_that_need_it(repository: Repository):
    (repository.folder / "mirror").rename(repository.folder.parent / "elsewhere")
    repository.commit("The mirror moved")

    ran = repository.apply(*SITE, code=4)

    assert "failed turin-1-a: fetch: /usr/local/bin/k3s: no source gave it: file://" in ran.out
    assert "No such file or directory" in ran.out
    assert repository.files("turin-1-a") == UNTOUCHED


def test_a_mirror_that_does_not_answer_pins_nothing(repository: Repository):
    repository.edit("fleet.yaml", '"file:mirror"', '"http://127.0.0.1:9/k3s"')
    (repository.folder / "fleet.lock").unlink()

    ran = repository.fleet("lock", code=5)

    assert ran.out == ""
    assert ran.err.startswith(f"error: no mirror holds K3s {VERSION}: http://127.0.0.1:9/k3s/")
    assert "Connection refused" in ran.err
    assert ran.err.splitlines()[-1] == "hint: see spec.artifacts.mirrors"
    assert not (repository.folder / "fleet.lock").exists()


def test_plans_need_no_mirror(repository: Repository):
    repository.edit("fleet.yaml", '"file:mirror"', '"http://127.0.0.1:9/k3s"')

    assert repository.plan(code=3).out.splitlines()[2] == "6 nodes change, 0 stay, 0 go"


def test_a_repository_without_git_on_the_machine(repository: Repository):
    ran = repository.fleet("plan", code=5, env={"PATH": "/nonexistent"})

    assert ran.out == ""
    assert ran.err == (
        "error: git is not installed, and the spec's folder is a git repository\nhint: install git: apt install git\n"
    )


def test_a_plain_folder_needs_no_git(repository: Repository):
    shutil.rmtree(repository.folder / ".git")

    ran = repository.fleet("validate", env={"PATH": "/nonexistent"})

    assert ran.out == "fleet two-sites is valid: 6 nodes at 2 sites in 2 clusters, from 5 documents\n"


def test_a_wrong_vault_password_is_one_error_before_any_node(repository: Repository, tmp_path: Path):
    wrong = tmp_path / "wrong-password"
    wrong.write_text("not this one\n")
    repository.password = wrong

    ran = repository.apply(*SITE, code=2)

    assert ran.out == ""
    assert ran.err.startswith("error: secrets/fleet.yaml: the password of vault id `default` does not open it\n")
    assert ran.err.count("does not open") == 1
    assert not (repository.nodes / "turin-1-a").exists()


def test_a_token_that_was_never_made_refuses_the_apply(repository: Repository):
    (repository.folder / "secrets/turin-1.yaml").unlink()
    (repository.folder / "secrets/secrets.lock").unlink()

    ran = repository.apply(*SITE, code=2)

    assert ran.out == ""
    assert ran.err.splitlines() == [
        "error: secrets/ lacks turin-1.k3s-agent-token, turin-1.k3s-token",
        "hint: Run `fleet secret generate` and commit what it writes: apply never makes a secret.",
    ]
    assert not (repository.nodes / "turin-1-a").exists()


def test_a_cluster_that_lost_two_of_three_servers_is_left_to_a_restore(repository: Repository):
    """One that lost a single one is not: it is filled again."""
    repository.apply("--site", "lyon-1")
    shutil.rmtree(repository.nodes / "lyon-1-c")
    assert "lost its quorum" not in repository.plan("--site", "lyon-1", "--refresh", code=3).out
    repository.apply("--site", "lyon-1")
    for name in ("lyon-1-b", "lyon-1-c"):
        shutil.rmtree(repository.nodes / name)

    ran = repository.plan("--site", "lyon-1", "--refresh", code=3)

    lost = "lyon-1-b holds nothing any more, lyon-1-c holds nothing any more"
    assert f"  lyon-1: etcd has lost its quorum, 2 of 3: {lost}" in ran.out
    assert "what is left to do is a restore, by hand: docs/k3s.md#restore" in ran.out


def test_a_first_server_whose_disk_was_emptied_founds_no_second_cluster(repository: Repository):
    joining = "/etc/rancher/k3s/config.yaml.d/10-fleet-join.yaml"
    repository.apply("--site", "lyon-1")
    founded = repository.read("lyon-1-a", joining)
    shutil.rmtree(repository.nodes / "lyon-1-a")
    repository.plan("--site", "lyon-1", "--refresh", code=3)

    repository.apply("--site", "lyon-1")

    assert founded == "cluster-init: true\n"
    assert repository.read("lyon-1-a", joining) == 'server: "https://10.20.1.12:6443"\n'


def test_a_render_that_fails_leaves_the_old_project(repository: Repository, tmp_path: Path):
    folder = tmp_path / "rendered"
    repository.fleet("render", str(folder))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    repository.edit("templates/timesyncd.conf.j2", "{{ vars.ntp }}", "{{ vars.ntpp }}")

    ran = repository.fleet("render", str(folder), code=2)

    assert "templates/timesyncd.conf.j2:" in ran.err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_folder_of_others_is_not_overwritten(repository: Repository, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear\n")

    ran = repository.fleet("render", str(tmp_path / "mine"), code=2)

    assert ran.err.startswith(f"error: {tmp_path}/mine holds files that fleet did not write\nhint: ")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_a_file_in_the_place_of_a_folder(tmp_path: Path):
    (tmp_path / "shop").write_text("")

    ran = execute([str(BIN / "fleet"), "init", str(tmp_path / "shop"), "--example", "two-sites"], tmp_path)

    assert ran.code == 2, ran.text
    assert ran.err.startswith("error: ")
    assert (tmp_path / "shop").read_text() == ""
