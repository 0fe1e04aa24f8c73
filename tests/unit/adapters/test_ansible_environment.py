"""What surrounds a run of Ansible, literally: ssh's options, and an environment that nobody else's settings reach."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.adapters.ansible.environment import environment
from fleet.adapters.ansible.launch import plain, unsafe
from fleet.adapters.ansible.workdir import Workdir
from fleet.errors import UsageError

FOREIGN = {
    "ANSIBLE_HOST_KEY_CHECKING": "0",
    "ANSIBLE_VAULT_PASSWORD_FILE": "/home/ops/pw",
    "ANSIBLE_STDOUT_CALLBACK": "json",
    "FLEET_VAULT_PASSWORD": "swordfish",
    "FLEET_VAULT_PASSWORD_FILE": "/home/ops/pw",
    "AWX_HOST": "x",
    "RUNNER_OMIT": "x",
    "LC_ALL": "de_DE.UTF-8",
    "SSH_AUTH_SOCK": "/run/agent",
}


@pytest.fixture
def workdir(tmp_path: Path) -> Iterator[Workdir]:
    made = Workdir.named(tmp_path / "runs", "7f3c-1")
    made.make()
    yield made
    made.remove()


def test_ssh_trusts_what_git_pins_and_nothing_else(workdir: Workdir) -> None:
    environment(workdir, None)
    config = workdir.memory / "ssh_config"
    assert config.read_text() == (
        f'UserKnownHostsFile "{workdir.project}/known_hosts"\n'
        "StrictHostKeyChecking yes\n"
        "GlobalKnownHostsFile /dev/null\n"
        "UpdateHostKeys no\n"
        "BatchMode yes\n"
        "ServerAliveInterval 15\n"
        "ServerAliveCountMax 4\n"
        "Include ~/.ssh/config\n"
        "Include /etc/ssh/ssh_config\n"
    )
    assert config.stat().st_mode & 0o777 == 0o600


def test_a_key_of_the_settings_comes_first(workdir: Workdir) -> None:
    environment(workdir, Path("/home/ops/key"))
    assert (workdir.memory / "ssh_config").read_text().startswith('IdentityFile "/home/ops/key"\nUserKnownHostsFile ')


@pytest.mark.parametrize("name", ['a"b', "a\nb", "a%b", "a$b", "a\\b"])
def test_a_file_that_ssh_would_read_otherwise_is_refused(workdir: Workdir, name: str) -> None:
    with pytest.raises(UsageError, match="ssh cannot be told of the file"):
        environment(workdir, Path(f"/home/{name}"))


def test_the_environment_is_ours(workdir: Workdir, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in FOREIGN.items():
        monkeypatch.setenv(name, value)
    made = environment(workdir, None)
    assert {name: made.get(name) for name in FOREIGN} == {
        "ANSIBLE_HOST_KEY_CHECKING": "1",
        "ANSIBLE_VAULT_PASSWORD_FILE": None,
        "ANSIBLE_STDOUT_CALLBACK": None,
        "FLEET_VAULT_PASSWORD": None,
        "FLEET_VAULT_PASSWORD_FILE": None,
        "AWX_HOST": None,
        "RUNNER_OMIT": None,
        "LC_ALL": "C.UTF-8",
        "SSH_AUTH_SOCK": "/run/agent",
    }
    assert made["ANSIBLE_CONFIG"] == f"{workdir.project}/ansible.cfg"
    assert made["ANSIBLE_HOME"] == made["ANSIBLE_LOCAL_TEMP"] == str(workdir.temporary)
    assert made["ANSIBLE_RETRY_FILES_ENABLED"] == "0"
    assert f"-F '{workdir.memory}/ssh_config'" in made["ANSIBLE_SSH_ARGS"]
    sockets = Path(made["ANSIBLE_SSH_CONTROL_PATH_DIR"])
    assert (sockets.stat().st_mode & 0o777, sockets.stat().st_uid) == (0o700, os.geteuid())


def test_texts_of_people_are_no_templates() -> None:
    assert unsafe("{{ lookup('pipe', 'id') }}") == """!unsafe "{{ lookup('pipe', 'id') }}\""""
    assert plain({"a": "yes", "b": ""}) == '{"a":"yes","b":""}'
