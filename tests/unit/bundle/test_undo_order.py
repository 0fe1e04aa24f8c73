"""A node goes back, by order, to a bundle that it held before: with what it kept, secrets among it, and nothing else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

CONF, KEY, NEW, GONE = "/etc/acme/acme.conf", "/etc/acme/key", "/etc/acme/new", "/etc/acme/gone"


def secret(value: str) -> dict[str, Any]:
    mark = hashlib.sha256(value.encode()).hexdigest()[:12]
    part = {"name": "key", "encoding": "plain", "fingerprint": mark}
    return {"path": KEY, "mode": "0600", "segments": ["key=", part, "\n"], "restart": ["acme.service"]}


@pytest.fixture
def moved(desk: Any) -> Any:
    """`held` is what it was, with the digest; then another configuration, key, file and unit came."""
    desk.file(CONF, b"first\n", restart=["acme.service"])
    desk.file(GONE, b"gone\n", mode="0640")
    desk.file("/etc/acme/same", b"same\n")
    desk.files.append(secret("swordfish"))
    desk.secrets = {"key": "swordfish"}
    desk.units = [{"name": "acme.service", "enabled": True, "state": "started"}]
    desk.ok(commit="c0ffee")
    desk.held = (desk.digest(), desk.contents(), desk.record()["manifest"])
    desk.files = [one for one in desk.files if one["path"] not in (GONE, KEY)]
    desk.file(CONF, b"second\n", restart=["acme.service"])
    desk.file(NEW, b"new\n")
    desk.files.append(secret("marlin"))
    desk.secrets = {"key": "marlin"}
    desk.units = [{"name": "acme.service", "enabled": False, "state": "stopped"}]
    desk.ok(commit="decade")
    return desk


def back(desk: Any, digest: str = "", **more: Any) -> dict[str, Any]:
    """As the controller orders it: no bundle and no secret comes along."""
    asked = {"bundle": "", "secrets": {}, "undo": digest or desk.held[0], "node": desk.node, "fleet": desk.fleet}
    found: dict[str, Any] = desk.module.run({**desk.options(), **asked, **more})
    return found


def test_it_holds_what_it_held_secrets_and_units_too(moved: Any) -> None:
    result = back(moved, expect=moved.digest())
    assert not result.get("failed"), result["msg"]
    digest, contents, manifest = moved.held
    assert (result["digest"], moved.record()["digest"], moved.record()["manifest"]) == (digest, digest, manifest)
    assert moved.record()["commit"] == "c0ffee"
    assert moved.contents() == contents
    unit = moved.units_json()["acme.service"]
    assert (unit["enabled"], unit["state"]) == (True, "started")
    assert "swordfish" not in json.dumps(result)
    assert back(moved)["changed"] is False, "ordered twice is ordered once"


def test_it_can_go_forth_again_by_order(moved: Any) -> None:
    newer, contents = moved.digest(), moved.contents()
    back(moved)
    assert back(moved, newer, expect=moved.held[0])["digest"] == newer
    assert moved.contents() == contents


def test_it_goes_back_over_two_bundles(moved: Any) -> None:
    moved.file(CONF, b"third\n", restart=["acme.service"])
    moved.ok()
    assert not back(moved).get("failed")
    assert moved.contents() == moved.held[1]


def test_it_goes_back_from_a_bundle_that_came_in_half(moved: Any, tmp_path: Path) -> None:
    held, contents = moved.digest(), moved.contents()
    moved.file(CONF, b"third\n", restart=["acme.service"])
    killer = "import os\nreal = os.rename\ndef rename(old, new, **more):\n"
    killer += "    real(old, new, **more)\n    if new == 'acme.conf': os._exit(9)\nos.rename = rename"
    (tmp_path / "secrets").write_text(json.dumps(moved.secrets))
    done = moved.alone("--secrets-stdin", prelude=killer, stdin=json.dumps(moved.secrets))
    assert done.returncode == 9
    assert moved.record()["digest"] == ""
    assert not back(moved, held, expect=held).get("failed")
    assert moved.contents() == contents
    assert moved.record()["digest"] == held


def test_one_that_is_not_kept_is_refused(moved: Any) -> None:
    before = moved.snapshot()
    said = back(moved, "b1:" + "0" * 64)
    assert said["msg"] == f"undo: b1:{'0' * 64} is not kept here: found {moved.held[0]}"
    assert moved.snapshot() == before


def test_another_digest_than_expected_is_refused(moved: Any) -> None:
    before = moved.contents()
    assert back(moved, expect="b1:" + "0" * 64)["step"] == "expect"
    assert moved.contents() == before


@pytest.mark.parametrize(
    ("facts", "packages", "words"),
    [
        ({"k3s_version": "v1.35.4+k3s1"}, [], "K3s none -> v1.35.4+k3s1, K3s's configuration"),
        ({"datastore": "etcd"}, [], "the datastore none -> etcd, K3s's configuration"),
        ({}, [{"name": "chrony"}], "packages"),
    ],
)
def test_what_never_goes_back_is_refused_with_all_of_it(
    desk: Any, facts: dict[str, str], packages: list[dict[str, str]], words: str
) -> None:
    desk.facts, desk.packages = facts, packages
    desk.file(CONF, b"first\n")
    desk.ok()
    digest = desk.digest()
    desk.facts, desk.packages = {}, []
    desk.file(CONF, b"second\n")
    desk.ok()
    said = back(desk, digest)
    assert said["msg"] == f"undo: never goes back by itself: {words}; apply what git is to say"
    assert desk.path(CONF).read_bytes() == b"second\n"


def test_another_token_of_k3s_is_refused(desk: Any) -> None:
    def token(value: str) -> dict[str, Any]:
        part = {"name": "token", "encoding": "k3s-server", "fingerprint": value}
        return {"path": "/etc/rancher/k3s/server-token", "mode": "0600", "segments": [part]}

    desk.files, desk.secrets = [token("one")], {"token": "one"}
    desk.ok()
    digest = desk.digest()
    desk.files, desk.secrets = [token("two")], {"token": "two"}
    desk.ok()
    assert "undo: never goes back by itself: the token of K3s, K3s's configuration;" in back(desk, digest)["msg"]


def test_what_is_not_there_any_more_is_all_named(moved: Any) -> None:
    moved.path("/etc/acme/same").write_bytes(b"edited\n")
    for path in moved.path("/var/lib/fleet/generations").glob("*/files/*"):
        if path.read_bytes() == b"gone\n":
            path.unlink()
    said = back(moved)
    assert said["msg"] == f"undo: {GONE}: what it held is not on the node any more: {GONE}, /etc/acme/same"
    assert moved.path(CONF).read_bytes() == b"second\n"


def test_what_is_of_the_way_in_waits_to_be_confirmed(moved: Any) -> None:
    way = {"seconds": 3600, "paths": ["/etc/acme/*"], "units": [], "sysctl": []}
    assert back(moved, way_in=way)["step"] == "program"
    assert back(moved, way_in=way, program="# it")["unconfirmed"]["digest"] == moved.held[0]
    said = moved.module.run({**moved.options(), "confirm": moved.held[0]})
    assert said["record"]["digest"] == moved.held[0]
