"""Where an API server is and how it is spoken to: what a kubeconfig says, never on a disk of ours."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from fleet.errors import UnavailableError
from fleet.formats import FormatError
from fleet.formats.yaml import parse


class Endpoint(msgspec.Struct, frozen=True):
    """`url` without a path. `authority` is PEM of who signs the server's certificate. A client shows a certificate with its
    key, both PEM, or a token.
    """

    url: str
    authority: bytes
    certificate: bytes = b""
    key: bytes = b""
    token: str = ""

    def __repr__(self) -> str:
        """Without what is secret: a traceback may show it."""
        return f"Endpoint({self.url!r})"


class Access(Protocol):
    """Opened when the first call is made, closed when the cluster is left; both may come again."""

    @property
    def server(self) -> str:
        """How messages call the server that is asked."""
        ...

    def open(self) -> Endpoint: ...

    def is_open(self) -> bool:
        """Whether what `open` gave can still be used, as far as is known here."""
        ...

    def close(self) -> None: ...


class DirectAccess:
    """Fills `Access` where the API server's port can be reached. `kubeconfig` is asked for at each opening."""

    def __init__(self, server: str, kubeconfig: Callable[[], bytes], url: str = "") -> None:
        """`url` stands above the one in the kubeconfig, which on a K3s server is https://127.0.0.1:6443."""
        self.server = server
        self._kubeconfig = kubeconfig
        self._url = url
        self._is_open = False

    def open(self) -> Endpoint:
        endpoint = read_kubeconfig(self._kubeconfig(), self.server)
        self._is_open = True
        return msgspec.structs.replace(endpoint, url=self._url.rstrip("/")) if self._url else endpoint

    def is_open(self) -> bool:
        return self._is_open

    def close(self) -> None:
        self._is_open = False


def read_kubeconfig(text: bytes, server: str) -> Endpoint:
    """The current context of a kubeconfig whose certificates are in it, as K3s writes it. Raises UnavailableError, which
    shows nothing of the text.
    """
    try:
        (config,) = parse(text)
        context = _named(config, "contexts", "context", config["current-context"])
        cluster = _named(config, "clusters", "cluster", context["cluster"])
        user = _named(config, "users", "user", context["user"])
        return Endpoint(
            url=str(cluster["server"]).rstrip("/"),
            authority=_decoded(cluster, "certificate-authority-data"),
            certificate=_decoded(user, "client-certificate-data", optional="token" in user),
            key=_decoded(user, "client-key-data", optional="token" in user),
            token=str(user.get("token", "")),
        )
    except KeyError as error:
        raise UnavailableError(f"the kubeconfig of {server} has no {error.args[0]}") from None
    except (ValueError, TypeError, AttributeError, FormatError, binascii.Error):
        raise UnavailableError(f"the kubeconfig of {server} is not one", "is K3s running there?") from None


def _named(config: dict[str, Any], group: str, kind: str, name: str) -> dict[str, Any]:
    for each in config[group]:
        if each["name"] == name:
            found: dict[str, Any] = each[kind]
            return found
    raise KeyError(f"{kind} {name!r}")


def _decoded(values: dict[str, Any], key: str, *, optional: bool = False) -> bytes:
    if optional and key not in values:
        return b""
    return base64.b64decode(values[key], validate=True)
