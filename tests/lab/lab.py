"""Real systemd hosts for tests, in namespaces of this machine, reached over real SSH.

    lab = Lab.create()                      # a bridge, a controller at 10.77.0.1, a mirror and an apt repository
    hosts = lab.grow(3)                     # at least three hosts, booted: hosts[0].address == "10.77.1.11"
    lab.in_controller(["ssh", ...])         # any command, run where it reaches the hosts
    lab.ssh(hosts[0], "sudo", "id")         # ssh as the user `fleet`, with the lab's key and its pinned host keys
    hosts[0].read("/etc/hostname")          # as root, not by ssh: for assertions (see `Host`)
    lab.mirror.url, lab.mirror.requests()   # see `Mirror`
    lab.down()

For a command of our own: `lab.ssh_user`, `lab.ssh_key` (path of the private key), `lab.known_hosts` (path, kept up to
date), `lab.controller_command(argv)` (what `in_controller` runs). Tests take the fixtures of `tests.lab.fixtures`.

A lab ends with the process that made it, however that ends: a watcher waits for it on a pipe and takes the lab down.
"""

import secrets
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.lab import prerequisites
from tests.lab.apt import make_repository
from tests.lab.cgroups import Cgroup
from tests.lab.command import run
from tests.lab.host import Host, HostPlace
from tests.lab.image import SSH_USER, ensure_image, own_recipe
from tests.lab.mirror import Mirror
from tests.lab.network import CONTROLLER_ADDRESS, CONTROLLER_ADDRESS6, Network, inside
from tests.lab.record import LabRecord, labs_directory, sweep, take_down, this_process

REPOSITORY = Path(__file__).resolve().parents[2]
BOOTING_AT_ONCE = 6


class Lab:
    """Hosts, a controller's namespace, and what they need. Not thread-safe; `create` makes one, `down` ends it."""

    address = CONTROLLER_ADDRESS
    address6 = CONTROLLER_ADDRESS6
    ssh_user = SSH_USER

    def __init__(self, record: LabRecord, image: Path) -> None:
        self.id = record.id
        self.directory = record.directory
        self.hosts: list[Host] = []
        self.ssh_key = self.directory / "ssh_key"
        self.known_hosts = self.directory / "known_hosts"
        self.network = Network(record.prefix)
        self._record = record
        self._image = image
        self.cgroup = Cgroup(record.cgroup_name)
        self.mirror = Mirror(
            self.directory,
            address=CONTROLLER_ADDRESS,
            listen="::",
            port=80,
            wrap=self._in_mirror_group,
            kept=record.owner is None,
        )
        self._watcher: subprocess.Popen[bytes] | None = None

    @classmethod
    def create(cls, *, kept: bool = False) -> "Lab":
        """Make a lab without hosts. A `kept` one outlives this process, until `python -m tests.lab down`."""
        prerequisites.ensure()
        cache = prerequisites.cache_directory()
        sweep(cache)
        image = ensure_image(cache, own_recipe())
        lab_id = secrets.token_hex(3)
        record = LabRecord(
            id=lab_id,
            directory=labs_directory(cache) / lab_id,
            image=image,
            owner=None if kept else this_process(),
        )
        record.directory.parent.mkdir(parents=True, exist_ok=True)
        record.write()
        record.directory.mkdir()
        lab = cls(record, image)
        lab._set_up()
        return lab

    @classmethod
    def attach(cls, record: LabRecord) -> "Lab":
        """The lab that another process made and kept."""
        lab = cls(record, record.image)
        for number, name in enumerate(record.host_names(), start=1):
            lab.hosts.append(lab._host(name, number))
        return lab

    def _set_up(self) -> None:
        if self._record.owner:
            self._watch()
        try:
            self._mirror_group.create()
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"lab {self.id}", "-f", str(self.ssh_key)])
            self.known_hosts.touch()
            self.network.create()
            self.mirror.publish()
            make_repository(self.mirror.www / "apt")
            self.mirror.start()
        except BaseException:
            self.down()
            raise

    @property
    def _mirror_group(self) -> Cgroup:
        return self.cgroup.child("mirror")

    def _in_mirror_group(self, argv: list[str]) -> list[str]:
        return self._mirror_group.enter(self.controller_command(argv))

    def _watch(self) -> None:
        """Start the watcher: it reads a pipe whose other end only this process holds, and so learns of its end."""
        script = 'read -r _; exec "$@"'
        self._watcher = subprocess.Popen(
            ["sh", "-c", script, "sh", sys.executable, "-m", "tests.lab", "down", self.id],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=REPOSITORY,
        )

    def grow(self, count: int, layer: Path | None = None) -> list[Host]:
        """Boot hosts until there are `count`; returns the first `count`. They are called host1, host2, ...

        `layer` lies over the image of the new ones: `k3s_layer()` makes them hosts of the full stand-in for K3s.
        """
        new = [self._host(f"host{number}", number) for number in range(len(self.hosts) + 1, count + 1)]
        for host in new:
            host.layer = layer
        self.hosts += new
        each(new, create_and_boot)
        self.known_hosts.write_text("".join(f"{host.known_host}\n" for host in self.hosts))
        return self.hosts[:count]

    def _host(self, name: str, number: int) -> Host:
        place = HostPlace(
            lab_id=self.id,
            directory=self.directory,
            image=self._image,
            network=self.network,
            cgroup=self.cgroup,
            authorized_key=self.ssh_key.with_suffix(".pub").read_text(),
        )
        return Host(place, name, number)

    def reset(self, hosts: list[Host]) -> None:
        """Make these hosts freshly installed ones, several at a time."""
        each(hosts, Host.reset)

    def controller_command(self, argv: list[str]) -> list[str]:
        """The command that runs `argv` in the controller's namespace: this machine's files, the lab's network only.

        Ansible keeps its ssh connections in the lab's own folder. In the common one it would find those of another lab,
        to a host of the same address: a namespace does not divide sockets that are files.
        """
        return inside(self.network.controller, ["env", f"ANSIBLE_SSH_CONTROL_PATH_DIR={self.directory / 'ssh'}", *argv])

    def in_controller(
        self,
        argv: list[str],
        *,
        check: bool = True,
        timeout: float = 120,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run `argv` in the controller's namespace and return what it said; CalledProcessError if `check` and it fails."""
        command = self.controller_command(argv)
        return subprocess.run(
            command, input=stdin, check=check, timeout=timeout, cwd=cwd, env=env, text=True, capture_output=True
        )

    def ssh_command(self, host: Host, *argv: str) -> list[str]:
        """The ssh command to a host, to be run in the controller's namespace."""
        options = ("BatchMode=yes", "StrictHostKeyChecking=yes", f"UserKnownHostsFile={self.known_hosts}")
        flags = [word for option in (*options, "ConnectTimeout=5", "IdentitiesOnly=yes") for word in ("-o", option)]
        return ["ssh", "-F", "/dev/null", "-i", str(self.ssh_key), *flags, f"{SSH_USER}@{host.address}", *argv]

    def ssh(self, host: Host, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command on a host as a user would: over ssh, as `fleet`, with the host's key pinned."""
        return self.in_controller(self.ssh_command(host, *argv), check=check)

    def down(self) -> None:
        """End everything that the lab started and remove all that it made. May be called twice."""
        self.mirror.stop()
        for host in self.hosts:
            host.kill()
        take_down(self._record)
        if self._watcher:
            self._watcher.kill()
            self._watcher.communicate()
            self._watcher = None


def each(hosts: list[Host], work: Callable[[Host], None]) -> None:
    with ThreadPoolExecutor(BOOTING_AT_ONCE) as pool:
        for finished in [pool.submit(work, host) for host in hosts]:
            finished.result()


def create_and_boot(host: Host) -> None:
    host.create()
    host.start()
    host.wait_running()
