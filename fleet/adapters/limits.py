"""How many files this process may have open, and how many hosts one process can therefore speak to at once."""

from __future__ import annotations

import resource

FILES_PER_HOST = 4
"""Of ansible-playbook, for each worker; measured. An ssh of our own with two pipes needs no more."""
_OWN_FILES = 64


def hosts_per_process() -> int:
    """By the soft limit of open files (`ulimit -n`), which children inherit. At least 1."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1_000 if soft == resource.RLIM_INFINITY else max(1, (soft - _OWN_FILES) // FILES_PER_HOST)
