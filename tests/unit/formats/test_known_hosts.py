"""known_hosts as OpenSSH reads it: ssh-keygen is the other side."""

import subprocess
from pathlib import Path

import pytest

from fleet.formats import known_hosts as pins

ED = "AAAAC3NzaC1lZDI1NTE5AAAAIJ2WQ0eXN2X5Q5c9u0eJt3mO3Q0e9j8oQm7wU0F1b2c3"
RSA = "AAAAB3NzaC1yc2EAAAADAQABAAAAgQ=="
TEXT = f"""\
# our shops
lyon-1,10.20.1.11 ssh-ed25519 {ED}
[10.20.1.12]:2222 ssh-ed25519 {ED} ops

*.turin.example,!bad.turin.example ssh-rsa {RSA}
@revoked 10.20.1.13 ssh-ed25519 {ED}
@cert-authority *.acme.example ssh-ed25519 {ED}
broken line
"""


def found(host: str, port: int = 22) -> list[tuple[int, str]]:
    return [(line.number, line.algorithm) for line in pins.keys_of(TEXT, host, port)]


def test_a_host_by_name_address_port_and_pattern():
    assert found("lyon-1") == found("10.20.1.11") == [(2, "ssh-ed25519")]
    assert found("10.20.1.12", 2222) == [(3, "ssh-ed25519")]
    assert found("10.20.1.12") == []
    assert found("a.turin.example") == [(5, "ssh-rsa")]
    assert found("bad.turin.example") == []
    assert found("10.20.1.13") == [], "a revoked key pins nothing"
    assert found("x.acme.example") == [], "who may sign is no key of the host"


def test_ssh_keygen_finds_the_same(tmp_path: Path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    algorithm, key = (tmp_path / "key.pub").read_text().split()[:2]
    file = tmp_path / "known_hosts"
    text = pins.added(pins.added("# kept\n", "10.20.1.11", 22, algorithm, key), "fd00::1", 2222, algorithm, key)
    file.write_text(text)
    subprocess.run(["ssh-keygen", "-H", "-f", str(file)], check=True, capture_output=True)
    hashed = file.read_text()
    assert "10.20.1.11" not in hashed
    for host, port in (("10.20.1.11", 22), ("fd00::1", 2222)):
        said = subprocess.run(
            ["ssh-keygen", "-F", pins.target(host, port), "-f", str(file)], check=False, capture_output=True, text=True
        )
        assert said.returncode == 0
        for each in (text, hashed):
            (line,) = pins.keys_of(each, host, port)
            assert (line.algorithm, line.key) == (algorithm, key)
    assert pins.keys_of(hashed, "10.20.1.12", 22) == []
    left = pins.removed(hashed, ["10.20.1.11"])
    assert pins.keys_of(left, "10.20.1.11", 22) == []
    assert len(pins.keys_of(left, "fd00::1", 2222)) == 1
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(tmp_path / "key.pub")], check=True, capture_output=True, text=True
    )
    assert pins.fingerprint(key) == shown.stdout.split()[1]


def test_taken_out_and_nothing_else_changes():
    left = pins.removed(TEXT, ["10.20.1.11", "[10.20.1.12]:2222", "10.20.1.13", "a.turin.example"])
    assert left.splitlines() == [
        "# our shops",
        f"lyon-1 ssh-ed25519 {ED}",
        "",
        *TEXT.splitlines()[4:],
    ]
    assert pins.removed(TEXT, ["nowhere"]) == TEXT


def test_put_in_at_the_end_of_a_line_of_its_own():
    assert pins.added("", "h", 22, "ssh-rsa", RSA) == f"h ssh-rsa {RSA}\n"
    assert pins.added("# no end", "h", 2022, "ssh-rsa", RSA) == f"# no end\n[h]:2022 ssh-rsa {RSA}\n"


@pytest.mark.parametrize("key", ["not base64!", "AAA"])
def test_what_is_no_key_has_no_fingerprint(key: str):
    with pytest.raises(ValueError, match="not a key in base64"):
        pins.fingerprint(key)
