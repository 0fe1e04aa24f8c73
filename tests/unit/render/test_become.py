"""How sudo comes by its password: named in the spec, looked up by Ansible, and never written out."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.errors import RefusedError, SpecError
from fleet.operations.preparing import check_vaults, project_inputs, refuse_missing_secrets
from fleet.render.inventory import connection_vars
from fleet.render.project import project
from fleet.testing import MemorySecrets
from tests.specs import document, node_of
from tests.unit.operations.hosts import secrets_lock
from tests.unit.render.ground import intent, shipped

LOOKUP = "{{ lookup('edgefleet.fleet.secret', 'sudo') }}"
PLAIN = document("Fleet", "acme", "connection: {becomePassword: secret:sudo}")


def site(*connections: str) -> str:
    nodes = "".join(
        f"  - {{name: {name}, role: none, address: 10.0.0.{at}, connection: {{{said}}}}}\n"
        for at, (name, said) in enumerate(zip("abcdef", connections, strict=False), 1)
    )
    return document("Site", "lyon", f"nodes:\n{nodes}")


def become(connection: str) -> tuple[Any, Any]:
    made = intent(PLAIN, site(connection))
    found = connection_vars(node_of(made.fleet, "a"))
    return found.get("ansible_become"), found.get("ansible_become_password")


def test_ansible_looks_it_up_where_it_becomes_root() -> None:
    assert become("") == (True, LOOKUP)
    assert become("becomePassword: secret:other") == (True, LOOKUP.replace("sudo", "other"))
    assert become("becomePassword: null") == (True, None)
    assert become("become: false") == (None, None)
    assert become("type: sandbox") == (None, None)


def test_the_nearest_layer_says_whether_to_become_root() -> None:
    fleet = document("Fleet", "acme", "connection: {become: false, becomePassword: secret:sudo}")
    made = intent(fleet, site("", "become: true"))
    assert [node_of(made.fleet, name).connection.become_password for name in "ab"] == ["", "sudo"]
    refused(intent(fleet, site("become: true")), "sudo on a")
    refuse_missing_secrets(intent(fleet, site("")), intent(fleet, site("")).fleet.nodes)


def refused(made: Any, said: str) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        refuse_missing_secrets(made, made.fleet.nodes)
    assert said in str(caught.value)
    return caught.value


def test_a_password_that_secrets_do_not_have_is_refused_with_its_place() -> None:
    made = intent(PLAIN, site("", "", "becomePassword: secret:other"))
    assert str(refused(made, "")) == (
        "secrets/ lacks other (for sudo on c, spec.yaml:15:77), sudo (for sudo on a, spec.yaml:5:32)"
    )
    listed = intent(PLAIN, site("", "becomePassword: secret:other"), files=secrets_lock("sudo"))
    assert "lacks other (for sudo on b" in str(refused(listed, ""))
    whole = intent(PLAIN, site("", "becomePassword: secret:other"), files=secrets_lock("sudo", "other"))
    refuse_missing_secrets(whole, whole.fleet.nodes)


@pytest.mark.parametrize(("connection", "opened"), [("", ["secrets/lyon.yaml"]), ("become: false", [])])
def test_the_vault_is_opened_once_and_only_where_somebody_needs_it(connection: str, opened: list[str]) -> None:
    made, store = intent(PLAIN, site(connection, connection), files=secrets_lock("sudo")), MemorySecrets()
    if opened:
        with pytest.raises(SpecError) as caught:
            check_vaults(made, made.fleet.nodes, store)
        assert [problem.file for problem in caught.value.problems] == opened, "the vault does not hold it"
    else:
        check_vaults(made, made.fleet.nodes, store)
    assert store.opened == opened


def test_a_project_holds_the_vault_that_it_is_in_and_no_other() -> None:
    files = {**secrets_lock("sudo"), "secrets/lyon.yaml": "$ANSIBLE_VAULT;1.1;AES256\n6162\n"}
    for connection, has_vault in (("", True), ("become: false", False)):
        made = intent(PLAIN, site(connection), files=files)
        written = {file.path for file in project(project_inputs(made, shipped()), made.fleet.nodes, "c0ffee")}
        assert ("secrets/lyon.yaml" in written) is has_vault
