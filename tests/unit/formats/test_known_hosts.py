"""known_hosts as OpenSSH reads it: ssh-keygen is the other side."""

import re
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


MANY = f"""\
@revoked 10.0.0.9 ssh-ed25519 {ED}
@cert-authority *.acme.example ssh-ed25519 {ED}
@unheard-of lyon-1 ssh-ed25519 {ED}
  # lyon-1 ssh-ed25519 {ED}
\t LYON-1,Nice.Acme.Example ssh-ed25519 {ED}  with a comment, and more
lyon-? ssh-ed25519 {ED}
*.turin.example,!bad.turin.example ssh-ed25519 {ED}
!bad.turin.example,*.turin.example ssh-ed25519 {ED}
[10.0.0.1]:2222,![10.0.0.2]:2222,[10.0.0.*]:2222 ssh-ed25519 {ED}
10.0.0.[12] ssh-ed25519 {ED}
fd00::1,[fd00::2]:2222 ssh-ed25519 {ED}
a,b,c ssh-ed25519 {ED}
a ssh-ed25519 {ED}
a ssh-rsa {ED}
a ssh-ed25519 {ED[:-1]}
a ssh-ed25519 no-key
a ssh-ed25519
a
, ssh-ed25519 {ED}
a\x0cb ssh-ed25519 {ED}
# form feed\x0ca ssh-ed25519 {ED}
d ssh-ed25519 {ED}\r
"""
ASKED = [
    ("lyon-1", 22), ("LYON-1", 22), ("lyon-2", 22), ("lyon-10", 22), ("lyon-1", 2222), ("nice.acme.example", 22),
    ("x.turin.example", 22), ("bad.turin.example", 22), ("turin.example", 22), ("x.acme.example", 22), ("10.0.0.9", 22),
    ("10.0.0.1", 2222), ("10.0.0.2", 2222), ("10.0.0.3", 2222), ("10.0.0.1", 22), ("10.0.0.3", 22),
    ("fd00::1", 22), ("fd00::2", 2222), ("fd00::2", 22), ("a", 22), ("b", 22), ("c", 22), ("d", 22), ("e", 22),
]  # fmt: skip


def keygen(file: Path, name: str) -> list[int]:
    """The lines in which ssh-keygen finds a good key of a host (-l reads it); it says CA or REVOKED of others."""
    done = subprocess.run(
        ["ssh-keygen", "-l", "-F", name, "-f", str(file)], check=False, capture_output=True, text=True
    )
    return [int(number) for number in re.findall(r"^# Host \S+ found: line (\d+) *$", done.stdout, re.MULTILINE)]


@pytest.mark.parametrize(("host", "port"), ASKED)
def test_every_line_that_ssh_keygen_finds_and_no_other(host: str, port: int, tmp_path: Path):
    (tmp_path / "known_hosts").write_bytes(MANY.encode())
    name = host.lower() if port == 22 else f"[{host.lower()}]:{port}"
    assert [line.number for line in pins.keys_of(MANY, host, port)] == keygen(tmp_path / "known_hosts", name)


def test_the_differential_side_finds_something(tmp_path: Path):
    (tmp_path / "known_hosts").write_bytes(MANY.encode())
    assert keygen(tmp_path / "known_hosts", "lyon-1") == [5, 6]
    assert keygen(tmp_path / "known_hosts", "a") == [12, 13]
    assert keygen(tmp_path / "known_hosts", "[10.0.0.1]:2222") == [9]
    assert keygen(tmp_path / "known_hosts", "d") == [22]
    assert keygen(tmp_path / "known_hosts", "10.0.0.9") == keygen(tmp_path / "known_hosts", "x.acme.example") == []


@pytest.mark.parametrize(("host", "port"), [each for each in ASKED if each != ("lyon-2", 22)])
def test_what_is_taken_out_ssh_finds_no_more_but_by_a_pattern(host: str, port: int, tmp_path: Path):
    """The others are found as before. ssh-keygen -R would take out a whole line, with the other hosts on it."""
    file = tmp_path / "known_hosts"
    name = pins.target(host, port)
    left = pins.removed(MANY, [name])
    file.write_bytes(left.encode())
    kept = {line.number for line in pins.keys_of(left, host, port)}
    assert kept == set(keygen(file, name))
    lines = left.split("\n")
    assert all("*" in lines[number - 1] or "?" in lines[number - 1] for number in kept)
    for other in ("b", "nice.acme.example", "[fd00::2]:2222", "x.turin.example", "fd00::1", "d"):
        if other != name:
            assert keygen(file, other), other


def test_markers_and_names_of_a_line():
    revoked, signs = list(pins.lines(MANY))[:2]
    assert revoked == pins.HostLine(1, ("10.0.0.9",), "ssh-ed25519", ED, "@revoked")
    assert (signs.marker, signs.names) == ("@cert-authority", ("*.acme.example",))
    assert [line.names for line in pins.lines(MANY) if line.number == 12] == [("a", "b", "c")]


def test_ssh_names_a_host_in_small_letters_and_an_address_in_its_short_form():
    assert pins.target("Lyon-1.Acme.Example", 22) == "lyon-1.acme.example"
    assert pins.target("FD00:0:0::1", 22) == "fd00::1"
    assert pins.target("fd00:0::1", 2222) == "[fd00::1]:2222"
    assert pins.target("10.20.1.11", 23) == "[10.20.1.11]:23"
    assert pins.target("FE80:0::1%eth0", 22) == "fe80::1%eth0"
    assert pins.target("fe80:0::1%eth0", 2222) == "[fe80::1%eth0]:2222"
    assert pins.target("no:address", 2222) == "[no:address]:2222"
    text = pins.added("", "FD00:0::1", 22, "ssh-ed25519", ED)
    assert text == f"fd00::1 ssh-ed25519 {ED}\n"
    assert len(pins.keys_of(text, "fd00:0:0::1", 22)) == 1


def test_a_hashed_name_is_one_host_however_it_is_written(tmp_path: Path):
    file = tmp_path / "known_hosts"
    file.write_text(f"lyon-1 ssh-ed25519 {ED}\nnice-1,10.0.0.1 ssh-ed25519 {ED}\n")
    subprocess.run(["ssh-keygen", "-H", "-f", str(file)], check=True, capture_output=True)
    hashed = file.read_text()
    assert [line.number for line in pins.keys_of(hashed, "LYON-1", 22)] == keygen(file, "lyon-1") == [1]
    assert [line.number for line in pins.keys_of(hashed, "10.0.0.1", 22)] == keygen(file, "10.0.0.1")
    assert pins.keys_of(pins.removed(hashed, ["LYON-1"]), "lyon-1", 22) == []
    broken = hashed.replace("|1|", "|2|", 1)
    file.write_text(broken)
    assert [line.number for line in pins.keys_of(broken, "lyon-1", 22)] == keygen(file, "lyon-1") == []


def test_taken_out_and_nothing_else_changes():
    left = pins.removed(TEXT, ["10.20.1.11", "[10.20.1.12]:2222", "10.20.1.13", "a.turin.example"])
    assert left.splitlines() == [
        "# our shops",
        f"lyon-1 ssh-ed25519 {ED}",
        "",
        *TEXT.splitlines()[4:],
    ]
    assert pins.removed(TEXT, ["nowhere"]) == TEXT
    assert pins.removed(f"a ssh-ed25519 {ED}\nb ssh-ed25519 {ED}", ["b"]) == f"a ssh-ed25519 {ED}\n"
    assert pins.removed("", ["b"]) == ""


def test_put_in_at_the_end_of_a_line_of_its_own():
    assert pins.added("", "h", 22, "ssh-rsa", RSA) == f"h ssh-rsa {RSA}\n"
    assert pins.added("# no end", "h", 2022, "ssh-rsa", RSA) == f"# no end\n[h]:2022 ssh-rsa {RSA}\n"


@pytest.mark.parametrize("key", ["not base64!", "AAA"])
def test_what_is_no_key_has_no_fingerprint(key: str):
    with pytest.raises(ValueError, match="not a key in base64"):
        pins.fingerprint(key)
