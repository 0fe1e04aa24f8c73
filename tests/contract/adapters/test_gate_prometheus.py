"""PrometheusMetrics against a server that speaks Prometheus's query API."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from fleet.adapters.gates import HttpWeb, PrometheusMetrics
from fleet.model.inquiry import Sample
from tests.contract.adapters.prometheus_server import PrometheusServer, histogram, matrix, scalar, text, vector
from tests.contract.adapters.web_server import WebServer

QUERY = 'sum(rate(http_requests_total{job="till",code=~"5.."}[5m])) / 2 + 1'


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server() -> Iterator[PrometheusServer]:
    with PrometheusServer() as running:
        yield running


@pytest.fixture
def metrics() -> PrometheusMetrics:
    return PrometheusMetrics(HttpWeb())


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (scalar("0.004"), 0.004),
        (vector("12"), 12.0),
        (vector("1e-05"), 1e-05),
        (vector("+Inf"), math.inf),
        (scalar("-Inf"), -math.inf),
    ],
)
def test_one_number(server: PrometheusServer, metrics: PrometheusMetrics, data: dict[str, Any], value: float) -> None:
    server.data[QUERY] = data
    assert metrics.value(server.url, QUERY, 5) == Sample(value)
    assert server.asked == [("/api/v1/query", {"query": QUERY, "timeout": "5000ms"})]


def test_nan_is_a_value(server: PrometheusServer, metrics: PrometheusMetrics) -> None:
    server.data[QUERY] = vector("NaN")
    found = metrics.value(server.url, QUERY, 5).value
    assert found is not None
    assert math.isnan(found)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (vector(), "the query gives nothing: no series matches it"),
        (vector("1", "2", "3"), "the query gives 3 series, not one: sum() them, or ask for less"),
        (histogram(), "the query gives a histogram, not a number"),
        (matrix(), "the query gives a matrix, not one number"),
        (text("hello"), "the query gives a string, not one number"),
        (vector("twelve"), "the query gives `twelve`, which is no number"),
        ({"resultType": "vector", "result": {"value": 1}}, "what it answers is not Prometheus's JSON"),
        ({"resultType": "scalar", "result": [1, 2, 3]}, "what it answers is not Prometheus's JSON"),
        ({"result": []}, "what it answers is not Prometheus's JSON"),
    ],
)
def test_what_is_not_one_number(
    server: PrometheusServer, metrics: PrometheusMetrics, data: dict[str, Any], reason: str
) -> None:
    server.data[QUERY] = data
    assert metrics.value(server.url, QUERY, 5) == Sample(reason=reason)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            (400, "bad_data", 'invalid parameter "query": 1:5: parse error:\n unexpected end of input'),
            'Prometheus says 400, bad_data: invalid parameter "query": 1:5: parse error: unexpected end of input',
        ),
        ((422, "execution", "many-to-many matching"), "Prometheus says 422, execution: many-to-many matching"),
        ((503, "timeout", "query timed out"), "Prometheus says 503, timeout: query timed out"),
        ((500, "internal", "x" * 500), f"Prometheus says 500, internal: {'x' * 189}…"),
    ],
)
def test_an_error_is_told(
    server: PrometheusServer, metrics: PrometheusMetrics, error: tuple[int, str, str], reason: str
) -> None:
    server.errors[QUERY] = error
    assert metrics.value(server.url, QUERY, 5) == Sample(reason=reason)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ((200, b"<html>log in</html>"), "200, and what it answers is not Prometheus's JSON"),
        ((200, b""), "200, and what it answers is not Prometheus's JSON"),
        ((500, b"oh no"), "500, and what it answers is not Prometheus's JSON"),
        ((200, b'{"status": "fine"}'), "200, and what it answers is not Prometheus's JSON"),
        ((200, b'{"status": "success"}'), "what it answers is not Prometheus's JSON"),
        ((200, b'{"status": "success", "data": null}'), "what it answers is not Prometheus's JSON"),
        ((500, b'{"status": "success", "data": {}}'), "Prometheus says 500"),
        ((200, b'{"status": "success", "x": "' + b"x" * 2_000_000), "its answer is larger than 1024 KiB: the query gives far too much"),
    ],
)  # fmt: skip
def test_what_is_not_prometheus(
    server: PrometheusServer, metrics: PrometheusMetrics, raw: tuple[int, bytes], reason: str
) -> None:
    server.raw[QUERY] = raw
    assert metrics.value(server.url, QUERY, 5) == Sample(reason=reason)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_prometheus_behind_a_proxy_that_is_away(
    server: PrometheusServer, metrics: PrometheusMetrics, status: int
) -> None:
    server.raw[QUERY] = (status, b"<h1>nobody behind me</h1>")
    reason = f"{status}, and what it answers is not Prometheus's JSON"
    assert metrics.value(server.url, QUERY, 5) == Sample(reason=reason, trouble="unreachable")


def test_warnings_come_along(server: PrometheusServer, metrics: PrometheusMetrics) -> None:
    """Thanos says so that a store did not answer."""
    server.data["up"], server.warnings = vector("1"), ["store eu-1:\nno answer", "second"]
    assert metrics.value(server.url, "up", 5) == Sample(1.0, warning="store eu-1: no answer; second")


def test_a_path_in_front_and_a_tenant_stay(server: PrometheusServer, metrics: PrometheusMetrics) -> None:
    server.data["up"] = vector("1")
    assert metrics.value(f"{server.url}/select/0/prometheus/?tenant=acme&token=t0ps3cret", "up", 0.25).value == 1
    assert server.asked == [
        (
            "/select/0/prometheus/api/v1/query",
            {"tenant": "acme", "token": "t0ps3cret", "query": "up", "timeout": "250ms"},
        )
    ]


def test_a_long_query_fits(server: PrometheusServer, metrics: PrometheusMetrics) -> None:
    query = " + ".join(f'sum(rate(http_requests_total{{job="till-{at}"}}[5m]))' for at in range(100))
    server.data[query] = vector("3")
    assert metrics.value(server.url, query, 5) == Sample(3.0)


def test_where_nobody_is(metrics: PrometheusMetrics) -> None:
    with PrometheusServer() as gone:
        url = gone.url
    found = metrics.value(url, "up", 5)
    assert (found.value, found.trouble, found.reason) == (None, "unreachable", "connection refused")


def test_one_that_drips_is_left(metrics: PrometheusMetrics) -> None:
    with WebServer() as server:
        found = metrics.value(f"{server.url}/drip", "up", 0.5)
    assert (found.value, found.trouble, found.reason) == (None, "late", "no whole answer in 0.5 s")
