"""AnsibleApplier and AnsibleObserver with the real ansible-runner, over local connections."""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleet.adapters.ansible import AnsibleApplier, AnsibleObserver, Settings
from fleet.errors import FleetError, UsageError
from fleet.model.batch import BatchOrder, Observation

Order = Callable[..., BatchOrder]


def reasons(applier: AnsibleApplier, order: BatchOrder) -> dict[str, tuple[str, str]]:
    return {result.node: (result.outcome, result.reason) for result in applier.run_batch(order).results}


def test_a_batch_brings_its_nodes_in_and_tells_what_they_hold(project: Any, run_dir: Path, order: Order) -> None:
    project.add("lyon-1", "lyon-2", "no", "1e3")
    applier = AnsibleApplier(Settings(run_dir, controller="ann@{{ laptop }}"), project.write)

    result = applier.run_batch(
        order(
            "1e3",
            "lyon-1",
            "no",
            epoch=7,
            expect={"lyon-1": "b1:old", "no": ",b1:sent"},
            take_over='moved: {{ x }} "y"',
        )
    )

    assert result.batch_id == "r1-0001"
    assert [one.node for one in result.results] == ["1e3", "lyon-1", "no"]
    first = result.results[1]
    assert (first.outcome, first.changed, first.digest, first.reason) == ("applied", 2, "b1:new", "")
    assert (first.restarted, first.warnings) == (("x.service",), ("a small remark",))
    assert first.record is not None
    assert (first.record.epoch, first.record.controller) == (7, "ann@{{ laptop }}")
    manifests = {one.node: one.record.manifest for one in result.results if one.record is not None}
    assert '"expect": "b1:old", "take_over": "moved: {{ x }} \\"y\\""' in manifests["lyon-1"]
    assert '"expect": "none,b1:sent"' in manifests["no"]
    assert '"expect": ""' in manifests["1e3"]
    assert project.runs("lyon-2") == 0


def test_nodes_are_brought_back_each_to_its_own_digest(project: Any, run_dir: Path, order: Order) -> None:
    project.add("back", "1e3", "forth")
    result = AnsibleApplier(Settings(run_dir), project.write).run_batch(
        order("back", "1e3", "forth", undo={"back": "b1:before", "1e3": "b1:other"})
    )
    manifests = {one.node: json.loads(one.record.manifest) for one in result.results if one.record is not None}
    assert {node: found["undo"] for node, found in manifests.items()} == {
        "back": "b1:before",
        "1e3": "b1:other",
        "forth": "",
    }


def test_a_finished_batch_is_not_run_again(project: Any, run_dir: Path, order: Order) -> None:
    project.add("a")
    first = AnsibleApplier(Settings(run_dir), project.write).run_batch(order("a", epoch=1))

    again = AnsibleApplier(Settings(run_dir), project.write).run_batch(order("a", epoch=2))

    assert again == first
    assert project.runs("a") == 1


def test_each_node_fails_with_its_own_reason(project: Any, run_dir: Path, order: Order) -> None:
    project.add("fine", "unit", "refused", "crashed", "silent")
    project.add("after-1", after="sh -c 'echo too bad >&2; exit 3'")
    project.add("after-2", after="true")
    project.groups["after"] = ["after-1", "after-2"]
    project.add("saved", group="rescued")
    project.groups["bundles"].remove("silent")
    project.put("unit", "fail", {
        "msg": "units: chrony.service: did not start: exit 1\nNov 19 chronyd: no", "step": "units", "at": "chrony.service",
        "record": {"node": "unit", "fleet": "acme", "machine_id": "m", "digest": ""}, "changed": True,
        "changes": [{"path": "/a"}],
    })  # fmt: skip
    project.put("refused", "fail", {"msg": "expect: it holds b1:other, not b1:old", "step": "expect", "at": ""})
    project.put("crashed", "crash")
    nodes = ("fine", "unit", "refused", "crashed", "silent", "after-1", "after-2", "saved")

    result = AnsibleApplier(Settings(run_dir), project.write).run_batch(order(*nodes))

    assert {one.node: (one.outcome, one.reason) for one in result.results} == {
        "fine": ("applied", ""),
        "unit": ("failed", "chrony.service did not start: exit 1"),
        "refused": ("failed", "expect: it holds b1:other, not b1:old"),
        "crashed": ("failed", "the disk of this node is gone"),
        "silent": ("failed", "no play took it up: is it in a group of site.yml?"),
        "after-1": ("failed", "Look after it: exit 3: too bad"),
        "after-2": ("applied", ""),
        "saved": ("applied", ""),
    }
    unit = result.results[1]
    assert (unit.changed, unit.digest) == (1, "")
    assert unit.record is not None
    assert unit.record.digest == ""


def test_a_playbook_that_does_not_run_fails_every_node_with_ansibles_words(
    project: Any, run_dir: Path, order: Order
) -> None:
    project.add("a", "b")
    project.site = "- hosts: bundles\n  taskz: []\n"

    found = reasons(AnsibleApplier(Settings(run_dir), project.write), order("a", "b"))

    assert set(found) == {"a", "b"}
    assert {outcome for outcome, _ in found.values()} == {"failed"}
    assert found["a"][1].startswith("the run ended before it answered: [ERROR]: 'taskz' is not a valid attribute")


def test_what_stays_in_the_run_folder_is_private_and_small(project: Any, run_dir: Path, order: Order) -> None:
    project.add("a")
    AnsibleApplier(Settings(run_dir), project.write).run_batch(order("a"))

    folder = run_dir / "r1-0001"
    assert sorted(path.name for path in folder.iterdir()) == [
        "child.json", "child.lock", "child.log", "done.json", "intent.json", "output.txt", "results.jsonl",
    ]  # fmt: skip
    assert stat.S_IMODE(run_dir.stat().st_mode) == stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in folder.iterdir()} == {0}
    assert "changed: [a]" in (folder / "output.txt").read_text()


def vaulted(folder: Path, password: str, text: str) -> bytes:
    (folder / "pw").write_text(password)
    (folder / "plain").write_text(text)
    tool = Path(sys.executable).parent / "ansible-vault"
    subprocess.run(
        [tool, "encrypt", "--vault-password-file", folder / "pw", "--output", folder / "vault", folder / "plain"],
        check=True, capture_output=True, env=os.environ | {"ANSIBLE_HOME": str(folder)},
    )  # fmt: skip
    data = (folder / "vault").read_bytes()
    for name in ("pw", "plain", "vault"):
        (folder / name).unlink()
    return data


def test_the_vault_password_is_nowhere_on_disk_and_in_no_environment(
    project: Any, run_dir: Path, order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEET_VAULT_PASSWORD", "open sesame")
    project.add("a", vaulted=True)
    project.extra["secrets/acme.yaml"] = vaulted(tmp_path, "open sesame", "token: s3cr3t-value\n")
    # What the module of a local node can see of the run that started it, and what lies on disk meanwhile.
    project.add(
        "spy",
        group="after",
        after=f"sh -c 'env; grep -rhE \"open.sesame|s3cr[3]t\" {run_dir} {project.nodes_dir}; true'",
    )
    project.site = project.site.replace(
        'after }}"\n      changed_when', 'after }}"\n      failed_when: true\n      changed_when'
    )
    applier = AnsibleApplier(Settings(run_dir, verbosity=4), project.write, lambda: b"open sesame")

    result = applier.run_batch(order("a", "spy"))

    assert result.results[0].outcome == "applied", result.results[0].reason
    assert result.results[0].record is not None
    assert '"secret": 12' in result.results[0].record.manifest
    everything = b"".join(path.read_bytes() for path in run_dir.rglob("*") if path.is_file())
    assert b"FLEET_RUN=" in everything  # the spy's words are there
    assert b"open sesame" not in everything
    assert b"s3cr3t" not in everything


def test_no_password_is_asked_for_where_no_secret_is_needed(project: Any, run_dir: Path, order: Order) -> None:
    project.add("a")

    def never() -> bytes:
        raise UsageError("asked for a password")

    assert reasons(AnsibleApplier(Settings(run_dir), project.write, never), order("a")) == {"a": ("applied", "")}

    project.extra["secrets/acme.yaml"] = b"x"
    with pytest.raises(UsageError, match="asked for a password"):
        AnsibleApplier(Settings(run_dir), project.write, never).run_batch(order("a", batch_id="r1-0002"))


def test_a_users_own_ansible_settings_do_not_reach_a_run(
    project: Any, run_dir: Path, order: Order, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project.add("a")
    (tmp_path / "other.cfg").write_text("[defaults]\ninventory = /nonexistent\n")
    monkeypatch.setenv("ANSIBLE_CONFIG", str(tmp_path / "other.cfg"))
    monkeypatch.setenv("ANSIBLE_CALLBACKS_ENABLED", "nonsense")
    monkeypatch.setenv("LC_ALL", "xx_XX.BROKEN")

    assert reasons(AnsibleApplier(Settings(run_dir), project.write), order("a")) == {"a": ("applied", "")}


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "x" * 200])
def test_a_batch_id_that_is_no_name_is_refused(project: Any, run_dir: Path, order: Order, name: str) -> None:
    with pytest.raises(FleetError, match="not a name for a batch"):
        AnsibleApplier(Settings(run_dir), project.write).run_batch(order("a", batch_id=name))
    assert not run_dir.exists()


def test_results_of_other_rollouts_go_after_a_week(project: Any, run_dir: Path, order: Order) -> None:
    project.add("a")
    for name, age in (("r0-0001", 8 * 86400), ("r0-0002", 3600), ("r1-0009", 8 * 86400)):
        folder = run_dir / name
        folder.mkdir(parents=True)
        (folder / "done.json").write_text("{}")
        then = (folder / "done.json").stat().st_mtime - age
        os.utime(folder / "done.json", (then, then))
    unfinished = run_dir / "r0-0003"
    unfinished.mkdir()

    AnsibleApplier(Settings(run_dir), project.write).run_batch(order("a"))

    assert sorted(path.name for path in run_dir.iterdir()) == ["r0-0002", "r0-0003", "r1-0001", "r1-0009"]


def test_a_run_folder_that_cannot_be_made_is_a_usage_error(project: Any, run_dir: Path, order: Order) -> None:
    run_dir.write_text("a file is in the way")

    with pytest.raises(FleetError, match="cannot make the folder"):
        AnsibleApplier(Settings(run_dir), project.write).run_batch(order("a"))
    run_dir.unlink()


def test_a_look_tells_what_each_node_holds_and_changes_nothing(project: Any, run_dir: Path) -> None:
    project.add("never", "held", "edited", "broken")
    project.put("broken", "crash")
    record = {"node": "held", "fleet": "acme", "machine_id": "m-1", "digest": "b1:x", "files": {}, "later": 1}
    project.put("held", "record", record)
    project.put("edited", "record", record | {"node": "edited"})
    project.put("edited", "tampered")

    seen = {one.node: one for one in AnsibleObserver(Settings(run_dir), project.write).observe(list(project.hosts))}

    assert seen["never"] == Observation("never", machine_id="m-1", arch="amd64")
    assert seen["held"].record is not None
    assert (seen["held"].record.digest, seen["held"].differs) == ("b1:x", ())
    assert seen["edited"].differs == ("/etc/motd",)
    assert seen["broken"].record is None
    assert seen["broken"].unreachable == "the disk of this node is gone"
    assert [project.runs(node) for node in project.hosts] == [0, 0, 0, 0]
    assert list(run_dir.iterdir()) == []


def test_a_look_at_no_nodes_starts_nothing(project: Any, run_dir: Path) -> None:
    assert list(AnsibleObserver(Settings(run_dir), project.write).observe([])) == []
    assert not run_dir.exists()


def test_a_look_that_breaks_says_why_for_each_node(project: Any, run_dir: Path) -> None:
    project.add("a")
    project.extra["observe.yml"] = "nonsense: ["

    (seen,) = AnsibleObserver(Settings(run_dir), project.write).observe(["a"])

    assert seen.unreachable.startswith("the run ended before it answered: [ERROR]")


def test_what_a_batch_of_five_nodes_costs_the_controller(project: Any, run_dir: Path, order: Order) -> None:
    names = [f"n{number}" for number in range(5)]
    project.add(*names)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)

    found = reasons(AnsibleApplier(Settings(run_dir), project.write), order(*names))

    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"one batch of 5 local nodes: {spent:.2f} s CPU, their modules included")
    assert set(found.values()) == {("applied", "")}
    assert spent < 12
