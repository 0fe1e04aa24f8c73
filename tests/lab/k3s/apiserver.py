"""The real kube-apiserver, with the flags that K3s gives it (pkg/daemons/control/server.go, apiServer)."""

import ipaddress
import json
import secrets
import subprocess
import time
from base64 import b64encode
from pathlib import Path

from .client import Client, RequestError, UnreachableError
from .output import log, start_part, write
from .paths import API_SERVER, ServerPaths
from .settings import Settings
from .supervisor import API_PORT

READY_POLL = 0.1
# K3s does not wait for its API server to have answered everybody.
STOP_SECONDS = 1


class ApiServerError(Exception):
    """It ended by itself."""


def service_ip(settings: Settings) -> str:
    """The first address of service-cidr, which is the API server's own Service."""
    return str(ipaddress.ip_network(service_cidrs(settings)[0])[1])


def service_cidrs(settings: Settings) -> list[str]:
    values = settings.get("service-cidr") or ["10.43.0.0/16"]
    return [cidr for text in values for cidr in text.split(",")]


def flags(paths: ServerPaths, settings: Settings, address: str) -> dict[str, str]:
    tls, etcd = paths.tls, paths.etcd_tls
    chosen = {
        "etcd-servers": "https://127.0.0.1:2379",
        "etcd-cafile": etcd / "server-ca.crt",
        "etcd-certfile": etcd / "client.crt",
        "etcd-keyfile": etcd / "client.key",
        "bind-address": "127.0.0.1",
        "secure-port": API_PORT,
        "advertise-address": settings.get("advertise-address") or address,
        "service-cluster-ip-range": ",".join(service_cidrs(settings)),
        "service-node-port-range": settings.get("service-node-port-range") or "30000-32767",
        "tls-cert-file": tls / "serving-kube-apiserver.crt",
        "tls-private-key-file": tls / "serving-kube-apiserver.key",
        "client-ca-file": tls / "client-ca.crt",
        "requestheader-client-ca-file": tls / "request-header-ca.crt",
        "requestheader-allowed-names": "system:auth-proxy",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "proxy-client-cert-file": tls / "client-auth-proxy.crt",
        "proxy-client-key-file": tls / "client-auth-proxy.key",
        "kubelet-certificate-authority": tls / "server-ca.crt",
        "kubelet-client-certificate": tls / "client-kube-apiserver.crt",
        "kubelet-client-key": tls / "client-kube-apiserver.key",
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-account-key-file": tls / "service.key",
        "service-account-signing-key-file": tls / "service.key",
        "api-audiences": "https://kubernetes.default.svc.cluster.local,k3s",
        "authorization-mode": "Node,RBAC",
        "anonymous-auth": "false",
        "allow-privileged": "true",
        "profiling": "false",
        "enable-admission-plugins": "NodeRestriction",
        # Not K3s's: nobody here makes the default ServiceAccount that a pod would wait for.
        "disable-admission-plugins": "ServiceAccount",
    }
    if settings.get("datastore-endpoint"):
        for name, key in (
            ("servers", "endpoint"),
            ("cafile", "cafile"),
            ("certfile", "certfile"),
            ("keyfile", "keyfile"),
        ):
            chosen[f"etcd-{name}"] = settings.get(f"datastore-{key}") or ""
    if settings.get("secrets-encryption"):
        chosen["encryption-provider-config"] = paths.cred / "encryption-config.json"
    return {name: str(value) for name, value in chosen.items()}


def with_arguments(chosen: dict[str, str], arguments: list[str]) -> list[str]:
    """kube-apiserver-arg over K3s's own flags: GetArgs of pkg/daemons/config/types.go, without its `+` and `-`."""
    given: dict[str, list[str]] = {}
    for argument in arguments:
        name, found, value = argument.removeprefix("--").partition("=")
        given.setdefault(name, []).append(value if found else "true")
    merged = {name: [value] for name, value in chosen.items()} | given
    return [f"--{name}={value}" for name in sorted(merged) for value in merged[name]]


def make_encryption_config(paths: ServerPaths, settings: Settings) -> None:
    """secrets-encryption on: a key of its own kind, made once (pkg/secretsencrypt/config.go)."""
    file = paths.cred / "encryption-config.json"
    if not settings.get("secrets-encryption") or file.exists():
        return
    provider = settings.get("secrets-encryption-provider") or "aescbc"
    key = {"name": f"{provider}key", "secret": b64encode(secrets.token_bytes(32)).decode()}
    document = {
        "kind": "EncryptionConfiguration",
        "apiVersion": "apiserver.config.k8s.io/v1",
        "resources": [{"resources": ["secrets"], "providers": [{provider: {"keys": [key]}}, {"identity": {}}]}],
    }
    write(file, json.dumps(document), 0o600)


class ApiServer:
    def __init__(self, paths: ServerPaths, settings: Settings, address: str) -> None:
        self.paths = paths
        self.argv = [
            str(API_SERVER),
            *with_arguments(flags(paths, settings, address), settings.get("kube-apiserver-arg", [])),
        ]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log("info", f"Running kube-apiserver {' '.join(self.argv[1:])}")
        self.process = start_part(self.argv)

    def wait_ready(self, admin: Client) -> None:
        while True:
            if self.process is None or self.process.poll() is not None:
                raise ApiServerError("apiserver exited")
            try:
                if admin.request("GET", "/readyz", seconds=5) == "ok":
                    return
            except (RequestError, UnreachableError):
                pass
            time.sleep(READY_POLL)

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()


def admin_client(tls: Path, port: int = API_PORT) -> Client:
    authority = (tls / "server-ca.crt").read_text()
    certificate = (tls / "client-admin.crt", tls / "client-admin.key")
    return Client(f"https://127.0.0.1:{port}", authority=authority, certificate=certificate)
