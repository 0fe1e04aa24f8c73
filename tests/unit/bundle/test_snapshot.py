"""A server's datastore is saved before another version of K3s takes its place, or nothing is touched."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

DATA = "/var/lib/rancher/k3s"
STATE_DB = f"{DATA}/server/db/state.db"
TOKEN = f"{DATA}/server/token"
SNAPSHOTS = "/var/lib/fleet/snapshots"
OLD, NEW = "v1.35.4+k3s1", "v1.36.3+k3s1"


class Server:
    """A desk whose bundle is of a K3s server with SQLite."""

    def __init__(self, desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.desk = desk
        self.version = OLD
        self.how: dict[str, Any] | None = {"kind": "sqlite", "data_dir": DATA}
        manifest, bundle = desk.manifest, desk.bundle
        monkeypatch.setattr(desk, "manifest", lambda: {**manifest(), "facts": {"k3s_version": self.version}})
        monkeypatch.setattr(desk, "bundle", lambda: {**bundle(), **({"snapshot": self.how} if self.how else {})})
        self.install(OLD)
        desk.ok()
        self.run("CREATE TABLE kine (name TEXT)", "INSERT INTO kine VALUES ('before')")
        desk.path(TOKEN).write_text("K10aa::server:swordfish\n")
        desk.path(TOKEN).chmod(0o600)

    def install(self, version: str) -> None:
        self.version = version
        self.desk.file("/usr/local/bin/k3s", version.encode())

    def run(self, *statements: str) -> None:
        """As K3s writes."""
        path = self.desk.path(STATE_DB)
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("PRAGMA journal_mode=WAL")
            for statement in statements:
                database.execute(statement)

    def saved(self) -> list[Path]:
        folder = self.desk.path(SNAPSHOTS)
        return sorted(folder.iterdir()) if folder.exists() else []

    def binary(self) -> str:
        return self.desk.path("/usr/local/bin/k3s").read_text()


@pytest.fixture
def server(desk: Any, monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(desk, monkeypatch)


def names(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as database:
        return [name for (name,) in database.execute("SELECT name FROM kine")]


def test_sqlite_is_saved_with_its_token_while_k3s_writes(server: Server) -> None:
    with closing(sqlite3.connect(server.desk.path(STATE_DB))) as writing:
        writing.execute("INSERT INTO kine VALUES ('in the log')")
        writing.commit()
        writing.execute("INSERT INTO kine VALUES ('not yet')")
        server.install(NEW)
        server.desk.ok()
    (folder,) = server.saved()
    assert folder.name == f"00000001-{OLD}"
    assert names(folder / "state.db") == ["before", "in the log"]
    assert (folder / "token").read_text() == "K10aa::server:swordfish\n"
    assert {path.name: path.stat().st_mode & 0o777 for path in [folder.parent, folder, *folder.iterdir()]} == {
        "snapshots": 0o700, folder.name: 0o700, "state.db": 0o600, "token": 0o600, "manifest.json": 0o644,
    }  # fmt: skip
    told = json.loads((folder / "manifest.json").read_text())
    assert (told["k3s_version"], told["datastore"]) == (OLD, "sqlite")
    assert server.binary() == NEW


def test_nothing_else_than_an_upgrade_saves_anything(server: Server) -> None:
    server.desk.file("/etc/motd", b"hello\n")
    server.desk.ok()
    server.install(NEW)
    server.desk.ok(check=True)
    assert server.saved() == [], "neither another change, nor a look, nor the first start"
    server.how = None
    server.desk.ok()
    assert server.saved() == [], "an agent has no datastore"


def test_the_last_three_stay(server: Server) -> None:
    for number in range(5, 10):
        server.install(f"v1.36.{number}+k3s1")
        server.desk.ok()
    assert [folder.name[:8] for folder in server.saved()] == ["00000003", "00000004", "00000005"]


def damage(server: Server) -> None:
    path = server.desk.path(STATE_DB)
    for beside in path.parent.glob("state.db-*"):
        beside.unlink()
    path.write_bytes(b"no database at all" * 500)


def test_a_python_without_sqlite_is_told(server: Server) -> None:
    server.install(NEW)
    done = server.desk.alone(prelude="import sys\nsys.modules['sqlite3'] = None\n")
    assert "this node's Python has no sqlite3" in json.loads(done.stdout)["msg"]
    assert (server.binary(), server.saved()) == (OLD, [])


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda server: server.desk.path(STATE_DB).unlink(), "is not there: K3s's datastore cannot be saved"),
        (damage, "cannot be saved, and nothing was touched: file is not a database"),
    ],
)
def test_what_cannot_be_saved_is_not_upgraded(server: Server, harm: Any, reason: str) -> None:
    harm(server)
    held = server.desk.record()
    server.install(NEW)
    result = server.desk.run()
    assert (result["failed"], result["step"], result["changed"]) == (True, "snapshot", False)
    assert reason in result["msg"]
    assert server.binary() == OLD
    assert server.desk.record() == held
    assert not list(server.desk.root.rglob(".fleet-*.new"))
    assert server.saved() == [], "half a snapshot takes no room"
    assert server.desk.ok(snapshot=False)["changed"] is True
    assert server.binary() == NEW


def test_what_a_killed_run_has_half_saved_goes_and_is_no_snapshot(server: Server) -> None:
    killer = "import os, sqlite3\nreal = sqlite3.connect\n"
    killer += "def connect(path, **more):\n    os._exit(9) if 'snapshots' in str(path) else None\n"
    killer += "    return real(path, **more)\nsqlite3.connect = connect\n"
    server.install(NEW)
    assert server.desk.alone(prelude=killer).returncode == 9
    assert [sorted(path.name for path in folder.iterdir()) for folder in server.saved()] == [["state.db"]]
    assert server.binary() == OLD
    server.desk.ok()
    (folder,) = server.saved()
    assert names(folder / "state.db") == ["before"]


def test_an_upgrade_that_was_cut_short_after_the_snapshot_is_finished_without_another_one(server: Server) -> None:
    """The old binary may be gone by then: what is saved is what it was before."""
    killer = "import os\nrename = os.rename\n"
    killer += (
        "def renamed(old, new, **more):\n    rename(old, new, **more)\n    os._exit(9) if new == 'k3s' else None\n"
    )
    server.install(NEW)
    assert server.desk.alone(prelude=killer + "os.rename = renamed\n").returncode == 9
    assert server.binary() == NEW
    server.desk.ok()
    assert len(server.saved()) == 1


def test_etcd_is_saved_by_k3s_itself(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(server.desk.module, "run_command", lambda command, _: (asked.append(command), (0, ""))[1])
    server.desk.module.save_etcd(OLD, {})
    name = "fleet-before-upgrade-of-v1.35.4-k3s1"
    assert asked == [["/usr/local/bin/k3s", "etcd-snapshot", "save", "--name", name]]
    told_long = "no leader, token swordfish" + " " * 3 + "." * 490
    monkeypatch.setattr(server.desk.module, "run_command", lambda *_: (1, told_long))
    with pytest.raises(server.desk.module.Failure) as cut:
        server.desk.module.save_etcd(OLD, {"token": "swordfish"})
    assert "fish" not in str(cut.value), "what is cut is scrubbed before"
    monkeypatch.setattr(server.desk.module, "run_command", lambda *_: (1, "no leader, token swordfish"))
    with pytest.raises(
        server.desk.module.Failure, match=r"ended with 1, nothing was touched: no leader, token "
    ) as told:
        server.desk.module.save_etcd(OLD, {"token": "swordfish"})
    assert "swordfish" not in str(told.value)


def test_in_a_sandbox_there_is_what_somebody_put_there(server: Server) -> None:
    shutil.rmtree(server.desk.path(f"{DATA}/server/db"))
    server.install(NEW)
    assert server.desk.ok()["warnings"] == []
    assert server.saved() == []


def test_the_token_of_its_time_is_kept_with_a_snapshot_of_etcd(server: Server) -> None:
    server.how = {"kind": "etcd", "data_dir": DATA}
    server.install(NEW)
    server.desk.ok()
    (folder,) = server.saved()
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "token"], "it opens K3s's own snapshot"


def test_an_external_datastore_is_asked_for_before_anything_is_fetched(server: Server) -> None:
    server.how = {"kind": "external", "data_dir": DATA, "command": ["./snapshot.sh"]}
    server.install(NEW)
    result = server.desk.run()
    assert (result["step"], result["at"]) == ("snapshot", NEW)
    assert result["msg"].endswith(f"the datastore is to be saved before K3s {OLD} becomes {NEW}")
    assert server.binary() == OLD
    assert server.desk.run(snapshot_taken=OLD)["failed"]
    server.desk.ok(snapshot_taken=NEW)
    assert server.binary() == NEW
