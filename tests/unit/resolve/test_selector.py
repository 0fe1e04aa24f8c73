"""Selectors mean what Kubernetes's mean, in the spec and on the command line."""

from __future__ import annotations

import msgspec
import pytest

from fleet.errors import UsageError
from fleet.model.plan import Scope
from fleet.model.spec.selector import Selector
from fleet.resolve import in_scope
from fleet.resolve.selector import matches
from tests.specs import document, resolved

LABELS = {"ring": "pilot", "empty": ""}


def holds(selector: dict[str, object]) -> bool:
    return matches(msgspec.convert(selector, Selector), LABELS)


def expression(key: str, operator: str, *values: str) -> dict[str, object]:
    return {"key": key, "operator": operator, **({"values": list(values)} if values else {})}


@pytest.mark.parametrize(
    ("key", "operator", "values", "expected"),
    [
        ("ring", "In", ["pilot", "all"], True),
        ("ring", "In", ["all"], False),
        ("absent", "In", ["pilot"], False),
        ("ring", "NotIn", ["pilot", "all"], False),
        ("ring", "NotIn", ["all"], True),
        ("absent", "NotIn", ["pilot"], True),
        ("ring", "Exists", [], True),
        ("empty", "Exists", [], True),
        ("absent", "Exists", [], False),
        ("ring", "DoesNotExist", [], False),
        ("empty", "DoesNotExist", [], False),
        ("absent", "DoesNotExist", [], True),
    ],
)
def test_one_expression(key: str, operator: str, values: list[str], *, expected: bool) -> None:
    assert holds({"matchExpressions": [expression(key, operator, *values)]}) is expected


def test_all_labels_and_all_expressions_must_hold() -> None:
    yes, no = expression("ring", "Exists"), expression("ring", "DoesNotExist")
    assert holds({})
    assert holds({"matchExpressions": [yes, yes]})
    assert not holds({"matchExpressions": [yes, no]})
    assert not holds({"matchExpressions": [no, yes]})
    assert holds({"matchLabels": {"ring": "pilot", "empty": ""}})
    assert not holds({"matchLabels": {"ring": "pilot", "empty": "x"}})
    assert not holds({"matchLabels": {"absent": ""}})
    assert not holds({"matchLabels": {"ring": "pilot"}, "matchExpressions": [no]})
    assert not holds({"matchLabels": {"ring": "all"}, "matchExpressions": [yes]})


FLEET = resolved(
    document("Fleet", "acme", ""),
    document(
        "Site",
        "lyon",
        """
        nodes:
          - {name: a, role: none, address: 10.0.0.1, labels: {ring: pilot, app: pos}}
          - {name: b, role: none, address: 10.0.0.2, labels: {ring: pilot, gpu: "yes"}}
          - {name: c, role: none, address: 10.0.0.3, labels: {app: kiosk}}
        """,
    ),
    document("Site", "paris", "nodes: [{name: d, role: none, address: 10.0.0.4}]"),
)


def left(**scope: object) -> str:
    return "".join(node.name for node in in_scope(FLEET, msgspec.convert(scope, Scope)))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("ring=pilot", "ab"),
        ("ring==pilot", "ab"),
        ("ring!=pilot", "cd"),
        ("app in (pos, kiosk)", "ac"),
        ("app notin (pos,kiosk)", "bd"),
        ("ring=", ""),
        ("gpu", "b"),
        ("!gpu", "acd"),
        ("ring=pilot,!gpu", "a"),
        ("ring=pilot,app=kiosk", ""),
        ("site=paris", "d"),
        ("role=none,site!=paris", "abc"),
    ],
)
def test_as_kubectl_takes_them(text: str, names: str) -> None:
    assert left(selector=text) == names


@pytest.mark.parametrize("text", ["a b", "ring in pilot", "=x", "ring=pilot,,gpu", "!", "ring=pilot,app in (pos"])
def test_what_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be read from"):
        left(selector=text)


def test_narrowings_narrow_together() -> None:
    assert left() == "abcd"
    assert left(sites=["lyon"]) == "abc"
    assert left(sites=["lyon"], nodes=["a", "d"]) == "a"
    assert left(sites=["lyon"], selector="ring!=pilot") == "c"
    assert left(sites=["lyon"], limit=2) == "ab"
    assert left(selector="ring!=pilot", limit=1) == "c"


@pytest.mark.parametrize(
    ("scope", "message", "hint"),
    [
        ({"sites": ["lyo"]}, "there is no site lyo", "Is it lyon?"),
        ({"nodes": ["z"]}, "there is no node z", ""),
        ({"sites": ["lyon", "rome"]}, "there is no site rome", ""),
    ],
)
def test_a_name_that_is_not_there_narrows_to_nothing_silently_never(
    scope: dict[str, object], message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        left(**scope)
    assert (caught.value.message, caught.value.hint) == (message, hint)
