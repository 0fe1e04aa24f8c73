"""The node-password rule: a name belongs to whoever first came with a password (pkg/nodepassword).

The password's hash is in the Secret `<node>.node-password.k3s` of kube-system. A reinstalled node has another
password and is turned away, until the Secret is gone.
"""

import base64
import hashlib
import os
from typing import Any

from .client import Client, RequestError
from .output import write
from .paths import NODE_PASSWORD
from .tokens import random_secret, same

SECRETS = "/api/v1/namespaces/kube-system/secrets"
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
        "immutable": True,
        "data": {"hash": base64.b64encode(make_hash(password, os.urandom(8)).encode()).decode()},
    }
    try:
        api.json("POST", SECRETS, secret)
    except RequestError as error:
        if error.status != 409:
            raise
        ensure(api, node, password)
