"""The node-password rule: a name belongs to whoever first came with a password (pkg/nodepassword).

The password's hash is in the Secret `<node>.node-password.k3s` of kube-system. A reinstalled node has another
password and is turned away, until the Secret is gone. It belongs to the Node and goes with it; one whose Node never
came goes after ten minutes (controller.go; k3s-io/k3s pull 13095, in v1.34.2+k3s1 and everything later).
"""

import base64
import hashlib
import os
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

from .client import Client, RequestError
from .output import write
from .paths import NODE_PASSWORD
from .tokens import random_secret, same

SECRETS = "/api/v1/namespaces/kube-system/secrets"
KIND = "k3s.cattle.io/node-password"
ORPHAN = timedelta(minutes=10)
# pkg/authenticator/hash/scrypt.go
N, R, P, LENGTH = 1 << 15, 8, 1, 64


class WrongPasswordError(Exception):
    """The Secret has the hash of another one."""


def own_password() -> str:
    """This node's, made at its first start."""
    if not NODE_PASSWORD.exists():
        write(NODE_PASSWORD, f"{random_secret()}\n", 0o600)
    return NODE_PASSWORD.read_text().strip()


def make_hash(password: str, salt: bytes) -> str:
    digest = hashlib.scrypt(password.encode(), salt=salt, n=N, r=R, p=P, dklen=LENGTH, maxmem=64 << 20)
    return f"$1:{salt.hex()}:15:{R}:{P}:{base64.b64encode(digest).decode().rstrip('=')}"


def is_of(text: str, password: str) -> bool:
    parts = text.split(":")
    return len(parts) == 6 and same(make_hash(password, bytes.fromhex(parts[1])), text)


def look_after(api: Client, nodes: list[dict[str, Any]]) -> None:
    """Give each Secret its Node as owner, and take away those whose Node is gone: no garbage collector runs here."""
    uids = {f"{node['metadata']['name']}.node-password.k3s": node["metadata"] for node in nodes}
    for secret in api.get(f"{SECRETS}?fieldSelector=type%3D{quote(KIND, safe='')}")["items"]:
        meta = secret["metadata"]
        owners = {owner["uid"] for owner in meta.get("ownerReferences", [])}
        node = uids.get(meta["name"])
        made = datetime.fromisoformat(meta["creationTimestamp"])
        if node is None and not owners and datetime.now(timezone.utc) - made < ORPHAN:  # noqa: UP017
            continue
        if node is None or (owners and node["uid"] not in owners):
            api.request("DELETE", f"{SECRETS}/{meta['name']}", {"preconditions": {"uid": meta["uid"]}})
        elif not owners:
            owner = {"apiVersion": "v1", "kind": "Node", "name": node["name"], "uid": node["uid"]}
            api.merge(f"{SECRETS}/{meta['name']}", {"metadata": {"ownerReferences": [owner]}})


def ensure(api: Client, node: str, password: str) -> None:
    """Take the password for a new name; raise WrongPasswordError where the name has another one."""
    name = f"{node}.node-password.k3s".lower()
    kept: dict[str, Any] | None = api.find(f"{SECRETS}/{name}")
    if kept is not None:
        if not is_of(base64.b64decode(kept.get("data", {}).get("hash", "")).decode(), password):
            raise WrongPasswordError(f"unable to verify hash for node '{node}': hash does not match")
        return
    secret = {
        "metadata": {"name": name, "namespace": "kube-system"},
        "type": KIND,
        "immutable": True,
        "data": {"hash": base64.b64encode(make_hash(password, os.urandom(8)).encode()).decode()},
    }
    try:
        api.json("POST", SECRETS, secret)
    except RequestError as error:
        if error.status != 409:
            raise
        ensure(api, node, password)
