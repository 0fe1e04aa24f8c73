"""Why a node failed, in one line that a person can act on, out of what Ansible says about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_MAX = 300
_PREFIXES = re.compile(
    r"(?:(?:Task|Module|Action) failed: |Failed to connect to the host via ssh: "
    r'|Data could not be sent to remote host "[^"]*"\. Make sure this host can be reached over ssh: )+'
)
_DIGEST = re.compile(r"\b(b1:[0-9a-f]{12})[0-9a-f]{52}\b")
_TAKE = "; give a reason to take it over"
_LOOK = "; fleet plan --refresh shows what would change now, --take-over REASON overrules what it holds"
_OTHER_MACHINE = ": if its hardware was exchanged, fleet node replace says so"
_NO_RESULT = ("MODULE FAILURE", "Module result deserialization failed")  # Ansible before and from 2.19
_NONE = "(traceback unavailable)"
_SSH_NOISE = re.compile(r"^(@+$|@ +WARNING|Warning: Permanently added|debug\d:|OpenSSH_|mux_client_|Connection to )")
_KEY_UNKNOWN = re.compile(r"No (\S+) host key is known for (\S+) and you have requested strict checking")
_TRUST = "fleet node trust shows it, and pins it when you vouch for it"
_ASKS_PASSWORD = re.compile(r"Missing \S+ password")
_OTHER_PASSWORD = re.compile(r"Incorrect \S+ password")
_NO_INTERPRETER = re.compile(r"The module interpreter '([^']+)' was not found")
_OLD_PYTHON = re.compile(r"requires a minimum of Python version (\S+)\. Current version: (\S+)")
_NO_SUDO = re.compile(r"\bsudo: (?:command )?not found")
_DENIED = re.compile(r"^(?:.*?(\S+@\S+): )?Permission denied \(([^)]*)\)", re.MULTILINE)
_UNREACHABLE = (
    (
        re.compile("REMOTE HOST IDENTIFICATION HAS CHANGED"),
        "its host key is not the pinned one: if its hardware was exchanged, fleet node replace pins the new key",
    ),
    (re.compile("Host key verification failed"), f"its host key is not pinned: {_TRUST}"),
    (  # ssh keeps a jump host's own words to itself when connections stay open
        re.compile("closed by UNKNOWN port 65535"),
        "its jump host closed the connection: is that one's host key pinned, and may you log in there?",
    ),
    (
        re.compile(
            r"Data could not be sent to remote host .*over ssh:\s*(\[Errno 32\] Broken pipe)?\s*$",
            re.DOTALL | re.IGNORECASE,
        ),
        "the connection was lost, and ssh gave no reason",
    ),
)
"""What ssh says in many words, and the first that is found counts."""


def of_unreachable(result: Mapping[str, Any]) -> str:
    """Why no connection came about: ssh's own words, or what a refused host key asks for."""
    text = _text(result.get("msg")) or _text(result.get("exception"))
    if (match := _KEY_UNKNOWN.search(text)) is not None:
        return f"no host key is pinned for {match[2].rstrip('.')}: {_TRUST}"
    if (match := _DENIED.search(text)) is not None:
        who = f" for {match[1]}" if match[1] else ""
        return f"ssh: permission denied{who} ({match[2]}): does the user exist there, and is your key allowed?"
    for pattern, words in _UNREACHABLE:
        if pattern.search(text):
            return words
    lines = [line for line in _lines(_strip(text)) if not _SSH_NOISE.match(line)]
    return _short(lines[-1] if lines else "no connection, and ssh gave no reason")


def of_failure(result: Mapping[str, Any], task: str, *, is_bundle: bool) -> str:
    """Why a task failed. fleet_bundle speaks for itself; other tasks are named."""
    if is_bundle and result.get("step") == "units" and result.get("at"):
        unit = str(result["at"])
        said = _first(_text(result.get("msg"))).removeprefix(f"units: {unit}: ")
        return _short(f"{unit} {said}")
    words = _words(_failed_item(result))
    if is_bundle and result.get("step") == "undone":  # it quotes what stood in the way of a confirmation
        return _short(words)
    if (needed := _needed(words)) is not None:
        return _short(needed)
    if is_bundle and result.get("step") == "expect":
        words = _DIGEST.sub(r"\1", words).replace(_TAKE, _LOOK)
    if is_bundle and result.get("step") == "machine-id":
        words += _OTHER_MACHINE
    return _short(words if is_bundle or not task else f"{task}: {words}")


def _needed(words: str) -> str | None:
    """What the host lacks for any task at all, whichever came first."""
    if _ASKS_PASSWORD.search(words):
        return "sudo asks for a password: give it with -K, or name its secret as becomePassword of the connection"
    if _OTHER_PASSWORD.search(words):
        return "sudo refuses the password: -K asks for another one, becomePassword of the connection names the secret"
    if (match := _NO_INTERPRETER.search(words)) is not None:
        return f"it has no {match[1]}: install python3 there"
    if (match := _OLD_PYTHON.search(words)) is not None:
        return f"its Python is {match[2]}, and {match[1]} or later is needed: upgrade its system"
    if _NO_SUDO.search(words):
        return "it has no sudo: install sudo there, or log in as root (connection.user)"
    return None


def _failed_item(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a loop, the first item that failed; else the result itself."""
    items = result.get("results")
    if isinstance(items, list):
        for item in items:
            if isinstance(item, dict) and item.get("failed"):
                return item
    return result


def _words(result: Mapping[str, Any]) -> str:
    crash = [
        line for line in _lines(_text(result.get("module_stderr")) or _text(result.get("exception"))) if line != _NONE
    ]
    said = _first(_strip(_text(result.get("msg"))))
    if result.get("failed_when_result") is True and not said:
        return "its own condition for a failure came true (failed_when)"
    if said.startswith(_NO_RESULT) or not said:
        return crash[-1] if crash else said or "it failed and gave no reason"
    if "rc" in result and result["rc"] not in {0, None}:
        errors = _lines(_text(result.get("stderr")) or _text(result.get("stdout")))
        ending = f"exit {result['rc']}"
        if said.startswith("non-zero return code"):
            return f"{ending}: {errors[-1]}" if errors else ending
    return said


def _strip(text: str) -> str:
    match = _PREFIXES.match(text)
    return text if match is None else text[match.end() :]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _first(text: str) -> str:
    lines = _lines(text)
    return lines[0] if lines else ""


def _short(text: str) -> str:
    return text if len(text) <= _MAX else text[: _MAX - 1] + "…"
