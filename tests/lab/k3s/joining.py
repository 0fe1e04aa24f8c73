"""What a node asks of a server before it is one of the cluster: trust, credentials, configuration, certificates.

pkg/clientaccess/token.go (the authority and its hash), pkg/cluster/bootstrap.go (bootstrap data, and the comparison
of critical values), pkg/agent/config/config.go (certificates, node password).
"""

import base64
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .client import Client, RequestError, UnreachableError
from .keys import CRITICAL
from .output import fatal, log, write
from .settings import Settings, disabled_items
from .tokens import Token, hash_of_ca

RETRY = 1.0
NODE_PASSWORD_REJECTED = (
    "Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password' may not match server "
    "node-passwd entry, try enabling a unique node name with the --with-node-id flag"
)
MISMATCH = "critical configuration value mismatch between servers"


class JoinError(Exception):
    """The server was reached and does not let this node in; the words are K3s's."""


def check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        fatal(f"Error: only https:// URLs are supported, invalid scheme: {url}")


def authority_of(url: str, token: Token) -> str:
    """The server's CA certificate, trusted at sight for a short token, and for a full one if its hash is the token's."""
    try:
        authority = Client(url).request("GET", "/cacerts")
        if token.ca_hash and token.ca_hash != hash_of_ca(authority):
            raise JoinError(
                "token CA hash does not match the Cluster CA certificate hash: "
                f"{token.ca_hash} != {hash_of_ca(authority)}"
            )
        if not token.ca_hash:
            log(
                "warning",
                "Cluster CA certificate is not trusted by the host CA bundle, but the token does not include a CA hash. "
                "Use the full token from the server's node-token file to enable Cluster CA validation.",
            )
        Client(url, authority=authority).request("GET", "/cacerts")
    except RequestError as error:
        raise JoinError(f"failed to get CA certs: {error}") from None
    except UnreachableError as error:
        raise JoinError(f"failed to get CA certs: {url}/cacerts: {error}") from None
    return authority


def critical_values(settings: Settings) -> dict[str, object]:
    """What must be the same on all servers, with K3s's defaults filled in."""
    values = {key: settings.get(key, default) for key, default in CRITICAL.items()}
    for key in ("cluster-cidr", "service-cidr", "cluster-dns"):
        values[key] = [part for text in as_texts(values[key]) for part in text.split(",")]
    values["disable-service-lb"] = "servicelb" in disabled_items(settings)
    return values


def as_texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def compare_critical(mine: dict[str, object], others: dict[str, object]) -> None:
    """compareConfig of pkg/cluster/bootstrap.go: a warning for each value, then the end."""
    different = [key for key in mine if mine[key] != others.get(key)]
    for key in different:
        log("warning", f"critical configuration mismatched: {key}")
    if different:
        fatal(
            "Error: preparing server: failed to bootstrap cluster data: "
            f"failed to validate server configuration: {MISMATCH}"
        )


class ServerJoin:
    """A server on its way into the cluster of another one."""

    def __init__(self, url: str, token: Token) -> None:
        self.url = url
        self.token = token
        self.authority = ""

    def run(self, settings: Settings) -> tuple[dict[str, str], dict[str, Any]]:
        """The bootstrap files, and what the first server says of itself. A refusal is the end, silence as well."""
        try:
            self.authority = authority_of(self.url, self.token)
            config = self._get("/v1-k3s/config")
            compare_critical(critical_values(settings), config["CriticalControlArgs"])
            if config["Datastore"] != "etcd":
                # pkg/etcd/etcd.go would fail later, at the other's etcd port; the words are a guess.
                fatal(
                    "Error: preparing server: failed to bootstrap cluster data: the server to join keeps its data in "
                    f"{config['Datastore']}: only etcd takes more servers"
                )
            return self._get("/v1-k3s/server-bootstrap"), config
        except JoinError as error:
            fatal(f"Error: preparing server: failed to validate token: {error}")

    def _get(self, path: str) -> Any:
        client = Client(self.url, authority=self.authority, user=("server", self.token.password))
        try:
            return client.get(path)
        except RequestError as error:
            raise JoinError(f"{error.status} {error.reason or 'Unauthorized'}") from None
        except UnreachableError as error:
            raise JoinError(str(error)) from None


def certificate_for(
    client: Client, node: str, password: str, purpose: str, addresses: list[str]
) -> tuple[bytes, bytes]:
    """`client-kubelet` or `serving-kubelet`: a certificate and its key, from a server that believes the password."""
    headers = {"k3s-Node-Name": node, "k3s-Node-Password": password, "k3s-Node-IP": ",".join(addresses)}
    try:
        answer = json.loads(client.request("POST", f"/v1-k3s/{purpose}.crt", b"", headers=headers, seconds=30))
    except RequestError as error:
        if error.status == 403:
            raise JoinError(NODE_PASSWORD_REJECTED) from None
        raise JoinError(f"{error.status} {error.reason}") from None
    except UnreachableError as error:
        raise JoinError(str(error)) from None
    return base64.b64decode(answer["certificate"]), base64.b64decode(answer["key"])


def fetch_certificates(client: Client, node: str, password: str, addresses: list[str], folder: Path) -> None:
    """Ask until a server gives them: what stands in the way is said each time it changes (pkg/agent/config)."""
    said = ""
    for purpose in ("serving-kubelet", "client-kubelet"):
        while True:
            try:
                certificate, key = certificate_for(client, node, password, purpose, addresses)
                break
            except JoinError as error:
                if str(error) != said:
                    said = str(error)
                    log("info", f"Waiting to retrieve agent configuration; server is not ready: {error}")
                time.sleep(RETRY)
        write(folder / f"{purpose}.crt", certificate, 0o644)
        write(folder / f"{purpose}.key", key, 0o600)
