"""What `--json` prints: one document, or one line an event, each with the stable name of its format.

Fields are only ever added under one name; what would be read wrongly gets a new one (`fleet.status/v2`).
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import msgspec

from fleet.errors import UsageError
from fleet.model.event import Event
from fleet.model.problem import Problem
from fleet.model.project import FolderReport
from fleet.model.rollout import RolloutSummary
from fleet.model.status import NodeDetail, NodeRow, Status
from fleet.report import PlanReport

DRAFT = "https://json-schema.org/draft/2020-12/schema"


class Validated(msgspec.Struct, frozen=True, kw_only=True):
    """What `fleet validate --json` prints. Where `is_valid` is false, `problems` holds errors, and counts are 0."""

    is_valid: bool
    fleet: str = ""
    documents: int = 0
    others: int = 0
    sites: int = 0
    nodes: int = 0
    clusters: int = 0
    unlocked: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


class NodeList(msgspec.Struct, frozen=True):
    nodes: tuple[NodeRow, ...]


class RolloutList(msgspec.Struct, frozen=True):
    rollouts: tuple[RolloutSummary, ...]


class Output(msgspec.Struct, frozen=True):
    """`format` leads the document, as its field `format`; `type` is what the rest of it is made from."""

    format: str
    type: Any
    description: str

    def document(self, value: Any) -> str:
        return msgspec.json.format(self._encoded(value), indent=2).decode() + "\n"

    def line(self, value: Any) -> str:
        return self._encoded(value).decode() + "\n"

    def _encoded(self, value: Any) -> bytes:
        return msgspec.json.encode({"format": self.format, **msgspec.to_builtins(value)})

    def json_schema(self) -> dict[str, Any]:
        """Draft 2020-12: the schema of the type, with `format` as a constant in each object that may lead."""
        (schema,), parts = msgspec.json.schema_components([self.type], ref_template="#/$defs/{name}")
        for leading in schema.get("anyOf", [schema]):
            part = parts[leading["$ref"].rsplit("/", 1)[1]]
            part["properties"] = {**part["properties"], "format": {"const": self.format}}
            part["required"] = sorted({"format", *part.get("required", [])})
        return {"$schema": DRAFT, "title": self.format, "description": self.description, **schema, "$defs": parts}


PLAN = Output("fleet.plan-report/v1", PlanReport, "What `fleet plan --json` prints.")
EVENT = Output("fleet.event/v1", Event, "One line of `fleet apply --json`, `rollout show --json` or `resume --json`.")
STATUS = Output("fleet.status/v1", Status, "What `fleet status --json` prints.")
VALIDATION = Output("fleet.validation/v1", Validated, "What `fleet validate --json` prints.")
NODES = Output("fleet.nodes/v1", NodeList, "What `fleet node list --json` prints.")
NODE = Output("fleet.node/v1", NodeDetail, "What `fleet node show --json` prints.")
ROLLOUTS = Output("fleet.rollouts/v1", RolloutList, "What `fleet rollout list --json` prints.")
RENDER = Output("fleet.render/v1", FolderReport, "What `fleet render --json` prints.")

OUTPUTS = {
    "plan": PLAN,
    "event": EVENT,
    "status": STATUS,
    "validation": VALIDATION,
    "nodes": NODES,
    "node": NODE,
    "rollouts": ROLLOUTS,
    "render": RENDER,
}


def output_named(name: str) -> Output:
    """Raises UsageError for a name that no verb prints."""
    if name not in OUTPUTS:
        close = get_close_matches(name, OUTPUTS, n=1)
        mend = f"did you mean `{close[0]}`?" if close else f"there are {', '.join(OUTPUTS)}"
        raise UsageError(f"no verb prints `{name}`", mend)
    return OUTPUTS[name]
