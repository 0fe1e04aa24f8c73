"""Numbers and lists as people read them."""

import pytest

from fleet.formats.words import count, duration, moment, size, some


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 bytes"), (512, "512 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (1_100_000_000, "1.1 GB"), (9_960_000, "10 MB"),
     (999_600_000, "1.0 GB"), (38_200_000_000, "38 GB"), (5 * 10**18, "5000 PB")],
)  # fmt: skip
def test_sizes(number, text):
    assert size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (2460, "41 min"), (7200, "2 h"), (11_100, "3 h 5 min")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_counts_and_names():
    assert count(1, "node") == "1 node"
    assert count(0, "node") == "0 nodes"
    assert count(3120, "node") == "3,120 nodes"
    assert some([]) == ""
    assert some(["a", "b", "c"]) == "a, b, c"
    assert some([str(i) for i in range(1203)]) == "0, 1, 2 and 1,200 more"


def test_times_and_those_that_a_node_made_up():
    assert moment(1_795_000_000) == "2026-11-18 11:06 UTC"
    assert [moment(at) for at in (0, -5, 1e300, float("nan"), float("inf"))] == ["unknown"] * 5
