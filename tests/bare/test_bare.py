"""The README's first command on a machine that has only what the README asks for, by a user who is not root."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bare.machine import PACKAGES, Machine, Said, make_machine

DEMO_SECONDS = 180


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return make_machine(tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="module")
def demo(machine: Machine) -> Said:
    return machine.run("make", "demo")


def test_the_machine_is_bare(machine: Machine):
    said = machine.run(
        "sh", "-c", "id -un; dpkg-query --show --showformat='${Package}\\n'; command -v sudo ssh gcc curl"
    )
    lines = said.text.splitlines()

    assert lines[0] == "someone"
    assert set(PACKAGES) <= set(lines)
    assert [name for name in lines if "ansible" in name or name in {"python3-pip", "sudo", "curl", "gcc"}] == []
    assert said.code != 0, "none of the four is there"


def test_make_demo_ends_well_in_under_3_minutes(demo: Said):
    assert demo.code == 0, demo.text
    assert demo.seconds < DEMO_SECONDS
    print(f"make demo: {demo.seconds:.0f} s with downloads")


def test_make_demo_showed_the_main_job(demo: Said):
    lines = demo.text.splitlines()

    assert "6 nodes change, 0 stay, 0 go" in lines
    assert "Nothing to do: 6 nodes hold what git wants" in lines
    assert any(line.startswith("  ~ K3s v1.36.3+k3s1 -> v1.37.1+k3s1 ") for line in lines)
    assert "      + NTP=ntp.acme.example time.acme.example" in lines
    assert sum(line.endswith("done: 6 applied") for line in lines) == 3
    assert any(" paused: wave pilot failed; " in line for line in lines)
    assert lines[-1] == "  cd .work/demo/two-sites && ../../../.venv/bin/fleet plan --refresh --sandbox ../nodes"


def test_pip_and_ansible_had_nothing_to_complain_about(demo: Said):
    assert [line for line in demo.text.splitlines() if "warning" in line.lower() or "error" in line.lower()] == []


def test_the_command_that_it_ends_with_can_be_typed(machine: Machine, demo: Said):
    said = machine.run("sh", "-c", demo.text.splitlines()[-1])

    assert said.code == 0, said.text
    assert said.text.splitlines()[-1] == "Nothing to do: 6 nodes hold what git wants"


def test_the_checkout_is_as_it_was(machine: Machine, demo: Said):
    """What `make demo` makes is ignored by git."""
    assert machine.run("git", "status", "--short").text == ""
    assert sorted(path.name for path in (machine.checkout / ".work/demo").iterdir()) == [
        "nodes", "two-sites", "vault-password",
    ]  # fmt: skip


def test_lanes_that_need_root_are_skipped_aloud(machine: Machine):
    said = machine.run("python3", "tests/lanes.py", "lab", "bare")

    assert said.code == 0, said.text
    assert "SKIPPED lane lab: root: run it as root; mmdebstrap: apt-get install mmdebstrap" in said.text
    assert "SKIPPED lane bare: root: run it as root; mmdebstrap: apt-get install mmdebstrap" in said.text
    assert said.text.splitlines()[-1] == "0 passed, 0 failed"


def test_lanes_that_need_root_fail_where_ci_is_true(machine: Machine):
    said = machine.run("python3", "tests/lanes.py", "lab", env={"CI": "true"})

    assert said.code == 1, said.text
    assert said.text.splitlines()[-1] == "0 passed, 1 failed"


def test_no_mount_is_left(machine: Machine, demo: Said):
    assert str(machine.scratch) not in Path("/proc/self/mountinfo").read_text()
    assert not list((machine.scratch / "root").iterdir())
