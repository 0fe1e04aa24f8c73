"""What surrounds a run of ansible-playbook: its environment, ssh's options, and a short folder for ssh's sockets.

Nothing of the caller's own Ansible settings reaches a run, and no vault password is in its environment.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

from fleet.adapters.ansible.memory import make_owned
from fleet.adapters.ansible.process import MARK
from fleet.adapters.ansible.workdir import Workdir
from fleet.adapters.disk import write_atomic
from fleet.adapters.ssh.config import client_config
from fleet.errors import UsageError

# A socket's path ends at 107 bytes (unix(7)); ssh adds a dot and 16 letters while it makes one, Ansible a slash and
# 10 hex digits before that.
_MAX_SOCKET_FOLDER = 107 - 17 - 11
_DROPPED = ("ANSIBLE_", "FLEET_VAULT_", "AWX_", "RUNNER_", "LC_")


def environment(workdir: Workdir, private_key: Path | None) -> dict[str, str]:
    """The child's environment. Writes the ssh configuration and makes the socket folder."""
    config = workdir.memory / "ssh_config"
    write_atomic(config, client_config(workdir.project / "known_hosts", private_key).encode())
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}
    return kept | {
        MARK: str(workdir.path),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}",
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONFIG": str(workdir.project / "ansible.cfg"),
        "ANSIBLE_HOME": str(workdir.temporary),
        "ANSIBLE_LOCAL_TEMP": str(workdir.temporary),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_RETRY_FILES_ENABLED": "0",
        "ANSIBLE_HOST_KEY_CHECKING": "1",
        "ANSIBLE_SSH_ARGS": f"-F {_quoted(config)} -o ControlMaster=auto -o ControlPersist=60s",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(socket_folder(workdir.path)),
    }


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "'\"'\"'") + "'"


def socket_folder(run: Path) -> Path:
    """One short private folder per run: none reuses a connection that another one opened, under other host keys or to
    a host that has gone away since.

    Raises UsageError where the folder cannot be made or belongs to someone else.
    """
    name = hashlib.sha256(os.fsencode(run.absolute())).hexdigest()[:8]
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    parents = [Path(runtime, "fleet")] if runtime and Path(runtime).is_dir() and os.access(runtime, os.W_OK) else []
    parents.append(Path(f"/tmp/fleet-{os.geteuid()}"))  # noqa: S108 - its owner and mode are checked below
    for parent in parents:
        folder = parent / name
        if len(os.fsencode(folder)) <= _MAX_SOCKET_FOLDER:
            for made in (parent, folder):
                make_owned(made)
            return folder
    raise UsageError(f"no folder is short enough for ssh's sockets: {parents}", "set XDG_RUNTIME_DIR to a short one")


def forget_sockets(run: Path) -> None:
    """After a run: its connections are found by nobody any more, and end by themselves (ControlPersist)."""
    shutil.rmtree(socket_folder(run), ignore_errors=True)
