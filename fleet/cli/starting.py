"""What `fleet init` writes: a fleet that can be planned at once, or an example, and what editors need beside it."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from difflib import get_close_matches
from pathlib import Path

from fleet.adapters import share
from fleet.adapters.disk import cannot
from fleet.errors import UsageError
from fleet.formats.words import count

SCHEMA = ".fleet/schema.json"
IGNORED = ".fleet/\n"
_SKIPPED = frozenset({".fleet", "__pycache__", ".git"})

_FLEET = """\
# yaml-language-server: $schema=.fleet/schema.json
apiVersion: fleet/v1alpha1
kind: Fleet
metadata: {name: NAME}
spec:                                    # the defaults of every site and node
  connection: {user: root}               # how hosts are reached over ssh
  profiles: [base]
  vars: {greeting: this node is kept by fleet}
  # k3s: {channel: stable}               # for nodes of role server and agent; `fleet lock` pins it
  # artifacts: {mirrors: [https://mirror.example/k3s]}
"""

_PROFILE = """\
# yaml-language-server: $schema=../.fleet/schema.json
apiVersion: fleet/v1alpha1
kind: Profile
metadata: {name: base}
spec:
  os:
    files:
      - path: /etc/motd
        content: "{{ vars.greeting }}: {{ node.name }} at {{ site.name }}\\n"
"""

_SITE = """\
# yaml-language-server: $schema=../.fleet/schema.json
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: first}
spec:
  timeZone: UTC
  network: {cidr: 10.20.1.0/24, gateway: 10.20.1.1}
  nodes:
    # role: none is a plain host; server and agent make a K3s cluster.
    - {name: first-a, role: none, address: 10.20.1.11}
"""


def examples() -> list[str]:
    """Names of the examples that ship with fleet: folders with a README."""
    return sorted(path.parent.name for path in (share.root() / "examples").glob("*/README.md"))


def minimal(folder: Path) -> dict[str, bytes]:
    """The smallest fleet, named after its folder."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")[:63].strip("-") or "fleet"
    texts = {"fleet.yaml": _FLEET.replace("NAME", name), "profiles/base.yaml": _PROFILE, "sites/first.yaml": _SITE}
    return {path: text.encode() for path, text in texts.items()}


def example(name: str) -> dict[str, bytes]:
    """The files of an example. Raises UsageError for a name that does not ship."""
    known = examples()
    if name not in known:
        close = get_close_matches(name, known, n=1)
        mend = f"did you mean `{close[0]}`?" if close else f"there are {', '.join(known) or 'none'}"
        raise UsageError(f"no example is called `{name}`", mend)
    root = share.root() / "examples" / name
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in _files(root)}


def start(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """Writes the files, the schema and .gitignore; gives the paths. Raises UsageError, before anything is written,
    naming every file that is there already. What fails on the way is undone: init can be run again.
    """
    clashes = sorted(path for path in files if path != ".gitignore" and os.path.lexists(folder / path))
    if clashes:
        listed = "\n".join(f"  {folder / path}" for path in clashes)
        raise UsageError(
            f"{count(len(clashes), 'file is', 'files are')} there already, and init never overwrites:\n{listed}",
            "choose an empty folder: fleet init DIR",
        )
    wanted = {".gitignore": IGNORED.encode(), **files}
    if os.path.lexists(folder / ".gitignore"):
        del wanted[".gitignore"]
    with ExitStack() as undo:
        for path, data in wanted.items():
            _write(folder / path, data, undo, executable=path.endswith(".sh"))
        write_schema(folder)
        undo.pop_all()
    return sorted(wanted)


def ignores_state(folder: Path) -> bool:
    """Whether git leaves `.fleet/` alone: an old .gitignore is never changed."""
    lines = (folder / ".gitignore").read_text(errors="replace").splitlines()
    return any(line.strip().strip("/") == ".fleet" for line in lines)


def write_schema(folder: Path) -> Path:
    """The spec's JSON Schema where the modelines point. It is ours, so an older one is replaced."""
    from fleet.adapters.disk import make_private_folder, write_atomic
    from fleet.load import json_schema

    path = folder / SCHEMA
    make_private_folder(path.parent)
    write_atomic(path, json.dumps(json_schema(), indent=1).encode() + b"\n", mode=0o644)
    return path


def _files(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and not _SKIPPED.intersection(path.relative_to(root).parts):
            yield path


def _write(path: Path, data: bytes, undo: ExitStack, *, executable: bool) -> None:
    """`x`: what appeared meanwhile is not overwritten either."""
    try:
        _make_folders(path.parent, undo)
        with path.open("xb") as file:
            undo.callback(path.unlink)
            file.write(data)
        if executable:
            path.chmod(path.stat().st_mode | 0o111)
    except OSError as error:
        raise cannot("write", path, error) from None


def _make_folders(folder: Path, undo: ExitStack) -> None:
    if folder.is_dir():
        return
    _make_folders(folder.parent, undo)
    folder.mkdir()
    undo.callback(shutil.rmtree, folder, ignore_errors=True)
