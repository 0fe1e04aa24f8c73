"""refresh: the controller's copy of the records is made anew from what nodes say."""

from fleet.model.batch import Observation
from fleet.model.check import How
from fleet.model.record import Record
from fleet.operations.observe import learn, noted, refresh
from fleet.testing import MemoryObserver, MemoryRecords

HELD = Record("a", "acme", "m1", "b1:aa", manifest='{"files":[]}')


def looked(records: MemoryRecords, observation: Observation) -> Record | None:
    list(refresh([observation.node], "acme", MemoryObserver({observation.node: observation}), records))
    return records.all().get(observation.node)


def test_a_record_is_kept_with_the_paths_that_differ_from_it():
    record = looked(MemoryRecords(), Observation("a", HELD, "m1", differs=("/etc/motd",)))
    assert record == Record("a", "acme", "m1", "b1:aa", differs=("/etc/motd",))
    assert not record.holds("b1:aa")
    assert record.last_digest == "b1:aa"


def test_a_look_that_finds_nothing_forgets_what_an_earlier_one_found():
    records = MemoryRecords([Record("a", "acme", "m1", "b1:aa", differs=("/etc/motd",))])
    record = looked(records, Observation("a", HELD, "m1"))
    assert record == Record("a", "acme", "m1", "b1:aa")
    assert record.holds("b1:aa")


def test_a_node_that_is_away_keeps_what_was_known_of_it():
    known = Record("a", "acme", "m1", "b1:aa", differs=("/etc/motd",))
    assert looked(MemoryRecords([known]), Observation("a", unreachable="no route to host")) == known


def test_a_node_without_a_record_is_learned_from():
    assert looked(MemoryRecords(), Observation("a", None, "m1", "amd64")) == Record("a", "acme", "m1", "", arch="amd64")


def test_half_a_bundle_is_not_held_and_what_was_before_it_is_expected():
    record = looked(MemoryRecords(), Observation("a", Record("a", "acme", "m1", "", base="b1:aa"), "m1"))
    assert record is not None
    assert record.last_digest == "b1:aa"
    assert not record.holds("b1:aa")
    assert not record.holds("b1:bb")


def test_who_is_silent_and_who_has_lost_what_it_held_is_noted_until_it_holds_it_again():
    known = {name: Record(name, "acme", "m1", "b1:aa" if name != "new" else "") for name in ("a", "b", "c", "new")}
    seen = [
        Observation("a", HELD, "m1"),
        Observation("b", None, "m1", "amd64"),
        Observation("c", unreachable="no route"),
        Observation("new", None, "m1", "amd64"),
        Observation("other", None, "m1", "amd64"),
    ]
    missing: dict[str, How] = {"a": "silent"}
    assert list(noted(seen, known, missing)) == seen
    assert missing == {"b": "emptied", "c": "silent"}


def asked(records: MemoryRecords, observation: Observation) -> Record | None:
    list(learn([observation.node], "acme", MemoryObserver({observation.node: observation}), records))
    return records.all().get(observation.node)


def test_a_second_pass_learns_and_expects_what_it_expected_before():
    told = Observation("a", Record("a", "acme", "m1", "b1:others", manifest="{}"), "m1", "arm64")
    assert asked(MemoryRecords(), told) == Record("a", "acme", "m1", "", arch="arm64")
    known = MemoryRecords([Record("a", "acme", "m1", "b1:aa", commit="4be1f02")])
    assert asked(known, told) == Record("a", "acme", "m1", "b1:aa", commit="4be1f02", arch="arm64")


def test_a_second_pass_never_enrols_another_machine():
    known = MemoryRecords([Record("a", "acme", "m1", "b1:aa")])
    assert asked(known, Observation("a", None, "m2", "amd64")) == Record("a", "acme", "m1", "b1:aa", arch="amd64")


def test_a_second_pass_learns_nothing_of_a_node_that_is_away():
    assert asked(MemoryRecords(), Observation("a", unreachable="no route to host")) is None
