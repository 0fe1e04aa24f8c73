"""`fleet node seed`: user data for a machine that is yet to start."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.cli.running import Ran, run

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2WQ0eXN2X5Q5c9u0eJt3mO3Q0e9j8oQm7wU0F1b2c3 ops@laptop"


def seed(folder: Path, *words: str) -> Ran:
    return run("node", "seed", *words, cwd=folder)


@pytest.fixture
def public_key(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.pub"
    path.write_text(f"{KEY}\n")
    return path


def test_a_seed_names_the_host_and_lets_the_user_in(shop: Path, public_key: Path) -> None:
    done = seed(shop, "lyon-a", "--public-key", str(public_key))

    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("#cloud-config\n")
    data = yaml.safe_load(done.out)
    assert data["hostname"] == "lyon-a"
    (user,) = data["users"]
    assert (user["name"], user["ssh_authorized_keys"]) == ("fleet", [KEY])
    assert user["sudo"] == "ALL=(ALL) NOPASSWD:ALL"


def test_a_seed_into_a_file(shop: Path, public_key: Path, tmp_path: Path) -> None:
    out = tmp_path / "user-data"

    done = seed(shop, "lyon-a", "--public-key", str(public_key), "--out", str(out))

    assert (done.code, done.out) == (0, "")
    assert out.read_text() == seed(shop, "lyon-a", "--public-key", str(public_key)).out
    assert f"wrote {out}\n" in done.err
    assert "fleet node trust lyon-a" in done.err


def test_the_key_beside_the_connections_private_key(shop: Path, public_key: Path) -> None:
    fleet = shop / "fleet.yaml"
    private = public_key.with_suffix("")
    fleet.write_text(fleet.read_text().replace("profiles:", f"connection: {{privateKey: {private}}}\n  profiles:", 1))

    done = seed(shop, "lyon-a")

    assert yaml.safe_load(done.out)["users"][0]["ssh_authorized_keys"] == [KEY]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot read the public key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nxx\n", "is no public key of ssh"),
        ("", "is no public key of ssh"),
        (f"{KEY}\n{KEY}\n", "is no public key of ssh"),
        ("hello world\n", "is no public key of ssh"),
        ("ssh-ed25519 AAAA\n", "is no public key of ssh"),
        ("\xff\xfe", "cannot read the public key"),
    ],
)
def test_a_seed_wants_one_public_key(shop: Path, tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "key.pub"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))

    done = seed(shop, "lyon-a", "--public-key", str(path))

    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "PRIVATE" not in done.err


def test_a_seed_without_any_key(shop: Path) -> None:
    done = seed(shop, "lyon-a")

    assert done.code == 2
    assert "the connection of lyon-a names no privateKey" in done.err
    assert "--public-key FILE" in done.err
    assert seed(shop, "lyon-z", "--public-key", "x").code == 2


def test_a_sandbox_has_no_seed(shop: Path, public_key: Path) -> None:
    lyon = shop / "sites" / "lyon.yaml"
    lyon.write_text(lyon.read_text().replace("10.20.1.11}", "10.20.1.11, connection: {type: sandbox}}"))

    done = seed(shop, "lyon-a", "--public-key", str(public_key))

    assert (done.code, done.out) == (2, "")
    assert "lyon-a is a folder on this machine" in done.err
