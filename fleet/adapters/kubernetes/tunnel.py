"""SshAccess: one ssh to a server, which reads its kubeconfig and forwards a local port to its API server.

The far end lives as long as a pipe of ours is open: a controller that is killed leaves neither a tunnel nor an ssh behind.
"""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from fleet.adapters.kubernetes.access import Endpoint, read_kubeconfig
from fleet.adapters.ssh.config import client_config
from fleet.adapters.ssh.way import way
from fleet.errors import UnavailableError
from fleet.k3s.ports import own_address
from fleet.model.node import Node

KUBECONFIG = "/etc/rancher/k3s/k3s.yaml"
CONNECT_SECONDS = 15
_CLOSE_SECONDS = 3.0
_LONGEST = 1 << 20
_PORTS_TRIED = 5
_BEGIN: Final = b"fleet-kubeconfig-begins\n"
_END: Final = b"fleet-kubeconfig-ends "

# Reads the file, as root where it has to be, then waits until its input ends. The password is the first line of the
# input, a variable of the shell and the input of sudo: never an argument. sudo has it once, so that a wrong one ends.
# One line: not every login shell takes more.
_READS: Final = r"""
printf 'fleet-kubeconfig-begins\n';
if [ -z "$2" ] || [ "$(id -u)" -eq 0 ]; then cat "$1";
elif [ "$2" = asked ]; then IFS= read -r word; printf '%s\n' "$word" | sudo -S -p '' cat "$1";
else sudo -n cat "$1"; fi;
printf '\nfleet-kubeconfig-ends %s\n' $?;
exec cat >/dev/null
""".replace("\n", " ")


class SshAccess:
    """Fills `Access` through the connection of a server, as every other ssh of fleet goes: pinned keys, jump hosts,
    ProxyCommand, sudo. The port need not be open to the controller.
    """

    def __init__(
        self,
        node: Node,
        known_hosts: bytes,
        private_key: Path | None = None,
        become: Callable[[], bytes] | None = None,
        open_seconds: float = 60.0,
    ) -> None:
        """`private_key` is for a node whose spec names none; `become` gives what sudo asks for, None where it asks nothing.
        A ProxyCommand that hangs, or a sudo that does, is waited for `open_seconds`.
        """
        self.server = node.name
        self._node = node
        self._known_hosts = known_hosts
        named = node.connection.private_key
        self._private_key = Path(named).expanduser() if named else private_key
        self._become = become
        self._kubeconfig = str(node.settings.k3s.config.get("write-kubeconfig") or KUBECONFIG)
        self._open_seconds = open_seconds
        self._ssh: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def open(self) -> Endpoint:
        """Raises UnavailableError with ssh's, or sudo's, own words."""
        self.close()
        try:
            for left in reversed(range(_PORTS_TRIED)):
                port = _free_port()
                text = self._start(port)
                if text is not None:
                    endpoint = read_kubeconfig(text, self.server)
                    return msgspec.structs.replace(endpoint, url=f"https://127.0.0.1:{port}")
                if not left:
                    break
        except BaseException:
            self.close()
            raise
        raise UnavailableError(
            f"no local port for the way to {self.server}: somebody else was quicker {_PORTS_TRIED} times"
        )

    def is_open(self) -> bool:
        return self._ssh is not None and self._ssh.poll() is None

    def close(self) -> None:
        ssh, self._ssh = self._ssh, None
        folder, self._folder = self._folder, None
        try:
            if ssh is not None:
                _end(ssh)
        finally:
            if folder is not None:
                folder.cleanup()

    def _start(self, port: int) -> bytes | None:
        """The kubeconfig, or None when the local port was taken meanwhile."""
        self.close()
        self._folder = tempfile.TemporaryDirectory(prefix="fleet-ssh-")
        errors = Path(self._folder.name, "errors")
        try:
            with errors.open("wb") as said:
                self._ssh = subprocess.Popen(
                    self._command(Path(self._folder.name), port), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said,
                    start_new_session=True, env={**os.environ, "LC_ALL": "C"},
                )  # fmt: skip
        except FileNotFoundError:
            raise UnavailableError("ssh is not installed", "apt-get install openssh-client") from None
        if self._become is not None and self._node.connection.become and self._ssh.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._ssh.stdin.write(self._become().rstrip(b"\n") + b"\n")
                self._ssh.stdin.flush()
        text, code = _kubeconfig_in(self._ssh, time.monotonic() + self._open_seconds)
        if code == 0:
            return text
        is_silent = code is None and self._ssh.poll() is None
        _end(self._ssh, is_in_haste=is_silent)  # its last words are on their way until it has ended
        words = _last_line(errors)
        if is_silent:
            words = f"it said nothing for {self._open_seconds:g} s"
        if code is None and ("cannot listen to port" in words or "Could not request local forwarding" in words):
            return None
        step = "connect" if code is None else f"read {self._kubeconfig}"
        raise UnavailableError(f"could not {step} on {self.server}: {words}")

    def _command(self, folder: Path, port: int) -> list[str]:
        known_hosts, config = folder / "known_hosts", folder / "config"
        known_hosts.write_bytes(self._known_hosts)
        config.write_text(client_config(known_hosts, self._private_key))
        options = [
            # A connection of its own: one that is shared would outlive this.
            "ControlMaster=no", "ControlPath=none", "ExitOnForwardFailure=yes", "RemoteCommand=none",
            f"ConnectTimeout={CONNECT_SECONDS}", f"LocalForward=127.0.0.1:{port} {own_address(self._node.settings.k3s.config)}",
        ]  # fmt: skip
        connection = self._node.connection
        how = "" if not connection.become else "asked" if self._become is not None else "free"
        script = " ".join(map(shlex.quote, ["sh", "-c", _READS, "sh", self._kubeconfig, how]))
        said = (word for option in options for word in ("-o", option))
        return ["ssh", "-F", str(config), "-T", *said, *way(connection, known_hosts), "--", connection.address, script]


def _kubeconfig_in(ssh: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, int | None]:
    """What lies between the marks, and the exit code behind it; None where the end never comes."""
    stream = ssh.stdout
    found = b""
    while stream is not None and len(found) < _LONGEST:
        begins, ends = found.find(_BEGIN), found.find(b"\n" + _END)
        if begins >= 0 and ends > begins and found.endswith(b"\n"):
            code = found[ends + 1 + len(_END) :].split(b"\n")[0]
            return found[begins + len(_BEGIN) : ends], int(code) if code.isdigit() else 1
        ready, _, _ = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))
        data = os.read(stream.fileno(), 65536) if ready else b""
        if not data:
            break
        found += data
    if stream is not None and time.monotonic() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):
            ssh.wait(_CLOSE_SECONDS)
    return b"", None


def _end(ssh: subprocess.Popen[bytes], *, is_in_haste: bool = True) -> None:
    """Closes its input, upon which the far end ends, and ssh; in haste, that is not waited for."""
    if ssh.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            ssh.stdin.close()
    if not is_in_haste:
        with contextlib.suppress(subprocess.TimeoutExpired):
            ssh.wait(_CLOSE_SECONDS)
    for sent in (signal.SIGTERM, signal.SIGKILL):
        if ssh.poll() is None:
            # Its group, and so its ProxyCommand: while it connects, ssh would leave that behind.
            os.killpg(ssh.pid, sent)
            with contextlib.suppress(subprocess.TimeoutExpired):
                ssh.wait(_CLOSE_SECONDS)
    if ssh.stdout is not None:
        ssh.stdout.close()


def _last_line(errors: Path) -> str:
    lines = [line.strip() for line in errors.read_text(errors="replace").splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(("Warning:", "@"))]
    return said[-1][:300] if said else "ssh gave no reason"


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
