"""`k3s token rotate` (docs/cli/token.md, pkg/cli/token/token.go). The bootstrap tokens of kubeadm are not here."""

import os
import time

from .client import Client, RequestError, UnreachableError
from .joining import JoinError, authority_of
from .output import fatal
from .paths import DATA, ServerPaths
from .tokens import checked_token

WARNING = (
    "\033[33mWARNING\033[0m: Recommended to keep a record of the old token. If restoring from a snapshot, you must use "
    "the token associated with that snapshot."
)
FLAGS = {"data-dir", "kubeconfig", "server", "token", "new-token", "d", "s", "t"}


def token_command(arguments: list[str]) -> None:
    if not arguments or arguments[0] != "rotate":
        fatal("Error: the stand-in knows `k3s token rotate` only")
    given = {"server": os.environ.get("K3S_URL", "https://127.0.0.1:6443"), "token": os.environ.get("K3S_TOKEN", "")}
    rest = list(arguments[1:])
    while rest:
        name, found, value = rest.pop(0).lstrip("-").partition("=")
        if name not in FLAGS:
            fatal(f"Error: flag provided but not defined: -{name}")
        given[{"d": "data-dir", "s": "server", "t": "token"}.get(name, name)] = value if found else rest.pop(0)
    kept = ServerPaths(given.get("data-dir", DATA)).token
    text = given["token"] or (kept.read_text().strip() if kept.exists() else "")
    print(WARNING, flush=True)
    rotate(given["server"], text, given.get("new-token", ""))
    time.sleep(1)
    print("Token rotated, restart k3s nodes with new token")


def rotate(url: str, text: str, new: str) -> None:
    token = checked_token(text)
    try:
        authority = authority_of(url, token)
        client = Client(url, authority=authority, user=("server", token.password))
        client.request("PUT", "/v1-k3s/token", {"newToken": new})
    except RequestError as error:
        fatal(f"Error: {url}/v1-k3s/token: {error.status} {error.reason}")
    except (JoinError, UnreachableError) as error:
        fatal(f"Error: {error}")
