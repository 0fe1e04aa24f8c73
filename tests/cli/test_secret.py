"""`fleet secret` as people use it: values come in by pipe, file or question, and go out by `get` alone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import jsonschema
import pytest

from fleet.cli.documents import OUTPUTS
from tests.cli.running import COMMAND, Ran, environment, run, run_on_terminal
from tests.cli.test_completion import complete
from tests.cli.test_completion import path as path  # noqa: PLC0414 - a fixture

VALUE = "q\"u'o$te {{ x }} \u00e9"
K3S = """\
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: nice}
spec:
  nodes:
    - {name: nice-a, role: server, arch: amd64, address: 10.20.3.11}
    - {name: nice-till, role: agent, arch: amd64, address: 10.20.3.12}
"""
LOCK = {
    "format": "fleet.lock/v1",
    "renderer": 1,
    "channels": {"stable": "v1.36.3+k3s1"},
    "releases": {
        "v1.36.3+k3s1": {
            "version": "v1.36.3+k3s1",
            "binaries": {"amd64": {"name": "k3s", "sha256": "a" * 64, "size": 70_000_000}},
        }
    },
}


@pytest.fixture
def vaulted(shop: Path) -> Path:
    """A shop with a K3s cluster, `nice`, whose tokens are made; its password is in `pw` beside it."""
    (shop / "sites" / "nice.yaml").write_text(K3S)
    (shop / "fleet.lock").write_text(json.dumps(LOCK))
    (shop.parent / "pw").write_text("open sesame\n")
    assert secret(shop, "generate").code == 0
    return shop


def secret(shop: Path, *arguments: str, given: str = "", file: str = "pw") -> Ran:
    return run("secret", *arguments, cwd=shop, env={"FLEET_VAULT_PASSWORD_FILE": str(shop.parent / file)}, given=given)


def test_a_value_comes_in_by_a_pipe_and_out_byte_for_byte(vaulted: Path):
    stored = secret(vaulted, "set", "wifi", given=f"{VALUE}\n")

    assert stored == (
        0,
        (
            "secrets/shared.yaml: wifi, version 1, new\n"
            "git add secrets && git commit; fleet plan shows which nodes change\n"
        ),
        "",
    )
    assert secret(vaulted, "get", "wifi") == (0, VALUE, "")
    assert secret(vaulted, "set", "wifi", given="x").out.startswith("secrets/shared.yaml: wifi, version 2 (it was 1)\n")
    assert secret(vaulted, "set", "wifi", given="x\n").out == "secrets/shared.yaml: wifi stays as it is, version 2\n"


def test_a_value_comes_from_a_file_into_a_vault_that_is_named(vaulted: Path):
    pem = "-----BEGIN X-----\nabc\n-----END X-----\n"
    (vaulted.parent / "key.pem").write_text(pem)

    ran = secret(vaulted, "set", "tls", "--from-file", "../key.pem", "--file", "secrets/offices.yaml")

    assert ran.out.startswith("secrets/offices.yaml: tls, version 1, new\n")
    assert secret(vaulted, "get", "tls").out == pem
    assert secret(vaulted, "set", "tls", "--from-file", "-", given="y").code == 0
    assert secret(vaulted, "set", "tls", "--from-file", "nowhere") == (
        2, "", "error: cannot read the value from nowhere: No such file or directory\nhint: name a file that holds it\n",
    )  # fmt: skip


def test_bytes_are_refused_with_what_to_do(vaulted: Path):
    env = environment({"FLEET_VAULT_PASSWORD_FILE": str(vaulted.parent / "pw")})
    done = subprocess.run(
        [*COMMAND, "secret", "set", "key"], cwd=vaulted, env=env, input=b"\x89PNG", capture_output=True, check=False
    )

    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == (
        "error: `key`: the value is not UTF-8 at byte 0\n"
        "hint: keep it as base64 and let what reads it decode it: base64 -w0 FILE | fleet secret set NAME\n"
    )


def test_a_value_is_no_argument(vaulted: Path):
    ran = secret(vaulted, "set", "wifi", "hunter2")

    assert ran.code == 2
    assert "unexpected extra argument" in ran.err


def test_on_a_terminal_a_value_is_asked_for_twice_and_not_shown(vaulted: Path):
    env = {"FLEET_VAULT_PASSWORD_FILE": str(vaulted.parent / "pw")}

    ran = run_on_terminal(
        "secret", "set", "wifi", cwd=vaulted, env=env,
        answers={"Value of wifi: ": "hunter2", "Repeat for confirmation: ": "hunter2"},
    )  # fmt: skip

    assert ran.code == 0, ran
    assert "hunter2" not in ran.out
    assert secret(vaulted, "get", "wifi").out == "hunter2"
    shown = run_on_terminal("secret", "get", "wifi", cwd=vaulted, env=env)
    assert shown.out == "hunter2\r\n"


def test_the_list_needs_no_password_and_says_who_uses_what(vaulted: Path):
    (vaulted / "fleet.yaml").write_text(
        (vaulted / "fleet.yaml").read_text()
        + "      - {path: /etc/wifi, content: '{{ secrets.wifi }}', mode: '0600'}\n"
    )
    secret(vaulted, "set", "old", given="hunter2")
    secret(vaulted, "set", "wifi", given="hunter2")

    ran = run("secret", "list", cwd=vaulted)

    assert ran.code == 0, ran.err
    assert [line.split(maxsplit=3) for line in ran.out.splitlines()[1:]] == [
        ["nice.k3s-agent-token", "secrets/nice.yaml", "1", "K3s token  nice-a, nice-till"],
        ["nice.k3s-token", "secrets/nice.yaml", "1", "K3s token  nice-a"],
        ["old", "secrets/shared.yaml", "1", "own        nobody"],
        ["wifi", "secrets/shared.yaml", "1", "own        5 nodes at lyon, nice and 1 more"],
    ]
    assert ran.err == "4 secrets\n"


def test_a_secret_that_no_vault_holds_is_listed_as_absent(vaulted: Path):
    (vaulted / "secrets" / "secrets.lock").unlink()

    ran = run("secret", "list", cwd=vaulted)

    assert [line.split()[:3] for line in ran.out.splitlines()[1:]] == [
        ["nice.k3s-agent-token", "absent", "-"],
        ["nice.k3s-token", "absent", "-"],
    ]
    assert ran.err == "2 secrets, 2 absent\n"


def test_what_json_prints(vaulted: Path):
    listed = json.loads(secret(vaulted, "list", "--json").out)
    jsonschema.validate(listed, OUTPUTS["secrets"].json_schema())
    assert [row["name"] for row in listed["secrets"]] == ["nice.k3s-agent-token", "nice.k3s-token"]
    (vaulted.parent / "new").write_text("close sesame\n")
    rules = OUTPUTS["secret-event"].json_schema()
    for arguments, kinds in (
        (["set", "wifi"], ["SecretStored"]),
        (["rotate", "nice.k3s-token"], ["TokenRotated", "TokensRotated"]),
        (["rekey", "--new-vault-password-file", "../new"], ["VaultRekeyed"] * 3 + ["RekeyComplete"]),
    ):
        ran = secret(vaulted, *arguments, "--json", given="hunter2")
        assert ran.code == 0, ran.err
        events = [json.loads(line) for line in ran.out.splitlines()]
        for event in events:
            jsonschema.validate(event, rules)
        assert [event["type"] for event in events] == kinds
        assert "hunter2" not in ran.out


def test_a_rotation_says_what_has_to_follow(vaulted: Path):
    before = secret(vaulted, "get", "nice.k3s-token").out

    ran = secret(vaulted, "rotate", "nice.k3s-token", "nice.k3s-agent-token")

    assert ran.code == 0, ran.err
    assert "nice.k3s-token is new, version 2, the old value is nice.k3s-token.previous" in ran.out
    assert "fleet apply tells a running cluster its new token" in ran.out
    assert "keep NAME.previous while they are needed" in ran.out
    assert "fleet plan shows which nodes change" in ran.out
    assert secret(vaulted, "get", "nice.k3s-token.previous").out == before
    again = secret(vaulted, "rotate", "nice.k3s-token")
    assert (again.code, again.out) == (2, "")
    assert "nice.k3s-token --forget-previous" in again.err
    changes = run("plan", "--sandbox", "nodes", "--json", cwd=vaulted)
    assert changes.code == 3, changes.err


def test_another_password(vaulted: Path):
    (vaulted.parent / "new").write_text("close sesame\n")
    lock = (vaulted / "secrets" / "secrets.lock").read_bytes()
    digests = run("plan", "--json", "--sandbox", "nodes", cwd=vaulted).out

    ran = secret(vaulted, "rekey", "--new-vault-password-file", "../new")

    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[0] == "2 vault files under the new password"
    assert (vaulted / "secrets" / "secrets.lock").read_bytes() == lock
    assert run("plan", "--json", "--sandbox", "nodes", cwd=vaulted).out == digests
    assert secret(vaulted, "get", "nice.k3s-token").code == 2
    assert secret(vaulted, "get", "nice.k3s-token", file="new").code == 0
    again = secret(vaulted, "rekey", "--new-vault-password-file", "../new")
    assert again.out.splitlines()[0] == "2 vault files under the new password, 2 of them had it already"
    nobody = secret(vaulted, "rekey")
    assert (nobody.code, "nobody is there to ask" in nobody.err) == (2, True)


def test_another_password_is_asked_for_twice(vaulted: Path):
    env = {"FLEET_VAULT_PASSWORD_FILE": str(vaulted.parent / "pw")}
    answers = {"New vault password: ": "close sesame", "Repeat for confirmation: ": "close sesame"}

    ran = run_on_terminal("secret", "rekey", cwd=vaulted, env=env, answers=answers)

    assert ran.code == 0, ran
    assert "sesame" not in ran.out
    (vaulted.parent / "new").write_text("close sesame\n")
    assert secret(vaulted, "get", "nice.k3s-token", file="new").code == 0


def test_every_file_that_does_not_open_is_told_at_once(vaulted: Path):
    (vaulted.parent / "new").write_text("close sesame\n")
    for name in ("nice", "fleet"):
        path = vaulted / "secrets" / f"{name}.yaml"
        path.write_bytes(path.read_bytes()[:150])

    ran = secret(vaulted, "rekey", "--new-vault-password-file", "../new")

    assert ran.code == 2
    assert [line.split(".  ")[0].partition(" Fetch")[0] for line in ran.err.splitlines()[1:]] == [
        "secrets/fleet.yaml:3:1 error  the vault is cut short.",
        "secrets/nice.yaml:3:1  error  the vault is cut short.",
        "2 errors in 2 of 2 documents.",
    ]


def test_what_people_changed_by_hand_is_refused_by_apply_and_listed_when_asked(vaulted: Path):
    secret(vaulted, "set", "own", given="x")
    tool = Path(COMMAND[0]).parent / "ansible-vault"
    file, clear = vaulted / "secrets" / "nice.yaml", vaulted.parent / "clear"
    words = ["--vault-password-file", str(vaulted.parent / "pw")]
    env = environment({"ANSIBLE_HOME": str(vaulted.parent / "h")})
    for verb, paths in (
        ("decrypt", ["--output", str(clear), str(file)]),
        ("encrypt", ["--output", str(file), str(clear)]),
    ):
        if verb == "encrypt":
            clear.write_text(clear.read_text().replace('nice.k3s-token: "', 'nice.k3s-token: "0'))
        subprocess.run([tool, verb, *words, *paths], env=env, check=True, capture_output=True)

    ran = run("apply", "--yes", "--sandbox", "nodes", "--vault-password-file", "../pw", cwd=vaulted)

    assert ran.code == 2
    assert "secrets/nice.yaml:1:1 error  `nice.k3s-token` is not the value that secrets/secrets.lock lists" in ran.err
    assert "fleet secret generate --edited" in ran.err
    listed = secret(vaulted, "generate", "--edited")
    assert "secrets/nice.yaml: nice.k3s-token, changed by hand\n" in listed.out


def test_names_are_completed_without_a_password(vaulted: Path, path: str):
    assert complete("fleet secret get nice.", cwd=vaulted, path=path) == ["nice.k3s-agent-token", "nice.k3s-token"]
    assert complete("fleet secret rotate nice.k3s-t", cwd=vaulted, path=path) == ["nice.k3s-token"]
    assert complete("fleet secret se", cwd=vaulted, path=path) == ["set"]


def test_a_value_is_in_no_diagnostics(vaulted: Path):
    ran = secret(vaulted, "set", "wifi", "-vvv", given="hunter2")
    assert "hunter2" not in ran.out + ran.err
    assert "hunter2" not in secret(vaulted, "get", "wifi", "-vvv").err
    held = b"".join(path.read_bytes() for path in vaulted.rglob("*") if path.is_file())
    assert b"hunter2" not in held
    assert (vaulted / "secrets" / "shared.yaml").stat().st_mode & 0o777 == 0o600
