"""A real API server on this machine: kube-apiserver with Debian's etcd, both on free ports of 127.0.0.1.

with ApiServer(tmp_path) as api:               # ready in about 5 s; built before, if it never was (5 min)
    api.url, api.kubeconfig()                   # as K3s writes /etc/rancher/k3s/k3s.yaml
    api.call("POST", "/api/v1/nodes", {...})    # as system:masters; the status and the JSON that came back
    api.stop_etcd(); api.start_etcd()           # the API server lives on

Nodes, Pods, Secrets, eviction, field managers and RBAC are real. No kubelet, no scheduler and no controller runs: who
plays one says so.
"""

import base64
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.lab.apiserver.build import ensure_apiserver
from tests.lab.apiserver.certificates import Authority, Pair
from tests.lab.apiserver.member import Member, write_papers
from tests.lab.command import run
from tests.lab.errors import LabError

READY_SECONDS = 90


class ApiServer:
    """Both processes, their folder and their certificates. They end with this process, however that ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder / "papers")
        write_papers(self.authority)
        self.admin = Pair(folder / "papers/system-admin.crt", folder / "papers/system-admin.key")
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._member: Member | None = None

    @property
    def member(self) -> Member:
        if self._member is None:
            api, client, peer = free_ports(3)
            self._member = Member("one", "127.0.0.1", self.folder / "papers", self.folder / "etcd", api, client, peer)
        return self._member

    @property
    def port(self) -> int:
        return self.member.api_port

    @property
    def url(self) -> str:
        return self.member.url

    def kubeconfig(self, server: str = "", admin: Pair | None = None) -> str:
        """With the layout of K3s. `server` is by default this one's URL, `admin` whose certificate is in it."""
        pair = admin or self.admin
        authority, certificate, key = (
            base64.b64encode(path.read_bytes()).decode()
            for path in (self.authority.certificate, pair.certificate, pair.key)
        )
        return KUBECONFIG.format(server=server or self.url, authority=authority, certificate=certificate, key=key)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        pair: Pair | None = None,
    ) -> tuple[int, Any]:
        """Status and decoded JSON (text where it is none). `pair` is the client's certificate."""
        pair = pair or self.admin
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        context.load_cert_chain(pair.certificate, pair.key)
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=30)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": content_type, "Accept": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text

    def must(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json") -> Any:
        """What came back; LabError unless the status is 2xx."""
        status, answer = self.call(method, path, body, content_type=content_type)
        if not 200 <= status < 300:
            raise LabError(f"{method} {path}: {status} {answer}")
        return answer

    def start_etcd(self) -> None:
        self._start("etcd", self.member.etcd(binary=find_etcd()))

    def stop_etcd(self) -> None:
        self._stop("etcd")

    def start(self) -> None:
        binary = ensure_apiserver()
        self.start_etcd()
        self._start("kube-apiserver", self.member.apiserver(str(binary)))
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_ready():
            gone = [name for name, process in self._running.items() if process.poll() is not None]
            if gone or time.monotonic() > deadline:
                self.stop()
                said = "".join(
                    self._log(name).read_text(errors="replace")[-3000:] for name in (gone or ["kube-apiserver"])
                )
                raise LabError(f"{' and '.join(gone) or 'the API server'} did not come up:\n{said}")
            time.sleep(0.1)

    def stop(self) -> None:
        for name in ("kube-apiserver", "etcd"):
            self._stop(name)

    def _is_ready(self) -> bool:
        try:
            return (
                self.call("GET", "/readyz") == (200, "ok")
                and self.call("GET", "/api/v1/namespaces/kube-system")[0] == 200
            )
        except OSError:
            return False

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _start(self, name: str, argv: list[str]) -> None:
        # The signal comes when the thread that starts it ends: start it from the main one.
        ends_with_us = [setpriv, "--pdeathsig", "KILL", "--"] if (setpriv := shutil.which("setpriv")) else []
        with self._log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                [*ends_with_us, *argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder)}, start_new_session=True,
            )  # fmt: skip

    def _stop(self, name: str) -> None:
        process = self._running.pop(name, None)
        if process is None:
            return
        # Nothing on its disk is looked at again, and a graceful end takes it a second or more.
        process.send_signal(signal.SIGKILL)
        process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def find_etcd() -> str:
    """The path of etcd; as root, Debian's package is installed where there is none. Raises LabError."""
    if found := shutil.which("etcd"):
        return found
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise LabError("there is no etcd: apt-get install etcd-server")
    run(["apt-get", "update"], timeout=300)
    run(
        ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends", "etcd-server"],
        timeout=600,
    )
    return shutil.which("etcd") or "etcd"


def free_ports(count: int) -> list[int]:
    """Of 127.0.0.1, all at once, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


KUBECONFIG = """\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {authority}
    server: {server}
  name: default
contexts:
- context:
    cluster: default
    user: default
  name: default
current-context: default
kind: Config
users:
- name: default
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
"""
