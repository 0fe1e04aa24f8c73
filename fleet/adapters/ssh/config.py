"""The configuration of every ssh that fleet starts: pinned keys, no question, and the user's own settings below ours."""

from __future__ import annotations

from pathlib import Path

from fleet.errors import UsageError

# `Include` last: ssh takes the first value that it finds, so ours win, and a user's own ProxyCommand or identity for
# a host still counts. Options in a file, not on the command line, reach the jump hosts as well.
_OPTIONS = """\
StrictHostKeyChecking yes
GlobalKnownHostsFile /dev/null
UpdateHostKeys no
BatchMode yes
ServerAliveInterval 15
ServerAliveCountMax 4
Include ~/.ssh/config
Include /etc/ssh/ssh_config
"""


def client_config(known_hosts: Path, private_key: Path | None = None) -> str:
    """The text of an ssh_config. Raises UsageError for a path that ssh cannot be told of."""
    text = f"UserKnownHostsFile {_path(known_hosts)}\n{_OPTIONS}"
    return text if private_key is None else f"IdentityFile {_path(private_key.absolute())}\n{text}"


def _path(path: Path) -> str:
    if any(character in str(path) for character in '"\n%$\\'):
        raise UsageError(f"ssh cannot be told of the file {str(path)!r}", "use a folder whose name is plain")
    return f'"{path}"'
