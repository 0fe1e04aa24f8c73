"""cloud-init user data for a new machine: the user that fleet connects as, its key, sudo. Nothing in it is secret.

Source: cloud-init's documentation, modules "Users and Groups" and "SSH".
"""

from __future__ import annotations

from typing import Any

from fleet.formats.yaml_write import dump
from fleet.model.node import Node

_HEAD = """\
#cloud-config
# For {node} at {site}, by fleet. Nothing in it is secret.
# When it has started: fleet node trust {node}
"""


def user_data(node: Node, public_key: str) -> str:
    """The whole text. `public_key` is a line as in authorized_keys."""
    way = node.connection
    user: dict[str, Any] = {
        "name": way.user,
        "lock_passwd": True,
        "shell": "/bin/bash",
        "ssh_authorized_keys": [public_key.strip()],
    }
    if way.become and way.user != "root":
        # With a password that somebody sets by hand, sudo asks for it; without one it must not.
        user["sudo"] = "ALL=(ALL) ALL" if way.become_password else "ALL=(ALL) NOPASSWD:ALL"
    data: dict[str, Any] = {
        "hostname": node.name,
        "users": [user],
        "disable_root": way.user != "root",
        "ssh_pwauth": False,
        "ssh_genkeytypes": ["ed25519"],
    }
    return _HEAD.format(node=node.name, site=node.site) + dump(data)
