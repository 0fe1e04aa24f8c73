"""K3s's own requests on 6443 (pkg/server/handlers/router.go), for agents and for other servers."""

import base64
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import bootstrap
from .certificates import sign_for
from .client import RequestError, UnreachableError
from .joining import critical_values
from .node_passwords import WrongPasswordError, ensure, own_password
from .output import log, write
from .release import ARCH, VERSION, minor_of
from .supervisor import Handler, Reply, Request
from .tokens import Token, TokenError, full_form, parse_token, random_secret, same

if TYPE_CHECKING:
    from .server import Server

UNAUTHORIZED = "Unauthorized\n"


def routes_of(server: "Server") -> dict[tuple[str, str], Handler]:
    def allow(*users: str) -> Callable[[Callable[[Request], Reply]], Handler]:
        """Only for who comes with the password of one of these users."""

        def wrap(handler: Callable[[Request], Reply]) -> Handler:
            return lambda request: handler(request) if caller(server, request) in users else (401, UNAUTHORIZED)

        return wrap

    agent, peer = allow("node", "server"), allow("server")
    authority = server.paths.tls / "server-ca.crt"
    return {
        ("GET", "/ping"): lambda _: (200, "pong"),
        ("GET", "/cacerts"): lambda _: (200, authority.read_text()),
        ("GET", "/v1-k3s/readyz"): agent(lambda _: (200, "ok") if server.is_ready else (503, "not ready\n")),
        ("GET", "/v1-k3s/config"): agent(lambda _: (200, json.dumps(config_of(server)))),
        ("GET", "/v1-k3s/apiservers"): agent(lambda _: apiservers(server)),
        ("POST", "/v1-k3s/client-kubelet.crt"): agent(lambda request: kubelet_certificate(server, request, "client")),
        ("POST", "/v1-k3s/serving-kubelet.crt"): agent(lambda request: kubelet_certificate(server, request, "serving")),
        ("GET", "/v1-k3s/server-bootstrap"): peer(lambda _: (200, json.dumps(bootstrap.collect(server.paths)))),
        ("GET", "/version"): version,
        ("GET", "/standin/nodes"): lambda _: nodes(server),
        ("GET", "/v1-k3s/encrypt/status"): peer(lambda _: encryption_status(server)),
        ("PUT", "/v1-k3s/token"): peer(lambda request: rotate_token(server, request)),
    }


def caller(server: "Server", request: Request) -> str | None:
    """The user of server/cred/passwd that the request comes as."""
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if kind != "Basic":
        return None
    user, _, password = base64.b64decode(encoded).decode().partition(":")
    return server.passwords.user_of(user, password)


def config_of(server: "Server") -> dict[str, Any]:
    return {
        "CriticalControlArgs": critical_values(server.settings),
        "Datastore": server.datastore,
        "Version": VERSION,
        "EtcdClientURL": f"https://{server.etcd.address}:2379",
    }


def apiservers(server: "Server") -> Reply:
    """host:port of every server whose node is there."""
    try:
        nodes = server.admin.get("/api/v1/nodes?labelSelector=node-role.kubernetes.io%2Fcontrol-plane%3Dtrue")["items"]
    except (RequestError, UnreachableError) as error:
        return 503, f"{error}\n"
    found = []
    for node in nodes:
        for row in node.get("status", {}).get("addresses", []):
            if row["type"] == "InternalIP":
                host = f"[{row['address']}]" if ":" in row["address"] else row["address"]
                found.append(f"{host}:{server.port}")
                break
    return 200, json.dumps(found)


def nodes(server: "Server") -> Reply:
    """Not K3s's: the nodes as the light stand-in shows them."""
    try:
        found = server.admin.get("/api/v1/nodes")["items"]
    except (RequestError, UnreachableError) as error:
        return 503, f"{error}\n"
    shown = {}
    for node in found:
        is_server = "node-role.kubernetes.io/control-plane" in node["metadata"].get("labels", {})
        version_of = node["status"].get("nodeInfo", {}).get("kubeletVersion", "")
        shown[node["metadata"]["name"]] = {"role": "server" if is_server else "agent", "version": version_of}
    return 200, json.dumps(shown, sort_keys=True)


def kubelet_certificate(server: "Server", request: Request, purpose: str) -> Reply:
    """pkg/nodepassword/validate.go: another node's password is checked against its Secret, this server's own locally."""
    node = request.headers.get("k3s-Node-Name", "").lower()
    password = request.headers.get("k3s-Node-Password", "")
    if not node or not password:
        return 400, "node name or password not set\n"
    if node == server.node and not server.is_ready:
        if not same(own_password(), password):
            return 403, "unable to verify local node password\n"
    else:
        try:
            ensure(server.admin, node, password)
        except WrongPasswordError as error:
            log("error", str(error))
            return 403, f"{error}\n"
        except (RequestError, UnreachableError) as error:
            return 503, f"{error}\n"
    addresses = request.headers.get("k3s-Node-IP", "").split(",")
    if purpose == "client":
        subject, usage, signer, names = f"/O=system:nodes/CN=system:node:{node}", "clientAuth", "client-ca", []
    else:
        subject, usage, signer, names = (
            f"/CN={node}",
            "serverAuth",
            "server-ca",
            [node, "localhost", "127.0.0.1", *addresses],
        )
    certificate, key = sign_for(server.paths, signer, subject, usage, names)
    return 200, json.dumps(
        {"certificate": base64.b64encode(certificate).decode(), "key": base64.b64encode(key).decode()}
    )


def version(request: Request) -> Reply:
    """As K3s would say it: the API server behind is always the one version that the lab builds."""
    if request.certificate_user() is None:
        return 401, UNAUTHORIZED
    minor = str(minor_of(VERSION))
    return 200, json.dumps({"major": "1", "minor": minor, "gitVersion": VERSION, "platform": f"linux/{ARCH}"})


def encryption_status(server: "Server") -> Reply:
    """pkg/server/handlers/secrets-encrypt.go, EncryptionState: of its fields the one that says whether it is on."""
    is_on = (server.paths.home / bootstrap.ENCRYPTION).exists()
    return 200, json.dumps({"enable": is_on})


def rotate_token(server: "Server", request: Request) -> Reply:
    """pkg/server/token.go, tokenRotate: passwords, token files and bootstrap data get the new one."""
    wanted = str(json.loads(request.body or b"{}").get("newToken") or random_secret())
    try:
        new = parse_token(wanted).password
    except TokenError as error:
        return 400, f"{error}\n"
    passwords = server.passwords.read()
    old = passwords["server"]
    if same(passwords["node"], old):
        passwords["node"] = new
    passwords["server"] = new
    write(server.passwords.path, server.passwords.content(passwords), 0o600)
    write(server.paths.token, full_form("server", new, server.authority), 0o600)
    server.token = Token(new, "server")
    if trouble := bootstrap.rotate(server.etcd, server.paths, old, new):
        return 500, f"{trouble}\n"
    log("info", "Token rotated, restart k3s nodes with new token")
    return 200, ""
