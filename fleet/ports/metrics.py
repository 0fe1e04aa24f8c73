"""A server of metrics, asked for one number."""

from __future__ import annotations

from typing import Protocol

from fleet.model.inquiry import Sample


class Metrics(Protocol):
    def value(self, url: str, query: str, seconds: float) -> Sample:
        """The one number that `query` gives now, after `seconds` at the latest. Raises nothing for what goes wrong there."""
        ...
