"""`fleet import ansible`: a spec and a report out of an inventory, all of it or nothing."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from tests.cli.running import run, run_on_terminal

INVENTORY = """\
all:
  vars: {ansible_user: ops, ntp: ntp.acme.example}
  children:
    lyon: {hosts: {lyon-a: {ansible_host: 10.1.0.1}, lyon-b: {ansible_host: 10.1.0.2}}}
    paris: {hosts: {PARIS: {ansible_host: 10.2.0.1, ansible_password: hunter2}}, vars: {ntp: ntp.paris.example}}
"""
WRITTEN = [".fleet/schema.json", ".gitignore", "fleet.yaml", "profiles/paris.yaml", "sites/inv.yaml"]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "inv").mkdir()
    (tmp_path / "inv" / "hosts.yml").write_text(INVENTORY)
    return tmp_path


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def everything(folder: Path) -> dict[str, tuple[bytes, float]]:
    return {name: ((folder / name).read_bytes(), (folder / name).stat().st_mtime) for name in files(folder)}


def test_a_spec_and_a_report(here: Path):
    before = everything(here / "inv")

    ran = run("import", "ansible", "inv/hosts.yml", "--out", "shop", cwd=here)

    assert ran.code == 0, ran
    assert ran.out == (
        "inv/hosts.yml: 3 hosts in 2 groups with 7 variables became fleet inv: 3 nodes at 1 site, 0 secrets, 5 files in shop\n"
        "1 warning: to look at; 1 note: nothing is lost\n"
        "inv/hosts.yml:5:53 warning  ansible_password: a connection secret is not carried over. fleet connects by key, and "
        "becomes root by sudo\n"
        "inv/hosts.yml:5:21 note     PARIS: became the node `paris`: names of nodes are DNS labels; the old name is in "
        "inventory_hostname\n"
        "fleet -C shop validate\n"
    )
    assert ran.err.splitlines() == [f"wrote shop/{path}" for path in (".gitignore", ".fleet/schema.json", *WRITTEN[2:])]
    assert files(here / "shop") == WRITTEN
    assert everything(here / "inv") == before, "nothing of the source is changed"
    validated = run("-C", "shop", "validate", cwd=here)
    assert (validated.code, validated.out) == (
        0, "fleet inv is valid: 3 nodes at 1 site in 0 clusters, from 3 documents\n",
    )  # fmt: skip


def test_into_the_folder_that_c_names(here: Path):
    (here / "shop").mkdir()
    ran = run("-C", "shop", "import", "ansible", "inv/hosts.yml", "--name", "acme", cwd=here)
    assert ran.code == 0, ran
    assert "sites/acme.yaml" in files(here / "shop")
    assert run("import", "ansible", "inv", cwd=here).out.endswith("\nfleet validate\n")


def test_a_plan_can_be_made_of_it(here: Path):
    run("import", "ansible", "inv", "--out", "shop", cwd=here)
    assert "3 nodes change" in run("-C", "shop", "plan", "--sandbox", "nodes", cwd=here).out


def test_the_groups_are_groups_of_the_inventory_again(here: Path):
    run("import", "ansible", "inv", "--out", "shop", cwd=here)
    listed = json.loads(run("-C", "shop", "inventory", "--list", cwd=here).out)
    assert listed["label_lyon_true"] == {"hosts": ["lyon-a", "lyon-b"]}
    assert listed["_meta"]["hostvars"]["lyon-a"]["ansible_user"] == "ops"


def test_a_dry_run_writes_nothing(here: Path):
    ran = run("import", "ansible", "inv/hosts.yml", "--out", "shop", "--dry-run", cwd=here)
    assert ran.code == 0
    assert "would become fleet inv: 3 nodes at 1 site" in ran.out
    assert ran.out.endswith("\nnothing is written: leave out --dry-run\n")
    assert ran.err == ""
    assert files(here) == ["inv/hosts.yml"]


def test_every_clash_is_listed_and_nothing_is_written(here: Path):
    (here / "sites").mkdir()
    (here / "sites" / "inv.yaml").write_text("mine\n")
    (here / "fleet.yaml").write_text("mine\n")
    for option in ([], ["--dry-run"]):
        ran = run("import", "ansible", "inv", *option, cwd=here)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err == (
            "error: 2 files are there already, and an import never overwrites:\n"
            "  fleet.yaml\n  sites/inv.yaml\nhint: choose an empty folder: --out DIR\n"
        )
        assert files(here) == ["fleet.yaml", "inv/hosts.yml", "sites/inv.yaml"]


def test_an_old_gitignore_and_schema_are_left_alone(here: Path):
    (here / ".gitignore").write_text("*.pyc\n")
    (here / ".fleet").mkdir()
    (here / ".fleet" / "schema.json").write_text("{}")
    ran = run("import", "ansible", "inv", cwd=here)
    assert ran.code == 0
    assert (here / ".gitignore").read_text() == "*.pyc\n"
    assert (here / ".fleet" / "schema.json").read_text() == "{}"


def test_json_is_as_its_schema_says(here: Path):
    schema = json.loads(run("schema", "--output", "import").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    for option in ([], ["--dry-run"]):
        ran = run("import", "ansible", "inv", "--out", f"out{len(option)}", "--json", *option, cwd=here)
        found = json.loads(ran.out)
        jsonschema.validate(found, schema)
        assert ran.err == ""
        assert found["format"] == "fleet.import/v1"
        assert found["is_written"] is not bool(option)
        assert found["hosts"][2] == {"host": "PARIS", "node": "paris", "site": "inv"}
        assert found["groups"][0] == {"group": "lyon", "label": "lyon", "value": "true"}
        assert [note["severity"] for note in found["notes"]] == ["note", "warning"]
        assert sorted(found["files"]) == WRITTEN


def test_mistakes_come_all_at_once_with_exit_code_2(here: Path):
    (here / "inv" / "hosts.yml").write_text("all: {hosts: {a: [1], 'b[': }}\n")
    (here / "inv" / "group_vars").mkdir()
    (here / "inv" / "group_vars" / "all.yml").write_text("\tx: 1\n")
    ran = run("import", "ansible", "inv", "--out", "shop", cwd=here)
    assert (ran.code, ran.out) == (2, "")
    assert [line.split("  ")[0].split()[0] for line in ran.err.splitlines()[:3]] == [
        "inv/group_vars/all.yml:1:1", "inv/hosts.yml:1:18", "inv/hosts.yml:1:23",
    ]  # fmt: skip
    assert ran.err.splitlines()[-1] == "3 errors in 2 of 2 documents."
    assert not (here / "shop").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent"], "error: there is no inventory absent\nhint: Name a file, or a folder of inventory files.\n"),
        (["inv", "--name", "A B"], "error: --name 'A B' is no DNS label"),
        (
            ["inv", "--site-group", "x"],
            "error: --site-group 'x' names no group of the inventory\nhint: its groups are lyon, paris\n",
        ),
        ([], "error: Missing argument 'HOSTS'.\nhint: fleet import ansible --help\n"),
    ],
)
def test_usage(here: Path, arguments: list[str], message: str):
    ran = run("import", "ansible", *arguments, cwd=here)
    assert ran.code == 2
    assert ran.err.startswith(message)
    assert files(here) == ["inv/hosts.yml"]


def test_what_k3s_refuses_is_told_at_the_place_where_it_is_written(here: Path):
    (here / "inv" / "hosts.yml").write_text("k3s_cluster: {children: {server: {hosts: {a: , b: }}}}\n")
    ran = run("import", "ansible", "inv", "--out", "shop", cwd=here)
    assert ran.code == 0
    line = next(line for line in ran.out.splitlines() if "etcd servers" in line)
    assert line.startswith("sites/inv.yaml:2:1 warning  validate: ")
    assert "cluster inv has 2 etcd servers" in line
    assert run("-C", "shop", "validate", cwd=here).code == 2


def whole_vault(folder: Path) -> None:
    (folder / "pw").write_text("open sesame")
    (folder / "inv" / "group_vars").mkdir()
    file = folder / "inv" / "group_vars" / "lyon.yml"
    file.write_text("db_password: hunter2\n")
    tool = Path(sys.executable).with_name("ansible-vault")
    subprocess.run([tool, "encrypt", "--vault-password-file", "pw", file], cwd=folder, check=True, capture_output=True)


def test_a_vault_that_is_a_whole_file_with_and_without_its_password(here: Path):
    whole_vault(here)
    sealed = (here / "inv" / "group_vars" / "lyon.yml").read_bytes()

    without = run("import", "ansible", "inv", "--out", "one", cwd=here)
    option = run("import", "ansible", "inv", "--out", "two", "--vault-password-file", "pw", cwd=here)
    variable = run("import", "ansible", "inv", "--out", "three", cwd=here, env={"ANSIBLE_VAULT_PASSWORD_FILE": "pw"})
    wrong = run("import", "ansible", "inv", "--out", "four", cwd=here, env={"FLEET_VAULT_PASSWORD": "wrong"})

    assert [each.code for each in (without, option, variable, wrong)] == [0] * 4
    assert "without the password nobody knows which variables are in it. Give --vault-password-file FILE" in without.out
    assert "the password of vault id `default` does not open it" in wrong.out
    for name, ran in (("two", option), ("three", variable)):
        kept = here / name / "secrets" / "group_vars" / "lyon.yaml"
        assert kept.read_bytes() == sealed
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert ran.out.splitlines()[-2:] == [
            f"fleet -C {name} validate",
            f"fleet -C {name} secret generate --vault-password-file FILE     # lists the secrets",
        ]
    made = run("-C", "two", "secret", "generate", "--vault-password-file", "pw", cwd=here)
    assert (made.code, made.out.splitlines()[0]) == (
        0,
        "secrets/group_vars/lyon.yaml: db_password, listed",
    )
    assert "hunter2" not in "".join(each.out + each.err for each in (without, option, variable, wrong, made))


def test_nobody_is_asked_for_a_password(here: Path):
    whole_vault(here)
    ran = run_on_terminal("import", "ansible", "inv", "--out", "shop", cwd=here)
    assert ran.code == 0
    assert "Vault password" not in ran.out


def test_no_password_is_read_where_no_vault_needs_it(here: Path):
    ran = run("import", "ansible", "inv", "--out", "shop", "--vault-password-file", "absent", cwd=here)
    assert ran.code == 0


def test_values_vaulted_one_by_one_reach_a_node(here: Path):
    """Import, list, apply in a sandbox: the value is where a template of the spec puts it."""
    (here / "pw").write_text("open sesame")
    tool = Path(sys.executable).with_name("ansible-vault")
    done = subprocess.run(
        [tool, "encrypt_string", "--vault-password-file", "pw", "s3cret value", "--name", "api_key"],
        cwd=here, check=True, capture_output=True, text=True,
    )  # fmt: skip
    (here / "inv" / "group_vars").mkdir()
    (here / "inv" / "group_vars" / "all.yml").write_text(done.stdout + "\n")
    assert run("import", "ansible", "inv", "--out", "shop", cwd=here).code == 0
    profile = here / "shop" / "profiles" / "paris.yaml"
    profile.write_text(
        profile.read_text()
        + '  os:\n    files:\n      - {path: /etc/key, content: "key={{ vars.api_key }}\\n", mode: "0600"}\n'
    )
    made = run("-C", "shop", "secret", "generate", "--vault-password-file", "pw", cwd=here)
    assert made.code == 0, made

    ran = run("-C", "shop", "apply", "--yes", "--sandbox", "nodes", "--vault-password-file", "pw", cwd=here)

    assert ran.code == 0, ran
    assert (here / "nodes" / "paris" / "etc" / "key").read_text() == "key=s3cret value\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(here: Path):
    (here / "inv" / "hosts.yml").chmod(0)
    ran = run("import", "ansible", "inv", "--out", "shop", cwd=here)
    assert ran.code == 2
    assert "inv/hosts.yml:1:1 error  cannot be read: Permission denied" in ran.err
