"""Secrets are in the one file that asks for them, and nowhere else."""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import pytest
import yaml

VALUES = {"registry": "hunter22-plain", "auth": "fleet:hunter22"}
FORMS = ("hunter22", "ZmxlZXQ6aHVudGVyMjI")


def places(desk: Any) -> list[str]:
    """Files below the node's root that hold any form of a secret."""
    paths = [path for path in desk.root.rglob("*") if path.is_file()]
    return [str(p.relative_to(desk.root)) for p in paths if any(form.encode() in p.read_bytes() for form in FORMS)]


def test_a_secret_is_joined_on_the_node_and_kept_in_its_file_only(
    desk: Any, secret_entry: dict[str, Any], secret_text: bytes
) -> None:
    desk.files, desk.secrets = [secret_entry], VALUES
    result = desk.ok(diff=True)
    path = desk.path("/etc/rancher/k3s/registries.yaml")
    assert path.read_bytes() == secret_text
    assert path.stat().st_mode & 0o7777 == 0o600
    assert places(desk) == ["etc/rancher/k3s/registries.yaml"]
    told = json.dumps(result)
    assert not [form for form in FORMS if form in told]
    assert desk.path("/var/lib/fleet/private.json").stat().st_mode & 0o7777 == 0o600
    assert desk.ok()["changed"] is False


def test_a_changed_secret_shows_only_that_it_differs(desk: Any, secret_entry: dict[str, Any]) -> None:
    desk.files, desk.secrets = [secret_entry], VALUES
    desk.ok()
    desk.secrets = {**VALUES, "registry": "swordfish-9"}
    result = desk.ok(diff=True)
    assert [c["what"] for c in result["changes"]] == [["content"]]
    assert result["diff"][0]["before"] == ""
    assert result["diff"][0]["after"] == "(differs; not shown, it is private)\n"
    assert "swordfish" not in json.dumps(result)
    assert b"swordfish-9" in desk.path("/etc/rancher/k3s/registries.yaml").read_bytes()


def test_a_file_that_held_a_secret_hides_it_when_the_secret_goes(desk: Any, secret_entry: dict[str, Any]) -> None:
    desk.files, desk.secrets = [secret_entry], VALUES
    desk.ok()
    desk.files, desk.secrets = [], {}
    desk.file("/etc/rancher/k3s/registries.yaml", b"mirrors: {}\n", mode="0600")
    assert "hunter22" not in json.dumps(desk.ok(diff=True, check=True))
    desk.files = []
    assert "hunter22" not in json.dumps(desk.ok(diff=True))


def test_a_private_file_that_fleet_did_not_write_is_not_shown(desk: Any) -> None:
    desk.path("/etc/theirs").write_text("their-own-key")
    desk.path("/etc/theirs").chmod(0o600)
    desk.file("/etc/theirs", b"ours\n")
    assert "their-own-key" not in json.dumps(desk.ok(diff=True))
    desk.files = []
    assert "their-own-key" not in json.dumps(desk.ok(diff=True))
    assert desk.path("/etc/theirs").read_text() == "their-own-key"


def test_a_secret_that_did_not_arrive_is_named(desk: Any, secret_entry: dict[str, Any]) -> None:
    desk.files, desk.secrets = [secret_entry], {"auth": "x"}
    assert desk.refused() == "secrets: /etc/rancher/k3s/registries.yaml: secret `registry` did not arrive"
    assert not desk.path("/var").exists()


def test_what_a_validate_command_says_is_without_secrets(desk: Any, secret_entry: dict[str, Any]) -> None:
    desk.files, desk.secrets = [{**secret_entry, "validate": "cat {file} /nowhere"}], VALUES
    said = desk.refused()
    assert "password: ********" in said
    assert not [form for form in FORMS if form in said]
    assert places(desk) == []


def test_a_short_secret_does_not_damage_the_result(desk: Any, secret_entry: dict[str, Any]) -> None:
    desk.files, desk.secrets = [secret_entry], {"registry": "a", "auth": "b1"}
    result = desk.ok(diff=True)
    assert result["digest"] == desk.digest()
    assert result["changes"][0]["path"] == "/etc/rancher/k3s/registries.yaml"


def test_secrets_with_quotes_and_lines_arrive_as_they_are(desk: Any) -> None:
    value = 'a"""b\\"\n\'c\' \t{{ d }} é \U0001f511\n'
    desk.files = [{"path": "/etc/key", "mode": "0600", "segments": [{"name": "key", "encoding": "plain"}]}]
    desk.secrets = {"key": value}
    desk.ok()
    assert desk.path("/etc/key").read_bytes() == value.encode()


ODD = 'a"b\\c\n\t: #{{ d }} é \x7f\x85\u2028\ufeff\U0001f511 no 1e3'


def test_a_secret_in_generated_yaml_is_the_same_text_for_every_reader(desk: Any) -> None:
    """As `password:` in registries.yaml: in quotes, whatever it holds."""
    value = {"name": "key", "encoding": "json", "fingerprint": "aa"}
    desk.files = [{"path": "/etc/registries.yaml", "mode": "0600", "segments": ["password: ", value, "\n"]}]
    desk.secrets = {"key": ODD}
    desk.ok()
    text = desk.path("/etc/registries.yaml").read_text()
    assert yaml.safe_load(text) == {"password": ODD}
    assert json.loads(text.removeprefix("password: ")) == ODD
    desk.secrets = {"key": "let me in"}
    desk.ok()
    assert desk.path("/etc/registries.yaml").read_text() == 'password: "let me in"\n'


def test_a_quoted_secret_is_hidden_too(desk: Any) -> None:
    value = {"name": "key", "encoding": "json"}
    desk.files = [
        {"path": "/etc/key", "mode": "0600", "segments": [value], "validate": "sh -c 'cat \"$0\"; exit 1' {file}"}
    ]
    desk.secrets = {"key": 'hunter"22'}
    said = desk.refused()
    assert "********" in said
    assert "hunter" not in said


def shown(desk: Any, script: str, **secrets: str) -> str:
    """What a failing check says that prints what `script` does."""
    desk.files = [
        {
            "path": "/etc/key",
            "mode": "0600",
            "segments": [{"name": name, "encoding": "plain"} for name in secrets],
            "validate": f"sh -c '{script}; exit 1' {{file}}",
        }
    ]
    desk.secrets = secrets
    return str(desk.refused())


@pytest.mark.parametrize("before", ["", "a", "ab", "user:"])
def test_a_secret_within_base64_is_hidden_wherever_it_begins(desk: Any, before: str) -> None:
    said = shown(desk, f'(printf %s "{before}"; cat $0) | base64 -w0', key="s3cret-w0rd")
    coded = base64.b64encode(f"{before}s3cret-w0rd".encode()).decode()
    assert "********" in said
    assert coded not in said
    assert coded[4 if before else 0 : -4] not in said


def test_a_secret_within_a_url_is_hidden(desk: Any) -> None:
    said = shown(
        desk, "echo https://u:p%40ss%20w%C3%B6rd%2F@host/ https://host/?k=p%40ss+w%C3%B6rd%2F", key="p@ss w\u00f6rd/"
    )
    assert said.endswith("ended with 1: https://u:********@host/ https://host/?k=********")


def test_a_secret_that_another_one_begins_with_leaves_nothing_of_it(desk: Any) -> None:
    said = shown(desk, "echo it is password123", a="password", b="password123")
    assert said.endswith("ended with 1: it is ********")


def test_a_secret_that_is_cut_by_the_length_of_a_reason_is_not_shown_by_half(desk: Any) -> None:
    said = shown(desk, "cat $0; head -c 1990 /dev/zero | tr \\\\0 x", key="hunter22-and-more")
    assert "x" * 1900 in said
    assert "more" not in said


def test_what_is_told_beside_a_secret_of_many_lines_stays_readable(desk: Any) -> None:
    said = shown(desk, "echo { a: 1 }; cat $0", key='{\n  "pass": "hunter22"\n}\n')
    assert "{ a: 1 }" in said
    assert "hunter22" not in said


def test_an_encoding_that_this_module_does_not_know_is_refused(desk: Any) -> None:
    desk.files = [{"path": "/etc/key", "mode": "0600", "segments": [{"name": "key", "encoding": "rot13"}]}]
    desk.secrets = {"key": "x"}
    assert desk.refused() == "bundle: /etc/key: encoding `rot13` is not known here"
    assert not desk.path("/etc/key").exists()


def test_alone_takes_secrets_on_stdin(desk: Any, secret_entry: dict[str, Any], secret_text: bytes) -> None:
    desk.files = [secret_entry]
    done = desk.alone("--secrets-stdin", stdin=json.dumps(VALUES))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["changed"] is True
    assert desk.path("/etc/rancher/k3s/registries.yaml").read_bytes() == secret_text
    assert sys.executable
