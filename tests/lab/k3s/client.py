"""HTTPS to a supervisor and to the API server: urllib with K3s's authorities, client certificates and passwords."""

import base64
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from .release import ARCH, VERSION

SECONDS = 10


class RequestError(Exception):
    """The other side said no: `status` and its words."""

    def __init__(self, status: int, body: str, url: str) -> None:
        self.status = status
        self.body = body
        self.reason = _reason(body)
        super().__init__(f"{url}: {status} {self.reason}")


class UnreachableError(Exception):
    """Nobody answered, or not as they should have."""


def _reason(body: str) -> str:
    try:
        document = json.loads(body)
    except ValueError:
        return body.strip()
    return str(document.get("message", body)) if isinstance(document, dict) else body.strip()


class Client:
    """One server, and how to come in there."""

    def __init__(
        self,
        url: str,
        *,
        authority: str | None = None,
        certificate: tuple[Path, Path] | None = None,
        user: tuple[str, str] | None = None,
        program: str = "k3s",
    ) -> None:
        """`authority` is PEM text, None for no check at all; `user` is name and password.

        `program` is who the API server notes as the manager of what is written: client-go takes the file's name.
        """
        self.url = url.rstrip("/")
        if authority is None:
            self._context = ssl._create_unverified_context()
        else:
            self._context = ssl.create_default_context(cadata=authority)
        if certificate:
            self._context.load_cert_chain(*map(str, certificate))
        self._headers = {"User-Agent": f"{program}/{VERSION} (linux/{ARCH}) kubernetes/standin"}
        if user:
            self._headers["Authorization"] = "Basic " + base64.b64encode(":".join(user).encode()).decode()
        # No proxy of the environment: pods and nodes talk to each other.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._context)
        )

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
        seconds: float = SECONDS,
    ) -> str:
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data=data, method=method)
        for name, value in {**self._headers, **(headers or {})}.items():
            request.add_header(name, value)
        if data is not None:
            request.add_header("Content-Type", kind)
        try:
            with self._opener.open(request, timeout=seconds) as answer:
                text: str = answer.read().decode()
                return text
        except urllib.error.HTTPError as error:
            raise RequestError(error.code, error.read().decode(errors="replace"), self.url + path) from None
        except (OSError, ValueError) as error:
            raise UnreachableError(str(getattr(error, "reason", error))) from None

    def json(self, method: str, path: str, body: object = None, **options: Any) -> Any:
        return json.loads(self.request(method, path, body, **options))

    def get(self, path: str) -> Any:
        return self.json("GET", path)

    def find(self, path: str) -> Any:
        """An object, or None where there is none."""
        try:
            return self.get(path)
        except RequestError as error:
            if error.status == 404:
                return None
            raise

    def merge(self, path: str, body: object) -> Any:
        return self.json("PATCH", path, body, kind="application/merge-patch+json")

    def strategic(self, path: str, body: object) -> Any:
        return self.json("PATCH", path, body, kind="application/strategic-merge-patch+json")
