"""Node sets: names and addresses that growing never changes."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from fleet.model.spec.site import NodeSetSpec
from fleet.resolve.sets import PatternError, addresses, names


def node_set(count: int, addresses: object = UNSET, start: object = UNSET, pattern: object = UNSET) -> NodeSetSpec:
    return NodeSetSpec(name="till", count=count, role="agent", addresses=addresses, start=start, name_pattern=pattern)  # type: ignore[arg-type]


def test_names_by_default() -> None:
    assert names(node_set(3), "lyon-1") == ["lyon-1-till-001", "lyon-1-till-002", "lyon-1-till-003"]
    assert names(node_set(0), "lyon-1") == []


def test_names_by_pattern() -> None:
    assert names(node_set(2, pattern="{set}{index}-{site}"), "lyon") == ["till1-lyon", "till2-lyon"]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("{site}-{set}", "has no {index}"),
        ("{site}-{index}-{nope}", "{nope} is not one of {site}, {set}, {index}"),
        ("{index}_{set}", "no DNS label"),
        ("{index:q}", "cannot be filled in"),
        ("{index", "expected '}'"),
        ("{site.name}-{index}", "is not one of"),
    ],
)
def test_a_pattern_that_gives_no_names(pattern: str, words: str) -> None:
    with pytest.raises(PatternError, match=words.replace("{", r"\{").replace("}", r"\}").replace(".", r"\.")):
        names(node_set(2, pattern=pattern), "lyon")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("10.20.1.32/27", ["10.20.1.33", "10.20.1.34"]),
        ("10.20.1.37/27", ["10.20.1.33", "10.20.1.34"]),
        ("10.20.1.0/31", ["10.20.1.0", "10.20.1.1"]),
        ("10.20.1.40-10.20.1.60", ["10.20.1.40", "10.20.1.41"]),
        ("10.20.1.255-10.20.2.10", ["10.20.1.255", "10.20.2.0"]),
        ("fd00::/64", ["fd00::1", "fd00::2"]),
    ],
)
def test_addresses_of_a_range(given: str, expected: list[str]) -> None:
    assert list(addresses(node_set(2, addresses=given))) == expected


def test_addresses_from_a_start() -> None:
    assert list(addresses(node_set(2, start="10.0.0.255"))) == ["10.0.0.255", "10.0.1.0"]
    assert list(addresses(node_set(2))) == []


@pytest.mark.parametrize("given", ["10.20.1.32/27", "10.20.1.40-10.20.1.60"])
def test_growing_renames_and_readdresses_nobody(given: str) -> None:
    small, large = node_set(3, addresses=given), node_set(17, addresses=given)
    assert names(large, "s")[:3] == names(small, "s")
    assert list(addresses(large))[:3] == list(addresses(small))


def test_the_longest_name_counts_not_the_first() -> None:
    pattern = "n" * 61 + "{index}"
    assert len(names(node_set(99, pattern=pattern), "s")) == 99
    with pytest.raises(PatternError, match="is no DNS label"):
        names(node_set(100, pattern=pattern), "s")
