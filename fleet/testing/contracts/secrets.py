# ruff: noqa: S101 - a contract suite is made of asserts

from __future__ import annotations

import pytest

from fleet.errors import UsageError
from fleet.model.secret import LockedSecret
from fleet.ports.secrets import Secrets

LYON, PARIS = "secrets/lyon.yaml", "secrets/paris.yaml"


class SecretsContract:
    """Wants a fixture `secrets`, empty."""

    def test_what_is_written_is_read_and_locked(self, secrets: Secrets) -> None:
        assert secrets.read(LYON) == {}
        assert secrets.lock().secrets == {}

        secrets.write({LYON: {"a": "1", "b": "2"}, PARIS: {"c": "3"}})

        assert (secrets.read(LYON), secrets.read(PARIS)) == ({"a": "1", "b": "2"}, {"c": "3"})
        found = {name: (one.file, one.version) for name, one in secrets.lock().secrets.items()}
        assert found == {"a": (LYON, 1), "b": (LYON, 1), "c": (PARIS, 1)}

    def test_only_a_value_that_changed_gets_a_version_and_a_fingerprint(self, secrets: Secrets) -> None:
        secrets.write({LYON: {"a": "1", "b": "2", "d": "4"}})
        before = secrets.lock().secrets

        secrets.write({LYON: {"a": "1", "b": "new"}})

        after = secrets.lock().secrets
        assert sorted(after) == ["a", "b"]
        assert (after["a"], after["b"].version) == (before["a"], 2)
        assert after["b"].fingerprint != before["b"].fingerprint

    def test_there_is_no_problem_with_what_is_as_it_was_locked(self, secrets: Secrets) -> None:
        secrets.write({LYON: {"a": "1"}, PARIS: {"c": "3"}})

        assert list(secrets.problems(secrets.lock().secrets)) == []
        assert list(secrets.problems({})) == []

    def test_another_value_and_an_absent_one_are_told_with_their_file(self, secrets: Secrets) -> None:
        secrets.write({LYON: {"a": "1"}})
        wanted = {"a": LockedSecret(LYON, 1, "0" * 64), "gone": LockedSecret(LYON, 1, "0" * 64)}

        problems = secrets.problems(wanted)

        assert [(each.file, name in each.message) for each, name in zip(problems, ("a", "gone"), strict=True)] == [
            (LYON, True),
            (LYON, True),
        ]

    def test_another_password_changes_no_value_and_no_lock(self, secrets: Secrets) -> None:
        secrets.write({LYON: {"a": "1"}, PARIS: {"c": "3"}})
        before = secrets.lock()

        events = list(secrets.rekey(lambda: b"another"))

        assert [event.file for event in events if event.file in (LYON, PARIS)] == [LYON, PARIS]
        assert [event.done for event in events] == list(range(1, events[-1].total + 1))
        assert secrets.lock() == before
        with pytest.raises(UsageError):
            list(secrets.rekey(lambda: b"another"))
