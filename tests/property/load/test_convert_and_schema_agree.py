"""The fast path and the thorough path agree: a value is converted if and only if JSON Schema finds nothing wrong.

Where they did not, a wrong document would be refused without a reason, or a good one with one.
"""

from __future__ import annotations

import copy
import random
from typing import Any

import msgspec
import pytest
import yaml
from mutations import good_specs

from fleet.load.kinds import TYPES, convert
from fleet.load.thorough import flaws

SCALARS: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 70000, 1.5, 2.0, 1e300, 2**70, "", "a", "A b", "10%", "30m", "10.0.0.1", "10.0.0.0/8", "/etc/motd",
    "0644", "v1.35.4+k3s1", "x" * 300, "a\n", "server", "node", [], {}, [None], [1], ["a"], ["a", "a"], {"a": "b"}, {"name": "a"}, {"external": {}},
    {"type": "http"}, {"x+": None},
)  # fmt: skip


def documents() -> list[dict[str, Any]]:
    texts = [data for files in good_specs() for name, data in files.items() if name.endswith(".yaml")]
    found = [document for text in texts for document in yaml.safe_load_all(text)]
    for document in found:
        dates = document["spec"].get("freezes", []) + document["spec"].get("flows", [])
        for entry in dates:  # PyYAML reads YAML 1.1's dates; ours are texts
            entry.update({key: str(value) for key, value in entry.items() if hasattr(value, "isoformat")})
    return [document for document in found if not ("from" in document["spec"] and document["kind"] == "Site")]


def _containers(value: Any) -> list[Any]:
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    own = [value] if isinstance(value, dict | list) else []
    return own + [each for item in inner for each in _containers(item)]


def mutated(chance: random.Random, document: dict[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(document)
    for _ in range(chance.randrange(1, 3)):
        container = chance.choice([each for each in _containers(result) if each] or [result])
        value = copy.deepcopy(chance.choice(SCALARS))
        if isinstance(container, list):
            container[chance.randrange(len(container))] = value
            continue
        key = chance.choice(sorted(container))
        action = chance.randrange(4)
        if action == 0:
            del container[key]
        elif action == 1:
            container[
                chance.choice(["labels", "name", "k3s", "taints+", "extra", "datastore", "latitude", "limit"])
            ] = value
        else:
            container[key] = value
    result["kind"] = document["kind"]
    return result


def fault_of(document: dict[str, Any]) -> str:
    try:
        convert(document, document["kind"])
    except msgspec.ValidationError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "document", documents(), ids=lambda document: f"{document['kind']}-{document['metadata']['name']}"
)
def test_good_documents_please_both(document: dict[str, Any]) -> None:
    convert(document, document["kind"])
    assert flaws(document, TYPES[document["kind"]]) == []


@pytest.mark.parametrize("round_", range(8))
def test_mutants_please_both_or_none(round_: int) -> None:
    chance = random.Random(f"agree-{round_}")
    good = documents()
    accepted = 0
    for _ in range(300):
        mutant = mutated(chance, chance.choice(good))
        found = flaws(mutant, TYPES[mutant["kind"]])
        fault = fault_of(mutant)
        assert bool(fault) == bool(found), f"{fault or 'converted'}, but {found}: {mutant}"
        assert all(flaw.message for flaw in found)
        accepted += not fault
    assert 20 < accepted < 280
