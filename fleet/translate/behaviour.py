"""Ansible's own settings in an inventory that `fleet` has no field for, and what is said of each.

Names: ansible-core, the options of the connection plugins `ssh`, `paramiko_ssh`, `winrm` and of become plugin `sudo`.
"""

from __future__ import annotations

import re
from typing import Any

from fleet.translate.facts import Definition
from fleet.translate.notes import Notes

_SECRETS = frozenset({
    "ansible_password", "ansible_ssh_pass", "ansible_ssh_password", "ansible_su_pass", "ansible_private_key", "ansible_ssh_private_key",
    "ansible_private_key_passphrase", "ansible_ssh_private_key_passphrase", "ansible_winrm_password",
})  # fmt: skip
_NEUTRAL = {
    "ansible_connection": frozenset({"ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh"}),
    "ansible_become_method": frozenset({"sudo", "ansible.builtin.sudo"}),
    "ansible_become_user": frozenset({"root"}),
    "ansible_sudo_user": frozenset({"root"}),
    "ansible_python_interpreter": frozenset({
        "auto", "auto_silent", "auto_legacy", "auto_legacy_silent", "python3", "/usr/bin/python3",
        "/usr/bin/env python3",
    }),
}  # fmt: skip
"""Values that are what `fleet` does anyway."""
_WHY = {
    "ansible_connection": ("fleet reaches nodes by ssh only", "Take what is no host of its own out of the spec"),
    "ansible_become_method": ("fleet becomes root by sudo", "Let the user become root by sudo, or connect as root"),
    "ansible_become_user": ("fleet becomes root", ""),
    "ansible_sudo_user": ("fleet becomes root", ""),
    "ansible_python_interpreter": ("fleet runs the node's python3", "Make python3 3.8 or later, and in the PATH"),
}
# Of how Ansible itself works: nothing is lost without them.
_TUNING = re.compile(
    r"ansible_(?:(?:ssh_)?(?:pipelining|retries|timeout|executable|transfer_method|host_key_checking|control_path(?:_dir)?"
    r"|use_tty)|ssh_password_mechanism|(?:scp|sftp)_(?:executable|extra_args)|scp_if_ssh|timeout|shell_(?:type|executable)"
    r"|remote_tmp|module_compression|async_dir|facts?_\w+|diff_mode|check_mode)"
)
_FOREIGN = re.compile(
    r"ansible_(?:winrm|psrp|paramiko|docker|network|netconf|httpapi|su|sudo|become|persistent|aws_ssm|lxd|kubectl)(?:_\w+)?"
)


def is_behaviour(name: str) -> bool:
    """Whether a variable only tells Ansible how to work; it is not kept among the variables of the spec."""
    return name in _SECRETS or name in _NEUTRAL or bool(_TUNING.fullmatch(name) or _FOREIGN.fullmatch(name))


def say(definition: Definition, notes: Notes) -> None:
    """What becomes of such a variable: nothing, and whether somebody has to do something about it."""
    name, mark = definition.name, definition.mark
    if name in _SECRETS:
        notes.warn(
            mark, name, "a connection secret is not carried over", "fleet connects by key, and becomes root by sudo",
        )  # fmt: skip
    elif name in _NEUTRAL:
        if _plain(definition.value) in _NEUTRAL[name]:
            notes.note(mark, name, f"not needed: {_WHY[name][0]}")
        else:
            notes.warn(mark, name, f"not carried over: {_WHY[name][0]}", _WHY[name][1])
    elif _TUNING.fullmatch(name):
        notes.note(mark, name, "not needed: it only says how Ansible itself works")
    else:
        notes.warn(mark, name, "not carried over: fleet reaches nodes by ssh and sudo only")


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else ""
