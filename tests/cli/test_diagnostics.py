"""-v and -vv: on stderr, with timings, without secrets; and where the vaults' password comes from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleet.cli.passwords import password_source
from fleet.cli.redaction import HIDDEN, redact, redacted
from fleet.errors import FleetError, UsageError
from tests.cli.running import run


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("clone https://ops:hunter2@git.example/a.git", f"clone https://{HIDDEN}@git.example/a.git"),
        ("K10" + "a" * 64 + "::server:hunter2 joined", f"{HIDDEN} joined"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----\nafter", f"{HIDDEN}\nafter"),
        ("-----BEGIN RSA PRIVATE KEY-----\nhunter2 cut", HIDDEN),
        ("$ANSIBLE_VAULT;1.1;AES256\n6162\n6364", HIDDEN),
        ("login failed: password=hunter2 user=ops", f"login failed: password={HIDDEN} user=ops"),
        ("Token: hunter2", f"Token: {HIDDEN}"),
        ("b1:9c796aac1e4e2cde at lyon-1-a:22", "b1:9c796aac1e4e2cde at lyon-1-a:22"),
    ],
)
def test_what_looks_like_a_secret_is_left_out(text: str, left: str):
    assert redacted(text) == left


def test_values_under_secret_names_are_left_out():
    event = {"event": "open", "vault_password": b"hunter2", "k3s_token": "hunter2", "node": "lyon-a", "forks": 20}

    assert redact(None, "info", dict(event)) == {
        "event": "open", "vault_password": HIDDEN, "k3s_token": HIDDEN, "node": "lyon-a", "forks": 20,
    }  # fmt: skip


def test_without_v_stderr_is_silent(shop: Path):
    assert run("validate", cwd=shop).err == ""


def test_v_says_what_is_done_and_vv_how_long_it_took(shop: Path):
    once = run("validate", "-v", "--log-format", "json", cwd=shop)
    twice = run("validate", "-vv", "--log-format", "json", cwd=shop)

    assert [json.loads(line)["event"] for line in once.err.splitlines()] == ["open", "validate"]
    timed = [json.loads(line) for line in twice.err.splitlines() if "done" in line]
    assert [line["event"] for line in timed] == ["open done", "validate done"]
    assert all(line["ms"] >= 0 and line["cpu_ms"] >= 0 and line["level"] == "debug" for line in timed)


def test_diagnostics_never_reach_stdout(shop: Path):
    quiet = run("plan", "--json", cwd=shop)
    loud = run("plan", "--json", "-vv", cwd=shop)

    assert loud.out == quiet.out
    assert "plan done" in loud.err


def source(file: str = "") -> bytes:
    found = password_source(file)
    assert found is not None
    return found()


def test_a_password_from_a_file(tmp_path: Path):
    (tmp_path / "vault").write_text("hunter2\n")

    assert source(str(tmp_path / "vault")) == b"hunter2"


def test_a_password_from_a_program(tmp_path: Path):
    program = tmp_path / "vault"
    program.write_text("#!/bin/sh\necho hunter2\n")
    program.chmod(0o700)

    assert source(str(program)) == b"hunter2"


def test_a_password_from_the_environment_unless_the_option_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "ours").write_text("ours")
    (tmp_path / "theirs").write_text("theirs")
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(tmp_path / "theirs"))

    assert source() == b"theirs"
    assert source(str(tmp_path / "ours")) == b"ours"


def test_the_program_is_run_once(tmp_path: Path):
    program = tmp_path / "vault"
    program.write_text(f"#!/bin/sh\necho ran >> {tmp_path}/log\necho hunter2\n")
    program.chmod(0o700)
    asked = password_source(str(program))
    assert asked is not None

    assert (asked(), asked()) == (b"hunter2", b"hunter2")
    assert (tmp_path / "log").read_text() == "ran\n"


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (None, 0o600, "cannot read the vault password from {path}: No such file or directory"),
        ("\n", 0o600, "the vault password is empty"),
        ("#!/bin/sh\necho hunter2\nexit 3\n", 0o700, "{path}, which prints the vault password, ended with 3"),
    ],
)
def test_a_password_that_cannot_be_had(tmp_path: Path, content: str | None, mode: int, said: str):
    path = tmp_path / "vault"
    if content is not None:
        path.write_text(content)
        path.chmod(mode)

    with pytest.raises(FleetError) as caught:
        source(str(path))

    assert caught.value.message == said.format(path=path)
    assert "hunter2" not in caught.value.message


def test_without_a_terminal_nothing_is_asked(monkeypatch: pytest.MonkeyPatch):
    for name in ("ANSIBLE_VAULT_PASSWORD_FILE", "FLEET_VAULT_PASSWORD_FILE", "FLEET_VAULT_PASSWORD"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(UsageError, match="nobody is there to ask"):
        password_source("")()
