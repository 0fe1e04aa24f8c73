"""A real etcd (Debian's etcd-server, and etcdctl of etcd-client), set up as pkg/etcd/etcd.go does.

SQLite's place is taken by an etcd of one member, in db/standin-etcd; what stands in for state.db is in `sqlite.py`.
"""

import json
import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from .output import log, start_part, write
from .paths import ServerPaths

CLIENT_PORT, PEER_PORT = 2379, 2380
WAIT = 0.2
ETCDCTL_SECONDS = 15


class EtcdError(Exception):
    """etcd or etcdctl refused; its words are the message."""


class Etcd:
    """The member of this server: its folder, its process, and what can be asked of it."""

    def __init__(self, paths: ServerPaths, node: str, address: str, folder: Path, arguments: list[str]) -> None:
        self.paths = paths
        self.node = node
        self.address = f"[{address}]" if ":" in address else address
        self.folder = folder
        self.arguments = arguments
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def is_initialized(self) -> bool:
        """pkg/etcd/etcd.go, IsInitialized: whether there is a write-ahead log."""
        return (self.folder / "member" / "wal").is_dir()

    @property
    def local(self) -> str:
        return f"https://127.0.0.1:{CLIENT_PORT}"

    @property
    def peer_url(self) -> str:
        return f"https://{self.address}:{PEER_PORT}"

    @property
    def name(self) -> str:
        """The member's name: the node's with a random end, made once (etcd/name)."""
        file = self.folder / "name"
        if not file.exists():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            write(file, f"{self.node}-{secrets.token_hex(4)}", 0o600)
        return file.read_text()

    # ---- its process

    def start(self, *, members: str = "", force: bool = False) -> None:
        """Start it: a founding member without `members`, else one that joins them. `force` makes it the only one."""
        tls = self.paths.etcd_tls
        files = {"cert-file": tls / "server-client.crt", "key-file": tls / "server-client.key"}
        peer_files = {"cert-file": tls / "peer-server-client.crt", "key-file": tls / "peer-server-client.key"}
        config: dict[str, Any] = {
            "name": self.name,
            "data-dir": str(self.folder),
            "listen-client-urls": f"{self.local},https://{self.address}:{CLIENT_PORT}",
            "advertise-client-urls": f"https://{self.address}:{CLIENT_PORT}",
            "listen-peer-urls": f"https://127.0.0.1:{PEER_PORT},{self.peer_url}",
            "initial-advertise-peer-urls": self.peer_url,
            "listen-metrics-urls": "http://127.0.0.1:2381",
            "initial-cluster": f"{members},{self.name}={self.peer_url}" if members else f"{self.name}={self.peer_url}",
            "initial-cluster-state": "existing" if members else "new",
            "force-new-cluster": force,
            # pkg/etcd/etcd.go has 500 and 5000, for slow disks: tests would wait for its elections.
            "heartbeat-interval": 250,
            "election-timeout": 2000,
            "snapshot-count": 10000,
            "logger": "zap",
            "log-level": "warn",
            "log-outputs": ["stderr"],
            "client-transport-security": security(files, tls / "server-ca.crt"),
            "peer-transport-security": security(peer_files, tls / "peer-ca.crt"),
        }
        for argument in self.arguments:
            key, _, value = argument.removeprefix("--").partition("=")
            config[key] = value or "true"
        write(self.folder / "config", json.dumps(config, indent=1, default=str), 0o600)
        self.process = start_part(["etcd", "--config-file", str(self.folder / "config")])

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process = None

    def wait_healthy(self, patience: float | None = None) -> None:
        """Wait until a write would go through: for ever without quorum, as K3s does."""
        give_up = time.monotonic() + patience if patience else None
        said = False
        while True:
            if self.process is None or self.process.poll() is not None:
                raise EtcdError("etcd exited")
            try:
                self.control("endpoint", "health", seconds=8)
            except EtcdError as error:
                if not said:
                    log("info", "Waiting for etcd server to become available")
                    said = True
                if give_up and time.monotonic() > give_up:
                    raise EtcdError(f"etcd does not become healthy: {error}") from None
                time.sleep(WAIT)
            else:
                return

    # ---- asking it

    def control(
        self, *arguments: str, endpoint: str = "", stdin: str | None = None, seconds: float = ETCDCTL_SECONDS
    ) -> str:
        """etcdctl with the client's certificate; its output. EtcdError when it fails."""
        tls = self.paths.etcd_tls
        argv = [
            *("etcdctl", f"--endpoints={endpoint or self.local}", f"--command-timeout={seconds:.0f}s"),
            *(f"--cacert={tls / 'server-ca.crt'}", f"--cert={tls / 'client.crt'}", f"--key={tls / 'client.key'}"),
            *arguments,
        ]
        done = subprocess.run(
            argv, input=stdin, capture_output=True, text=True, check=False, env=os.environ | {"ETCDCTL_API": "3"}
        )
        if done.returncode:
            raise EtcdError(last_words(done.stderr or done.stdout))
        return done.stdout

    def members(self, endpoint: str = "") -> list[dict[str, Any]]:
        """Name, ID (a number), peerURLs, clientURLs and isLearner of each member."""
        members: list[dict[str, Any]] = json.loads(self.control("member", "list", "-w", "json", endpoint=endpoint))[
            "members"
        ]
        return members

    def get(self, key: str, *, prefix: bool = False) -> dict[str, str]:
        import base64

        answer = json.loads(self.control("get", key, "-w", "json", *(["--prefix"] if prefix else [])))
        decode = base64.b64decode
        return {decode(row["key"]).decode(): decode(row["value"]).decode() for row in answer.get("kvs", [])}

    def put(self, key: str, value: str) -> None:
        self.control("put", key, stdin=value)

    def delete(self, key: str) -> None:
        self.control("del", key)

    # ---- joining and leaving

    def join(self, endpoint: str) -> None:
        """Become a learner of the cluster behind a client endpoint, catch up, and be promoted (pkg/etcd, join)."""
        while True:
            members = self.members(endpoint)
            mine = [member for member in members if self.peer_url in member["peerURLs"]]
            for member in mine:
                # pkg/etcd/etcd.go: a member of this address that is not this one has lost its data.
                log("info", f"Removing duplicate member {member.get('name', '')} from etcd cluster")
                self.control("member", "remove", f"{member['ID']:x}", endpoint=endpoint)
            try:
                self.control("member", "add", self.name, f"--peer-urls={self.peer_url}", "--learner", endpoint=endpoint)
                break
            except EtcdError as error:  # one learner at a time; and a cluster that is not healthy takes none
                log("info", f"Waiting for other members to finish joining etcd cluster: {error}")
                time.sleep(1)
        others = [member for member in self.members(endpoint) if member.get("name")]
        self.start(members=",".join(f"{member['name']}={member['peerURLs'][0]}" for member in others))
        self.promote(endpoint)

    def promote(self, endpoint: str) -> None:
        while True:
            mine = [member for member in self.members(endpoint) if self.peer_url in member["peerURLs"]]
            if mine and not mine[0].get("isLearner"):
                return
            try:
                self.control("member", "promote", f"{mine[0]['ID']:x}", endpoint=endpoint)
            except (EtcdError, IndexError):
                time.sleep(WAIT)

    def keep_only_this(self) -> None:
        """Remove every other member, as cluster-reset does."""
        for member in self.members():
            if self.peer_url not in member["peerURLs"]:
                self.control("member", "remove", f"{member['ID']:x}")

    # ---- snapshots

    def save_snapshot(self, file: Path) -> None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.control("snapshot", "save", str(file), seconds=60)
        file.chmod(0o600)

    def restore_snapshot(self, file: Path) -> None:
        """Make the folder anew from a snapshot, with this server as the only member; the old one is kept beside."""
        if self.folder.exists():
            self.folder.rename(self.folder.with_name(f"etcd-old-{int(time.time())}"))
        beside = self.folder.with_name("etcd-restored")
        shutil.rmtree(beside, ignore_errors=True)
        name = f"{self.node}-{secrets.token_hex(4)}"
        self.control(
            *("snapshot", "restore", str(file), f"--data-dir={beside}", f"--name={name}"),
            *(f"--initial-cluster={name}={self.peer_url}", f"--initial-advertise-peer-urls={self.peer_url}"),
        )
        beside.rename(self.folder)
        write(self.folder / "name", name, 0o600)


def security(files: dict[str, Path], authority: Path) -> dict[str, Any]:
    return {key: str(path) for key, path in files.items()} | {
        "client-cert-auth": True,
        "trusted-ca-file": str(authority),
    }


def last_words(text: str) -> str:
    """What etcdctl says last, which is the error."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "etcdctl said nothing"
