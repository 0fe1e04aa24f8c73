"""The part of a rollout that is rolled back."""

from __future__ import annotations

import pytest

from fleet.errors import UsageError
from fleet.operations.rolling_back import part_of
from fleet.testing.orders import plain, rollout

ORDER = rollout(plain("a", "b"), plain("c", "d"))


@pytest.mark.parametrize(
    ("waves", "nodes", "part"),
    [
        ((), (), ()),
        (("w1",), (), ("c", "d")),
        ((), ("d", "a"), ("a", "d")),
        (("w0",), ("d", "a"), ("a", "b", "d")),
    ],
)
def test_nodes_of_waves_and_nodes(waves: tuple[str, ...], nodes: tuple[str, ...], part: tuple[str, ...]) -> None:
    assert part_of(ORDER, waves, nodes) == part


def test_every_name_that_it_does_not_have_is_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        part_of(ORDER, ("w0", "ramp"), ("a", "z"))
    assert caught.value.message == "rollout 7f3c has no wave ramp, no node z"
    assert caught.value.hint == "Its waves are w0, w1; fleet rollout show 7f3c --nodes lists its nodes."
