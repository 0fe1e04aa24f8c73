"""Saved plans: read back as they were, and refused wherever git or the nodes moved on."""

from __future__ import annotations

import json
import pickle
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fleet.adapters.disk import write_atomic
from fleet.errors import RefusedError, UsageError
from fleet.model.plan import Plan, Scope
from fleet.model.record import Record
from fleet.model.tree import Revision
from fleet.operations.plan import plan
from fleet.operations.saved_plan import decoded, encoded, refuse_difference
from fleet.testing import MemoryRecords
from fleet.workspace import Workspace
from tests.specs import document
from tests.unit.render.ground import COMMIT, intent

SITE = """
nodes:
  - {name: a, role: none, address: 10.0.0.1}
  - {name: b, role: none, address: 10.0.0.2}
  - {name: c, role: none, address: 10.0.0.3}
  - {name: d, role: none, address: 10.0.0.4}
os: {files: [{path: /etc/motd, content: "hello é\\n"}]}
"""


def made(site: str = SITE, records: MemoryRecords | None = None, **more: Any) -> Plan:
    records = records or MemoryRecords()
    read = intent(document("Fleet", "acme", ""), document("Site", "lyon", site), records=records, **more)
    return plan(read, records, Scope())


def test_a_plan_comes_back_as_it_was() -> None:
    saved = made()
    assert len(saved.nodes) == 4
    assert decoded(encoded(saved), "plan.json") == saved
    refuse_difference(decoded(encoded(saved), "plan.json"), made())


def test_the_format_is_json_with_a_name_and_the_same_bytes_for_the_same_plan() -> None:
    document = json.loads(encoded(made()))
    assert document["format"] == "fleet.plan/v1"
    assert document["plan"]["revision"]["commit"] == COMMIT
    assert document["plan"]["nodes"][0]["base"] == ""
    assert document["plan"]["nodes"][0]["wanted"].startswith("b1:")
    assert encoded(made()) == encoded(made())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "x.json is no plan of fleet: "),
        (b"{", "x.json is no plan of fleet: "),
        (b"[]", "x.json is no plan of fleet: "),
        (b'{"format": "fleet.plan/v1"}', "missing required field `plan`"),
        (b'{"format": "fleet.plan/v1", "plan": {"fleet": 1}}', "x.json is no plan of fleet: "),
        (b"\xff\xfe", "x.json is no plan of fleet: "),
        (pickle.dumps({"format": "fleet.plan/v1"}), "x.json is no plan of fleet: "),
        (encoded(made()).replace(b"fleet.plan/v1", b"fleet.plan/v2"), "format fleet.plan/v2, expected fleet.plan/v1"),
        (encoded(made()).replace(b'"format"', b'"more": 1, "format"', 1), "unknown field `more`"),
    ],
    ids=["empty", "cut", "list", "no plan", "wrong type", "binary", "pickle", "newer", "unknown field"],
)
def test_what_is_no_plan_of_this_version(data: bytes, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        decoded(data, "x.json")
    assert words in str(caught.value)
    assert caught.value.exit_code == 2


def refusal(saved: Plan, fresh: Plan) -> str:
    with pytest.raises(RefusedError) as caught:
        refuse_difference(saved, fresh)
    assert caught.value.hint.endswith("fleet plan --out FILE.")
    return str(caught.value)


def test_another_commit_is_refused() -> None:
    assert refusal(made(), made(commit="5" * 40)) == "the commit changed since the plan was saved"


def test_other_files_of_the_spec_are_refused() -> None:
    assert (
        refusal(made(), made(SITE + "timeZone: Europe/Paris\n")) == "the spec's files changed since the plan was saved"
    )


def test_another_sandbox_is_refused() -> None:
    saved = made()
    assert (
        refusal(saved, msgspec.structs.replace(saved, sandbox="/tmp/x"))
        == "the sandbox changed since the plan was saved"
    )


def test_a_dirty_flag_alone_is_no_difference() -> None:
    saved = made()
    refuse_difference(saved, msgspec.structs.replace(saved, revision=Revision(COMMIT, "other", dirty=True)))


def test_a_node_that_was_changed_meanwhile_is_refused() -> None:
    records = MemoryRecords([Record("b", "acme", "m", "b1:other")])
    assert refusal(made(), made(records=records)) == "b would change otherwise than the saved plan says"


def test_a_node_that_wants_something_else_is_refused() -> None:
    saved = made()
    first = msgspec.structs.replace(saved.nodes[0], wanted="b1:else")
    fresh = msgspec.structs.replace(saved, nodes=(first, *saved.nodes[1:]))
    assert refusal(saved, fresh) == "a would change otherwise than the saved plan says"


def test_a_node_less_or_more_is_refused_and_many_are_counted() -> None:
    saved = made()
    fewer = msgspec.structs.replace(saved, nodes=saved.nodes[1:])
    for old, new in ((saved, fewer), (fewer, saved)):
        assert refusal(old, new) == "a would change otherwise than the saved plan says"
    none = msgspec.structs.replace(saved, nodes=())
    assert refusal(saved, none) == "a, b, c and 1 more would change otherwise than the saved plan says"


def test_a_saved_plan_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("old")
    path.chmod(0o666)
    workspace = Workspace.open(tmp_path)
    saved = made()
    workspace.save_plan(saved, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert workspace.load_plan(path) == saved
    assert [each.name for each in tmp_path.iterdir()] == ["plan.json"]
    with pytest.raises(UsageError, match="cannot read the plan"):
        workspace.load_plan(tmp_path / "none.json")
    write_atomic(path, b"{}")
    with pytest.raises(UsageError, match=f"{path} is no plan of fleet"):
        workspace.load_plan(path)
