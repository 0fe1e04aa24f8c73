"""What Ansible says about a failure, and what people are told."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.adapters.ansible.reasons import of_failure, of_unreachable

CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Host key verification failed."""


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            "Failed to connect to the host via ssh: ssh: connect to host 10.20.1.11 port 22: No route to host",
            "ssh: connect to host 10.20.1.11 port 22: No route to host",
        ),
        (
            'Task failed: Data could not be sent to remote host "h". Make sure this host can be reached over ssh: ssh: late',
            "ssh: late",
        ),
        (
            "Failed to connect to the host via ssh: ssh: connect to host 10.20.1.11 port 22: Connection timed out",
            "ssh: connect to host 10.20.1.11 port 22: Connection timed out",
        ),
        (
            "Failed to connect to the host via ssh: ssh: Could not resolve hostname nas: Name or service not known",
            "ssh: Could not resolve hostname nas: Name or service not known",
        ),
        (
            f"Failed to connect to the host via ssh: {CHANGED}",
            "its host key is not the pinned one: if its hardware was exchanged, fleet node replace pins the new key",
        ),
        (
            "No ED25519 host key is known for 10.20.1.11 and you have requested strict checking.\nHost key ...",
            "no host key is pinned for 10.20.1.11: fleet node trust shows it, and pins it when you vouch for it",
        ),
        (
            "Host key verification failed.",
            "its host key is not pinned: fleet node trust shows it, and pins it when you vouch for it",
        ),
        (
            "Data could not be sent to remote host '10.20.1.11'. Make sure this host can be reached over SSH: [Errno 32] Broken pipe",
            "the connection was lost, and ssh gave no reason",
        ),
        (
            'Data could not be sent to remote host "10.20.1.11". Make sure this host can be reached over ssh: ',
            "the connection was lost, and ssh gave no reason",
        ),
        (
            "Failed to connect to the host via ssh: fleet@10.20.1.11: Permission denied (publickey).",
            "ssh: permission denied for fleet@10.20.1.11 (publickey): does the user exist there, and is your key allowed?",
        ),
        (
            "Failed to connect to the host via ssh: Warning: Permanently added 'x' to the list\nkex_exchange: closed",
            "kex_exchange: closed",
        ),
        (
            "Failed to connect to the host via ssh: kex: Connection closed\nConnection closed by UNKNOWN port 65535",
            "its jump host closed the connection: is that one's host key pinned, and may you log in there?",
        ),
        ("", "no connection, and ssh gave no reason"),
    ],
)
def test_an_unreachable_node_has_sshs_own_reason_or_the_mend(message: str, reason: str) -> None:
    assert of_unreachable({"msg": message}) == reason


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (
            {"step": "units", "at": "k3s.service", "msg": "units: k3s.service: did not start: exit 1\nlog\nlines"},
            "k3s.service did not start: exit 1",
        ),
        ({"step": "expect", "at": "", "msg": "expect: it holds b1:x"}, "expect: it holds b1:x"),
        ({"msg": "Task failed: Module failed: /: No space left on device"}, "/: No space left on device"),
        (
            {
                "msg": "MODULE FAILURE\nSee stdout",
                "module_stderr": "Traceback\n  File x\nOSError: [Errno 28] No space\n",
            },
            "OSError: [Errno 28] No space",
        ),
        ({"msg": "", "exception": "(traceback unavailable)"}, "it failed and gave no reason"),
        ({}, "it failed and gave no reason"),
    ],
)
def test_fleet_bundle_speaks_for_itself(result: dict[str, Any], reason: str) -> None:
    assert of_failure(result, "Bring the bundle in", is_bundle=True) == reason


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"msg": "No package matching 'chrnoy' is available"}, "No package matching 'chrnoy' is available"),
        ({"msg": "non-zero return code", "rc": 3, "stderr": "a\ntoo bad\n"}, "exit 3: too bad"),
        ({"msg": "non-zero return code", "rc": 3, "stderr": "", "stdout": "only this"}, "exit 3: only this"),
        ({"msg": "non-zero return code", "rc": 3}, "exit 3"),
        (
            {
                "msg": "One or more items failed",
                "results": [{"failed": False}, {"failed": True, "msg": "no such group"}],
            },
            "no such group",
        ),
        ({"failed_when_result": True, "msg": ""}, "its own condition for a failure came true (failed_when)"),
    ],
)
def test_other_tasks_are_named(result: dict[str, Any], reason: str) -> None:
    assert of_failure(result, "Install packages", is_bundle=False) == f"Install packages: {reason}"


def test_a_reason_is_one_line_of_bounded_length() -> None:
    assert of_failure({"msg": "x" * 1000}, "", is_bundle=True) == "x" * 299 + "…"
    assert of_failure({"msg": "one\ntwo"}, "", is_bundle=True) == "one"


@pytest.mark.parametrize("is_bundle", [True, False])
@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            "Task failed: Missing sudo password",
            "sudo asks for a password: give it with -K, or name its secret as becomePassword of the connection",
        ),
        (
            "Task failed: Incorrect sudo password",
            "sudo refuses the password: -K asks for another one, becomePassword of the connection names the secret",
        ),
        (
            "The module interpreter '/usr/bin/python3' was not found.",
            "it has no /usr/bin/python3: install python3 there",
        ),
        (
            "ansible-core requires a minimum of Python version 3.8. Current version: 3.6.8 (default) [GCC]",
            "its Python is 3.6.8, and 3.8 or later is needed: upgrade its system",
        ),
        (
            "/bin/sh: 1: sudo: not found",
            "it has no sudo: install sudo there, or log in as root (connection.user)",
        ),
    ],
)
def test_what_every_task_needs_is_not_blamed_on_the_first(message: str, reason: str, *, is_bundle: bool) -> None:
    assert of_failure({"msg": message}, "Install packages", is_bundle=is_bundle) == reason


def test_another_machine_says_what_to_do() -> None:
    told = {"msg": "machine-id: enrolled is a, this machine has b", "step": "machine-id"}
    assert of_failure(told, "", is_bundle=True) == (
        "machine-id: enrolled is a, this machine has b: if its hardware was exchanged, fleet node replace says so"
    )
