"""A site whose spec holds every kind of secret, on two hosts of a lab of its own; and all places where one could stand.

Beside the secrets there is a value that is none, DECOY. It goes the same ways: a search that does not find it in a place
proves nothing of that place.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests import leaks
from tests.hosts.checkout import BIN, Checkout, Said
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.leaks import Leak, Search, Watcher, files_below

SERVER, AGENT = "shop-a", "shop-b"
TOKENS = ("shop.k3s-token", "shop.k3s-agent-token")
ODD = ("q\"u'o$te {{ no.template }} {% raw %} ", "#second line: \u00e9 & <more>+/=\\ ")
SEARCHER = "/run/leaks.py"
WAITS, GOES_ON = "/run/acme-waits", "/run/acme-goes-on"
"""On a host: the check of a file has begun, and waits until the second one is there."""
COMMON, MEMORY = ("/dev/shm", "/tmp", "/var/tmp"), f"fleet-{os.geteuid()}"
ON_DISK = ("boot", "etc", "home", "media", "mnt", "opt", "root", "srv", "usr", "var")
IN_MEMORY = ("run", "tmp", "dev/shm")
"""Of a host: all but what its kernel makes up."""

FLEET = """\
apiVersion: fleet/v1alpha1
kind: Fleet
metadata: {name: acme}
spec:
  hardening: cis
  artifacts: {mirrors: ["http://10.77.0.1/k3s"]}
  connection: {user: fleet, privateKey: KEY, becomePassword: secret:sudo}
  vars: {decoy: DECOY}
  k3s:
    version: v1.34.2+k3s1
    registries:
      mirrors: {docker.io: {endpoint: ["https://registry.acme.example"]}}
      configs: {registry.acme.example: {auth: {username: puller, password: "secret:registry-password"}}}
  os:
    files:
      - path: /etc/acme/own.conf
        template: templates/own.conf.j2
        validate: grep -q ^decoy= {file}
        restart: [acme.service]
      - {path: /etc/acme/open.conf, content: "decoy={{ vars.decoy }}\\n", restart: [acme.service]}
      - {path: /etc/systemd/system/acme.service, source: files/acme.service, restart: [acme.service]}
    units:
      - {name: acme.service, enabled: true, state: started}
"""
SITE = """\
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: shop}
spec:
  network: {cidr: 10.77.0.0/16, gateway: 10.77.0.1}
  nodes:
    - {name: shop-a, role: server, arch: amd64, address: 10.77.1.11}
    - {name: shop-b, role: agent, arch: amd64, address: 10.77.1.12}
"""
UNIT = """\
[Service]
EnvironmentFile=/etc/acme/open.conf
ExecStartPre=/bin/echo it is ${decoy}
ExecStart=/bin/sh -c 'sleep infinity; :' ${decoy}
[Install]
WantedBy=multi-user.target
"""
OWN_CONF = "own={{ secrets.own }}\ncoded={{ secrets.own | b64encode }}\ndecoy={{ vars.decoy }}\n"


class Secretive:
    """`values` are all secrets by name, the vault's password among them; `search` knows these and the decoy."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.hosts = dict(zip((SERVER, AGENT), lab.hosts, strict=True))
        self.decoy = f"decoy-{secrets.token_hex(16)}"
        self.rendered = folder / "rendered"
        self.outputs: dict[str, str] = {}
        self.values: dict[str, str] = {}
        self.since = time.time()
        self.others = {entry.path for place in COMMON for entry in os.scandir(place)}
        home = folder / "home"
        for made in (home, folder / "tmp"):
            made.mkdir()
        (home / "vault-password").write_text(secrets.token_hex(16))
        self.checkout = Checkout(lab, folder / "acme", home)
        self._describe()
        self._lock_up()

    @property
    def search(self) -> Search:
        return Search({**self.values, "decoy": self.decoy})

    def _describe(self) -> None:
        checkout = self.checkout
        checkout.folder.mkdir()
        checkout.git("init", "--quiet", "--initial-branch=main")
        fleet = FLEET.replace("KEY", str(self.lab.ssh_key)).replace("DECOY", self.decoy)
        checkout.write("fleet.yaml", fleet)
        checkout.write("sites/shop.yaml", SITE)
        checkout.write("files/acme.service", UNIT)
        checkout.write("templates/own.conf.j2", OWN_CONF)
        checkout.write("known_hosts", self.lab.known_hosts.read_text())
        checkout.write(".gitignore", ".fleet/\n")

    def _lock_up(self) -> None:
        """sudo of the hosts asks for a password, and every secret is in the vault."""
        checkout, sudo = self.checkout, f"su do {secrets.token_hex(8)}"
        checkout.fleet("lock")
        checkout.fleet("secret", "generate")
        self.store("sudo", sudo)
        self.store("registry-password", secrets.token_hex(12))
        self.store_own()
        self.values |= {name: checkout.fleet("secret", "get", name).out.strip() for name in TOKENS}
        self.values["vault password"] = checkout.password_file.read_text()
        checkout.commit("A shop")
        for host in self.hosts.values():
            host.run(["chpasswd"], stdin=f"fleet:{sudo}\n")
            host.write("/etc/sudoers.d/fleet", "fleet ALL=(ALL) ALL\n")
            host.write(SEARCHER, Path(leaks.__file__).read_text())

    def store_own(self) -> None:
        """Another value of two odd lines: each of them is looked for, too."""
        lines = [f"{odd}{secrets.token_hex(8)}" for odd in ODD]
        number = sum(name.endswith("first") for name in self.values)
        self.values |= {f"own {number}, {where}": line for where, line in zip(("first", "last"), lines, strict=True)}
        self.store("own", "\n".join(lines), f"own {number}")

    def store(self, name: str, value: str, known_as: str = "") -> None:
        self.values[known_as or name] = value
        argv = [str(BIN / "fleet"), "secret", "set", name]
        self.lab.in_controller(argv, cwd=self.checkout.folder, env=self.environment, stdin=value)

    @property
    def environment(self) -> dict[str, str]:
        return self.checkout.environment | {"TMPDIR": str(self.folder / "tmp")}

    # ---- runs

    def fleet(self, *argv: str, code: int = 0) -> Said:
        """What it prints is kept, and searched."""
        said = self.checkout.run([str(BIN / "fleet"), *argv], code=code, env=self.environment, seconds=400)
        name = f"{len(self.outputs)}: fleet {' '.join(argv)}".replace(str(self.folder), "")
        self.outputs[name] = said.out + said.err
        return said

    def start(self, *argv: str) -> subprocess.Popen[bytes]:
        """The same, in the background; what it prints lies among the papers of runs."""
        with (self.runs / "started.log").open("ab") as log:
            return subprocess.Popen(
                self.lab.controller_command([str(BIN / "fleet"), *argv]), cwd=self.checkout.folder,
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    @property
    def runs(self) -> Path:
        return self.checkout.folder / ".fleet/runs"

    def check_with(self, command: str) -> None:
        """Another check of a file on its host."""
        path = self.checkout.folder / "fleet.yaml"
        lines = [
            f"        validate: {json.dumps(command)}" if line.strip().startswith("validate: ") else line
            for line in path.read_text().splitlines()
        ]
        path.write_text("\n".join(lines) + "\n")

    def end_run(self) -> int:
        """kill -9 for every process of a run of this checkout; how many there were."""
        mark, ended = f"FLEET_RUN={self.checkout.folder}".encode(), 0
        while found := [pid for pid in numbers_in(Path("/proc")) if mark in read(Path(f"/proc/{pid}/environ"))]:
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            ended += len(found)
            time.sleep(0.05)
        return ended

    # ---- places

    @contextmanager
    def watched(self) -> Iterator[dict[str, Watcher]]:
        """Processes are looked at all the while, on the controller (with those of all hosts) and by each host itself."""
        values = {**self.values, "decoy": self.decoy}
        watchers = {"controller": Watcher([shutil.which("python3") or "python3", leaks.__file__], values)}
        for name, host in self.hosts.items():
            watchers[name] = Watcher(host.command(["python3", SEARCHER]), values)
        with ExitStack() as stack:
            yield {name: stack.enter_context(watcher) for name, watcher in watchers.items()}

    def on_controller(self) -> dict[str, set[Leak]]:
        """Each place with what was found there. The password's own file is the one that is left out."""
        checkout, state = self.checkout, self.checkout.folder / ".fleet"
        repository = [path for path in checkout.folder.iterdir() if path != state]
        places = {
            "the repository": repository,
            "the journal": [path for path in state.iterdir() if path.name.startswith("state.db")],
            "papers of runs": [self.runs],
            "the home": [path for path in checkout.home.iterdir() if path != checkout.password_file],
            "TMPDIR": [self.folder / "tmp"],
            "the rendered project": [self.rendered],
            "the lab's folder": [path for path in self.lab.directory.iterdir() if path.name != "hosts"],
        }
        search = self.search
        found = {place: search.in_folders(*paths) for place, paths in places.items()}
        for place in map(Path, COMMON):
            ours = [path for path in place.iterdir() if path.name == MEMORY or str(path) not in self.others]
            found[str(place)] = search.in_folders(*self._changed_below(*ours))
        return found

    def in_outputs(self) -> set[Leak]:
        search = self.search
        return {leak for name, text in self.outputs.items() for leak in search.in_bytes(text.encode(), name)}

    def on_host(self, name: str) -> set[Leak]:
        """In any file, whoever may read it: `where` is the path on the host."""
        host = self.hosts[name]
        memory = Path(f"/proc/{host.leader()}/root")
        found = set()
        for root, folders in ((host.root, ON_DISK), (memory, IN_MEMORY)):
            leaks = self.search.in_folders(*self._changed_below(*(root / folder for folder in folders)))
            found |= {Leak(leak.where.removeprefix(str(root)), leak.secret, leak.form) for leak in leaks}
        return found

    def _changed_below(self, *folders: Path) -> Iterator[Path]:
        """Files that were changed since there are secrets: a file's ctime cannot be set back."""
        for path in (path for folder in folders for path in files_below(folder)):
            with suppress(OSError):
                if path.lstat().st_ctime >= self.since - 1:
                    yield path

    def in_journal(self, name: str) -> set[Leak]:
        """Every field of every entry, command lines of processes among them."""
        command = self.hosts[name].command(["journalctl", "--no-pager", "--all", "--output=export"])
        told = subprocess.run(command, capture_output=True, check=True).stdout
        return self.search.in_bytes(told, f"the journal of {name}")

    def is_there(self, name: str, path: str) -> bool:
        return self.hosts[name].run(["find", path, "-maxdepth", "0"], check=False) != ""


def is_private(host: Host, path: str) -> bool:
    """Root alone may read it."""
    state = host.stat(path)
    return (state.owner, state.mode & 0o077) == ("root", 0)


def numbers_in(folder: Path) -> list[int]:
    return [int(entry.name) for entry in os.scandir(folder) if entry.name.isdigit()]


def read(path: Path) -> bytes:
    with suppress(OSError):
        return path.read_bytes()
    return b""
