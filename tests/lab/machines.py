"""Machines without systemd, for tests of the stand-in alone: the lab's image in namespaces that nobody else sees.

    with Machines() as machines:
        first, second = machines.add("s1"), machines.add("s2")       # 10.78.0.11, 10.78.0.12
        first.write("/etc/rancher/k3s/config.yaml", "cluster-init: true")
        server = first.start("k3s", "server")                        # sd_notify is heard: server.wait_ready()
        first.run("k3s", "kubectl", "get", "nodes")
        first.power_off(); first.power_on()                          # all of its processes end; its files stay
        first.cut(); first.mend()                                    # its network

Network, mount, host name and processes are in namespaces without names, held by a process each: they are gone when it
is, and it goes when this process does, however that ends.
"""

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab import prerequisites
from tests.lab.command import run
from tests.lab.errors import LabError
from tests.lab.host import ROOT_ENVIRONMENT
from tests.lab.image import ensure_image, own_recipe
from tests.lab.k3s.archive import make_archive

READY_SECONDS = 90
POLL = 0.02
SWITCH = "ip link add br0 type bridge; ip link set br0 up; ip link set lo up; echo ready; exec cat"
# Mounted by the machine itself: its overlay, and what programs expect of a system.
MACHINE = """set -e
mount -t overlay machine -o "lowerdir=$LOWER,upperdir=$UPPER,workdir=$WORK,volatile" "$ROOT"
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
mount -t tmpfs tmpfs "$ROOT/run"
mount -t tmpfs tmpfs "$ROOT/tmp"
hostname "$NAME"
ip link set lo up
exec chroot "$ROOT" sh -c 'echo ready; exec cat'
"""


class Held:
    """A process that holds namespaces until its standard input ends."""

    def __init__(self, argv: list[str], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
        )
        assert self.process.stdout
        if self.process.stdout.readline() != "ready\n":
            raise LabError("a machine's namespaces cannot be made")

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


class Machines:
    """A switch, and the machines on it."""

    def __init__(self, layer: Path | None = None) -> None:
        """`layer` is a folder that lies over the image of every machine, such as `k3s_layer()`."""
        prerequisites.ensure()
        self._layer = layer
        self._image = ensure_image(prerequisites.cache_directory(), own_recipe())
        folder = prerequisites.cache_directory() / "machines"
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(dir=folder))
        self._switch = Held(["unshare", "--net", "--kill-child", "sh", "-c", SWITCH], dict(os.environ))
        self.machines: list[Machine] = []

    def add(self, name: str) -> "Machine":
        number = len(self.machines) + 11
        lower = f"{self._layer}:{self._image}" if self._layer else str(self._image)
        machine = Machine(name, f"10.78.0.{number}", self._folder / name, lower, self._switch.process.pid)
        self.machines.append(machine)
        machine.power_on()
        return machine

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for machine in self.machines:
            machine.power_off()
        self._switch.end()
        shutil.rmtree(self._folder)


class Machine:
    def __init__(self, name: str, address: str, folder: Path, lower: str, switch: int) -> None:
        self.name = name
        self.address = address
        self._folder = folder
        self._lower = lower
        self._switch = switch
        self._held: Held | None = None
        self._pid = 0
        self._programs: list[Program] = []

    @property
    def _upper(self) -> Path:
        return self._folder / "upper"

    # ---- power and network

    def power_on(self) -> None:
        # A volatile overlay is not mounted again with the same work folder.
        shutil.rmtree(self._folder / "work", ignore_errors=True)
        for part in ("upper", "work", "root"):
            (self._folder / part).mkdir(parents=True, exist_ok=True)
            (self._folder / part).chmod(0o755)
        identity = self._upper / "etc/machine-id"
        identity.parent.mkdir(exist_ok=True)
        identity.write_text(f"{hashlib.sha256(str(self._folder).encode()).hexdigest()[:32]}\n")
        environment = {
            "PATH": ROOT_ENVIRONMENT["PATH"],
            "LOWER": self._lower,
            "UPPER": str(self._upper),
            "WORK": str(self._folder / "work"),
            "ROOT": str(self._folder / "root"),
            "NAME": self.name,
        }
        spaces = ["--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
        self._held = Held(["unshare", *spaces, "sh", "-c", MACHINE], environment)
        children = Path(f"/proc/{self._held.process.pid}/task/{self._held.process.pid}/children").read_text().split()
        self._pid = int(children[0])
        port = f"v{self.address.rpartition('.')[2]}"
        inside = ["nsenter", f"--target={self._switch}", "--net"]
        # The kernel takes down what the machine had before in its own time.
        run([*inside, "ip", "link", "del", port], check=False)
        run([*inside, "ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(self._pid)])
        run([*inside, "ip", "link", "set", port, "master", "br0", "up"])
        here = ["nsenter", f"--target={self._pid}", "--net", "ip"]
        run([*here, "addr", "add", f"{self.address}/16", "dev", "eth0"])
        run([*here, "link", "set", "eth0", "up"])

    def power_off(self) -> None:
        """End all of its processes at once. What they wrote stays readable: it is no power cut for the disk."""
        if self._held:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._held.end()
            self._held = None
        for program in self._programs:
            program.close()
        self._programs.clear()

    def wipe(self) -> None:
        """A freshly installed machine again: same name and address."""
        self.power_off()
        shutil.rmtree(self._upper)
        self.power_on()

    def cut(self) -> None:
        run(["nsenter", f"--target={self._pid}", "--net", "ip", "link", "set", "eth0", "down"])

    def mend(self) -> None:
        run(["nsenter", f"--target={self._pid}", "--net", "ip", "link", "set", "eth0", "up"])

    # ---- programs

    def command(self, *argv: str, environment: dict[str, str] | None = None) -> list[str]:
        pairs = [f"{name}={value}" for name, value in (ROOT_ENVIRONMENT | (environment or {})).items()]
        spaces = ["--net", "--mount", "--uts", "--ipc", "--pid", "--root", "--wd"]
        return ["nsenter", f"--target={self._pid}", *spaces, "--", "env", "-i", *pairs, *argv]

    def run(self, *argv: str, check: bool = True, timeout: float = 60, stdin: str | None = None) -> str:
        """What the command printed, on both channels; LabError when it fails and `check`."""
        done = subprocess.run(
            self.command(*argv), input=stdin, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=timeout, check=False,
        )  # fmt: skip
        if check and done.returncode:
            raise LabError(f"`{' '.join(argv)}` ended with {done.returncode}:\n{done.stdout}")
        return done.stdout

    def start(self, *argv: str) -> "Program":
        """A program that stays, with its words in a file and its readiness heard."""
        program = Program(self, list(argv), self._folder / f"log-{time.monotonic_ns()}")
        self._programs.append(program)
        return program

    # ---- files

    def path(self, name: str) -> Path:
        """A file of the machine, seen from here: an absolute link in it would lead to this machine's own files."""
        return Path(f"/proc/{self._pid}/root") / name.lstrip("/")

    def write(self, name: str, text: str) -> None:
        file = self.path(name)
        if file.is_symlink():
            raise LabError(f"{name} is a link")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def read(self, name: str) -> str:
        return self.run("cat", "--", name)

    def install_k3s(self, version: str) -> None:
        program = self.path("/usr/local/bin/k3s")
        program.write_bytes(make_archive(version, "amd64"))
        program.chmod(0o755)


class Program:
    """A started program. It is told where to notify its readiness, as systemd does for Type=notify."""

    def __init__(self, machine: Machine, argv: list[str], log: Path) -> None:
        self.machine = machine
        self.log = log
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        where = f"/run/notify-{time.monotonic_ns()}"
        # A socket's address may be 107 characters long: bind by the folder.
        folder = os.open(machine.path("/run"), os.O_PATH)
        self._socket.bind(f"/proc/self/fd/{folder}/{Path(where).name}")
        os.close(folder)
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                machine.command(*argv, environment={"NOTIFY_SOCKET": where}),
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip

    def close(self) -> None:
        """Its machine is off."""
        self.process.wait()
        self._socket.close()

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_ready(self, timeout: float = READY_SECONDS) -> float:
        """Wait for READY=1; seconds that it took."""
        began = time.monotonic()
        while time.monotonic() - began < timeout:
            try:
                if b"READY=1" in self._socket.recv(4096):
                    return time.monotonic() - began
            except BlockingIOError:
                if self.process.poll() is not None:
                    raise LabError(f"it ended with {self.process.returncode}:\n{self.said[-3000:]}") from None
                time.sleep(POLL)
        raise LabError(f"it is not ready after {timeout:.0f} s:\n{self.said[-3000:]}")

    def wait_said(self, text: str, timeout: float = 30) -> None:
        give_up = time.monotonic() + timeout
        while text not in self.said:
            if time.monotonic() > give_up:
                raise LabError(f"it does not say {text!r}:\n{self.said[-3000:]}")
            time.sleep(POLL)

    def wait_end(self, timeout: float = 60) -> int:
        return self.process.wait(timeout)

    @property
    def pid(self) -> int:
        """The program itself, as this machine counts it: the child of nsenter."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0])

    def stop(self, timeout: float = 30) -> int:
        """SIGTERM, as systemd sends it; what is left after the timeout is killed."""
        for kind in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None:
                with contextlib.suppress(OSError, IndexError):  # it has just ended by itself
                    os.kill(self.pid, kind)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return self.process.wait(timeout)
        return self.process.wait()
