"""Hosts that do not answer, found out before Ansible waits for each: their SSH ports are tried all at once, for a few seconds.

Only what ssh would try itself is tried here: a host behind a jump host or a ProxyCommand is not, and one for which the
user's own ssh configuration knows another way is not called silent. Where anything answers, ssh tells what is wrong there.
"""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import repeat
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from fleet.adapters.ssh.config import client_config
from fleet.adapters.ssh.way import way
from fleet.model.node import Connection, Node

LIMIT_SECONDS = 5.0
"""Three times a first packet is sent in it: at once, after 1 s and after 3 s (tcp(7), tcp_syn_retries)."""
_GRACE_SECONDS = 0.5
"""For a host to be told of: longer is only waited for a name that is being looked up."""
_AWAY = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ETIMEDOUT})
_ASKING_SSH_SECONDS = 5.0
_ASKING_SSH_AT_ONCE = 8

Place = tuple[int, int, int, str, tuple[Any, ...]]
"""As `socket.getaddrinfo` gives it."""
LookUp = Callable[..., Sequence[Place]]


def silent(
    nodes: Sequence[Node], seconds: float = LIMIT_SECONDS, look_up: LookUp = socket.getaddrinfo
) -> dict[str, str]:
    """Those that do not answer, by name, and why. `look_up` knows the addresses of a name. Takes `seconds` and little more, and what ssh takes to tell its configuration."""
    asked = {node.name: node.connection for node in nodes if _is_direct(node.connection)}
    answers: SimpleQueue[tuple[str, str]] = SimpleQueue()
    deadline = time.monotonic() + seconds + _GRACE_SECONDS
    for name, connection in asked.items():
        # Daemons: nothing ends a look-up of a name that hangs, and nobody is to wait for it.
        told = partial(_answer, name, connection, seconds, look_up)
        Thread(target=lambda ask: answers.put(ask()), args=(told,), daemon=True).start()
    found = {name: _late(connection, seconds) for name, connection in asked.items()}
    for _ in asked:
        try:
            name, reason = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            break
        found[name] = reason
    quiet = [name for name, reason in found.items() if reason]
    elsewhere = _with_another_way([asked[name] for name in quiet])
    return {name: found[name] for name, is_elsewhere in zip(quiet, elsewhere, strict=True) if not is_elsewhere}


def _is_direct(connection: Connection) -> bool:
    return connection.type == "ssh" and not (connection.jump_host or connection.proxy_command)


def _answer(name: str, connection: Connection, seconds: float, look_up: LookUp) -> tuple[str, str]:
    """Why none of its addresses answers: empty where one does, or where that is for ssh to tell."""
    try:
        places = look_up(connection.address, connection.port, type=socket.SOCK_STREAM)
    except OSError:
        return name, ""
    with ThreadPoolExecutor(len(places)) as pool:
        reasons = list(pool.map(partial(_tried, where=_place(connection), seconds=seconds), places))
    return name, "" if "" in reasons else reasons[0]


def _tried(place: Place, where: str, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    try:
        with socket.socket(*place[:3]) as tried:
            tried.settimeout(seconds)
            tried.connect(place[4])
            tried.settimeout(max(0.001, deadline - time.monotonic()))
            return _first_words(tried, where, seconds)
    except TimeoutError:
        return _nothing(where, seconds)
    except OSError as error:
        return f"no answer on {where}: {os.strerror(error.errno)}" if error.errno in _AWAY else ""


def _first_words(tried: socket.socket, where: str, seconds: float) -> str:
    """A server speaks first (RFC 4253, 4.2). One that hangs up has answered: ssh tells why."""
    try:
        tried.recv(1)
    except TimeoutError:
        return f"{where} takes connections, and no SSH server spoke there within {seconds:g} s"
    return ""


def _with_another_way(connections: Iterable[Connection]) -> list[bool]:
    """Whether ssh would go elsewhere than to the address itself, for each: by the user's configuration."""
    with tempfile.TemporaryDirectory(prefix="fleet-ways-") as folder, ThreadPoolExecutor(_ASKING_SSH_AT_ONCE) as pool:
        config = Path(folder, "config")
        config.write_text(client_config(Path(folder, "known_hosts")))
        return list(pool.map(_goes_elsewhere, connections, repeat(config)))


def _goes_elsewhere(connection: Connection, config: Path) -> bool:
    command = ["ssh", "-G", "-F", str(config), *way(connection, config), "--", connection.address]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_ASKING_SSH_SECONDS).stdout
    except (OSError, subprocess.SubprocessError):
        return True  # then it is for Ansible to tell
    said = dict(line.split(" ", 1) for line in told.splitlines() if " " in line)
    proxies = {said.get("proxyjump", "none"), said.get("proxycommand", "none")}
    return proxies != {"none"} or said.get("hostname", "").lower() != connection.address.lower()


def _nothing(where: str, seconds: float) -> str:
    return f"no answer on {where} within {seconds:g} s"


def _late(connection: Connection, seconds: float) -> str:
    return _nothing(_place(connection), seconds)


def _place(connection: Connection) -> str:
    address = f"[{connection.address}]" if ":" in connection.address else connection.address
    return f"{address}:{connection.port}"
