"""What an import says, where much of it is alike."""

from __future__ import annotations

from fleet.model.translation import ImportNote, ImportReport
from fleet.report.imports import import_lines


def said(*notes: ImportNote) -> list[str]:
    """The lines under the two of counts."""
    report = ImportReport("shop", "hosts.yml", "out", True, 1, 0, 0, (), (), (), notes)
    return [each.text for each in import_lines(report)][2:]


def alike(number: int) -> list[ImportNote]:
    return [ImportNote("hosts.yml", at, 1, f"host{at}", f"became `n{at}`") for at in range(1, number + 1)]


def test_twenty_that_are_alike_are_all_said():
    assert len(said(*alike(20))) == 20


def test_of_more_the_first_five_are_said_with_the_number_of_the_others():
    lines = said(*alike(21))
    assert len(lines) == 5
    assert lines[-1].endswith("host5: became `n5` (and 16 more like it: --json has them all)")
    assert not any("more like it" in line for line in lines[:-1])


def test_one_thing_at_many_places_is_said_once():
    places = [ImportNote("hosts.yml", at, 1, "x", "left out") for at in range(1, 5)]
    assert said(*places[:3]) == [f"hosts.yml:{at}:1 warning  x: left out" for at in (1, 2, 3)]
    assert said(*places) == ["hosts.yml:1:1 warning  x: left out (and 3 more like it: --json has them all)"]
