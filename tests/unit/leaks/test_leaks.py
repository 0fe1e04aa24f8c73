"""tests/leaks.py finds what is planted, in every form and place: a search that finds nothing has to be able to."""

from __future__ import annotations

import ast
import base64
import gzip
import json
import sqlite3
import subprocess
import sys
import zlib
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.leaks import Leak, Processes, Search, Watcher, files_below, readable_by_others

TOOL = Path(__file__).parents[2] / "leaks.py"
VALUE = 'p/a+s s"{{x}}\n$%?\u00e9'
TOKEN = "3f9c1d0a77b2e4558812aa0193cd6f0e"
SEARCH = Search({"value": VALUE, "token": TOKEN})


def forms(data: bytes) -> set[str]:
    return {leak.form for leak in SEARCH.in_bytes(data, "here")}


@pytest.mark.parametrize("value", [VALUE, TOKEN])
@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "token: abcd"])
@pytest.mark.parametrize("after", ["", "z", "zy", "\n"])
def test_a_copy_in_base64_is_found_wherever_it_begins(value: str, before: str, after: str) -> None:
    text = f"{before}{value}{after}".encode()
    shift = len(before.encode()) % 3

    assert forms(base64.b64encode(text)) == {f"base64, at {shift}"}
    assert forms(base64.urlsafe_b64encode(text)) == {f"base64, at {shift}"}
    assert forms(base64.encodebytes(b"x" * 60 + text)) == {f"base64, at {shift}"}, "in lines of 76"


@pytest.mark.parametrize(
    ("copy", "form"),
    [
        (VALUE, "plain"),
        (quote(VALUE), "URL"),
        (quote(VALUE, safe=""), "URL"),
        (quote_plus(VALUE), "URL"),
        (quote(VALUE, safe="").lower(), "URL"),
        (json.dumps({"a": VALUE}), "escaped"),
        (json.dumps({"a": VALUE}, ensure_ascii=False), "escaped"),
        (repr([VALUE]), "escaped"),
        (VALUE.encode().hex(), "hex"),
    ],
)
def test_a_copy_is_found_in_each_other_form(copy: str, form: str) -> None:
    assert form in forms(f"before {copy} after".encode())


def test_what_only_looks_alike_is_not_found() -> None:
    assert forms(TOKEN[:-1].encode()) == set()
    assert forms(TOKEN.upper().encode()) == set()
    assert forms(base64.b64encode(TOKEN[1:].encode())) == set()


def test_copies_are_found_in_files_that_are_hidden_packed_or_named_after_them(tmp_path: Path) -> None:
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "a").write_bytes(b"\0\xff" + TOKEN.encode())
    (tmp_path / "b.gz").write_bytes(gzip.compress(TOKEN.encode()))
    with closing(sqlite3.connect(tmp_path / "c.db")) as connection:
        connection.execute("CREATE TABLE t (k TEXT, v BLOB)")
        connection.execute("INSERT INTO t VALUES ('x', ?)", [zlib.compress(f"it is {TOKEN}".encode() * 9)])
        connection.commit()
    (tmp_path / f"d-{TOKEN}").write_text("")
    (tmp_path / "e").symlink_to(f"/nowhere/{TOKEN}")
    (tmp_path / "clean").write_text("nothing")

    found = SEARCH.in_folders(tmp_path)

    names = {".hidden/a", "b.gz", "c.db", f"d-{TOKEN}", "e"}
    assert {Path(leak.where).relative_to(tmp_path).as_posix() for leak in found} == names
    assert len(list(files_below(tmp_path))) == 6
    named = [tmp_path / name for name in ("c.db", "e", "clean", "not-there")]
    assert {Path(leak.where).name for leak in SEARCH.in_folders(*named)} == {"c.db", "e"}


@pytest.mark.parametrize("value", [VALUE, TOKEN])
def test_a_large_file_is_read_to_its_end(tmp_path: Path, value: str) -> None:
    for name, data in (("plain", value.encode()), ("coded", base64.b64encode(b"x" + value.encode())), ("other", b"")):
        (tmp_path / name).write_bytes(bytes(5_000_000) + b"\n" + data)
    (tmp_path / "packed.gz").write_bytes(gzip.compress(value.encode()) + bytes(5_000_000))

    assert {Path(leak.where).name for leak in SEARCH.in_folders(tmp_path)} == {"plain", "coded", "packed.gz"}


def test_a_file_that_others_may_read_is_told_from_one_that_they_may_not(tmp_path: Path) -> None:
    for name, mode in (("open", 0o644), ("group", 0o640), ("closed", 0o600)):
        (tmp_path / name).write_text(TOKEN)
        (tmp_path / name).chmod(mode)

    assert readable_by_others(SEARCH.in_folders(tmp_path)) == {str(tmp_path / "open"), str(tmp_path / "group")}


@pytest.mark.parametrize("part", ["cmdline", "environ"])
def test_a_process_that_shows_it_for_a_third_of_a_second_is_seen(part: str) -> None:
    code = "import time; time.sleep(0.3)"
    arguments = (
        [sys.executable, "-c", code, f"--password={TOKEN}"] if part == "cmdline" else [sys.executable, "-c", code]
    )
    with Processes(SEARCH) as watched:
        subprocess.run(arguments, env={"PASS": TOKEN} if part == "environ" else {}, check=True)

    assert {(leak.secret, leak.form) for leak in watched.leaks} == {("token", "plain")}
    assert all(f"/{part} of " in leak.where for leak in watched.leaks)
    assert watched.rounds


def test_what_is_too_short_to_prove_anything_is_refused() -> None:
    with pytest.raises(ValueError, match="short"):
        Search({"short": "12345"})


def test_as_a_program_it_reads_values_and_names_places(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"it is {TOKEN}")
    command = [sys.executable, str(TOOL), str(tmp_path)]

    found = subprocess.run(command, input=f"{TOKEN}\n", capture_output=True, text=True, check=False)
    none = subprocess.run(command, input="something else\n", capture_output=True, text=True, check=False)

    assert (found.returncode, found.stdout) == (1, f"{tmp_path}/log: line 1, plain\n")
    assert (none.returncode, none.stdout) == (0, "")
    assert Leak("a", "b", "c") < Leak("b", "a", "a")


def test_it_imports_nothing_but_the_standard_library() -> None:
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(TOOL.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names])
    }

    assert imported <= set(sys.stdlib_module_names) | {"__future__"}


@pytest.mark.parametrize("part", ["cmdline", "environ"])
def test_as_a_program_it_watches_processes_until_it_is_told_to_end(part: str) -> None:
    shown = [sys.executable, "-c", "import time; time.sleep(1)", *([TOKEN] if part == "cmdline" else [])]
    with Watcher([sys.executable, str(TOOL)], {"value": VALUE, "token": TOKEN}) as watched:
        subprocess.run(shown, env={"PASS": TOKEN} if part == "environ" else {}, check=True)

    assert {(leak.secret, leak.form) for leak in watched.leaks} == {("token", "plain")}
    assert all(f"/{part} of " in leak.where for leak in watched.leaks)
    assert (watched.rounds > 2, watched.seen > 1, watched.longest > 0) == (True, True, True)
