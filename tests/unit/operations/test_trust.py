"""node trust: what a host shows beside what git has pinned, and what is written once somebody vouched for it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from fleet.errors import RefusedError
from fleet.formats.known_hosts import fingerprint
from fleet.model.host_key import ShownKey, TrustRow
from fleet.operations.intent import Intent
from fleet.operations.trust import pin, shown
from fleet.testing import MemoryHostKeys
from tests.specs import document
from tests.unit.operations.hosts import ED, LYON, OTHER, PLAIN, Repository
from tests.unit.render.ground import intent

RSA = "AAAAB3NzaC1yc2EAAAADAQABAAAAgQ=="


def ed(node: str, key: str = ED) -> ShownKey:
    return ShownKey(node, "ssh-ed25519", key)


def known(text: str, *documents: str) -> Intent:
    return intent(*(documents or (PLAIN, LYON)), files={"known_hosts": text})


def rows(made: Intent, *keys: ShownKey) -> Mapping[str, TrustRow]:
    found = list(shown(made, made.fleet.nodes, MemoryHostKeys({key.node: key for key in keys})))
    assert [row.node for row in found] == [node.name for node in made.fleet.nodes if node.connection.type == "ssh"]
    return {row.node: row for row in found}


def test_a_key_is_new_pinned_or_another_one_than_is_pinned() -> None:
    made = known(f"10.0.0.1 ssh-ed25519 {ED}\n10.0.0.2 ssh-ed25519 {ED}\n")
    found = rows(made, ed("a"), ed("b", OTHER), ed("c"))
    assert found["a"] == TrustRow("a", "10.0.0.1", 22, "pinned", "ssh-ed25519", ED, fingerprint(ED))
    assert found["b"] == TrustRow(
        "b", "10.0.0.2", 22, "changed", "ssh-ed25519", OTHER, fingerprint(OTHER), was=fingerprint(ED)
    )
    assert found["c"] == TrustRow("c", "10.0.0.3", 22, "new", "ssh-ed25519", ED, fingerprint(ED))


def test_a_host_that_does_not_answer_says_why_and_shows_nothing() -> None:
    found = rows(known(f"10.0.0.1 ssh-ed25519 {ED}\n"), ShownKey("a", unreachable="connection refused"))
    assert found["a"] == TrustRow("a", "10.0.0.1", 22, "unreachable", reason="connection refused")


def test_of_several_pinned_keys_any_is_the_hosts() -> None:
    made = known(f"10.0.0.1 ssh-rsa {RSA}\n10.0.0.1 ssh-ed25519 {OTHER}\n")
    assert rows(made, ed("a", OTHER))["a"].state == "pinned"
    assert rows(made, ShownKey("a", "ssh-rsa", RSA))["a"].state == "pinned"
    assert rows(made, ed("a", ED))["a"].was == fingerprint(RSA)


def test_a_key_of_another_algorithm_is_another_key() -> None:
    assert rows(known(f"10.0.0.1 ssh-rsa {RSA}\n"), ed("a"))["a"].state == "changed"


def test_a_line_that_is_broken_pins_nothing() -> None:
    assert rows(known("10.0.0.1 ssh-ed25519 broken!\n10.0.0.2 ssh-ed25519\n"), ed("a"))["a"].state == "new"


def test_a_key_that_is_taken_back_is_never_pinned() -> None:
    made = known(
        f"@revoked 10.0.0.* ssh-ed25519 {ED}\n10.0.0.2 ssh-ed25519 {ED}\n@revoked 10.9.9.9 ssh-ed25519 {OTHER}\n"
    )
    found = rows(made, ed("a"), ed("b"), ed("c", OTHER))
    assert [found[node].state for node in "abc"] == ["revoked", "revoked", "new"]
    assert "@revoked" in found["a"].reason
    repository = Repository()
    with pytest.raises(RefusedError, match=r"^a, b shows a host key that known_hosts revokes$"):
        pin(made, list(found.values()), repository, replace=True, commit=True)
    assert repository.written == []


def test_the_port_belongs_to_the_host() -> None:
    site = document("Site", "lyon", "nodes: [{name: a, role: none, address: 10.0.0.1, connection: {port: 2222}}]")
    assert rows(known(f"10.0.0.1 ssh-ed25519 {ED}\n", PLAIN, site), ed("a"))["a"].state == "new"
    found = rows(known(f"[10.0.0.1]:2222 ssh-ed25519 {ED}\n", PLAIN, site), ed("a"))["a"]
    assert (found.state, found.port) == ("pinned", 2222)


def test_a_sandbox_has_no_host_key() -> None:
    site = document("Site", "lyon", "nodes: [{name: a, role: none, address: 10.0.0.1, connection: {type: sandbox}}]")
    assert rows(known("", PLAIN, site), ed("a")) == {}


def test_new_keys_are_written_behind_what_is_there_in_one_commit() -> None:
    made = known("# ours\n")
    repository = Repository()
    commit = pin(made, list(rows(made, ed("a"), ed("b", OTHER)).values()), repository, replace=False, commit=True)
    assert commit == "c0ffee"
    assert repository.written == [
        (
            "known_hosts",
            f"# ours\n10.0.0.1 ssh-ed25519 {ED}\n10.0.0.2 ssh-ed25519 {OTHER}\n",
            "Trust the host key of a, b",
        )
    ]


def test_the_commit_names_three_and_counts_the_others() -> None:
    nodes = "".join(f"  - {{name: n{at}, role: none, address: 10.0.0.{at}}}\n" for at in range(1, 6))
    made = known("", PLAIN, document("Site", "lyon", f"nodes:\n{nodes}"))
    repository = Repository()
    pin(made, list(rows(made, *(ed(f"n{at}") for at in range(1, 6))).values()), repository, replace=False, commit=True)
    assert repository.written[0][2] == "Trust the host key of n1, n2, n3 and 2 more"


def test_without_a_commit_the_file_is_written_all_the_same() -> None:
    made = known("")
    repository = Repository()
    assert pin(made, [rows(made, ed("a"))["a"]], repository, replace=False, commit=False) == ""
    assert repository.written == [("known_hosts", f"10.0.0.1 ssh-ed25519 {ED}\n", "")]


def test_nothing_is_written_where_nothing_is_new() -> None:
    made = known(f"10.0.0.1 ssh-ed25519 {ED}\n")
    repository = Repository()
    assert pin(made, list(rows(made, ed("a")).values()), repository, replace=True, commit=True) == ""
    assert pin(made, [], repository, replace=False, commit=True) == ""
    assert repository.written == []


def test_a_key_that_changed_is_refused_and_new_ones_wait_with_it() -> None:
    made = known(f"10.0.0.1 ssh-ed25519 {ED}\n")
    repository = Repository()
    with pytest.raises(RefusedError) as caught:
        pin(made, list(rows(made, ed("a", OTHER), ed("b")).values()), repository, replace=False, commit=True)
    assert str(caught.value) == (
        f"a shows another host key than the pinned one: {fingerprint(OTHER)}, pinned is {fingerprint(ED)}"
    )
    assert "fleet node replace a" in caught.value.hint
    assert repository.written == []


def test_replacing_takes_the_old_key_out_and_spares_the_others_of_its_line() -> None:
    made = known(f"10.0.0.1,10.0.0.2 ssh-ed25519 {ED}\n@revoked 10.0.0.1 ssh-ed25519 {RSA}\n")
    repository = Repository()
    pin(made, [rows(made, ed("a", OTHER))["a"]], repository, replace=True, commit=True)
    assert repository.written[0][1].splitlines() == [
        f"10.0.0.2 ssh-ed25519 {ED}",
        f"@revoked 10.0.0.1 ssh-ed25519 {RSA}",
        f"10.0.0.1 ssh-ed25519 {OTHER}",
    ]


def test_bytes_that_are_no_utf_8_stay_as_they_are() -> None:
    made = known("")
    made = msgspec.structs.replace(made, spec=msgspec.structs.replace(made.spec, known_hosts=b"# caf\xe9\n"))
    repository = Repository()
    pin(made, [rows(made, ed("a"))["a"]], repository, replace=False, commit=True)
    assert repository.written[0][1].encode(errors="surrogateescape") == (
        b"# caf\xe9\n10.0.0.1 ssh-ed25519 " + ED.encode() + b"\n"
    )
