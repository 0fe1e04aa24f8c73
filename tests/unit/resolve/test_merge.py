"""What inheritance means: spec.md, Inheritance."""

from __future__ import annotations

import pytest

from fleet.resolve.merge import merge, settled


@pytest.mark.parametrize(
    ("base", "over", "expected"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}, {"a": {"x": 1, "y": 3}}),
        ({"a": {"x": 1}}, {"a": "text"}, {"a": "text"}),
        ({"a": "text"}, {"a": {"x": 1}}, {"a": {"x": 1}}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"x": None}}, {"a": {"y": 2}}),
        ({}, {"a": None}, {}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": [1, 2]}, {"a+": [2, 3]}, {"a": [1, 2, 3]}),
        ({}, {"a+": [3, 3]}, {"a": [3]}),
        ({"a": "one"}, {"a+": ["two"]}, {"a": ["one", "two"]}),
        ({"a": [1]}, {"a": [5], "a+": [6]}, {"a": [5, 6]}),
        (
            {"files": [{"path": "/a", "mode": "0644"}, {"path": "/b"}]},
            {"files": [{"path": "/a", "content": "x"}, {"path": "/c"}]},
            {"files": [{"path": "/a", "mode": "0644", "content": "x"}, {"path": "/b"}, {"path": "/c"}]},
        ),
        (
            {"units": [{"name": "x", "enabled": True}]},
            {"units+": [{"name": "x", "state": "started"}, {"name": "y"}]},
            {"units": [{"name": "x", "enabled": True, "state": "started"}, {"name": "y"}]},
        ),
        ({"a": {"b": {"c+": [2]}}}, {"a": {"b": {"c+": [3]}}}, {"a": {"b": {"c+": [2], "c": [3]}}}),
    ],
)
def test_merge(base: dict, over: dict, expected: dict) -> None:
    assert merge(base, over) == expected


def test_what_an_override_leaves_alone_keeps_its_identity() -> None:
    base = {"os": {"files": [{"path": "/a"}]}, "vars": {"x": 1}}
    merged = merge(base, {"vars": {"y": 2}})
    assert merged["os"] is base["os"]
    assert merged["vars"] == {"x": 1, "y": 2}
    assert base == {"os": {"files": [{"path": "/a"}]}, "vars": {"x": 1}}


def test_nulls_and_plus_of_the_first_layer_are_settled() -> None:
    assert merge({}, {"a": {"b": None, "c+": [1], "d": 2}}) == {"a": {"c": [1], "d": 2}}
    assert settled([{"name": "x", "y": None}]) == [{"name": "x"}]


def test_settled_is_the_same_object_where_there_is_nothing_to_do() -> None:
    value = {"a": [{"b": {"c": 1}}]}
    assert settled(value) is value


def test_one_layer_does_not_leak_into_another() -> None:
    over = {"a": {"b": [1]}}
    first = merge({}, over)
    second = merge(first, {"a": {"b+": [2]}})
    assert first == {"a": {"b": [1]}}
    assert second == {"a": {"b": [1, 2]}}
    assert over == {"a": {"b": [1]}}
