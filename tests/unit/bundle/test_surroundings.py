"""What a node may be like: SELinux, an old Python, folders that move, commands that leave something running."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.bundle.conftest import MODULE

CONTEXTS = {"/etc/a": "system_u:object_r:etc_t:s0", "/srv": "system_u:object_r:var_t:s0", "/srv/b": "<<none>>"}
MATCHPATHCON = """\
#!/usr/bin/env python3
import sys
contexts = {contexts!r}
assert sys.argv[1:3] == ["-n", "--"]
for path in sys.argv[3:]:
    print(contexts[path])
"""


@pytest.fixture
def selinux(desk: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """SELinux is not to be had here: a policy that is a program of ours, on a kernel that keeps the labels all the same."""
    tool = desk.place / "bin" / "matchpathcon"
    tool.parent.mkdir()
    tool.write_text(MATCHPATHCON.format(contexts=CONTEXTS))
    tool.chmod(0o755)
    enforce = desk.place / "enforce"
    enforce.write_text("1")
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(desk.module, "SELINUX", str(enforce))
    return desk


def context(path: Path) -> str:
    try:
        return os.getxattr(path, "security.selinux").decode()
    except OSError:
        return ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may set security.*")
def test_files_and_folders_get_the_policys_context_before_they_are_in_place(
    selinux: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, desk = selinux.module, selinux
    monkeypatch.setattr(module.Tree, "real", property(lambda _: True, lambda *_: None), raising=False)
    tree = module.Tree(str(desk.root), make=False)
    tree.labels = module.policy_labels(["/etc/a", "/srv", "/srv/b"])
    assert tree.labels == {"/etc/a": CONTEXTS["/etc/a"], "/srv": CONTEXTS["/srv"]}
    tree.beside("/etc/a", [b"a"], 0o644, (-1, -1))
    temp = desk.path("/etc/" + module.temp_name("a"))
    assert context(temp) == CONTEXTS["/etc/a"] + "\0"
    tree.place("/etc/a")
    tree.mkdir("/srv")
    assert context(desk.path("/etc/a")) == CONTEXTS["/etc/a"] + "\0"
    assert context(desk.path("/srv")) == CONTEXTS["/srv"] + "\0"
    tree.beside("/srv/b", [b"b"], 0o644, (-1, -1))
    assert context(desk.path("/srv/" + module.temp_name("b"))) == ""


def test_without_selinux_nothing_is_asked(desk: Any) -> None:
    assert desk.module.SELINUX == "/sys/fs/selinux/enforce"
    assert not Path(desk.module.SELINUX).exists(), "this machine has SELinux: try the real thing"
    assert desk.module.policy_labels(["/etc/a"]) == {}


def test_a_policy_that_gives_no_context_stops_the_run(selinux: Any) -> None:
    with pytest.raises(selinux.module.Failure, match="look: /nowhere: SELinux is on, and matchpathcon says no context"):
        selinux.module.policy_labels(["/nowhere"])


@pytest.mark.parametrize("moved", ["link", "folder"])
def test_a_folder_that_is_another_one_later_is_not_written_to(desk: Any, moved: str) -> None:
    """Between the look and the rename: /srv/data becomes a link to /etc, or somebody moves another folder there."""
    desk.path("/srv/data").mkdir(parents=True)
    elsewhere = "/etc" if moved == "link" else "/srv/other"
    desk.path(elsewhere).mkdir(exist_ok=True)
    swap = f"mv {desk.path('/srv/data')} {desk.path('/srv/away')}; "
    swap += (
        f"ln -s /etc {desk.path('/srv/data')}"
        if moved == "link"
        else f"mv {desk.path(elsewhere)} {desk.path('/srv/data')}"
    )
    script = desk.place / "swap"
    script.write_text(f"#!/bin/sh\n{swap}\n")
    script.chmod(0o755)
    desk.file("/srv/data/passwd", b"ours\n", validate=f"{script} {{file}}")
    result = desk.run()
    assert (result["failed"], result["step"], result["at"]) == (True, "write", "/srv/data/passwd")
    assert result["msg"].endswith("`/srv/data` became another folder while this run went on")
    for folder in ("/etc", "/srv/away", *(["/srv/data"] if moved == "folder" else [])):
        assert not desk.path(f"{folder}/passwd").exists()
        assert not list(desk.path(folder).glob(".fleet-*")), folder


def test_what_a_check_leaves_in_the_background_ends_with_it(desk: Any) -> None:
    mark = f"13{os.getpid()}"
    desk.file("/etc/a", b"a", validate=f"sh -c 'sleep {mark} & true' {{file}}")
    began = time.monotonic()
    desk.ok()
    assert time.monotonic() - began < 10
    assert subprocess.run(["pgrep", "-f", f"sleep {mark}"], check=False, capture_output=True).stdout == b""


def test_a_check_that_never_ends_is_ended_with_all_its_children(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk.module, "VALIDATE_SECONDS", 1)
    mark = f"14{os.getpid()}"
    desk.file("/etc/a", b"a", validate=f"sh -c 'sleep {mark}; sleep {mark}' {{file}}")
    began = time.monotonic()
    assert "ended with no end after 1 s" in desk.refused()
    assert time.monotonic() - began < 10
    assert subprocess.run(["pgrep", "-f", f"sleep {mark}"], check=False, capture_output=True).stdout == b""


def test_an_old_python_says_so_instead_of_a_traceback() -> None:
    """No Python below 3.8 is to be had here: this one says that it is 3.6, and the file's grammar is held to 3.6's."""
    text = MODULE.read_text()
    ast.parse(text, feature_version=(3, 6))
    assert "from __future__ import annotations" not in text, "3.6 does not know it"
    code = f"import sys; sys.version_info = (3, 6, 9, 'final', 0); exec(compile(open({str(MODULE)!r}).read(), 'm', 'exec'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "failed": True,
        "changed": False,
        "step": "python",
        "at": "",
        "msg": "python: this node has Python 3.6, and 3.8 or later is needed",
    }
    assert done.stderr == ""
