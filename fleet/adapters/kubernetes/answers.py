"""What an API server answers when it does not simply do it, and how that is said in one line."""

from __future__ import annotations

import re
from typing import Final

import msgspec

_BUDGET: Final = re.compile(r"The disruption budget (\S+) ")
_LONGEST = 300


class Cause(msgspec.Struct, frozen=True):
    reason: str = ""
    message: str = ""
    field: str = ""


class Details(msgspec.Struct, frozen=True, rename="camel"):
    causes: tuple[Cause, ...] = ()
    retry_after_seconds: int = 0


class Status(msgspec.Struct, frozen=True):
    """Kubernetes' own Status, as far as it is used here."""

    message: str = ""
    reason: str = ""
    details: Details | None = None

    @property
    def causes(self) -> tuple[Cause, ...]:
        return self.details.causes if self.details else ()


class Answer(msgspec.Struct, frozen=True):
    """`retry_after` is in seconds, 0 where the server says nothing."""

    code: int
    body: bytes
    retry_after: float = 0.0

    @property
    def is_good(self) -> bool:
        return 200 <= self.code < 300

    @property
    def status(self) -> Status:
        """Of an answer that is not good. What is no Status (a proxy's page) has its first line for a message."""
        try:
            return msgspec.json.decode(self.body, type=Status)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Status(one_line(self.body.decode("utf-8", errors="replace")))

    @property
    def words(self) -> str:
        """`409 Conflict: the object has been modified`"""
        status = self.status
        said = " ".join(part for part in (str(self.code), status.reason) if part)
        return f"{said}: {one_line(status.message)}" if status.message else said

    @property
    def budget(self) -> str:
        """The PodDisruptionBudget that does not grant an eviction, empty where it is something else."""
        for cause in self.status.causes:
            if cause.reason == "DisruptionBudget":
                found = _BUDGET.match(cause.message)
                return found[1] if found else "(not named)"
        return ""

    @property
    def cause(self) -> str:
        """The first cause's words, else the message."""
        status = self.status
        return one_line(next((cause.message for cause in status.causes if cause.message), status.message))


def one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]
