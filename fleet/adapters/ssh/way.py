"""The words of ssh's command line that lead to a node."""

from __future__ import annotations

from pathlib import Path

from fleet.formats.ssh_jump import jump_options
from fleet.model.node import Connection


def way(connection: Connection, known_hosts: Path) -> list[str]:
    """Port, user, and what lies in between; the address and the command come after a `--`."""
    words = ["-p", str(connection.port), "-l", connection.user]
    if connection.proxy_command:
        return [*words, "-o", f"ProxyCommand={connection.proxy_command}"]
    return [*words, *jump_options(connection.jump_host, connection.private_key, str(known_hosts))]
