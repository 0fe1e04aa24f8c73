#!/usr/bin/python3
"""A stand-in for the K3s binary, for machines on which the real one cannot be had.

It runs no Kubernetes. It is what a configuration tool meets of K3s: one executable file, started by systemd as
`k3s server` or `k3s agent`, which reads config.yaml, keeps its token and datastore under /var/lib/rancher/k3s, answers
on port 6443, tells systemd when it is ready, and will not start where the real one would not. What it leaves out or
does otherwise:
- 6443 speaks plain HTTP, and the certificate authority is a random text. Joining is a request of its own making.
- the datastore is a file or folder of the right name; etcd members do not replicate anything.
- the real agent waits for its server for ever; this one gives up after JOIN_PATIENCE seconds, and systemd restarts it.
- settings that it does not use are accepted without a look.

`@VERSION@` and `@ARCH@` are replaced when a mirror's tree is made, so every version and architecture has other bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import os
import secrets
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

VERSION = "@VERSION@"
ARCH = "@ARCH@"
CONFIG = "/etc/rancher/k3s/config.yaml"
JOIN_PATIENCE = 10
JOIN_PATH = "/standin/join"


def main() -> None:
    command = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if command in {"--version", "-v"}:
        commit = hashlib.sha256(VERSION.encode()).hexdigest()[:8]
        print(f"k3s version {VERSION} ({commit})\ngo version none (stand-in, linux/{ARCH})")
    elif command in {"server", "agent"}:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        (Server if command == "server" else Agent)(read_settings(sys.argv[2:])).run()
    elif command == "etcd-snapshot" and sys.argv[2:3] == ["save"]:
        save_snapshot(read_settings(sys.argv[3:]))
    else:
        fatal(f"No help topic for '{command}': the stand-in knows server, agent, etcd-snapshot save and --version")


def save_snapshot(settings: dict[str, Any]) -> None:
    """What is saved is the name alone: there is no data. Refused where etcd is not the datastore, as by the real one."""
    home = Path(settings.get("data-dir", "/var/lib/rancher/k3s")) / "server" / "db"
    if not (home / "etcd").exists():
        fatal("etcd datastore disabled")
    write(home / "snapshots" / f"{settings.get('name', 'on-demand')}-{int(time.time())}", f"{VERSION}\n", 0o600)


def log(level: str, message: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f'time="{stamp}" level={level} msg={json.dumps(message)}', file=sys.stderr, flush=True)


def fatal(message: str) -> None:
    log("fatal", message)
    sys.exit(1)


def read_settings(arguments: list[str]) -> dict[str, Any]:
    """Settings as the real one ranks them: command line, then config.yaml.d (last file wins), then config.yaml."""
    parser = argparse.ArgumentParser(prog="k3s", add_help=False)
    parser.add_argument("--config", "-c", default=os.environ.get("K3S_CONFIG_FILE", CONFIG))
    known, others = parser.parse_known_args(arguments)
    settings: dict[str, Any] = {}
    for variable, key in (("K3S_TOKEN", "token"), ("K3S_TOKEN_FILE", "token-file"), ("K3S_URL", "server")):
        if os.environ.get(variable):
            settings[key] = os.environ[variable]
    for path in [Path(known.config), *sorted(Path(f"{known.config}.d").glob("*.y*ml"))]:
        if path.exists():
            merge(settings, read_yaml(path))
    for argument in joined(others):
        key, found, value = argument.partition("=")
        if not key.startswith("--"):
            fatal(f"cannot read the argument {argument!r}: the stand-in wants --key=value")
        settings[key[2:]] = value if found else True
    return settings


def joined(arguments: list[str]) -> list[str]:
    """`--name VALUE` as `--name=VALUE`."""
    found: list[str] = []
    for argument in arguments:
        if found and not argument.startswith("--") and "=" not in found[-1]:
            found[-1] += f"={argument}"
        else:
            found.append(argument)
    return found


def read_yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        document: dict[str, Any] | None = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        fatal(f"failed to read {path}: {error}")
    if document is None:
        return {}
    if not isinstance(document, dict):
        fatal(f"failed to read {path}: it holds no mapping")
    return document


def merge(settings: dict[str, Any], document: dict[str, Any]) -> None:
    for key, value in document.items():
        if key.endswith("+"):
            settings[key[:-1]] = [*as_list(settings.get(key[:-1])), *as_list(value)]
        else:
            settings[key] = value


def as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, mode)
        file.write(text)


def tell_systemd(state: str) -> None:
    """sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(state.encode(), f"\0{address[1:]}" if address.startswith("@") else address)


def secret_of(token: str) -> str:
    """The secret in a token, short or in its full form K10<sha256 of the CA>::server:<secret>."""
    return token.rpartition("::")[2].partition(":")[2] if token.startswith("K10") else token


class Node:
    """What a server and an agent have in common."""

    role = ""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.data = Path(settings.get("data-dir", "/var/lib/rancher/k3s"))
        self.name = str(settings.get("node-name") or socket.gethostname()).lower()
        self.token = self.read_token("token")

    def read_token(self, key: str) -> str:
        """A token given as such, or by the name of its file."""
        file = self.settings.get(f"{key}-file")
        if file is None or self.settings.get(key):
            return str(self.settings.get(key) or "")
        try:
            return Path(file).read_text().strip()
        except OSError as error:
            fatal(f"failed to read --{key}-file: {error}")
            raise

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
        if self.token.startswith("K10") and self.token[3:].partition("::")[0] != ca_hash(reply["ca"]):
            fatal("token CA hash does not match the Cluster CA certificate hash")
        return reply

    def write_password(self) -> None:
        path = Path("/etc/rancher/node/password")
        if not path.exists():
            write(path, secrets.token_hex(16), 0o600)


def ca_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Agent(Node):
    role = "agent"

    def run(self) -> None:
        if not self.token:
            fatal("--token is required")
        if not self.settings.get("server"):
            fatal("--server is required")
        reply = self.join()
        self.write_password()
        write(self.data / "agent" / "server-ca.crt", reply["ca"], 0o644)
        write(self.data / "agent" / "kubelet.kubeconfig", f"server: {self.settings['server']}\n", 0o600)
        log("info", f"Running the stand-in agent of {self.settings['server']}")
        tell_systemd("READY=1")
        while True:
            signal.pause()


class Server(Node):
    role = "server"

    def run(self) -> None:
        self.home = self.data / "server"
        (self.home / "db").mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)
        ca = self.found_or_join()
        self.keep_token(ca)
        self.write_password()
        mode = int(str(self.settings.get("write-kubeconfig-mode", "600")), 8)
        write(Path("/etc/rancher/k3s/k3s.yaml"), "# stand-in: no client can use it\nclusters: []\n", mode)
        door = open_door(self, ca)
        log("info", f"k3s is up and running with {self.datastore}")
        tell_systemd("READY=1")
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
            write(ca_file, reply["ca"], 0o644)
        elif not ca_file.exists():
            write(ca_file, f"stand-in certificate authority {secrets.token_hex(16)}\n", 0o644)
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
        secret = secret_of(self.token) or known or secrets.token_hex(16)
        if known and not hmac.compare_digest(known, secret):
            fatal("bootstrap data already found and encrypted with different token")
        self.accepted = {"server": {secret}, "agent": {secret}}
        write(kept, f"K10{ca_hash(ca)}::server:{secret}\n", 0o600)
        agent_token = secret_of(self.read_token("agent-token"))
        kept_agent = self.home / "agent-token"
        kept_agent.unlink(missing_ok=True)
        if agent_token:
            self.accepted["agent"].add(agent_token)
            write(kept_agent, f"K10{ca_hash(ca)}::node:{agent_token}\n", 0o600)
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
            self.answer(200, json.dumps({"ca": ca, "datastore": server.datastore}))

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
        raise


if __name__ == "__main__":
    main()
