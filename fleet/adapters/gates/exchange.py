"""One question to a server that speaks HTTP, and its answer, with a deadline over all of it.

urllib3 counts time by each read of a socket: a server that sends a byte now and then keeps it waiting for ever. So each
question has a thread of its own, and who asked cuts its sockets when its time is over. A thread that hangs where there is
no socket yet (a name that does not resolve) is left behind.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import urllib.request
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

import msgspec

from fleet.adapters.gates.faults import FaultError, fault_of
from fleet.model.inquiry import Reply

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from urllib3 import BaseHTTPResponse, PoolManager

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK = 16_384
_AGENT = {"User-Agent": "edgefleet", "Accept-Encoding": "identity", "Connection": "close"}

_STOPPED = Reply(trouble="stopped", reason="it was stopped")


class Ask(msgspec.Struct, frozen=True):
    """At most `limit` bytes of the body are read; the rest is left."""

    url: str
    seconds: float
    limit: int
    follows: bool = True


class Exchange:
    """`reply` waits for the answer. `cut` may come from any thread."""

    def __init__(self, ask: Ask, trusted: ssl.SSLContext) -> None:
        self._ask = ask
        self._trusted = trusted
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._is_cut = False
        self._proxy = ""
        self._found: Reply | None = None

    def reply(self) -> Reply:
        from fleet.adapters.gates.pools import THREAD

        if self._is_cut:
            return _STOPPED
        threading.Thread(target=self._run, name=THREAD, daemon=True).start()
        is_ended = self._ended.wait(max(0.0, self._left()))
        is_stopped, found = self._is_cut, self._found
        self.cut()
        if is_stopped:
            return self._told(_STOPPED)
        if not is_ended or (found is not None and found.trouble and self._left() <= 0):
            return self._told(Reply(trouble="late", reason=f"no whole answer in {_short(self._ask.seconds)} s"))
        if found is None:
            raise RuntimeError("the thread of an exchange ended without an answer: its own words are on stderr")
        return self._told(found)

    def cut(self) -> None:
        """Ends it, where it has not ended yet."""
        with self._lock:
            self._is_cut = True
            held, self._sockets = self._sockets, []
        for each in held:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._ended.set()

    def _left(self) -> float:
        return self._began + self._ask.seconds - time.monotonic()

    def _told(self, reply: Reply) -> Reply:
        return msgspec.structs.replace(reply, seconds=time.monotonic() - self._began, proxy=self._proxy)

    def _run(self) -> None:
        try:
            self._found = self._answer()
        except FaultError as fault:
            self._found = Reply(trouble=fault.trouble, reason=fault.reason)
        finally:
            self._ended.set()

    def _answer(self) -> Reply:
        from http.client import HTTPException

        from urllib3.exceptions import HTTPError

        current = self._ask.url
        for _ in range(MAX_REDIRECTS + 1):
            try:
                response = self._once(current)
                with contextlib.closing(response):
                    target = response.headers.get("Location", "") if response.status in _REDIRECTS else ""
                    if not target or not self._ask.follows:
                        return Reply(response.status, body=self._body(response))
            except (HTTPError, HTTPException, OSError, ValueError) as error:
                raise fault_of(error) from None
            current = following(current, target)
        raise FaultError("redirect", f"more than {MAX_REDIRECTS} redirects")

    def _once(self, url: str) -> BaseHTTPResponse:
        import urllib3

        parts = urllib3.util.parse_url(url)
        if parts.scheme not in {"http", "https"} or not parts.host:
            raise FaultError("unusable", "the URL is neither http://HOST/... nor https://HOST/...")
        headers = dict(_AGENT)
        if parts.auth:
            headers |= urllib3.util.make_headers(basic_auth=unquote(parts.auth))
        left = max(0.001, self._left())
        return self._pools(parts.scheme, parts.host).request(
            "GET",
            parts._replace(auth=None).url,
            headers=headers,
            redirect=False,
            preload_content=False,
            retries=False,
            timeout=urllib3.Timeout(connect=left, read=left),
        )

    def _body(self, response: BaseHTTPResponse) -> bytes:
        data = bytearray()
        while len(data) <= self._ask.limit:
            if not (chunk := response.read(_CHUNK, decode_content=False)):
                break
            data += chunk
        return bytes(data)

    def _pools(self, scheme: str, host: str) -> PoolManager:
        """For this exchange alone: a connection that is used again would be none of ours to cut."""
        import urllib3

        from fleet.adapters.gates.pools import Plain, Tls

        proxy = "" if urllib.request.proxy_bypass(host) else urllib.request.getproxies().get(scheme, "")
        self._proxy = urllib3.util.parse_url(proxy).netloc or "" if proxy else ""
        more: dict[str, Any] = {"num_pools": 1, "ssl_context": self._trusted}
        pools = urllib3.ProxyManager(proxy, **more) if proxy else urllib3.PoolManager(**more)
        made: dict[str, Callable[..., Any]] = {
            "http": partial(Plain, taken=self._take), "https": partial(Tls, taken=self._take)
        }  # fmt: skip
        pools.pool_classes_by_scheme = made  # type: ignore[assignment]  # what it calls with host, port and the rest
        return pools

    def _take(self, connected: socket.socket) -> None:
        """A copy: TLS takes the connection out of the object that is seen here."""
        with self._lock:
            if self._is_cut:
                connected.close()
                raise TimeoutError("it was cut")
            self._sockets.append(connected.dup())


def _short(seconds: float) -> str:
    return f"{seconds:.1f}".removesuffix(".0")


def following(url: str, target: str) -> str:
    """Where a redirect leads. Raises FaultError where it is not followed: another host may say 200 to anything."""
    try:
        new = urljoin(url, target)
        before, after = urlsplit(url), urlsplit(new)
        host = after.hostname or ""
    except ValueError:
        raise FaultError("redirect", "it redirects to what is no URL") from None
    if after.scheme not in {"http", "https"} or not host:
        raise FaultError("redirect", "it redirects to what is neither http nor https")
    if before.scheme == "https" and after.scheme == "http":
        raise FaultError("redirect", "it redirects from https to http")
    if host != before.hostname:
        raise FaultError("redirect", f"it redirects to another host, {host}")
    if "@" not in after.netloc and "@" in before.netloc:  # the same host: the same user
        new = after._replace(netloc=f"{before.netloc.rpartition('@')[0]}@{after.netloc}").geturl()
    return new
