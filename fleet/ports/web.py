"""Servers that speak HTTP, asked once."""

from __future__ import annotations

from typing import Protocol

from fleet.model.inquiry import Reply


class Web(Protocol):
    """For any number of threads."""

    def get(self, url: str, seconds: float, *, follows: bool = True) -> Reply:
        """What the URL answers, after `seconds` at the latest, whatever the server does. Raises nothing for what goes wrong
        there. With `follows`, redirects are followed within a host, a few times, and never from https to http.
        """
        ...

    def stop_now(self) -> None:
        """What is being asked is given up, and nothing is asked any more."""
        ...
