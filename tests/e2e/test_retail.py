"""The example retail: 1,250 shops in real cities, 10,000 nodes, from one table."""

from __future__ import annotations

import base64
import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.command import BIN, ROOT, Repository, execute

SHOP = "at-brigittenau"
SHOP_NODES = [
    "at-brigittenau-camera-001", "at-brigittenau-camera-002", "at-brigittenau-server-001", "at-brigittenau-till-001",
    "at-brigittenau-till-002", "at-brigittenau-till-003", "at-brigittenau-till-004", "at-brigittenau-till-005",
]  # fmt: skip
SERVER, TILL, CAMERA = SHOP_NODES[2], SHOP_NODES[3], SHOP_NODES[0]


@pytest.fixture(scope="module")
def retail(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = Repository(tmp_path_factory.mktemp("retail") / "retail", "retail")
    made.commit("All shops")
    return made


@pytest.fixture(scope="module")
def plan(retail: Repository) -> list[str]:
    return retail.fleet("plan", code=3).out.splitlines()


def test_the_table_is_real():
    with (ROOT / "examples/retail/stores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert len(rows) == 1250
    assert len({row["city"] for row in rows}) > 1000
    assert {row["timezone"].split("/")[0] for row in rows} <= {"Europe", "Atlantic", "Asia", "Africa"}
    assert rows[0] == {
        "store": "at-brigittenau", "city": "Brigittenau", "country": "AT", "latitude": "48.24275",
        "longitude": "16.37551", "timezone": "Europe/Vienna", "network": "10.66.230", "servers": "1", "tills": "5",
        "ring": "rest", "region": "vienna",
    }  # fmt: skip


def test_it_is_valid(retail: Repository):
    said = retail.fleet("validate").out
    assert said == "fleet retail is valid: 10,000 nodes at 1,250 sites in 1,250 clusters, from 6 documents\n"


def test_the_plan_counts_and_groups(plan: list[str]):
    assert len(plan) < 60
    assert plan[2] == "10,000 nodes change, 0 stay, 0 go"
    assert [" ".join(line.split()) for line in plan if line.startswith("  + ")] == [
        "+ first application: K3s v1.36.3+k3s1 10,000 nodes, 1,250 sites"
    ]
    assert "Estimate 700 GB from mirrors; no site's API is down" in plan
    assert "Time     about 16 h 50 min: 20 nodes at once, 2 min a batch (assumed)" in plan


def test_the_plan_as_data_names_every_node(retail: Repository, plan: list[str]):
    found = json.loads(retail.fleet("plan", "--json", code=3).out)

    assert len(found["nodes"]) == 10_000
    assert len({node["node"] for node in found["nodes"]}) == 10_000


def test_all_shops_are_rehearsed(retail: Repository, tmp_path: Path):
    picture = tmp_path / "timeline.svg"

    found = json.loads(retail.fleet("simulate", "--all", "--forks", "500", "--svg", str(picture), "--json").out)

    assert (found["nodes"], found["sites"], found["policy"]) == (10_000, 1250, "standard")
    fine, failing = found["runs"]
    assert [(wave["name"], wave["nodes"], wave["outcome"]) for wave in fine["waves"]] == [
        ("pilot", 96, "passed"), ("ramp", 992, "passed"), ("everyone", 8912, "passed"),
    ]  # fmt: skip
    assert (fine["outcome"], fine["counts"]["applied"]) == ("finished", 10_000)
    assert 120 < failing["counts"]["failed"] < 250
    assert len(failing["groups"]) == 1250
    assert max(group["away"] for run in found["runs"] for group in run["groups"]) == 2
    assert f"failed {failing['counts']['failed']}" in picture.read_text()
    assert retail.git("status", "--porcelain") == ""


@pytest.fixture(scope="module")
def rendered(retail: Repository) -> Iterator[Path]:
    folder = retail.folder.parent / "rendered"
    yield folder
    shutil.rmtree(folder)  # 50,000 files are not kept for three runs


@pytest.fixture(scope="module")
def said(retail: Repository, rendered: Path) -> list[str]:
    """Rendered twice."""
    return [retail.fleet("render", str(rendered)).out for _ in range(2)]


def test_the_second_render_writes_nothing(said: list[str], rendered: Path):
    written = int(said[0].split()[1].replace(",", ""))

    assert written > 10_000
    assert said == [
        f"{rendered}: {written:,} files written, 0 unchanged, 0 removed\n",
        f"{rendered}: 0 files written, {written:,} unchanged, 0 removed\n",
    ]


def test_the_tree_is_an_ansible_project(said: list[str], rendered: Path):
    assert len(list((rendered / "inventory/host_vars").iterdir())) == 10_000
    found = execute(
        [str(BIN / "ansible-playbook"), "--syntax-check", "--inventory", "localhost,", "site.yml"], rendered
    )
    assert found.code == 0, found.text


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A copy with a mirror of its own, and the registry's password in the vault of the one shop."""
    made = Repository(tmp_path_factory.mktemp("shop") / "retail", "retail")
    shutil.copytree(ROOT / "examples/two-sites/mirror", made.folder / "mirror")
    made.edit("fleet.yaml", '"https://mirror.acme.example/k3s"', '"file:mirror"')
    (made.folder / "fleet.lock").unlink()
    made.fleet("lock")
    vault = made.folder / f"secrets/{SHOP}.yaml"
    vault.parent.mkdir()
    vault.write_text('registry-password: "let me in"\n')
    encrypt = [str(BIN / "ansible-vault"), "encrypt", "--vault-password-file", str(made.password), str(vault)]
    assert execute(encrypt, made.folder).code == 0
    said = made.generate_secrets().out
    assert said.splitlines()[-2] == "2,500 new secrets for 1,250 clusters"
    made.commit("A mirror and secrets")
    return made


@pytest.fixture(scope="module")
def applied(shop: Repository) -> Repository:
    ran = shop.apply("--site", SHOP)
    assert ran.out.splitlines()[-1].endswith("done: 8 applied"), ran.text
    return shop


def test_a_narrowed_apply_reaches_one_shop_only(applied: Repository):
    assert sorted(path.name for path in applied.nodes.iterdir() if path.name != ".fleet") == SHOP_NODES
    assert applied.plan("--site", SHOP, code=0).out.splitlines()[-1] == "Nothing to do: 8 nodes hold what git wants"
    assert applied.plan(code=3).out.splitlines()[2] == "9,992 nodes change, 8 stay, 0 go"


def test_what_the_shop_holds(applied: Repository):
    assert applied.read(TILL, "/etc/motd") == "at-brigittenau-till-001, Brigittenau\n"
    assert applied.read(TILL, "/etc/acme/node.conf") == (
        "# at-brigittenau-till-001\n[node]\nname = at-brigittenau-till-001\nsite = at-brigittenau\ncountry = AT\n"
        "role = agent\naddress = 10.66.230.33\ngateway = 10.66.230.1\n"
        "collector = https://collect.acme.example/at-brigittenau\n"
    )
    assert "vm.swappiness = 1\n" in applied.read(TILL, "/etc/sysctl.d/80-fleet.conf")
    assert "vm.swappiness = 10\n" in applied.read(SERVER, "/etc/sysctl.d/80-fleet.conf")
    assert "acme.example/app=camera" in applied.read(CAMERA, "/etc/rancher/k3s/config.yaml.d/20-fleet-node.yaml")
    assert "(arm64)" in applied.read(CAMERA, "/usr/local/bin/k3s")


def test_the_secret_is_in_one_file_of_each_node_and_nowhere_else(applied: Repository):
    registries = applied.nodes / TILL / "etc/rancher/k3s/registries.yaml"

    assert yaml.safe_load(registries.read_text())["configs"]["registry.acme.example"]["auth"] == {
        "username": "fleet", "password": "let me in",
    }  # fmt: skip
    assert registries.stat().st_mode & 0o777 == 0o600
    forms = (b"let me in", base64.b64encode(b"let me in"))
    files = [path for path in applied.folder.parent.rglob("*") if path.is_file() and not path.is_symlink()]
    holders = {path for path in files if any(form in path.read_bytes() for form in forms)}
    assert holders == {applied.nodes / node / "etc/rancher/k3s/registries.yaml" for node in SHOP_NODES}


def test_one_changed_line_is_one_group(applied: Repository):
    """The time server of all shops moves: of the one shop that was applied, one group with its lines."""
    applied.edit("fleet.yaml", "ntp: ntp.acme.example", "ntp: time.acme.example")

    lines = applied.plan("--site", SHOP, code=3).out.splitlines()

    assert lines[2] == "8 nodes change, 0 stay, 0 go"
    at = next(number for number, line in enumerate(lines) if line.startswith("  ~ "))
    assert [" ".join(line.split()) for line in lines[at : at + 4]] == [
        "~ /etc/chrony/conf.d/acme.conf 8 nodes, 1 site, restarts chrony.service",
        "- server ntp.acme.example iburst",
        "+ server time.acme.example iburst",
        "Waves pilot 0 nodes, ramp 8, everyone 0, servers before agents",
    ]
