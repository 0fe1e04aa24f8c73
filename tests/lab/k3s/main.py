"""The commands of the one file that the mirror serves as `k3s`."""

import hashlib
import os
import shutil
import sys

from .output import fatal
from .paths import API_SERVER
from .release import ARCH, VERSION


def is_full() -> bool:
    """Whether this host has what a real cluster takes; K3S_STANDIN=light says no."""
    return API_SERVER.exists() and os.environ.get("K3S_STANDIN") != "light"


def main() -> None:
    command, rest = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("--help", [])
    if command in {"--version", "-v"}:
        commit = hashlib.sha256(VERSION.encode()).hexdigest()[:8]
        print(f"k3s version {VERSION} ({commit})\ngo version none (stand-in, linux/{ARCH})")
    elif command in {"server", "agent"}:
        run_node(command, rest)
    elif command == "etcd-snapshot":
        if is_full():
            from .snapshots import snapshot_command

            snapshot_command(rest)
        else:
            from .light import light_snapshot

            light_snapshot(rest)
    elif command == "token":
        from .token_command import token_command

        token_command(rest)
    elif command == "kubectl":
        from .kubectl import kubectl

        kubectl(rest)
    else:
        fatal(
            f"No help topic for '{command}': the stand-in knows server, agent, etcd-snapshot, token, kubectl, --version"
        )


def run_node(role: str, arguments: list[str]) -> None:
    from .settings import read_settings

    settings = read_settings(role, arguments)
    if not is_full():
        from .light import run_light

        run_light(role, settings)
        return
    missing = [name for name in ("etcd", "etcdctl", "openssl", "ip") if shutil.which(name) is None]
    if missing:
        fatal(f"the stand-in needs {', '.join(missing)}: see HOST_PACKAGES of the lab's image")
    if role == "agent":
        from .agent import Agent

        Agent(settings).run()
    elif settings.get("cluster-reset"):
        from .snapshots import ClusterReset

        ClusterReset(settings).run()
    else:
        from .server import Server

        Server(settings).run()
