"""What the stand-in says: log lines as K3s writes them, its end, and systemd's notifications."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn


def log(level: str, message: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f'time="{stamp}" level={level} msg={json.dumps(message)}', file=sys.stderr, flush=True)


def fatal(message: str) -> NoReturn:
    log("fatal", message)
    sys.exit(1)


def notify_systemd(state: str) -> None:
    """sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(state.encode(), f"\0{address[1:]}" if address.startswith("@") else address)


def start_part(argv: list[str]) -> subprocess.Popen[bytes]:
    """Start a program that is a part of K3s's one process: it dies with this one, however that ends.

    It does not hear of systemd: etcd and the API server would tell it of their own readiness.
    """
    environment = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
    # K3s's unit has KillMode=process: systemd would leave it behind.
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *argv], env=environment)


def write(path: Path, content: str | bytes, mode: int) -> None:
    """Write a file that is never there with another mode, or by half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content.encode() if isinstance(content, str) else content)
    beside.rename(path)


def link(path: Path, target: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)
