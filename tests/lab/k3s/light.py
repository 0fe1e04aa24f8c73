"""The light stand-in: what a configuration tool meets of K3s, without any Kubernetes.

One executable file, started by systemd as `k3s server` or `k3s agent`, which keeps its token and datastore under
/var/lib/rancher/k3s, answers on port 6443, tells systemd when it is ready, and will not start where the real one would
not. It costs 15 MB and no time. What it leaves out or does otherwise:
- 6443 speaks plain HTTP, and the certificate authority is a random text. Joining is a request of its own making.
- the datastore is a file or folder of the right name; etcd members do not replicate anything.
- the real agent waits for its server for ever; this one gives up after JOIN_PATIENCE seconds, and systemd restarts it.
- config.yaml is read and checked as by the full one; of settings, it uses few.
"""

import hmac
import json
import signal
import socket
import sqlite3
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from .faults import fail_where_told, fault
from .joining import compare_critical, critical_values
from .kubelet import labels_of, taints_of
from .output import fatal, log, notify_systemd, write
from .paths import DATA, KUBECONFIG
from .release import VERSION, minor_of
from .settings import Settings
from .tokens import configured_token, hash_of_ca, random_secret
from .versions import refuse

JOIN_PATIENCE = 10
JOIN_PATH = "/standin/join"


def run_light(role: str, settings: Settings) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    fail_where_told("start")
    labels_of(settings)
    taints_of(settings)
    (Server if role == "server" else Agent)(settings).run()


def secret_of(token: str) -> str:
    """The secret in a token, short or in its full form K10<sha256 of the CA>::server:<secret>."""
    return token.rpartition("::")[2].partition(":")[2] if token.startswith("K10") else token


class Node:
    """What a server and an agent have in common."""

    role = ""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.data = Path(settings.get("data-dir", DATA))
        self.name = str(settings.get("node-name") or socket.gethostname()).lower()
        self.token = configured_token(settings, "token")

    def keep_version(self, file: Path) -> None:
        """End on data that a newer minor has written, or that a skipped one should have."""
        if file.exists():
            refuse(file.read_text(), minor_of(VERSION))
        if not file.exists() or file.read_text() != VERSION:
            write(file, VERSION, 0o600)

    def join(self) -> dict[str, Any]:
        """Ask the server to let this node in, as long as it does not answer; a refusal is final."""
        parts = urllib.parse.urlsplit(str(self.settings["server"]))
        if parts.scheme != "https" or not parts.hostname:
            fatal(f"--server must be an https URL, not {self.settings['server']!r}")
        query = urllib.parse.urlencode({"node": self.name, "role": self.role, "version": VERSION})
        request = urllib.request.Request(f"http://{parts.netloc}{JOIN_PATH}?{query}")
        request.add_header("Authorization", f"Bearer {secret_of(self.token)}")
        give_up = time.monotonic() + JOIN_PATIENCE
        while True:
            try:
                with urllib.request.urlopen(request, timeout=5) as answer:
                    reply: dict[str, Any] = json.load(answer)
                break
            except urllib.error.HTTPError as error:
                fatal(f"failed to validate token: {error.code} {error.read().decode().strip()}")
            except OSError as error:
                if time.monotonic() > give_up:
                    fatal(f"failed to get CA certs from {parts.netloc}: {error}")
                log("info", f"Waiting to retrieve agent configuration; server is not ready: {error}")
                time.sleep(0.5)
        if self.token.startswith("K10") and self.token[3:].partition("::")[0] != hash_of_ca(reply["ca"]):
            fatal("token CA hash does not match the Cluster CA certificate hash")
        return reply

    def write_password(self) -> None:
        path = Path("/etc/rancher/node/password")
        if not path.exists():
            write(path, random_secret(), 0o600)


class Agent(Node):
    role = "agent"

    def run(self) -> None:
        if not self.token:
            fatal("--token is required")
        if not self.settings.get("server"):
            fatal("--server is required")
        self.keep_version(self.data / "agent" / "standin-version")
        reply = self.join()
        self.write_password()
        write(self.data / "agent" / "server-ca.crt", reply["ca"], 0o644)
        write(self.data / "agent" / "kubelet.kubeconfig", f"server: {self.settings['server']}\n", 0o600)
        log("info", f"Running the stand-in agent of {self.settings['server']}")
        notify_systemd("READY=1")
        while True:
            signal.pause()


class Server(Node):
    role = "server"

    def run(self) -> None:
        self.home = self.data / "server"
        (self.home / "db").mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)
        self.keep_version(self.home / "db" / "standin-version")
        ca = self.found_or_join()
        self.keep_token(ca)
        self.write_password()
        mode = int(str(self.settings.get("write-kubeconfig-mode", "600")), 8)
        kubeconfig = Path(str(self.settings.get("write-kubeconfig") or KUBECONFIG))
        write(kubeconfig, "# stand-in: no client can use it\nclusters: []\n", mode)
        door = open_door(self, ca)
        time.sleep(float(fault("start-delay") or 0))
        log("info", f"k3s is up and running with {self.datastore}")
        notify_systemd("READY=1")
        door.serve_forever()

    @property
    def datastore(self) -> str:
        if self.settings.get("datastore-endpoint"):
            return "external"
        return "etcd" if (self.home / "db" / "etcd").exists() else "sqlite"

    def found_or_join(self) -> str:
        """Make the datastore, or that of a member of an existing cluster; returns the cluster's CA."""
        etcd, sqlite = self.home / "db" / "etcd", self.home / "db" / "state.db"
        ca_file = self.home / "tls" / "server-ca.crt"
        if self.settings.get("server") and not etcd.exists():
            if not self.token:
                fatal("--token is required to join a cluster")
            reply = self.join()
            if reply["datastore"] == "sqlite":
                fatal(
                    "the server to join keeps its data in SQLite: only etcd or an external datastore takes more servers"
                )
            compare_critical(critical_values(self.settings), reply["critical"])
            write(ca_file, reply["ca"], 0o644)
        elif not ca_file.exists():
            write(ca_file, f"stand-in certificate authority {random_secret()}\n", 0o644)
        if self.settings.get("server") or self.settings.get("cluster-init"):
            etcd.mkdir(mode=0o700, exist_ok=True)
            write(etcd / "name", f"{self.name}\n", 0o600)
            if sqlite.exists():
                log("info", "Migrating content from sqlite to etcd")
                sqlite.rename(sqlite.with_suffix(".db.migrated"))
        elif self.datastore == "sqlite":
            with sqlite3.connect(sqlite) as database:
                database.execute("CREATE TABLE IF NOT EXISTS kine (id INTEGER PRIMARY KEY, name TEXT)")
        return ca_file.read_text()

    def keep_token(self, ca: str) -> None:
        """The token is the passphrase of the datastore: it is made once, and another one is refused."""
        kept = self.home / "token"
        known = secret_of(kept.read_text().strip()) if kept.exists() else ""
        secret = secret_of(self.token) or known or random_secret()
        if known and not hmac.compare_digest(known, secret):
            fatal("bootstrap data already found and encrypted with different token")
        self.accepted = {"server": {secret}, "agent": {secret}}
        write(kept, f"K10{hash_of_ca(ca)}::server:{secret}\n", 0o600)
        agent_token = secret_of(configured_token(self.settings, "agent-token"))
        kept_agent = self.home / "agent-token"
        kept_agent.unlink(missing_ok=True)
        if agent_token:
            self.accepted["agent"].add(agent_token)
            write(kept_agent, f"K10{hash_of_ca(ca)}::node:{agent_token}\n", 0o600)
        else:
            kept_agent.symlink_to(kept)
        node_token = self.home / "node-token"
        node_token.unlink(missing_ok=True)
        node_token.symlink_to(kept_agent)


class Door(ThreadingHTTPServer):
    daemon_threads = True
    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def open_door(server: Server, ca: str) -> Door:
    """Listen where the API server would. /standin/nodes shows who has joined since the start."""
    nodes = {server.name: {"role": "server", "version": VERSION}}

    class Request(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urllib.parse.urlsplit(self.path)
            if parts.path == JOIN_PATH:
                self.let_in({key: values[0] for key, values in urllib.parse.parse_qs(parts.query).items()})
            elif parts.path in answers:
                self.answer(200, answers[parts.path]())
            else:
                self.answer(404, "404 page not found\n")

        def let_in(self, query: dict[str, str]) -> None:
            given = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if not any(hmac.compare_digest(given, known) for known in server.accepted.get(query["role"], ())):
                self.answer(401, "Unauthorized\n")
                return
            nodes[query["node"]] = {"role": query["role"], "version": query["version"]}
            critical = critical_values(server.settings)
            reply = {"ca": ca, "datastore": server.datastore, "critical": critical}
            self.answer(200, json.dumps(reply))

        def answer(self, status: int, text: str) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, text: str, *values: object) -> None:
            log("debug", text % values)

    answers: dict[str, Callable[[], str]] = {
        "/readyz": lambda: "ok",
        "/ping": lambda: "pong",
        "/cacerts": lambda: ca,
        "/standin/nodes": lambda: json.dumps(nodes, sort_keys=True),
    }
    address = str(server.settings.get("bind-address") or "::")
    host = f"::ffff:{address}" if "." in address else address
    port = int(server.settings.get("https-listen-port", 6443))
    try:
        return Door((host, port), Request)
    except OSError as error:
        fatal(f"failed to listen on {address} port {port}: {error}")


def light_snapshot(arguments: list[str]) -> None:
    """`etcd-snapshot save` where there is a folder of etcd's name: a file that names the release, and has nothing to restore."""
    if arguments[:1] != ["save"]:
        fatal("the light stand-in knows `etcd-snapshot save` only")
    home = Path(DATA) / "server" / "db"
    if not (home / "etcd").is_dir():
        fatal(f"Error: etcd database not found in {home / 'etcd'}")
    words = " ".join(arguments).replace("=", " ").split()
    name = words[words.index("--name") + 1] if "--name" in words else "on-demand"
    file = home / "snapshots" / f"{name}-{socket.gethostname()}-{int(time.time())}"
    write(file, f"{VERSION}\n", 0o600)
    log("info", f"Snapshot {file.name} saved.")
