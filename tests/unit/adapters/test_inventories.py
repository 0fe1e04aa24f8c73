"""DiskInventories: the files that Ansible reads, in its order. That these are the ones, tests/golden/imports shows."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from fleet.adapters import inventories
from fleet.adapters.inventories import DiskInventories
from fleet.errors import UsageError
from fleet.model.translation import InventorySource


def write(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    return folder


def read(folder: Path, hosts: str) -> InventorySource:
    before = Path.cwd()
    os.chdir(folder)
    try:
        return DiskInventories().read(Path(hosts), hosts)
    finally:
        os.chdir(before)


def owners(source: InventorySource, folder: Path) -> list[tuple[str, str]]:
    """Owner and file, each read from where it says it is."""
    files = [*source.group_vars, *source.host_vars]
    assert all((folder / file.file).read_bytes() == file.data for file in files)
    return [(file.owner, file.file) for file in files]


@pytest.mark.parametrize(
    ("hosts", "prefix"),
    [("hosts", ""), ("./hosts", ""), ("inv/hosts", "inv/"), ("inv//hosts", "inv//"), ("inv", "inv/"), ("inv/", "inv/")],
)
def test_variables_are_those_beside_the_inventory(tmp_path: Path, hosts: str, prefix: str) -> None:
    folder = "inv/" if "inv" in hosts else ""
    write(
        tmp_path,
        f"{folder}hosts",
        f"{folder}group_vars/web.yml",
        f"{folder}host_vars/one.yml",
        "../group_vars/no.yml" if not folder else "group_vars/no.yml",
    )

    source = read(tmp_path, hosts)

    assert owners(source, tmp_path) == [("web", f"{prefix}group_vars/web.yml"), ("one", f"{prefix}host_vars/one.yml")]
    assert source.place == str(tmp_path / hosts)


def test_a_whole_path(tmp_path: Path) -> None:
    write(tmp_path, "hosts", "group_vars/all")
    source = DiskInventories().read(tmp_path / "hosts", str(tmp_path / "hosts"))
    assert [file.file for file in source.group_vars] == [f"{tmp_path}/group_vars/all"]


def test_which_files_of_a_folder_are_inventories(tmp_path: Path) -> None:
    write(
        tmp_path, "i/b.yml", "i/a.ini", "i/c", "i/sub/d", "i/sub/.e", "i/.hidden", "i/notes.md", "i/x.cfg", "i/y~", "i/z.orig",
        "i/group_vars/all", "i/host_vars/one", "i/sub/group_vars/web",
    )  # fmt: skip
    source = read(tmp_path, "i")
    assert [file.file for file in source.hosts] == ["i/a.ini", "i/b.yml", "i/c", "i/sub/d"]
    assert owners(source, tmp_path) == [("all", "i/group_vars/all"), ("one", "i/host_vars/one")]


def test_the_first_of_several_files_of_one_name(tmp_path: Path) -> None:
    write(
        tmp_path, "hosts", "group_vars/a", "group_vars/a.yml", "group_vars/b.yaml", "group_vars/b.json", "group_vars/c/x.yml",
        "group_vars/c.yml", "group_vars/d.yml", "group_vars/d.yaml",
    )  # fmt: skip
    source = read(tmp_path, "hosts")
    assert owners(source, tmp_path) == [
        ("a", "group_vars/a"),
        ("b", "group_vars/b.yaml"),
        ("c", "group_vars/c/x.yml"),
        ("d", "group_vars/d.yml"),
    ]
    assert sorted((each.file, each.by) for each in source.passed_over) == [
        ("group_vars/a.yml", "group_vars/a"),
        ("group_vars/b.json", "group_vars/b.yaml"),
        ("group_vars/c.yml", "group_vars/c"),
        ("group_vars/d.yaml", "group_vars/d.yml"),
    ]


def test_names_with_dots(tmp_path: Path) -> None:
    write(
        tmp_path,
        "hosts",
        "host_vars/web1.acme.example",
        "host_vars/web2.acme.example.yml",
        "host_vars/10.0.0.1.json",
        "host_vars/a.txt",
    )
    assert owners(read(tmp_path, "hosts"), tmp_path) == [
        ("10.0.0.1", "host_vars/10.0.0.1.json"),
        ("a.txt", "host_vars/a.txt"),
        ("web1.acme.example", "host_vars/web1.acme.example"),
        ("web2.acme.example", "host_vars/web2.acme.example.yml"),
    ]


def test_a_folder_of_variables(tmp_path: Path) -> None:
    write(
        tmp_path, "hosts", "group_vars/w/b.yml", "group_vars/w/a", "group_vars/w/sub/c.json", "group_vars/w/sub.d/e.yml",
        "group_vars/w/f.txt", "group_vars/w/.g.yml", "group_vars/w/h.yml~", "group_vars/x.yml/inner.yml",
    )  # fmt: skip
    assert owners(read(tmp_path, "hosts"), tmp_path) == [
        ("w", "group_vars/w/a"),
        ("w", "group_vars/w/b.yml"),
        ("w", "group_vars/w/sub/c.json"),
        ("x.yml", "group_vars/x.yml/inner.yml"),
    ]


def test_links_are_followed(tmp_path: Path) -> None:
    write(tmp_path, "shared/all.yml", "i/hosts")
    (tmp_path / "i" / "group_vars").symlink_to("../shared")
    assert owners(read(tmp_path, "i/hosts"), tmp_path) == [("all", "i/group_vars/all.yml")]


def test_there_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path, "notes/README.md")
    for hosts, message in [
        ("absent", "there is no inventory absent"),
        ("empty", "holds no inventory files"),
        ("notes", "holds no"),
    ]:
        with pytest.raises(UsageError, match=message):
            read(tmp_path, hosts)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert read(tmp_path, "pipe").hosts[0].trouble == "this is no file: a device, a pipe or a socket"
    with socket.socket(socket.AF_UNIX) as opened:
        os.chdir(tmp_path)
        opened.bind("sock")
    assert "no file" in read(tmp_path, "sock").hosts[0].trouble
    (tmp_path / "i").mkdir()
    (tmp_path / "i" / "dead").symlink_to("nowhere")
    assert read(tmp_path, "i").hosts[0].trouble == "cannot be read: No such file or directory"


def test_a_file_that_fails_while_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "hosts").symlink_to("/proc/self/mem")
    assert read(tmp_path, "hosts").hosts[0].trouble == "cannot be read: Input/output error"


def test_folders_that_lead_into_themselves(tmp_path: Path) -> None:
    write(tmp_path, "i/hosts")
    (tmp_path / "i" / "again").symlink_to(".")
    with pytest.raises(UsageError, match="more than 32 folders deep"):
        read(tmp_path, "i")


def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "i/a", "i/b", "i/c")
    monkeypatch.setattr(inventories, "_MOST_BYTES", 2)
    assert [file.trouble for file in read(tmp_path, "i").hosts] == ["too large: an inventory file may hold 64 MiB"] * 3
    monkeypatch.setattr(inventories, "_MOST_FILES", 2)
    with pytest.raises(UsageError, match="more than 2 files, up to i/c"):
        read(tmp_path, "i")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read(tmp_path: Path) -> None:
    write(tmp_path, "i/a", "i/sub/b")
    (tmp_path / "i" / "a").chmod(0)
    (tmp_path / "i" / "sub").chmod(0)
    with pytest.raises(UsageError, match="cannot read the folder i/sub: Permission denied"):
        read(tmp_path, "i")
    assert read(tmp_path, "i/a").hosts[0].trouble == "cannot be read: Permission denied"
    (tmp_path / "i" / "sub").chmod(0o700)
