"""The JSON Schema and the types behind it: every field explained, every example true; mistakes placed."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from load_specs import FLEET, STORES
from msgspec import inspect

from fleet.load import json_schema, to_problems
from fleet.load.kinds import TYPES
from fleet.model.problem import Mistake, Place


def _structs(node: Any, seen: dict[type, None]) -> None:
    for member in getattr(node, "types", ()):
        _structs(member, seen)
    for name in ("type", "item_type", "value_type"):
        if hasattr(node, name):
            _structs(getattr(node, name), seen)
    if isinstance(node, inspect.StructType) and node.cls not in seen:
        seen[node.cls] = None
        for field in node.fields:
            _structs(field.type, seen)


STRUCTS: dict[type, None] = {}
for each in TYPES.values():
    _structs(inspect.type_info(each), STRUCTS)


def test_all_types_are_found() -> None:
    assert len(STRUCTS) > 50


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_every_field_has_a_description_and_true_examples(struct: type) -> None:
    schema = msgspec.json.schema(struct)
    (own,) = (value for name, value in schema["$defs"].items() if name == struct.__name__)
    types = msgspec.structs.fields(struct)
    assert own["description"][-1] in ".:", "a struct says what it is"
    for field in types:
        shown = own["properties"][field.encode_name]
        assert shown.get("description", "").endswith((".", ")")), f"{struct.__name__}.{field.encode_name}"
        assert shown.get("examples"), f"{struct.__name__}.{field.encode_name} has no example"
        for example in shown["examples"]:
            msgspec.convert(example, field.type)


def test_schema_is_valid_and_takes_a_fleet() -> None:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    validator = Draft202012Validator(schema)
    good = {"apiVersion": "fleet/v1alpha1", "kind": "Site", "metadata": {"name": "a"}, "spec": {"timeZone": "UTC"}}
    assert validator.is_valid(good)
    assert not validator.is_valid({**good, "kind": "Sites"})
    assert not validator.is_valid({**good, "spec": {"timezone": "UTC"}})
    assert not validator.is_valid({**good, "metadata": {"name": "Lyon 1"}})
    assert not validator.is_valid({**good, "apiVersion": "fleet/v1"})


def test_schema_takes_an_overlay_that_says_only_what_differs() -> None:
    validator = Draft202012Validator(json_schema())
    site = {"apiVersion": "fleet/v1alpha1", "kind": "Site", "metadata": {"name": "a"}}
    nodes = [{"name": "a-1", "labels": {"gpu": "nvidia"}}]
    sets = [{"name": "till", "hardening": "cis"}]
    assert validator.is_valid({**site, "spec": {"from": "stores", "nodes": nodes, "nodeSets": sets}})
    assert not validator.is_valid({**site, "spec": {"nodes": nodes}})
    assert not validator.is_valid({**site, "spec": {"nodeSets": sets}})
    assert not validator.is_valid({**site, "spec": {"from": "stores", "nodes": [{"labels": {}}]}})


def test_schema_is_plain_json_with_all_kinds() -> None:
    text = json.dumps(json_schema())
    for kind in ("Fleet", "Profile", "Site", "SiteSet", "Segmentation", "RolloutPolicy"):
        assert f'"enum": ["{kind}"]' in text


FILES = {"a.yaml": FLEET.encode(), "stores.yaml": STORES.encode()}


@pytest.mark.parametrize(
    ("mistake", "line", "column", "path"),
    [
        (Mistake(Place("a.yaml", 0, ("spec", "k3s", "version")), "m"), 5, 18, "spec.k3s.version"),
        (Mistake(Place("a.yaml", 0, ("spec", "k3s", "version")), "m", on_key=True), 5, 9, "spec.k3s.version"),
        (Mistake(Place("a.yaml", 0, ("spec", "nowhere", 1)), "m"), 5, 3, "spec.nowhere[1]"),
        (Mistake(Place("a.yaml", 0, ()), "m"), 1, 1, ""),
        (Mistake(Place("a.yaml", 7, ("spec",)), "m"), 1, 1, "spec"),
        (Mistake(Place("gone.yaml", 0, ("spec", "a.b")), "m"), 1, 1, 'spec["a.b"]'),
    ],
)
def test_mistakes_get_line_and_column(mistake: Mistake, line: int, column: int, path: str) -> None:
    (problem,) = to_problems([mistake], FILES)
    assert (problem.line, problem.column, problem.path) == (line, column, path)


def test_equal_mistakes_are_told_once_and_in_order() -> None:
    later = Mistake(Place("stores.yaml", 0, ("spec",)), "second")
    first = Mistake(Place("a.yaml", 0, ("spec", "k3s")), "first", others=(Place("stores.yaml", 0, ("kind",)),))
    problems = to_problems([later, first, later], FILES)
    assert [(problem.message, problem.others) for problem in problems] == [
        ("first", ("stores.yaml:2:7",)),
        ("second", ()),
    ]
