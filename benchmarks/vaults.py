"""Vault files of 1,250 sites: what their lock, another password, and a single value cost. Against ansible-vault."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from measuring import Command, measure, once
from table import Row, at_most, times

BIN = Path(sys.executable).parent
FLEET, VAULT = str(BIN / "fleet"), str(BIN / "ansible-vault")
HERE = Path(__file__).resolve().parent
SITES, REKEY_SECONDS, LOCK_MS = 1250, 60.0, 50.0
FLEET_DOCUMENT = """\
apiVersion: fleet/v1alpha1
kind: Fleet
metadata: {name: shops}
spec: {k3s: {version: v1.36.3+k3s1}}
"""
SITE = """\
---
apiVersion: fleet/v1alpha1
kind: Site
metadata: {{name: shop-{number:04}}}
spec:
  network: {{cidr: 10.{high}.{low}.0/24, gateway: 10.{high}.{low}.1}}
  nodes: [{{name: shop-{number:04}-a, role: server, arch: amd64, address: 10.{high}.{low}.2}}]
"""


def compare(folder: Path, runs: int, scale: int) -> list[Row]:
    sites = max(2, SITES // scale)
    fleet = make(folder / "fleet", sites)
    old, new, value = (str(folder / name) for name in ("old", "new", "value"))
    for path, text in ((old, "open sesame"), (new, "close sesame"), (value, "hunter2")):
        Path(path).write_text(f"{text}\n")
    made, _ = once(Command([FLEET, "secret", "generate", "--vault-password-file", old], fleet))
    kept = folder / "kept"
    shutil.copytree(fleet / "secrets", kept)
    files = sorted(str(path) for path in (fleet / "secrets").glob("*.yaml"))
    lock, output = (fleet / "secrets/secrets.lock").read_bytes(), folder / "milliseconds"
    again = lambda: restore(kept, fleet / "secrets")  # noqa: E731 - a name for what comes before each run
    words = ["--vault-password-file", old, "--new-vault-password-file", new]
    own = [FLEET, "secret", "set", "shop-0001.db", "--from-file", value, "--vault-password-file", old]
    commands = {
        "lock": Command([sys.executable, str(HERE / "lock_read.py"), str(fleet)], fleet, before=again, output=output),
        "rekey": Command([FLEET, "secret", "rekey", *words], fleet, before=again),
        "theirs": Command([VAULT, "rekey", *words, *files], fleet, before=again),
        "set": Command(own, fleet, before=again),
        "list": Command([FLEET, "secret", "list"], fleet, before=again),
    }
    took = measure({name: command for name, command in commands.items() if name != "rekey"}, runs)
    took |= measure({"rekey": commands["rekey"]}, runs)
    if (fleet / "secrets/secrets.lock").read_bytes() != lock:
        raise SystemExit("another password changed secrets.lock")
    milliseconds = float(output.read_text())
    size = sum(Path(path).stat().st_size for path in files)
    return [
        Row(f"secret generate, {sites:,} sites", f"{made:.2f} s CPU", files=len(files), size=size),
        Row("  their secrets.lock, read", f"{milliseconds:.1f} ms CPU", f"<= {LOCK_MS:g} ms", milliseconds <= LOCK_MS,
            1, len(lock)),
        at_most(f"secret rekey, {len(files):,} files", took["rekey"].least, REKEY_SECONDS, files=len(files), size=size),
        Row("  ansible-vault rekey, the same", f"{took['theirs'].least:.2f} s CPU", files=len(files), size=size),
        times("  fleet against ansible-vault", took["theirs"], took["rekey"], 1),
        Row(f"secret set, one of {sites:,} sites", f"{took['set'].least:.2f} s CPU"),
        Row(f"secret list, {sites:,} sites", f"{took['list'].least:.2f} s CPU"),
    ]  # fmt: skip


def make(folder: Path, sites: int) -> Path:
    folder.mkdir()
    text = "".join(SITE.format(number=at, high=at // 250, low=at % 250) for at in range(sites))
    (folder / "fleet.yaml").write_text(FLEET_DOCUMENT + text)
    once(Command(["git", "init", "--quiet"], folder))  # it may lie in somebody else's repository
    return folder


def restore(kept: Path, folder: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(kept, folder)
