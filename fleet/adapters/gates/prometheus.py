"""PrometheusMetrics: the HTTP API of Prometheus, and of all that speaks it (Thanos, Mimir, VictoriaMetrics).

https://prometheus.io/docs/prometheus/latest/querying/api/: an instant query answers with a vector of samples or with a
scalar, whose values are texts, among them NaN and +Inf; errors come with 400, 422 or 503 and say their type.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlencode, urlsplit

import msgspec

from fleet.adapters.gates.exchange import Ask
from fleet.adapters.gates.web import HttpWeb
from fleet.model.inquiry import Sample, Trouble

ANSWER_BYTES = 1024 * 1024
_MAX_WORDS = 200
_IN_FRONT = frozenset({502, 503, 504})
"""What stands in front of Prometheus says so while nobody is behind it."""


class _Answer(msgspec.Struct, frozen=True):
    status: Literal["success", "error"]
    data: msgspec.Raw = msgspec.Raw(b"null")
    error_type: str = msgspec.field(default="", name="errorType")
    error: str = ""
    warnings: tuple[str, ...] | None = None


class _Data(msgspec.Struct, frozen=True):
    result_type: str = msgspec.field(name="resultType")
    result: msgspec.Raw = msgspec.Raw(b"null")


class _Series(msgspec.Struct, frozen=True):
    """`value` is absent where the sample is a native histogram."""

    value: tuple[float, str] | None = None


class PrometheusMetrics:
    """Fills `ports.Metrics`, by way of `web`, which also stops it."""

    def __init__(self, web: HttpWeb) -> None:
        self._web = web

    def value(self, url: str, query: str, seconds: float) -> Sample:
        reply = self._web.fetch(Ask(_query_url(url, query, seconds), seconds, ANSWER_BYTES))
        via = f" (by way of the proxy {reply.proxy})" if reply.proxy else ""
        if reply.trouble:
            return Sample(reason=f"{reply.reason}{via}", trouble=reply.trouble)
        if len(reply.body) > ANSWER_BYTES:
            return Sample(reason=f"its answer is larger than {ANSWER_BYTES // 1024} KiB: the query gives far too much")
        try:
            answer = msgspec.json.decode(reply.body, type=_Answer)
        except msgspec.DecodeError:
            trouble: Trouble = "unreachable" if reply.status in _IN_FRONT else ""
            return Sample(reason=f"{reply.status}, and what it answers is not Prometheus's JSON{via}", trouble=trouble)
        if answer.status == "error" or reply.status // 100 != 2:
            said = _words(f"{answer.error_type}: {answer.error}" if answer.error_type else answer.error)
            return Sample(reason=f"Prometheus says {reply.status}{said and f', {said}'}")
        return _sample(answer)


def _sample(answer: _Answer) -> Sample:
    warning = _words("; ".join(answer.warnings or ()))
    try:
        return msgspec.structs.replace(_of_data(answer.data), warning=warning)
    except msgspec.DecodeError:
        return Sample(reason="what it answers is not Prometheus's JSON", warning=warning)


def _of_data(raw: msgspec.Raw) -> Sample:
    """Raises DecodeError where it is not as Prometheus writes it."""
    data = msgspec.json.decode(raw, type=_Data)
    if data.result_type == "scalar":
        return _number(msgspec.json.decode(data.result, type=tuple[float, str])[1])
    if data.result_type != "vector":
        return Sample(reason=f"the query gives a {_words(data.result_type)}, not one number")
    series = msgspec.json.decode(data.result, type=list[_Series])
    if not series:
        return Sample(reason="the query gives nothing: no series matches it")
    if len(series) > 1:
        return Sample(reason=f"the query gives {len(series):,} series, not one: sum() them, or ask for less")
    if series[0].value is None:
        return Sample(reason="the query gives a histogram, not a number")
    return _number(series[0].value[1])


def _number(text: str) -> Sample:
    try:
        return Sample(float(text))
    except ValueError:
        return Sample(reason=f"the query gives `{_words(text)}`, which is no number")


def _query_url(url: str, query: str, seconds: float) -> str:
    """The server is told how long anybody waits. What the URL has itself, a path in front or a tenant, stays."""
    parts = urlsplit(url)
    asked = urlencode({"query": query, "timeout": f"{max(1, round(seconds * 1000))}ms"})
    joined = f"{parts.query}&{asked}" if parts.query else asked
    return parts._replace(path=f"{parts.path.rstrip('/')}/api/v1/query", query=joined, fragment="").geturl()


def _words(text: str) -> str:
    """On one line, and not too long of it."""
    line = " ".join(text.split())
    line = "".join(letter for letter in line if letter.isprintable())
    return line if len(line) <= _MAX_WORDS else f"{line[: _MAX_WORDS - 1]}…"
