"""`fleet init`: a fleet that can be planned at once, and nothing overwritten ever."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.running import ROOT, run

WRITTEN = [".gitignore", "fleet.yaml", "profiles/base.yaml", "sites/first.yaml"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_fleet_from_nothing(tmp_path: Path):
    ran = run("init", "My Shop", cwd=tmp_path)

    folder = tmp_path / "My Shop"
    assert ran.code == 0
    assert ran.out == "4 files in My Shop\nfleet -C 'My Shop' validate\n"
    assert ran.err.splitlines() == [f"wrote My Shop/{path}" for path in WRITTEN]
    assert sorted(contents(folder)) == [".fleet/schema.json", *WRITTEN]
    assert "metadata: {name: my-shop}" in (folder / "fleet.yaml").read_text()
    assert (folder / ".gitignore").read_text() == ".fleet/\n"


def test_what_it_writes_is_valid_and_can_be_planned(tmp_path: Path):
    run("init", cwd=tmp_path)

    assert run("validate", cwd=tmp_path).code == 0
    assert "1 node changes, 0 stay, 0 go" in run("plan", "--sandbox", "nodes", cwd=tmp_path).out


def test_every_modeline_leads_to_the_schema(tmp_path: Path):
    run("init", cwd=tmp_path)

    schema = json.loads((tmp_path / ".fleet" / "schema.json").read_text())
    assert schema == json.loads(run("schema").out)
    for path in WRITTEN[1:]:
        first = (tmp_path / path).read_text().splitlines()[0]
        target = first.removeprefix("# yaml-language-server: $schema=")
        assert ((tmp_path / path).parent / target).resolve() == tmp_path / ".fleet" / "schema.json"


def test_every_clash_is_listed_and_nothing_is_written(tmp_path: Path):
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "first.yaml").write_text("mine\n")
    (tmp_path / "fleet.yaml").symlink_to("nowhere")

    ran = run("init", str(tmp_path))

    assert ran.code == 2
    assert ran.err == (
        "error: 2 files are there already, and init never overwrites:\n"
        f"  {tmp_path}/fleet.yaml\n"
        f"  {tmp_path}/sites/first.yaml\n"
        "hint: choose an empty folder: fleet init DIR\n"
    )
    assert contents(tmp_path) == {"sites/first.yaml": b"mine\n"}


def test_an_old_gitignore_is_left_alone_with_a_word(tmp_path: Path):
    (tmp_path / ".gitignore").write_text("*.pyc\n")

    ran = run("init", str(tmp_path))

    assert ran.code == 0
    assert (tmp_path / ".gitignore").read_text() == "*.pyc\n"
    assert "warning: .gitignore does not name .fleet/" in ran.err


def test_the_examples_by_name():
    assert run("init", "--list").out.splitlines() == ["gpu-sites", "retail", "two-sites"]


def test_an_example_is_copied_whole_and_is_valid(tmp_path: Path):
    ran = run("init", "shop", "--example", "two-sites", cwd=tmp_path)

    assert ran.code == 0, ran.err
    shipped = contents(ROOT / "examples" / "two-sites")
    copied = contents(tmp_path / "shop")
    assert {path: copied.get(path) for path in shipped} == shipped
    assert set(copied) - set(shipped) <= {".fleet/schema.json", ".gitignore"}
    assert run("validate", cwd=tmp_path / "shop").code == 0


def test_an_example_that_does_not_ship(tmp_path: Path):
    ran = run("init", "--example", "no-such", cwd=tmp_path)

    assert ran.code == 2
    assert ran.err.startswith("error: no example is called `no-such`\nhint: ")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_made(tmp_path: Path):
    (tmp_path / "file").write_text("")

    ran = run("init", str(tmp_path / "file" / "shop"))

    assert ran.code in {2, 5}
    assert ran.err.startswith(f"error: cannot write {tmp_path}/file/shop/")


def test_schema_write_renews_what_the_modelines_lead_to(tmp_path: Path):
    run("init", cwd=tmp_path)
    (tmp_path / ".fleet" / "schema.json").write_text("{}")

    ran = run("schema", "--write", cwd=tmp_path)

    assert ran == (0, "wrote .fleet/schema.json\n", "")
    assert json.loads((tmp_path / ".fleet" / "schema.json").read_text()) == json.loads(run("schema").out)


def test_what_fails_on_the_way_is_undone_and_init_can_be_run_again(tmp_path: Path):
    """A file stands where an example's folder is to be: as on a full disk, some files are written by then."""
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "sites").write_text("in the way\n")

    first = run("init", str(shop), "--example", "two-sites")

    assert first.code == 5, first
    assert f"cannot write {shop}/sites/lyon-1.yaml: " in first.err
    assert [path.name for path in shop.iterdir()] == ["sites"]
    (shop / "sites").unlink()
    assert run("init", str(shop), "--example", "two-sites").code == 0
