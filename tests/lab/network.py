"""The lab's network: one namespace with a bridge, one for the controller, one for each host, and no way out.

All names carry the lab's id, and all addresses live inside the namespaces: any number of labs use the same ones.
"""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from tests.lab.command import run

CONTROLLER_ADDRESS = "10.77.0.1"
CONTROLLER_ADDRESS6 = "fd77::1"
NAMESPACES = Path("/run/netns")
HOSTS_PER_NET = 200


def host_address(number: int) -> str:
    """The IPv4 address of the lab's host `number` (from 1): 10.77.1.11, 10.77.1.12, ... 10.77.2.11, ..."""
    return f"10.77.{1 + (number - 1) // HOSTS_PER_NET}.{11 + (number - 1) % HOSTS_PER_NET}"


def host_address6(number: int) -> str:
    """The IPv6 address (unique local) of the lab's host `number`."""
    return f"fd77::1:{number:x}"


@dataclass(frozen=True)
class Network:
    """The namespaces of one lab. Every name starts with `prefix`."""

    prefix: str

    @property
    def bridge(self) -> str:
        return f"{self.prefix}wan"

    @property
    def controller(self) -> str:
        return f"{self.prefix}controller"

    def create(self) -> None:
        """Make the bridge and the controller's namespace at 10.77.0.1/16 and fd77::1/64."""
        run(["ip", "netns", "add", self.bridge])
        batch(self.bridge, ["link set lo up", "link add br0 type bridge forward_delay 0", "link set br0 up"])
        self.attach(self.controller, "controller", CONTROLLER_ADDRESS, CONTROLLER_ADDRESS6)

    def attach(self, namespace: str, port: str, address: str, address6: str) -> None:
        """Make a namespace whose eth0 hangs on the bridge's `port`."""
        run(["ip", "netns", "add", namespace])
        batch(
            self.bridge,
            [
                f"link add {port} type veth peer name eth0 netns {namespace}",
                f"link set {port} master br0",
                f"link set {port} up",
            ],
        )
        batch(
            namespace,
            [
                "link set lo up",
                f"addr add {address}/16 dev eth0",
                f"addr add {address6}/64 dev eth0 nodad",
                "link set eth0 up",
            ],
        )

    def set_port(self, port: str, *, up: bool) -> None:
        """Plug a host in or out, at the bridge's side: the host itself sees only a carrier lost."""
        batch(self.bridge, [f"link set {port} {'up' if up else 'down'}"])

    def existing(self) -> list[str]:
        """The namespaces of this lab that exist now."""
        if not NAMESPACES.is_dir():
            return []
        return sorted(path.name for path in NAMESPACES.iterdir() if path.name.startswith(self.prefix))

    def remove(self) -> None:
        """Remove the lab's namespaces, and end what still runs in them (an ssh master that outlives its Ansible)."""
        for namespace in self.existing():
            for pid in run(["ip", "netns", "pids", namespace], check=False).split():
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    continue
        for namespace in self.existing():
            run(["ip", "netns", "delete", namespace])


def inside(namespace: str, argv: list[str]) -> list[str]:
    """The command that runs `argv` in a network namespace, with the files and mounts of this machine as they are.

    Not `ip netns exec`: that also takes a new mount namespace, in which /sys and the control groups look different.
    """
    return ["nsenter", f"--net={NAMESPACES / namespace}", "--", *argv]


def batch(namespace: str, lines: list[str]) -> None:
    run(["ip", "-netns", namespace, "-batch", "-"], stdin="\n".join(lines) + "\n")
