"""One systemd host: an overlay on the shared image, booted by systemd-nspawn in a network namespace of its own."""

import hashlib
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.lab import nspawn
from tests.lab.cgroups import Cgroup
from tests.lab.command import run
from tests.lab.errors import LabError
from tests.lab.files import FILE_FORMAT, FileState, parse_file_state
from tests.lab.image import SSH_USER, SSH_USER_ID
from tests.lab.network import CONTROLLER_ADDRESS, NAMESPACES, Network, host_address, host_address6

KEEP_BOOTED = Path(__file__).with_name("keep-booted.sh")
BOOT_SECONDS = 60
STOP_SECONDS = 30
# What a root login on the host would have; nothing of the test's environment leaks in.
ROOT_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
}


@dataclass(frozen=True)
class HostPlace:
    """What a host shares with the others of its lab. `directory` is the lab's, `image` the read-only root."""

    lab_id: str
    directory: Path
    image: Path
    network: Network
    cgroup: Cgroup
    authorized_key: str


class Host:
    """A host of a lab. Everything here works as root from outside of the host, and needs neither ssh nor its network.

    name          its hostname
    address       IPv4 (10.77.x.y), address6: IPv6 (fd77::1:n); both answer ssh for the user `fleet`
    machine_id    what /etc/machine-id holds, the same after a reset
    known_host    its line for a known_hosts file
    layer         a folder that lies over the image from the next mount on (`create`, `reset`), or None
    root          its file system seen from this machine, also while it is stopped (without what it has in RAM: /run, /tmp)
    """

    def __init__(self, place: HostPlace, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.address = host_address(number)
        self.address6 = host_address6(number)
        self.machine_id = hashlib.sha256(f"{place.lab_id}/{name}".encode()).hexdigest()[:32]
        self.directory = place.directory / "hosts" / name
        self.root = self.directory / "root"
        self.console = self.directory / "console.log"
        self.namespace = f"{place.network.prefix}{name}"
        self.layer: Path | None = None
        self._place = place
        self.cgroup = place.cgroup.child(name)
        self._key = self.directory / "ssh_host_ed25519_key"
        self._keeper: subprocess.Popen[bytes] | None = None

    # ---- making and ending

    def create(self) -> None:
        """Give the host its key, its network and a clean file system; it is not booted yet."""
        self.directory.mkdir(parents=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", str(self._key)])
        self._place.network.attach(self.namespace, self.name, self.address, self.address6)
        for leaf in ("keeper", "host"):
            self.cgroup.child(leaf).create()
        self._mount()

    @property
    def known_host(self) -> str:
        kind, key, _ = self._key.with_suffix(".pub").read_text().split()
        return f"{self.name},{self.address},{self.address6} {kind} {key}"

    def _mount(self) -> None:
        upper, work = self.directory / "upper", self.directory / "work"
        for directory in (upper, work, self.root):
            directory.mkdir(exist_ok=True)
            directory.chmod(0o755)
        self._write_identity(upper)
        # volatile: what the host syncs need not reach this machine's disk, since no lab outlives a crash of it.
        lower = f"{self.layer}:{self._place.image}" if self.layer else str(self._place.image)
        options = f"lowerdir={lower},upperdir={upper},workdir={work},volatile"
        run(["mount", "-t", "overlay", self.namespace, "-o", options, str(self.root)])

    def _write_identity(self, upper: Path) -> None:
        hosts = f"127.0.0.1 localhost\n::1 localhost\n{self.address} {self.name}\n{CONTROLLER_ADDRESS} controller\n"
        ssh = Path("home") / SSH_USER / ".ssh"
        files = {
            Path("etc/hostname"): (0o644, f"{self.name}\n"),
            Path("etc/hosts"): (0o644, hosts),
            Path("etc/machine-id"): (0o444, f"{self.machine_id}\n"),
            Path("etc/ssh/ssh_host_ed25519_key"): (0o600, self._key.read_text()),
            Path("etc/ssh/ssh_host_ed25519_key.pub"): (0o644, self._key.with_suffix(".pub").read_text()),
            ssh / "authorized_keys": (0o600, self._place.authorized_key),
        }
        for name, (mode, text) in files.items():
            path = upper / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(mode)
        for directory, _, _ in os.walk(upper):
            Path(directory).chmod(0o755)
        (upper / ssh).chmod(0o700)
        for name in (ssh.parent, ssh, ssh / "authorized_keys"):
            os.chown(upper / name, SSH_USER_ID, SSH_USER_ID)

    # ---- power

    def start(self) -> None:
        """Switch the host on; returns before it has booted (see `wait_running`)."""
        argv = nspawn.boot_command(self.root, self.namespace, self.name, NAMESPACES / self.namespace)
        keeper, host = (self.cgroup.child(leaf).argument for leaf in ("keeper", "host"))
        with self.console.open("ab") as console:
            self._keeper = subprocess.Popen(
                [str(KEEP_BOOTED), keeper, host, *argv],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=ROOT_ENVIRONMENT | nspawn.ENVIRONMENT,
            )

    def wait_running(self, *, after: int | None = None, timeout: float = BOOT_SECONDS) -> None:
        """Wait until systemd says `running` (sshd listens by then); `after`: not the boot whose PID 1 that was."""
        give_up = time.monotonic() + timeout
        while (leader := self.leader()) in (None, after) or not Path(
            f"/proc/{leader}/root/run/systemd/private"
        ).exists():
            if time.monotonic() > give_up:
                raise LabError(f"{self.name} does not boot:\n{self._console_tail()}")
            time.sleep(0.02)
        state = self.run(["systemctl", "is-system-running", "--wait"], check=False, timeout=timeout).strip()
        if state != "running":
            failed = self.run(["systemctl", "--failed", "--no-legend", "--plain"], check=False)
            raise LabError(f"{self.name} booted, but is {state or 'not answering'}:\n{failed}{self._console_tail()}")

    def leader(self) -> int | None:
        """The pid, on this machine, of the host's PID 1; None while it is off."""
        for directory in self.cgroup.child("host").directories:
            try:
                pids = (directory / "payload/init.scope/cgroup.procs").read_text().split()
            except OSError:
                continue
            for pid in pids:
                if is_init(int(pid)):
                    return int(pid)
        return None

    @property
    def is_running(self) -> bool:
        return self.leader() is not None

    def reboot(self) -> None:
        """Reboot in the orderly way and wait until the host runs again."""
        leader = self._require_leader()
        self.run(["systemctl", "reboot"], check=False)
        self.wait_running(after=leader)

    def stop(self) -> None:
        """Shut down in the orderly way. Files stay; `start` boots the same host again."""
        if self.is_running:
            self.run(["systemctl", "poweroff"], check=False)
        give_up = time.monotonic() + STOP_SECONDS
        while self.cgroup.pids():
            if time.monotonic() > give_up:
                raise LabError(f"{self.name} does not shut down:\n{self._console_tail()}")
            time.sleep(0.02)
        self._reap()

    def kill(self) -> None:
        """Pull the plug: every process ends at once. The page cache stays, so this is no power cut for the disk."""
        self.cgroup.child("host").kill()
        self._reap()  # the keeper ends by itself, after its child
        self.cgroup.kill()

    def _reap(self) -> None:
        """Collect the process that kept the host booted, if this process started it."""
        if self._keeper:
            self._keeper.wait()
            self._keeper = None

    def reset(self) -> None:
        """Make it a freshly installed host again, and boot it: same name, addresses, keys and machine-id."""
        self.kill()
        self.link_up()
        nspawn.remove_lock(self.root)
        run(["umount", str(self.root)])
        for directory in ("upper", "work"):
            shutil.rmtree(self.directory / directory)
        self.console.unlink(missing_ok=True)
        self._mount()
        self.start()
        self.wait_running()

    # ---- network

    def link_down(self) -> None:
        """Lose the WAN link: nothing comes or goes until `link_up`."""
        self._place.network.set_port(self.name, up=False)

    def link_up(self) -> None:
        self._place.network.set_port(self.name, up=True)

    # ---- looking inside

    def run(self, argv: list[str], *, check: bool = True, timeout: float = 60, stdin: str | None = None) -> str:
        """Run a command as root inside the host and return its standard output; LabError when it fails."""
        return run(self.command(argv), check=check, timeout=timeout, stdin=stdin)

    def command(self, argv: list[str]) -> list[str]:
        """The command of this machine that runs `argv` as root inside the host, not by ssh."""
        entry = f"--target={self._require_leader()}"
        spaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd")
        environment = [f"{name}={value}" for name, value in ROOT_ENVIRONMENT.items()]
        return ["nsenter", entry, *spaces, "--", "env", "-i", *environment, *argv]

    def read(self, path: str) -> str:
        """The text of a file on the host; LabError if there is none."""
        return self.run(["cat", "--", path])

    def write(self, path: str, text: str) -> None:
        """Change a file behind fleet's back, in place (same inode, same mode)."""
        self.run(["sh", "-c", 'cat >"$1"', "sh", path], stdin=text)

    def stat(self, path: str) -> FileState:
        """What a file on the host is; symbolic links are not followed. LabError if there is none."""
        return parse_file_state(self.run(["find", path, "-maxdepth", "0", "-printf", FILE_FORMAT]))[path]

    def tree(self, *paths: str) -> dict[str, FileState]:
        """All that is at or below the given paths that exist, by absolute path: equal before and after means untouched."""
        script = 'for path; do [ ! -e "$path" ] && [ ! -L "$path" ] || find "$path" -printf "$FORMAT"; done'
        return parse_file_state(self.run(["env", f"FORMAT={FILE_FORMAT}", "sh", "-c", script, "sh", *paths]))

    def unit_show(self, unit: str, *properties: str) -> dict[str, str]:
        """Properties of a unit as `systemctl show` prints them, such as ActiveState or ActiveEnterTimestampMonotonic."""
        text = self.run(["systemctl", "show", unit, *(f"--property={name}" for name in properties)])
        return dict(line.split("=", 1) for line in text.splitlines())

    def journal(self, unit: str) -> str:
        """What a unit has logged since the host booted."""
        return self.run(["journalctl", "--no-pager", "--output=cat", f"--unit={unit}"])

    def _require_leader(self) -> int:
        if (leader := self.leader()) is None:
            raise LabError(f"{self.name} is not running")
        return leader

    def _console_tail(self) -> str:
        return "\n".join(self.console.read_text(errors="replace").splitlines()[-15:]) if self.console.exists() else ""


def is_init(pid: int) -> bool:
    """Whether a process is PID 1 in the innermost of its PID namespaces."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return any(line.startswith("NSpid:") and line.split()[-1] == "1" for line in status.splitlines())
