"""node replace: a name is freed for new hardware, and the next apply enrols whatever answers there."""

from __future__ import annotations

import pytest

from fleet.errors import UsageError
from fleet.model.host import NodeReplaced
from fleet.model.plan import EVERYTHING
from fleet.operations.plan import plan
from fleet.operations.retire import enrolled, replace
from fleet.testing import MemoryRecords
from tests.unit.operations.hosts import LYON, PLAIN, held
from tests.unit.render.ground import intent


def test_the_old_machine_is_expected_no_more() -> None:
    records = MemoryRecords([held("a", "b1:aa"), held("b", "", base="b1:bb")])
    made = intent(PLAIN, LYON, records=records)
    assert replace(made, "a", records) == NodeReplaced("a", "machine of a", "b1:aa")
    assert replace(made, "b", records) == NodeReplaced("b", "machine of b", "b1:bb")
    assert dict(records.all()) == {}


def test_others_stay_enrolled() -> None:
    records = MemoryRecords([held("a"), held("b")])
    replace(intent(PLAIN, LYON, records=records), "a", records)
    assert dict(records.all()) == {"b": held("b")}


def test_afterwards_all_comes_onto_the_new_machine() -> None:
    records = MemoryRecords()
    made = intent(PLAIN, LYON)
    wanted = made.renderer.sketch(made.fleet.nodes[0]).digest
    records.save([held("a", wanted)])
    made = intent(PLAIN, LYON, records=records)
    assert "a" not in {change.node for change in plan(made, records, EVERYTHING).nodes}
    replace(made, "a", records)
    made = intent(PLAIN, LYON, records=records)
    (change,) = [each for each in plan(made, records, EVERYTHING).nodes if each.node == "a"]
    assert (change.base, change.is_first, made.learned.nodes) == ("", True, {})


@pytest.mark.parametrize(
    ("name", "said", "hint"),
    [
        ("x", "the fleet has no node called x", "fleet node list"),
        ("gone", "the fleet has no node called gone", "fleet node list"),
        ("b", "b was never enrolled: there is nothing to replace", "fleet apply --node b"),
    ],
)
def test_only_a_node_of_the_spec_that_was_applied(name: str, said: str, hint: str) -> None:
    records = MemoryRecords([held("a"), held("gone")])
    made = intent(PLAIN, LYON, records=records)
    for attempt in (lambda: enrolled(made, name), lambda: replace(made, name, records)):
        with pytest.raises(UsageError) as caught:
            attempt()
        assert (str(caught.value), caught.value.hint) == (said, hint)
    assert set(records.all()) == {"a", "gone"}
