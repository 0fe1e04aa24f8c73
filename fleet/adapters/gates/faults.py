"""What went wrong on the way to a server, in words that hold nothing of the URL but its host."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from http.client import HTTPException

from fleet.model.inquiry import Trouble

_TUNNEL = "Tunnel connection failed: "  # http.client's words
_MAX_WORDS = 100


class FaultError(Exception):
    """There is no whole answer."""

    def __init__(self, trouble: Trouble, reason: str) -> None:
        super().__init__(reason)
        self.trouble: Trouble = trouble
        self.reason = reason


def fault_of(error: Exception) -> FaultError:
    """urllib3 wraps what happened in what it was doing, and writes addresses and paths into it: the inner one is told."""
    from urllib3 import exceptions

    chain = list(_chain(error))
    via = "the proxy: " if any(isinstance(one, exceptions.ProxyError) for one in chain) else ""
    for one in reversed(chain):
        if isinstance(one, ssl.SSLCertVerificationError):
            return FaultError("untrusted", f"{via}its certificate is not trusted: {one.verify_message}")
    if any(isinstance(one, exceptions.NameResolutionError) for one in chain):
        return FaultError("unresolved", f"{via}its name does not resolve")
    refused = any(isinstance(one, exceptions.NewConnectionError) for one in chain)  # which is a TimeoutError there, too
    is_late = any(isinstance(one, exceptions.TimeoutError) for one in chain) and not refused
    if is_late or any(isinstance(one, TimeoutError) for one in chain):
        return FaultError("late", f"{via}no answer in time")
    if any(isinstance(one, exceptions.LocationValueError) for one in chain):
        return FaultError("unusable", "the URL cannot be used")
    return _of_connection(chain, via)


def _of_connection(chain: list[BaseException], via: str) -> FaultError:
    for one in reversed(chain):
        if isinstance(one, ssl.SSLError):
            return FaultError(
                "broken", f"{via}TLS failed: {(one.reason or 'no reason given').lower().replace('_', ' ')}"
            )
        if isinstance(one, OSError) and one.strerror and type(one).__module__ == "builtins":
            return FaultError("unreachable", f"{via}{one.strerror[0].lower()}{one.strerror[1:]}")
        if isinstance(one, OSError) and str(one).startswith(_TUNNEL):
            return FaultError("broken", f"{via}it makes no tunnel: {str(one).removeprefix(_TUNNEL)[:_MAX_WORDS]}")
    kinds = {type(one).__name__ for one in chain}
    if "RemoteDisconnected" in kinds:
        return FaultError("unreachable", f"{via}it hung up without an answer")
    if "IncompleteRead" in kinds:
        return FaultError("broken", f"{via}its answer is cut off")
    is_http = not any(isinstance(one, HTTPException) for one in chain)
    words = f"what it answers cannot be read ({type(chain[0]).__name__})" if is_http else "what it answers is no HTTP"
    return FaultError("broken", f"{via}{words}")


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        waiting += [each for each in inner if isinstance(each, BaseException)]
