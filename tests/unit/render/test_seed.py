"""User data for new machines, held against cloud-init's own schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from fleet.render.seed import user_data
from tests.specs import document, node_of, resolved

SCHEMA = json.loads(Path(__file__).with_name("cloud_init.json").read_text())
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2WQ0eXN2X5Q5c9u0eJt3mO3Q0e9j8oQm7wU0F1b2c3 ops: laptop # 1"
WAYS = {
    "plain": "",
    "password": "becomePassword: secret:sudo",
    "no-sudo": "become: false",
    "root": "user: root",
    "word": "user: 'yes'",
}


def seeded(connection: str = "", name: str = "a", key: str = KEY) -> tuple[str, dict[str, Any]]:
    fleet = resolved(
        document("Fleet", "acme", ""),
        document(
            "Site", "lyon", f"nodes: [{{name: {name}, role: none, address: 10.0.0.1, connection: {{{connection}}}}}]"
        ),
    )
    text = user_data(node_of(fleet, name.strip("'")), key)
    data = yaml.safe_load(text)
    jsonschema.validate(data, SCHEMA)
    return text, data


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_cloud_init_knows_every_word_of_it(way: str) -> None:
    """Its schema lets unknown names at the top pass: each must be one of these modules'."""
    _, data = seeded(way)
    known = {name for each in SCHEMA["$defs"].values() for name in each.get("properties", {})}
    assert set(data) <= known


@pytest.mark.parametrize(
    "change", [{"users": [{"name": "x", "sodo": "y"}]}, {"disable_root": "maybe"}, {"ssh_pwauth": 1}]
)
def test_the_schema_says_no_to_what_is_wrong(change: dict[str, Any]) -> None:
    _, data = seeded()
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**data, **change}, SCHEMA)


def test_the_whole_of_it() -> None:
    text, data = seeded()
    assert text.splitlines()[:3] == [
        "#cloud-config", "# For a at lyon, by fleet. Nothing in it is secret.", "# When it has started: fleet node trust a",
    ]  # fmt: skip
    assert data == {
        "hostname": "a",
        "users": [
            {
                "name": "fleet",
                "lock_passwd": True,
                "shell": "/bin/bash",
                "ssh_authorized_keys": [KEY],
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
            }
        ],
        "disable_root": True,
        "ssh_pwauth": False,
        "ssh_genkeytypes": ["ed25519"],
    }


def test_sudo_as_the_connection_wants_it() -> None:
    sudo = {way: seeded(said)[1]["users"][0].get("sudo") for way, said in WAYS.items()}
    assert sudo["password"] == "ALL=(ALL) ALL"
    assert sudo["no-sudo"] is None
    assert sudo["root"] is None
    assert sudo["word"] == sudo["plain"] == "ALL=(ALL) NOPASSWD:ALL"


def test_root_may_log_in_only_where_fleet_connects_as_root() -> None:
    assert seeded("user: root")[1]["disable_root"] is False
    assert seeded("user: ops")[1]["disable_root"] is True


def test_names_stay_texts() -> None:
    assert seeded(WAYS["word"])[1]["users"][0]["name"] == "yes"
    assert seeded(name="'123'")[1]["hostname"] == "123"
    assert seeded(key=f"{KEY}\r\n")[1]["users"][0]["ssh_authorized_keys"] == [KEY]


def test_the_name_of_a_secret_is_not_in_it() -> None:
    assert "shop-sudo" not in seeded("becomePassword: secret:shop-sudo")[0]
