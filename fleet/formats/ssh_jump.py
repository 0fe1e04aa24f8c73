"""The way through a jump host, as a ProxyCommand: `ssh -J` would not show the jump host the key that is for the node."""

from __future__ import annotations

from shlex import quote

_OPTIONS = (
    "BatchMode=yes", "StrictHostKeyChecking=yes", "GlobalKnownHostsFile=/dev/null", "UpdateHostKeys=no",
    "ServerAliveInterval=15", "ServerAliveCountMax=4",
)  # fmt: skip


def jump_options(jump_host: str, private_key: str, known_hosts: str) -> list[str]:
    """Words for ssh's command line, none without a jump host. `jump_host`: USER@HOST:PORT, or several with commas, which
    find their keys by the user's own ssh configuration. `known_hosts` is a path from where ssh will run.
    """
    if not jump_host:
        return []
    if not private_key or "," in jump_host:
        return ["-J", jump_host]
    options = (*_OPTIONS, f"UserKnownHostsFile={known_hosts}")
    said = (word for option in options for word in ("-o", quote(option)))
    target = jump_host if jump_host.startswith("ssh://") else f"ssh://{jump_host}"
    # A tilde is for ssh itself, which reads it also in quotes.
    return ["-o", f"ProxyCommand=ssh -i {quote(private_key)} {' '.join(said)} -W [%h]:%p {quote(target)}"]
