"""Merging with places wins the same values as merging without; order and identity hold for any layers."""

from __future__ import annotations

from functools import reduce
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fleet.model.problem import Place
from fleet.resolve.merge import merge, settled
from fleet.resolve.origin import _Leaf, _marked

KEYS = st.sampled_from(["a", "b", "c", "list", "list+", "a+"])
SCALARS = st.one_of(st.integers(0, 3), st.sampled_from(["x", "y"]), st.booleans(), st.none())
NAMED = st.lists(st.fixed_dictionaries({"name": st.sampled_from(["n", "m"]), "v": st.integers(0, 3)}), max_size=3)
VALUES = st.recursive(
    st.one_of(SCALARS, st.lists(st.integers(0, 3), max_size=3), NAMED),
    lambda inner: st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
LAYERS = st.lists(st.dictionaries(KEYS, VALUES, max_size=4), max_size=4)


class _Written:
    """Where a layer is written, as far as places are asked."""

    def __init__(self, at: int) -> None:
        self.at = at

    def place(self, *path: str | int) -> Place:
        return Place(f"layer-{self.at}", 0, path)


def unmarked(value: Any) -> Any:
    if isinstance(value, _Leaf):
        return value.value
    if isinstance(value, dict):
        return {key: unmarked(item) for key, item in value.items()}
    return [unmarked(item) for item in value] if isinstance(value, list) else value


@given(LAYERS)
def test_places_do_not_change_what_wins(layers: list[dict[str, Any]]) -> None:
    plain = reduce(merge, layers, {})
    marked = reduce(merge, (_marked(layer, _Written(at), ()) for at, layer in enumerate(layers)), {})
    assert unmarked(marked) == plain


@given(LAYERS)
def test_nothing_special_is_left_and_nothing_is_changed(layers: list[dict[str, Any]]) -> None:
    before = repr(layers)
    merged = reduce(merge, layers, {})
    assert repr(layers) == before
    assert settled(merged) is merged or settled(merged) == merged

    def look(value: Any) -> None:
        assert value is not None
        if isinstance(value, dict):
            assert not [key for key in value if key.endswith("+")]
            for item in value.values():
                look(item)

    look(merged)


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.dictionaries(KEYS, VALUES, max_size=4))
def test_the_stronger_scalar_wins(base: dict[str, Any], over: dict[str, Any]) -> None:
    merged = merge(merge({}, base), over)
    for key, value in over.items():
        if not key.endswith("+") and f"{key}+" not in over:
            if value is None:
                assert key not in merged
            elif not isinstance(value, dict | list):
                assert merged[key] == value
