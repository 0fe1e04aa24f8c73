"""What `--json` prints: one document, or one line an event, each with the stable name of its format.

Fields are only ever added under one name; what would be read wrongly gets a new one (`fleet.status/v2`).
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Any

import msgspec

from fleet.errors import UsageError
from fleet.model.diagnosis import Diagnosis
from fleet.model.host_key import TrustRow
from fleet.model.problem import Problem
from fleet.model.secret import SecretRow
from fleet.model.status import NodeRow, RolloutRow

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


class KeyList(msgspec.Struct, frozen=True):
    """`commit` pinned the new ones, empty where nothing was pinned."""

    keys: tuple[TrustRow, ...]
    commit: str = ""


class SecretList(msgspec.Struct, frozen=True):
    secrets: tuple[SecretRow, ...]


class DoctorReport(msgspec.Struct, frozen=True):
    diagnoses: tuple[Diagnosis, ...]


class RolloutList(msgspec.Struct, frozen=True):
    rollouts: tuple[RolloutRow, ...]


class Output(msgspec.Struct, frozen=True):
    """`format` leads the document, as its field `format`. `source` names the type of the rest, as MODULE:NAME: it is
    needed for the schema only, and some of them load half of the program.
    """

    format: str
    source: str
    description: str

    def document(self, value: Any) -> str:
        return msgspec.json.format(self._encoded(value), indent=2).decode() + "\n"

    def line(self, value: Any) -> str:
        return self._encoded(value).decode() + "\n"

    def _encoded(self, value: Any) -> bytes:
        return msgspec.json.encode({"format": self.format, **msgspec.to_builtins(value)})

    def _type(self) -> Any:
        module, name = self.source.split(":")
        return getattr(import_module(module), name)

    def json_schema(self) -> dict[str, Any]:
        """Draft 2020-12: the schema of the type, with `format` as a constant in each object that may lead."""
        (schema,), parts = msgspec.json.schema_components([self._type()], ref_template="#/$defs/{name}")
        for leading in schema.get("anyOf", [schema]):
            part = parts[leading["$ref"].rsplit("/", 1)[1]]
            part["properties"] = {**part["properties"], "format": {"const": self.format}}
            part["required"] = sorted({"format", *part.get("required", [])})
        return {"$schema": DRAFT, "title": self.format, "description": self.description, **schema, "$defs": parts}


OUTPUTS = {
    "plan": Output("fleet.plan-report/v1", "fleet.report:PlanReport", "What `fleet plan --json` prints."),
    "certificates": Output(
        "fleet.certificates/v1", "fleet.model.status:Certificates", "What `fleet status --certificates --json` prints."
    ),
    "offline": Output("fleet.offline/v1", "fleet.model.status:Offline", "What `fleet status --offline --json` prints."),
    "status": Output("fleet.status/v1", "fleet.model.status:Status", "What `fleet status --json` prints."),
    "event": Output(
        "fleet.event/v1",
        "fleet.model.event:Event",
        "A line of `fleet apply --json`, and of `rollout show`, `watch` and `resume`.",
    ),
    "validation": Output(
        "fleet.validation/v1", "fleet.cli.documents:Validated", "What `fleet validate --json` prints."
    ),
    "nodes": Output("fleet.nodes/v1", "fleet.cli.documents:NodeList", "What `fleet node list --json` prints."),
    "node": Output("fleet.node/v1", "fleet.model.status:NodeDetail", "What `fleet node show --json` prints."),
    "node-log": Output("fleet.node-log/v1", "fleet.model.node_log:NodeLog", "What `fleet node log --json` prints."),
    "results": Output(
        "fleet.results/v1", "fleet.model.node_result:NodeResults", "What `fleet rollout show --nodes --json` prints."
    ),
    "keys": Output("fleet.keys/v1", "fleet.cli.documents:KeyList", "What `fleet node trust --json` prints."),
    "host-event": Output(
        "fleet.host-event/v1",
        "fleet.model.host:HostEvent",
        "A line of `fleet node adopt`, `retire` and `replace --json`.",
    ),
    "doctor": Output("fleet.doctor/v1", "fleet.cli.documents:DoctorReport", "What `fleet doctor --json` prints."),
    "rollouts": Output(
        "fleet.rollouts/v1", "fleet.cli.documents:RolloutList", "What `fleet rollout list --json` prints."
    ),
    "answer": Output(
        "fleet.answer/v1",
        "fleet.ports.engine:Answer",
        "What `fleet rollout pause`, `approve` and `cancel --json` print, and `resume --json` of one that is driven.",
    ),
    "detached": Output(
        "fleet.detached/v1",
        "fleet.cli.detaching:Detached",
        "What `fleet apply` and `rollout resume --detach --json` print.",
    ),
    "simulation": Output(
        "fleet.simulation/v1", "fleet.model.simulation:Simulation", "What `fleet simulate --json` prints."
    ),
    "lock-event": Output("fleet.lock-event/v1", "fleet.operations.lock:LockEvent", "A line of `fleet lock --json`."),
    "secret-event": Output(
        "fleet.secret-event/v1",
        "fleet.operations.secret:SecretEvent",
        "A line of `fleet secret generate`, `set`, `rotate` and `rekey --json`.",
    ),
    "secrets": Output(
        "fleet.secret-list/v1", "fleet.cli.documents:SecretList", "What `fleet secret list --json` prints."
    ),
    "import": Output(
        "fleet.import/v1", "fleet.model.translation:ImportReport", "What `fleet import ansible --json` prints."
    ),
    "journal": Output(
        "fleet.journal/v1", "fleet.model.journal:JournalReport", "What `fleet journal check --json` prints."
    ),
    "journal-line": Output(
        "fleet.journal-line/v1", "fleet.model.journal:SavedLine", "A line of what `fleet journal export` writes."
    ),
    "render": Output("fleet.render/v1", "fleet.model.project:FolderReport", "What `fleet render --json` prints."),
}


def output_named(name: str) -> Output:
    """Raises UsageError for a name that no verb prints."""
    if name not in OUTPUTS:
        close = get_close_matches(name, OUTPUTS, n=1)
        mend = f"did you mean `{close[0]}`?" if close else f"there are {', '.join(OUTPUTS)}"
        raise UsageError(f"no verb prints `{name}`", mend)
    return OUTPUTS[name]
