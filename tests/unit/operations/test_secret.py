"""Secrets stored, told, listed and rotated: which file, which version, and what is refused."""

from __future__ import annotations

import json

import pytest

from fleet.errors import SpecError, UsageError
from fleet.model.cluster import Cluster
from fleet.model.problem import Place
from fleet.model.secret import SecretRow
from fleet.operations.preparing import check_vaults
from fleet.operations.secret import SecretStored, TokenRotated, TokensRotated, generate, rotate, store_value, value_of
from fleet.operations.secret.listing import rows
from fleet.testing import MemorySecrets
from fleet.testing.secrets import fingerprint
from tests.specs import FLEET, ONE, document
from tests.unit.operations.hosts import secrets_lock
from tests.unit.render.ground import intent

LYON, SHARED = "secrets/lyon.yaml", "secrets/shared.yaml"
TOKEN, AGENT = "lyon.k3s-token", "lyon.k3s-agent-token"


def cluster(name: str, site: str = "") -> Cluster:
    return Cluster(
        name, site or name, (f"{name}-a",), (), "sqlite", "", (), f"{name}.k3s-token", f"{name}.k3s-agent-token",
        Place("sites.yaml"),
    )  # fmt: skip


CLUSTERS = (cluster("lyon"), cluster("lyon-gpu", "lyon"), cluster("paris"))


def stored(store: MemorySecrets, name: str, value: bytes = b"hunter2", file: str = "") -> SecretStored:
    (event,) = store_value(name, value, file, CLUSTERS, store)
    return event


@pytest.fixture
def store() -> MemorySecrets:
    made = MemorySecrets()
    list(generate(CLUSTERS, made.lock(), made))
    made.opened.clear()
    return made


# Where a value goes.


@pytest.mark.parametrize(
    ("name", "given", "file"),
    [
        ("registry-password", "", SHARED),
        ("lyon.db", "", LYON),
        ("lyon-gpu.db", "", LYON),
        ("paris.db", "", "secrets/paris.yaml"),
        ("lyonnaise", "", SHARED),
        ("wifi", "secrets/offices.yaml", "secrets/offices.yaml"),
        ("wifi", "secrets/deep/offices.yml", "secrets/deep/offices.yml"),
        ("lyon.k3s-token", "", LYON),
    ],
)
def test_a_value_goes_where_it_belongs_and_nothing_else_is_opened(
    store: MemorySecrets, name: str, given: str, file: str
) -> None:
    assert stored(store, name, file=given).file == file
    assert set(store.opened) == {file}
    assert value_of(name, store) == "hunter2"


def test_a_name_that_is_there_stays_in_its_file(store: MemorySecrets) -> None:
    assert stored(store, "wifi", file="secrets/offices.yaml") == SecretStored("wifi", "secrets/offices.yaml", 1, 0)
    assert stored(store, "wifi", b"other") == SecretStored("wifi", "secrets/offices.yaml", 2, 1)
    assert stored(store, "wifi", b"other") == SecretStored("wifi", "secrets/offices.yaml", 2, 2)
    with pytest.raises(UsageError, match=r"`wifi` is in secrets/offices\.yaml"):
        stored(store, "wifi", file=SHARED)


@pytest.mark.parametrize(
    "file",
    ["offices.yaml", "../secrets/a.yaml", "secrets/../a.yaml", "/etc/passwd", "secrets/a.txt", "secrets/.a.yaml"],
)
def test_a_file_that_cannot_be_one_is_refused(store: MemorySecrets, file: str) -> None:
    with pytest.raises(UsageError, match="cannot be a vault file"):
        stored(store, "wifi", file=file)


@pytest.mark.parametrize(
    "name", ["", "a b", "a/b", "-a", "a\n", "caf\u00e9", "a{{", "x" * 300, "fleet.fingerprint-key"]
)
def test_a_name_that_nothing_could_refer_to_is_refused(store: MemorySecrets, name: str) -> None:
    with pytest.raises(UsageError):
        stored(store, name)


# What a value may be.


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (b"one line\n", "one line"),
        (b"one line\r\n", "one line"),
        (b"no end", "no end"),
        (b"two\nlines\n", "two\nlines\n"),
        (b" blanks \n", " blanks "),
        (b"q\"u'o $te {{ x }} \\n", "q\"u'o $te {{ x }} \\n"),
        ("caf\u00e9 \U0001f511\n".encode(), "caf\u00e9 \U0001f511"),
        (b"\n\n", "\n\n"),
    ],
)
def test_one_line_loses_its_end_and_more_lines_stay_byte_for_byte(
    store: MemorySecrets, given: bytes, kept: str
) -> None:
    stored(store, "x", given)
    assert value_of("x", store) == kept


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (b"", "the value is empty"),
        (b"\n", "the value is empty"),
        (b"hunter22\xff", "not UTF-8 at byte 8"),
        (b"hunter22\0", "zero byte, at character 8"),
        (b"hunter22" * 200_000, "at most 1,048,576 bytes"),
    ],
)
def test_what_cannot_be_a_secret_is_refused_without_being_shown(store: MemorySecrets, given: bytes, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        stored(store, "x", given)
    assert "hunter22" not in caught.value.message + caught.value.hint
    assert caught.value.hint
    assert "x" not in store.lock().secrets


@pytest.mark.parametrize("name", [TOKEN, AGENT, f"{TOKEN}.previous"])
def test_a_token_has_to_have_the_form_of_one(store: MemorySecrets, name: str) -> None:
    with pytest.raises(UsageError, match="is a K3s token, and the value is none: a token is printable") as caught:
        stored(store, name, b"hunter 22")
    assert "fleet secret generate" in caught.value.hint
    assert "hunter" not in caught.value.message


def test_a_name_that_there_is_not_is_told_with_the_nearest(store: MemorySecrets) -> None:
    with pytest.raises(UsageError, match=r"there is no secret `lyon\.k3s-tokn`") as caught:
        value_of("lyon.k3s-tokn", store)
    assert caught.value.hint == "did you mean `lyon.k3s-token`?"
    assert store.opened == []


# Rotation.


def test_a_server_token_keeps_its_old_value_and_an_agent_token_does_not(store: MemorySecrets) -> None:
    before = dict(store.read(LYON))
    store.opened.clear()

    events = list(rotate([AGENT, TOKEN, TOKEN], CLUSTERS, store, forgets=False))

    assert events == [
        TokenRotated(AGENT, LYON, 2, "lyon"),
        TokenRotated(TOKEN, LYON, 2, "lyon", f"{TOKEN}.previous"),
        TokensRotated(2, 1),
    ]
    assert set(store.opened) == {LYON}
    after = dict(store.read(LYON))
    assert after[f"{TOKEN}.previous"] == before[TOKEN]
    assert sorted(after) == sorted([*before, f"{TOKEN}.previous"])
    changed = {name for name, value in before.items() if after[name] != value}
    assert changed == {TOKEN, AGENT}
    assert all(len(bytes.fromhex(after[name])) == 32 for name in changed)


def test_the_only_value_that_a_cluster_may_know_is_never_overwritten_unasked(store: MemorySecrets) -> None:
    first = store.read(LYON)[TOKEN]
    list(rotate([TOKEN], CLUSTERS, store, forgets=False))

    with pytest.raises(UsageError, match="was rotated before") as caught:
        list(rotate([TOKEN], CLUSTERS, store, forgets=False))
    assert "--forget-previous" in caught.value.hint
    assert value_of(f"{TOKEN}.previous", store) == first

    second = value_of(TOKEN, store)
    list(rotate([TOKEN], CLUSTERS, store, forgets=True))
    assert value_of(f"{TOKEN}.previous", store) == second
    list(rotate([AGENT], CLUSTERS, store, forgets=False))


def test_a_rotation_that_was_cut_short_before_the_lock_is_only_listed(store: MemorySecrets) -> None:
    """Else the second one would keep a value that no cluster ever had, in place of the one that it has."""
    lock = store.lock()
    list(rotate([TOKEN], CLUSTERS, store, forgets=False))
    left = dict(store.read(LYON))
    store._lock = lock  # what a kill between the file and secrets.lock leaves

    events = list(rotate([TOKEN], CLUSTERS, store, forgets=False))

    assert events[0] == TokenRotated(TOKEN, LYON, 2, "lyon", f"{TOKEN}.previous")
    assert dict(store.read(LYON)) == left


def test_every_name_that_cannot_be_rotated_is_told_and_nothing_is_written(store: MemorySecrets) -> None:
    stored(store, "registry")
    before = store.lock()

    with pytest.raises(UsageError) as caught:
        list(rotate([TOKEN, "registry", "nope", f"{TOKEN}.previous"], CLUSTERS, store, forgets=False))

    assert caught.value.message.splitlines() == [
        "`registry` is no token that fleet makes: only you know its new value",
        "there is no secret `nope`",
        "there is no secret `lyon.k3s-token.previous`",
    ]
    assert caught.value.hint == "give it the new one: fleet secret set registry"
    assert store.lock() == before


# Who uses what.

SITE = document(
    "Site",
    "lyon",
    f"{ONE}vars: {{pass: 'secret:db'}}\nos: {{files: [{{path: /etc/db.conf, content: '{{{{ vars.pass }}}}'}}]}}",
)


def test_each_secret_is_listed_with_those_who_use_it() -> None:
    found = rows(intent(FLEET, SITE, files=secrets_lock(TOKEN, f"{TOKEN}.previous", "unused")))

    nodes = found[0].nodes
    assert len(nodes) == 1
    assert list(found) == [
        SecretRow("db", "", 0, "own", ("lyon",), nodes),
        SecretRow(AGENT, "", 0, "token", ("lyon",), nodes),
        SecretRow(TOKEN, LYON, 1, "token", ("lyon",), nodes),
        SecretRow(f"{TOKEN}.previous", LYON, 1, "previous"),
        SecretRow("unused", LYON, 1, "own"),
    ]


# What apply looks at before it begins.


def locked(store: MemorySecrets) -> dict[str, str]:
    listed = {
        name: {"file": one.file, "version": one.version, "fingerprint": one.fingerprint}
        for name, one in store.lock().secrets.items()
    }
    return {"secrets/secrets.lock": json.dumps({"format": "fleet.secrets/v1", "secrets": listed})}


def faults(store: MemorySecrets, files: dict[str, str]) -> list[str]:
    made = intent(FLEET, SITE, files=files)
    try:
        check_vaults(made, made.fleet.nodes, store)
    except SpecError as error:
        return [problem.message for problem in error.problems]
    return []


def test_vaults_of_other_sites_are_not_opened(store: MemorySecrets) -> None:
    stored(store, "db")
    store.opened.clear()
    assert faults(store, locked(store)) == []
    assert set(store.opened) == {LYON, SHARED}


def test_a_value_that_was_changed_by_hand_and_a_token_of_a_wrong_form_are_told(store: MemorySecrets) -> None:
    stored(store, "db")
    files = locked(store)
    store.write({SHARED: {"db": "changed"}})
    assert faults(store, files) == ["`db` is not the value that is locked"]

    store.write({SHARED: {"db": "hunter2"}, LYON: {**store.read(LYON), TOKEN: "two words"}})
    assert fingerprint("db", "hunter2") in locked(store)["secrets/secrets.lock"]
    (told,) = faults(store, locked(store))
    assert told == f"`{TOKEN}` is no K3s token: a token is printable ASCII without blanks"
