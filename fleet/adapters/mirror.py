"""HttpMirror: small texts from mirrors and channel servers, over https, http or out of a folder (`file:`).

Proxies are those of the environment (HTTPS_PROXY, NO_PROXY), certificates those of the system.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from fleet.errors import UnavailableError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager, Retry

_CONNECT_SECONDS = 10.0
_READ_SECONDS = 30.0
_MAX_REDIRECTS = 5
_RETRIES = 2
_BUSY = frozenset({429, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OK = 200
_CREDENTIALS = re.compile(r"^(\w+://)[^/?#]*@")


class HttpMirror:
    """Fills `ports.Mirror`. `root` is the folder that relative `file:` mirrors start from: the spec's own."""

    def __init__(self, root: Path, connect: float = _CONNECT_SECONDS, read: float = _READ_SECONDS) -> None:
        self._root = root
        self._connect = connect
        self._read = read
        self._pools: dict[str, PoolManager] = {}

    def fetch(self, url: str, limit: int) -> bytes:
        """At most `limit` bytes. Raises UnavailableError naming the URL (without a password) and the reason."""
        if _is_file(url):
            return _read_file(url, self._path(url), limit)
        response = self._ask("GET", url)
        try:
            data = _read_all(response, url, limit)
        finally:
            response.release_conn()
            response.close()
        return data

    def size(self, url: str) -> int:
        """Content length in bytes, 0 where it is not told."""
        if _is_file(url):
            return _stat_file(url, self._path(url)).st_size
        response = self._ask("HEAD", url)
        try:
            told = response.headers.get("Content-Length", "")
        finally:
            response.release_conn()
            response.close()
        return int(told) if told.isdecimal() else 0

    def _path(self, url: str) -> Path:
        path = url.partition(":")[2]
        return self._root / (path.removeprefix("//") if path.startswith("///") else path)

    def _ask(self, method: str, url: str) -> BaseHTTPResponse:
        """The answer 200, behind redirects. Ours, since one from https to http, or to a file, must not be followed."""
        current = url
        for _ in range(_MAX_REDIRECTS + 1):
            response = self._once(method, current)
            target = response.headers.get("Location", "") if response.status in _REDIRECTS else ""
            if response.status == _OK:
                return response
            response.release_conn()
            response.close()
            if not target:
                raise unavailable(current, f"HTTP {response.status} {response.reason or ''}".strip())
            current = _following(current, target)
        raise unavailable(url, f"more than {_MAX_REDIRECTS} redirects")

    def _once(self, method: str, url: str) -> BaseHTTPResponse:
        import urllib3
        from urllib3.exceptions import HTTPError, LocationValueError

        try:
            parts = urllib3.util.parse_url(url)
            if parts.scheme not in {"http", "https"} or not parts.host:
                raise unavailable(url, "expected https://HOST/..., http://HOST/... or file:FOLDER")
            headers = {"User-Agent": "edgefleet", "Accept-Encoding": "identity"}
            if parts.auth:
                headers |= urllib3.util.make_headers(basic_auth=unquote(parts.auth))
            return self._pool(parts.scheme, parts.host).request(
                method,
                parts._replace(auth=None).url,
                headers=headers,
                redirect=False,
                preload_content=False,
                retries=_retries(),
                timeout=urllib3.Timeout(connect=self._connect, read=self._read),
            )
        except (HTTPError, LocationValueError) as error:
            raise unavailable(url, _reason(error)) from None

    def _pool(self, scheme: str, host: str) -> PoolManager:
        import urllib.request

        import urllib3

        proxy = "" if urllib.request.proxy_bypass(host) else urllib.request.getproxies().get(scheme, "")
        if proxy not in self._pools:
            self._pools[proxy] = urllib3.ProxyManager(proxy) if proxy else urllib3.PoolManager()
        return self._pools[proxy]


def _following(url: str, target: str) -> str:
    """Where a redirect leads. Raises UnavailableError where it must not be followed."""
    try:
        following = urljoin(url, target)
        scheme = urlsplit(following).scheme
    except ValueError:
        raise unavailable(url, "it redirects to what is no URL") from None
    if scheme not in ({"https"} if url.startswith("https:") else {"http", "https"}):
        raise unavailable(url, f"it redirects to {shown(following)}, which is not https")
    return following


def _retries() -> Retry:
    import urllib3

    return urllib3.Retry(
        total=_RETRIES,
        backoff_factor=0.5,
        status_forcelist=_BUSY,
        raise_on_status=False,
        respect_retry_after_header=False,  # an hour's wait is no answer to give a person
    )


def _read_all(response: BaseHTTPResponse, url: str, limit: int) -> bytes:
    from urllib3.exceptions import HTTPError

    data = bytearray()
    try:
        for chunk in response.stream(65536):
            data += chunk
            if len(data) > limit:
                raise too_large(url, limit)
    except HTTPError as error:
        raise unavailable(url, _reason(error)) from None
    return bytes(data)


def _is_file(url: str) -> bool:
    return url.startswith("file:")


def _stat_file(url: str, path: Path) -> os.stat_result:
    try:
        found = path.stat()
    except OSError as error:
        raise unavailable(url, f"{path}: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        raise unavailable(url, f"{path} is not a file")
    return found


def _read_file(url: str, path: Path, limit: int) -> bytes:
    if _stat_file(url, path).st_size > limit:
        raise too_large(url, limit)
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise unavailable(url, f"{path}: {error.strerror}") from None
    if len(data) > limit:
        raise too_large(url, limit)
    return data


def _reason(error: Exception) -> str:
    """The innermost words: urllib3 wraps them in its pools and retries."""
    inner = getattr(error, "reason", None)
    if isinstance(inner, Exception):
        return _reason(inner)
    words = str(inner or error)
    return words.rpartition(": ")[2] if words.startswith(("<", "HTTP")) and ": " in words else words


def shown(url: str) -> str:
    """A URL for people, without the user and password that it may hold."""
    return _CREDENTIALS.sub(r"\1", url)


def unavailable(url: str, reason: str) -> UnavailableError:
    return UnavailableError(f"{shown(url)}: {reason}", "is the mirror in spec.artifacts.mirrors right, and up?")


def too_large(url: str, limit: int) -> UnavailableError:
    return unavailable(url, f"expected at most {limit:,} bytes, found more")
