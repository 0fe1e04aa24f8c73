"""The benchmarks run, on small fleets: both sides of each comparison make the same, which they check themselves."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.e2e.command import ROOT, Ran, execute

BENCHMARKS = ROOT / "benchmarks"


def bench(*arguments: str) -> Ran:
    return execute([sys.executable, str(BENCHMARKS / "run.py"), "--runs", "1", "--scale", "100", *arguments], ROOT)


def python(program: str, *arguments: str) -> str:
    ran = execute([sys.executable, str(BENCHMARKS / program), *arguments], ROOT)
    assert ran.code == 0, ran.text
    return ran.out


def test_the_table_has_figures_targets_and_verdicts():
    ran = bench("start", "exploded", "growth", "inventory", "few")

    assert ran.code == 0, ran.text
    lines = ran.out.splitlines()
    assert lines[3].split() == ["job", "files", "bytes", "measured", "target"]
    rows = {line[:38].strip(): line[38:].split() for line in lines[4:]}
    assert rows["exploded, 10,000 nodes: its YAML"][-2:] == ["NOT", "MET"], "100 nodes are no 4.5 MB"
    files = rows["plan, exploded, 10,000 nodes"][:2]
    assert files == rows["naive script, same sha256"][:2]
    assert int(files[0]) == 96 * 6
    assert rows["fleet --help"][2:6] == ["CPU", "<=", "0.35", "s"]
    assert "fleet against ansible-inventory" in rows


def test_an_import_gives_each_host_what_ansible_gives_it():
    ran = bench("imports")

    assert ran.code == 0, ran.text
    assert "import, 10,000 hosts, a site a shop" in ran.out
    assert "times less CPU" in ran.out


def test_another_password_for_all_vaults_against_ansibles_own_tool():
    ran = bench("secrets")

    assert ran.code == 0, ran.text
    assert "their secrets.lock, read" in ran.out
    assert "secret rekey, 13 files" in ran.out
    assert "fleet against ansible-vault" in ran.out


def test_a_rehearsal_through_ten_waves():
    ran = bench("simulate")

    assert ran.code == 0, ran.text
    (row,) = [line for line in ran.out.splitlines() if line.startswith("simulate, 100,000 nodes, ten waves")]
    assert row.split()[-4:] == ["<=", "60", "s", "met"]


def test_the_decider_by_itself():
    ran = bench("decide")

    assert ran.code == 0, ran.text
    lines = ran.out.splitlines()
    assert [line.split(" nodes")[0] for line in lines if line.startswith("decider")] == [
        "decider, 10,000",
        "decider, 100,000",
    ]
    assert any(line.startswith("  memory for a node") for line in lines)


def test_the_journal_with_pretend_nodes():
    ran = bench("journal")

    assert ran.code == 0, ran.text
    rows = {line[:54].strip(): line[54:].split() for line in ran.out.splitlines()[4:]}
    assert any("nodes/s" in words for words in rows.values())
    assert "rollout show, 10,000 nodes" in rows
    assert any(name.startswith("resume of 10,000 after kill -9") for name in rows)


def test_batches_of_a_rollout_against_ansible_runner_alone():
    ran = bench("batches")

    assert ran.code == 0, ran.text
    rows = {line[:38].strip(): line[38:].split() for line in ran.out.splitlines()[4:]}
    assert "rollout, 4 nodes in 2 batches" in rows
    assert rows["fleet against that"][1:7] == ["times", "the", "CPU", "<=", "1.3", "times"]


def test_a_batch_with_nodes_that_are_off():
    ran = bench("away")

    assert ran.code == 0, ran.text
    assert "a batch of 3, 1 of them off" in ran.out
    assert "the same, left to Ansible" in ran.out


def test_an_unknown_job_is_named():
    ran = bench("plans")

    assert ran.code == 2
    assert (
        "no job plans; there are start, retail, exploded, growth, render, inventory, imports, secrets, forming, few, batches, away, decide, journal, simulate, hosts"
        in ran.err
    )


def test_the_large_fleet_is_large_and_every_node_has_files_of_its_own(tmp_path: Path):
    python("exploded.py", str(tmp_path / "fleet"), "10000")
    size = sum(path.stat().st_size for path in (tmp_path / "fleet").rglob("*.yaml"))
    assert size >= 4_500_000

    python("exploded.py", str(tmp_path / "few"), "80")
    listed = [line.split() for line in python("fleet_files.py", str(tmp_path / "few"), "--files").splitlines()[:-1]]
    holders: dict[str, set[str]] = {}
    for node, _, sha256 in listed:
        holders.setdefault(sha256, set()).add(node)
    own = [node for nodes in holders.values() if len(nodes) == 1 for node in nodes]
    assert len({node for node, *_ in listed}) == 80
    assert min(own.count(node) for node in set(own)) >= 3
    assert len(set(own)) == 80


def test_both_sides_make_the_same_files_and_notice_when_not(tmp_path: Path):
    fleet = tmp_path / "fleet"
    python("exploded.py", str(fleet), "80")
    assert python("fleet_files.py", str(fleet)) == python("naive_exploded.py", str(fleet))

    template = fleet / "templates/motd.j2"
    before = python("fleet_files.py", str(fleet))
    template.write_text("{{ node.name }}!\n")
    assert python("fleet_files.py", str(fleet)) != before
    assert python("fleet_files.py", str(fleet)) == python("naive_exploded.py", str(fleet))
