"""Hosts that come and go, as these tests need them: records of nodes, and a repository that remembers what is written."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence

from fleet.model.problem import Problem
from fleet.model.record import Record
from fleet.model.secret import LockedSecret
from fleet.model.tree import Revision, Tree
from fleet.testing import MemorySecrets
from tests.specs import document
from tests.unit.render.ground import COMMIT

PLAIN = document("Fleet", "acme", "")
LYON = document(
    "Site",
    "lyon",
    """
    nodes:
      - {name: a, role: none, address: 10.0.0.1}
      - {name: b, role: none, address: 10.0.0.2}
      - {name: c, role: none, address: 10.0.0.3}
    """,
)
ED = "AAAAC3NzaC1lZDI1NTE5AAAAIJ2WQ0eXN2X5Q5c9u0eJt3mO3Q0e9j8oQm7wU0F1b2c3"
OTHER = "AAAAC3NzaC1lZDI1NTE5AAAAIJ2WQ0eXN2X5Q5c9u0eJt3mO3Q0e9j8oQm7wU0F1b2c4"


def held(node: str, digest: str = "b1:aa", commit: str = COMMIT, **more: object) -> Record:
    return Record(node, "acme", f"machine of {node}", digest, commit=commit, **more)  # type: ignore[arg-type]


class EverySecret(MemorySecrets):
    """Holds whatever secrets.lock lists, with the value that it lists."""

    def read(self, file: str) -> Mapping[str, str]:
        self.opened.append(file)
        return defaultdict(lambda: "t0k3n")

    def problems(self, wanted: Mapping[str, LockedSecret]) -> Sequence[Problem]:
        self.opened += sorted({secret.file for secret in wanted.values()})
        return ()


def secrets_lock(*names: str) -> dict[str, str]:
    listed = {name: {"file": "secrets/lyon.yaml", "version": 1, "fingerprint": "f" * 64} for name in names}
    return {"secrets/secrets.lock": json.dumps({"format": "fleet.secrets/v1", "secrets": listed})}


class Repository:
    """A Source that is only written to; `written` are the calls, in order."""

    def __init__(self) -> None:
        self.written: list[tuple[str, str, str]] = []

    def read(self, revision: str = "") -> Tree:
        raise LookupError(revision)

    def head(self) -> Revision:
        return Revision(COMMIT, "main")

    def write(self, path: str, data: bytes, message: str) -> str:
        self.written.append((path, data.decode(errors="surrogateescape"), message))
        return "c0ffee" if message else ""
