"""The product's table of K3s's keys against the stand-in's, which was read separately from K3s's documentation.

Every difference is listed with its reason; any other one is a mistake of one side.
"""

import pytest

from fleet.k3s import keys as product
from tests.lab.k3s import keys as standin

# (minor, role, key) -> why both are right, or which of them is wrong and known to be.
HELM_ARGUMENTS = (
    "docs/add-ons/helm.md gates it by patch release (v1.35.7+k3s1, v1.34.10+k3s1, v1.36.3+k3s1); the product's table "
    "knows minors only, has it from v1.36 on, and marks it as backported"
)
DIFFERENCES = {
    ("v1.34", "server", "helm-controller-arg"): HELM_ARGUMENTS,
    ("v1.35", "server", "helm-controller-arg"): HELM_ARGUMENTS,
}
# Compared by neither page nor source alike: docs/cli/server.md lists agent-token, types.go does not compare it; the
# source's tag for `disable=servicelb` is disable-service-lb.
CRITICAL_DIFFERENCES = {"agent-token", "disable", "disable-service-lb"}
KINDS = {"s": "string", "b": "bool", "i": "int", "l": "list", "d": "duration"}
# A release of each minor that has all of the keys that any release of it has.
LATE = {"v1.34": "v1.34.99+k3s1", "v1.35": "v1.35.99+k3s1", "v1.36": "v1.36.99+k3s1", "v1.37": "v1.37.99+k3s1"}


def test_the_newest_four_minors_are_compared() -> None:
    assert set(LATE) == set(product.SUPPORTED_MINORS)


@pytest.mark.parametrize("minor", product.SUPPORTED_MINORS)
@pytest.mark.parametrize("role", ["server", "agent"])
def test_no_unexplained_difference(minor: str, role: str) -> None:
    mine, theirs = standin.keys_of(role, LATE[minor]), product.key_names(minor, role)

    different = {(minor, role, key) for key in mine.keys() ^ theirs}

    assert different == {place for place in DIFFERENCES if place[:2] == (minor, role)}
    assert set(mine) == standin.keys_of_minor(role, int(minor.removeprefix("v1.")))


@pytest.mark.parametrize("role", ["server", "agent"])
def test_both_know_the_same_kinds(role: str) -> None:
    kinds = {key: KINDS[kind] for key, kind in standin.keys_of(role, LATE["v1.37"]).items()}

    assert {key: found.kind for key in kinds if (found := product.find_key(key))} == kinds


def test_both_know_the_same_other_spellings() -> None:
    found = {alias: product.find_alias(alias) for alias in standin.ALIASES}

    assert {alias: key.name for alias, key in found.items() if key} == standin.ALIASES


def test_both_compare_the_same_critical_keys() -> None:
    assert set(standin.CRITICAL) ^ set(product.COMPARED_KEYS) == CRITICAL_DIFFERENCES


def test_both_know_the_same_closed_lists() -> None:
    listed = {key: set(values) for key, values in standin.VALUES.items()}

    assert {key: set(found.values) for key in listed if (found := product.find_key(key))} == listed
    assert set(standin.DISABLE_ITEMS) == set(product.DISABLE_ITEMS)


def test_a_patch_release_that_came_too_early_has_no_later_key() -> None:
    assert "helm-controller-arg" not in standin.keys_of("server", "v1.36.1+k3s1")
    assert "helm-controller-arg" in standin.keys_of("server", "v1.36.3+k3s1")
    assert "write-kubeconfig-name" not in standin.keys_of("server", "v1.36.99+k3s1")
