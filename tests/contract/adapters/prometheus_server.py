"""Speaks the query API of Prometheus (https://prometheus.io/docs/prometheus/latest/querying/api/) as its pages describe it.

`GET|POST /api/v1/query?query=…&timeout=…` answers `{"status": "success", "data": {"resultType": …, "result": …}}`, with values
as texts; errors with 400 (bad_data), 422 (execution) or 503 (timeout) and `errorType` and `error`. What a query gives is told
by the test; there is no PromQL here.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

AT = 1_764_448_200.123
"""When every sample was taken."""


def vector(*values: str) -> dict[str, Any]:
    series = [{"metric": {"job": f"till-{at}"}, "value": [AT, value]} for at, value in enumerate(values)]
    return {"resultType": "vector", "result": series}


def scalar(value: str) -> dict[str, Any]:
    return {"resultType": "scalar", "result": [AT, value]}


def histogram() -> dict[str, Any]:
    sample = {"count": "60", "sum": "33000", "buckets": [[3, "-0.001", "0.001", "12"]]}
    return {"resultType": "vector", "result": [{"metric": {"job": "till"}, "histogram": [AT, sample]}]}


def matrix() -> dict[str, Any]:
    return {"resultType": "matrix", "result": [{"metric": {"job": "till"}, "values": [[AT, "1"], [AT + 15, "1"]]}]}


def text(value: str) -> dict[str, Any]:
    return {"resultType": "string", "result": [AT, value]}


class PrometheusServer:
    """`data` is what a query gives, `errors` maps a query to status, errorType and error, `raw` to a body with its status;
    `warnings` come with every success. `asked` are the parameters of each call with its path.
    """

    def __init__(self) -> None:
        self.data: dict[str, dict[str, Any]] = {}
        self.errors: dict[str, tuple[int, str, str]] = {}
        self.raw: dict[str, tuple[int, bytes]] = {}
        self.warnings: list[str] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, query: str) -> tuple[int, bytes]:
        if query in self.raw:
            return self.raw[query]
        if query in self.errors:
            status, kind, words = self.errors[query]
            return status, json.dumps({"status": "error", "errorType": kind, "error": words}).encode()
        if query not in self.data:
            words = f'invalid parameter "query": 1:1: parse error: unexpected {query!r}'
            return 400, json.dumps({"status": "error", "errorType": "bad_data", "error": words}).encode()
        said: dict[str, Any] = {"status": "success", "data": self.data[query]}
        if self.warnings:
            said["warnings"] = self.warnings
        return 200, json.dumps(said).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                given = {name: values[0] for name, values in parse_qs(parts.query).items()}
                server.asked.append((parts.path, given))
                known = parts.path.endswith("/api/v1/query")
                status, body = server.answer(given.get("query", "")) if known else (404, b"404 page not found\n")
                self.send_response(status)
                self.send_header("Content-Type", "application/json" if known else "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        return Handler
