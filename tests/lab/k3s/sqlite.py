"""What stands in for the SQLite datastore: db/state.db is a real SQLite file, and what it holds is real.

K3s keeps its rows there (kine). Here an etcd of one member does the work, and the file holds its snapshot: written
every SAVE_SECONDS where anything has changed, and at the end. At a start the datastore is what the file says; so a
copy made by sqlite3's backup call, and put back, takes the cluster back. A guess: it may be SAVE_SECONDS old.
"""

import hashlib
import shutil
import sqlite3
import threading
import time
from pathlib import Path

from .etcd import Etcd, EtcdError
from .output import log

SAVE_SECONDS = 5
TABLE = "CREATE TABLE IF NOT EXISTS kine (id INTEGER PRIMARY KEY, name TEXT UNIQUE, value BLOB)"


class Sqlite:
    def __init__(self, path: Path, etcd: Etcd) -> None:
        self.path = path
        self.etcd = etcd
        self._saving = threading.Lock()

    def run(self) -> None:
        while True:
            time.sleep(SAVE_SECONDS)
            self.save()

    def save(self) -> None:
        """Put the datastore as it is now into the file."""
        with self._saving:
            self._save()

    def _save(self) -> None:
        beside = self.path.with_name("standin-save")
        try:
            self.etcd.save_snapshot(beside)
        except EtcdError as error:
            log("warning", f"state.db stays as it was: {error}")
            return
        with sqlite3.connect(self.path) as database:
            database.execute(TABLE)
            database.execute("REPLACE INTO kine (id, name, value) VALUES (1, 'standin', ?)", (beside.read_bytes(),))
        database.close()
        self.path.chmod(0o600)
        shutil.move(beside, self.etcd.folder / "saved")

    def restore(self) -> None:
        """Make the datastore anew where the file is another one than this server has written last."""
        if not self.path.exists():
            shutil.rmtree(self.etcd.folder, ignore_errors=True)
            return
        content = self._content()
        saved = self.etcd.folder / "saved"
        if content is None or (saved.exists() and digest(saved.read_bytes()) == digest(content)):
            return
        self._unpack(content)

    def hand_over(self) -> None:
        """SQLite becomes etcd: a restart with cluster-init (docs/datastore/ha-embedded.md)."""
        if not self.path.exists() or self.etcd.is_initialized:
            return
        content = self._content()
        log("info", "Migrating content from sqlite to etcd")
        if content is not None:
            self._unpack(content)
        shutil.rmtree(self.path.with_name("standin-etcd"), ignore_errors=True)
        self.path.rename(self.path.with_name("state.db.migrated"))

    def _content(self) -> bytes | None:
        database = sqlite3.connect(self.path)
        try:
            row = database.execute("SELECT value FROM kine WHERE id = 1").fetchone()
        except sqlite3.Error as error:
            log("warning", f"state.db: {error}")
            return None
        finally:
            database.close()
        return bytes(row[0]) if row else None

    def _unpack(self, content: bytes) -> None:
        shutil.rmtree(self.etcd.folder, ignore_errors=True)
        beside = self.path.with_name("standin-save")
        beside.write_bytes(content)
        self.etcd.restore_snapshot(beside)
        shutil.move(beside, self.etcd.folder / "saved")


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
