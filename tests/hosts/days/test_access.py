"""Hosts that one cannot log in to as before: passwords, keys, machines, shells."""

import secrets
from collections.abc import Iterator

import pexpect
import pytest

from tests.hosts.checkout import BIN
from tests.hosts.days.day import MOTD, NODE, Day

SUDOERS, PASSWORD = "/etc/sudoers.d/fleet", "correct horse battery"
MISSING = "sudo asks for a password: give it with -K, or name its secret as becomePassword of the connection"
WRONG = "sudo refuses the password: -K asks for another one, becomePassword of the connection names the secret"


@pytest.fixture
def asking(day: Day) -> Iterator[Day]:
    """sudo of the host asks for the password of the user, which is PASSWORD."""
    kept = day.host.read(SUDOERS)
    day.host.run(["chpasswd"], stdin=f"fleet:{PASSWORD}\n")
    day.host.write(SUDOERS, "fleet ALL=(ALL) ALL\n")
    yield day
    day.host.write(SUDOERS, kept)
    day.host.run(["passwd", "--quiet", "--lock", "fleet"])


def test_sudo_that_asks_is_told_with_what_to_do_and_a_file_with_the_password_helps(asking: Day) -> None:
    asking.greet()
    assert asking.fails() == MISSING
    assert asking.is_as_before()
    word = asking.checkout.home / "sudo-password"
    word.write_text("not this one\n")
    assert asking.fails("--become-password-file", str(word)) == WRONG
    assert asking.is_as_before()
    word.write_text(f"{PASSWORD}\n")
    said = asking.checkout.fleet("apply", "--yes", "--json", "--become-password-file", str(word))
    assert [one["node"] for one in said.events("NodeApplied")] == [NODE]
    assert PASSWORD not in said.text


def test_sudo_that_asks_is_given_the_password_that_a_person_types(asking: Day) -> None:
    asking.greet()
    command = asking.checkout.lab.controller_command([str(BIN / "fleet"), "apply", "--yes", "-K"])
    folder, environment = str(asking.checkout.folder), asking.checkout.environment
    child = pexpect.spawn(command[0], command[1:], cwd=folder, env=environment, encoding="utf-8", timeout=120)
    child.expect("(?i)password")
    child.sendline(PASSWORD)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0, child.before
    assert PASSWORD not in str(child.before)
    assert asking.host.read(MOTD) == asking.states[-1][MOTD]


def test_sudo_that_asks_is_given_the_secret_that_the_spec_names(asking: Day) -> None:
    path = asking.checkout.folder / "secrets/sudo.yaml"
    path.write_text(f"sudo: {PASSWORD}\n")
    asking.checkout.run([str(BIN / "ansible-vault"), "encrypt", str(path)])
    asking.checkout.fleet("secret", "generate")
    asking.checkout.edit(
        "fleet.yaml", "connection: {user: fleet,", "connection: {user: fleet, becomePassword: secret:sudo,"
    )
    asking.greet()
    said = asking.checkout.fleet("apply", "--yes", "--json", "--node", NODE)
    assert [one["node"] for one in said.events("NodeApplied")] == [NODE]
    assert PASSWORD not in said.text


def test_a_changed_host_key_is_refused_until_the_node_is_replaced(day: Day) -> None:
    key = "/etc/ssh/ssh_host_ed25519_key"
    day.greet()
    day.host.run(["sh", "-c", f"cp -a {key} {key}.pub /root/"])
    day.host.run(["sh", "-c", f"rm {key} {key}.pub; ssh-keygen -q -t ed25519 -N '' -f {key}"])
    day.host.run(["systemctl", "restart", "ssh.service"])
    try:
        reason = day.fails(event="NodeUnreachable")
        assert (
            reason
            == "its host key is not the pinned one: if its hardware was exchanged, fleet node replace pins the new key"
        )
        assert day.is_as_before()
        shown = day.host.run(["ssh-keygen", "-l", "-f", f"{key}.pub"]).split()[1]
        other = shown[:-1] + ("A" if shown[-1] != "A" else "B")
        day.checkout.fleet("node", "replace", NODE, "--fingerprint", other, code=2)
        assert day.fails(event="NodeUnreachable") == reason
        day.checkout.fleet("node", "replace", NODE, "--fingerprint", shown, "--no-cluster")
        assert day.checkout.git("status", "--porcelain") == "", "the key is committed"
        assert day.fails().startswith("expect: the node was to hold none"), "it is no new hardware, after all"
        day.checkout.plan("--refresh")
        day.heals()
    finally:
        day.host.run(["sh", "-c", f"mv /root/ssh_host_ed25519_key {key}; mv /root/ssh_host_ed25519_key.pub {key}.pub"])
        day.host.run(["systemctl", "restart", "ssh.service"])


def test_another_machine_behind_the_address_is_not_changed(day: Day) -> None:
    day.greet()
    kept = day.host.read("/etc/machine-id")
    day.host.run(["chmod", "0644", "/etc/machine-id"])
    day.host.write("/etc/machine-id", secrets.token_hex(16) + "\n")
    try:
        reason = day.fails()
        assert reason.startswith("machine-id: ")
        assert "fleet node replace" in reason
        assert day.is_as_before()
    finally:
        day.host.write("/etc/machine-id", kept)
        day.host.run(["chmod", "0444", "/etc/machine-id"])
    day.heals()


def test_a_wrong_vault_password_ends_before_any_host_is_asked(day: Day) -> None:
    day.greet()
    kept = day.checkout.password_file.read_text()
    day.checkout.password_file.write_text("wrong")
    logins = day.host.journal("ssh.service").count("Accepted publickey")
    try:
        said = day.checkout.fleet("apply", "--yes", code=2)
    finally:
        day.checkout.password_file.write_text(kept)
    assert "password" in said.err
    assert "secrets/" in said.err
    assert kept not in said.text
    assert day.host.journal("ssh.service").count("Accepted publickey") == logins
    assert day.is_as_before()
    day.heals()


def test_a_shell_that_talks_at_login_disturbs_nothing_however_big_the_bundle(day: Day) -> None:
    """Above 96 kB the bundle goes over by a file of its own."""
    kept = day.host.read("/home/fleet/.bashrc")
    noise = 'echo "Welcome to the till, {\\"changed\\": true}"; echo "\\033[31mmind the step" >&2\n'
    day.host.write("/home/fleet/.bashrc", noise + kept)
    big = secrets.token_hex(120_000)
    try:
        day.greet()
        day.heals()
        day.checkout.write("files/big", big)
        day.checkout.edit(
            "sites/north.yaml",
            "      vars: {greeting",
            "      os: {files: [{path: /etc/big, source: files/big}]}\n      vars: {greeting",
        )
        day.greet()
        day.heals()
        assert day.host.read("/etc/big") == big
        day.checkout.edit("sites/north.yaml", "      os: {files: [{path: /etc/big, source: files/big}]}\n", "")
        day.greet()
        day.heals()
        assert day.host.run(["sh", "-c", "test -e /etc/big; echo $?"]) == "1\n"
    finally:
        day.host.write("/home/fleet/.bashrc", kept)
