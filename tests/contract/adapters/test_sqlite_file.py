"""The journal's file, damaged in every way that files are: it is found, it is said, and what is left is saved."""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from fleet.adapters.sqlite import Database, SqliteJournal, SqliteRecords, schema
from fleet.adapters.sqlite.image import read_image
from fleet.adapters.sqlite.pages import Pages
from fleet.errors import UnavailableError, UsageError
from fleet.model.journal import SavedLine
from fleet.model.record import Record
from fleet.testing import MemoryClock
from tests.contract.adapters.kept import ROOT, copy, file_of, keep, keys, saved, settled, wrong

pytestmark = pytest.mark.timeout(120)
PAGE = 4096
FRAME = PAGE + 24


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As kill -9 leaves it. Read only: tests copy it."""
    folder = tmp_path_factory.mktemp("kept") / ".fleet"
    keep(folder)
    return folder


@pytest.fixture
def killed(original: Path, tmp_path: Path) -> Path:
    """With the WAL and its index beside the file."""
    return copy(original, tmp_path / "killed")


@pytest.fixture
def closed(original: Path, tmp_path: Path) -> Path:
    """The file alone."""
    folder = settled(copy(original, tmp_path / "closed"))
    for suffix in ("-wal", "-shm"):
        (folder / f"state.db{suffix}").unlink(missing_ok=True)
    return folder


@pytest.fixture(scope="module")
def everything(original: Path) -> set[bytes]:
    return keys(saved(original))


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def contents_of(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    return {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode)
        for path in sorted(folder.iterdir())
    }


@pytest.mark.parametrize("state", ["killed", "closed"])
def test_a_whole_file_is_whole_and_stays_as_it_is(request: pytest.FixtureRequest, state: str) -> None:
    folder: Path = request.getfixturevalue(state)
    before = contents_of(folder)
    report = file_of(folder).check()
    assert (report.is_whole, report.diagnoses, report.schema) == (True, (), schema.VERSION)
    rows = {table.table: table.rows for table in report.tables}
    assert rows == {
        "rollouts": 2, "orders": 2, "events": 430, "effects": 4, "snapshots": 1, "inbox": 1, "lease": 1, "records": 300,
        "contacts": 300, "unanswered": 0, "silent": 0, "held_back": 0, "objects": 303, "clusters": 0,
    }  # fmt: skip
    assert len(keys(saved(folder))) == 2 + 2 + 430 + 4 + 1 + 300 + 300
    assert contents_of(folder) == before, "nothing was written, no WAL checkpointed, no file made"


def test_what_is_saved_is_what_ordinary_reading_gives(killed: Path) -> None:
    lines = saved(killed)
    database = Database(killed)
    journal, records = SqliteJournal(database, MemoryClock()), SqliteRecords(database)
    assert [(line.seq, line.event["event"]) for line in lines["event"] if line.rollout == "aaaa"] == [
        (entry.seq, type(entry.event).__name__) for entry in journal.read("aaaa")
    ]
    assert {line.node: line.record for line in lines["record"]} == dict(records.all())
    assert [(line.id, line.status) for line in lines["rollout"]] == [("aaaa", "finished"), ("bbbb", "running")]
    assert [line.order["id"] for line in lines["rollout"]] == ["aaaa", "bbbb"]
    assert [line.effect["order"]["batch_id"] for line in lines["effect"]] == [
        effect.order.batch_id for effect in journal.open_effects("bbbb")
    ]
    assert [line.request["reason"] for line in lines["request"]] == ["lunch"]
    database.close()


def test_a_folder_and_a_file_that_may_only_be_read(original: Path) -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "import os\nfrom pathlib import Path\nfrom fleet.adapters.sqlite import SqliteJournalFile\n"
        "from fleet.testing import MemoryClock\n"
        "if os.geteuid() == 0:\n    os.setgid(65534)\n    os.setuid(65534)\n"
        "file = SqliteJournalFile(Path(sys.argv[1]), MemoryClock())\n"
        "print(file.check().is_whole, sum(1 for _ in file.export()))\n"
    )
    with tempfile.TemporaryDirectory() as top:  # pytest's own folder lets nobody else through
        Path(top).chmod(0o711)
        folder = copy(original, Path(top) / "kept")
        for path in (*folder.iterdir(), folder):
            path.chmod(0o555 if path.is_dir() else 0o444)
        found = subprocess.run(
            [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=False, timeout=60
        )
        folder.chmod(0o755)
    assert (found.stdout, found.stderr) == ("True 751\n", "")


def test_one_that_may_not_be_read_at_all(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    with pytest.raises(UsageError, match=r"state\.db cannot be read"):
        file_of(tmp_path).check()


def test_nothing_was_kept_yet(tmp_path: Path) -> None:
    report = file_of(tmp_path / ".fleet").check()
    assert (report.is_whole, report.tables) == (True, ())
    assert list(file_of(tmp_path / ".fleet").export()) == []
    assert not (tmp_path / ".fleet").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty: cut off, or fleet was killed when it made it"),
        (b"what is this\n" * 1000, "is no SQLite database, or its beginning was overwritten"),
        (bytes(8192), "is no SQLite database, or its beginning was overwritten"),
        (b"SQLite", "is no SQLite database, or its beginning was overwritten"),
    ],
    ids=["empty", "text", "zeros", "short"],
)
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "state.db").write_bytes(content)
    assert ("file", said) in wrong(tmp_path)
    assert keys(saved(tmp_path)) == set()


def test_a_file_that_is_gone_while_its_wal_is_left(killed: Path) -> None:
    (killed / "state.db").unlink()
    assert ("file", "is gone, and its WAL is left") in wrong(killed)


def test_a_newer_schema_is_left_to_the_newer_fleet(closed: Path) -> None:
    with closing(sqlite3.connect(closed / "state.db")) as connection, connection:
        connection.execute("UPDATE schema_version SET version = 99")
    for read in (file_of(closed).check, lambda: list(file_of(closed).export())):
        with pytest.raises(UsageError, match="has version 99 of the schema") as caught:
            read()
        assert "newer fleet" in caught.value.hint


def test_a_database_of_another_program(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection, connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
    with pytest.raises(UsageError, match="is a database of another program"):
        file_of(tmp_path).check()


@pytest.mark.parametrize("version", range(1, schema.VERSION))
def test_an_older_schema_is_read_and_left_as_it_is(tmp_path: Path, version: int) -> None:
    golden = Path(__file__).parents[2] / "golden/state" / f"v{version}.sql"
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        connection.executescript(golden.read_text())
    before = contents_of(tmp_path)
    report = file_of(tmp_path).check()
    assert (report.is_whole, report.schema) == (True, version)
    assert [(line.node, line.record.differs) for line in saved(tmp_path)["record"]] == [("lyon-1-a", ("/etc/motd",))]
    assert contents_of(tmp_path) == before
    # And row by row, where SQLite refuses it: by its header, four billion pages are missing.
    overwrite(tmp_path / "state.db", 28, b"\xff\xff")
    assert wrong(tmp_path)[0][0] == "file"
    assert [(line.node, line.record.differs) for line in saved(tmp_path)["record"]] == [("lyon-1-a", ("/etc/motd",))]


# ---- pages


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_off(closed: Path, everything: set[bytes], share: float) -> None:
    path = closed / "state.db"
    size = path.stat().st_size
    os.truncate(path, int(size * share))
    checks = wrong(closed)
    assert checks[0][0] == "file"
    assert "pages are missing" in checks[0][1]
    left = saved(closed)
    assert keys(left) < everything
    lost = {line.table: line.lost for line in left["table"]}
    assert (lost["events"], lost["records"]) >= (0, 0)
    if share > 0.8:
        assert len(keys(left)) > len(everything) * 0.6


def reference(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every table as SQLite itself reads it."""
    with closing(sqlite3.connect(folder / "state.db")) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(connection.execute(f"SELECT * FROM {name}")) for name in names if "sqlite" not in name}


def test_rows_read_by_hand_are_those_that_sqlite_reads(closed: Path) -> None:
    pages = Pages((closed / "state.db").read_bytes(), PAGE)
    roots = {row[1]: row[3] for _, row in pages.tree(1) if row[0] == "table"}
    for name, rows in reference(closed).items():
        found = []
        for rowid, row in pages.tree(roots[name]):
            found.append((rowid, *row[1:]) if name in ("inbox", "lease") else row)
        assert sorted(found) == rows, name
    assert pages.bad == set()


@pytest.mark.parametrize("size", [512, 4096, 65536])
def test_rows_of_any_length_in_pages_of_any_size(tmp_path: Path, size: int) -> None:
    chance = random.Random(size)
    path = tmp_path / "any.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"PRAGMA page_size={size}")
        for name, how in (("plain", ""), ("keyed", "WITHOUT ROWID")):
            connection.execute(f"CREATE TABLE {name} (a INTEGER, b BLOB, c, PRIMARY KEY (a, c)) {how}")
            for at in range(150):
                other = chance.choice(
                    [None, "", "é" * at, -(2**40) * at, 2**63 - 1, 0.5, 1, 0, at * 100, 70_000, -9_000_000]
                )
                row = (
                    at,
                    chance.randbytes(int(chance.random() ** 3 * 4 * size) % 70_000),
                    "x" if other is None else other,
                )
                connection.execute(f"INSERT INTO {name} VALUES (?, ?, ?)", row)
    pages = Pages(path.read_bytes(), size)
    roots = {row[1]: row[3] for _, row in pages.tree(1) if row[0] == "table"}
    with closing(sqlite3.connect(path)) as connection:
        for name, columns in (("plain", "a, b, c"), ("keyed", "a, c, b")):  # keys come first where they are the table
            found = {row for _, row in pages.tree(int(str(roots[name])))}
            assert found == set(connection.execute(f"SELECT {columns} FROM {name}"))
    assert pages.bad == set()
    assert pages.seen == set(range(1, pages.count + 1)) - indexes(path, size)


def indexes(path: Path, size: int) -> set[int]:
    """The pages of those, which are read as tables are."""
    pages = Pages(path.read_bytes(), size)
    for root in [row[3] for _, row in pages.tree(1) if row[0] == "index"]:
        list(pages.tree(int(str(root))))
    return pages.seen - {1}


def test_an_index_that_has_lost_an_entry_is_found_though_every_page_can_be_read(
    closed: Path, everything: set[bytes]
) -> None:
    pages = Pages((closed / "state.db").read_bytes(), PAGE)
    (root,) = [row[3] for _, row in pages.tree(1) if row[:3:2] == ("index", "objects")]
    pages.seen.clear()
    list(pages.tree(int(str(root))))
    place = (max(pages.seen) - 1) * PAGE + 3
    cells = int.from_bytes((closed / "state.db").read_bytes()[place : place + 2], "big")
    overwrite(closed / "state.db", place, (cells - 1).to_bytes(2, "big"))
    found = wrong(closed)
    assert [check for check, _ in found] == ["pages"]
    assert found[0][1].startswith("SQLite finds: ")
    assert keys(saved(closed)) == everything


def pages_of(folder: Path) -> int:
    return (folder / "state.db").stat().st_size // PAGE


def test_whichever_page_is_overwritten_it_is_found_and_the_others_are_saved(
    closed: Path, everything: set[bytes]
) -> None:
    path = closed / "state.db"
    whole, chance = path.read_bytes(), random.Random(6)
    for number in chance.sample(range(2, pages_of(closed) + 1), 25):
        path.write_bytes(whole)
        overwrite(path, (number - 1) * PAGE, bytes([chance.randrange(14, 256)]) * PAGE)
        assert wrong(closed), number
        left = keys(saved(closed))
        assert left <= everything
        page = whole[(number - 1) * PAGE : number * PAGE]
        cells = int.from_bytes(page[3:5], "big") if page[0] in (2, 5, 10, 13) else 1
        assert len(everything - left) <= cells, "rows of other pages are lost"


def test_a_page_that_leads_to_others_costs_only_what_is_on_it(closed: Path, everything: set[bytes]) -> None:
    pages = Pages((closed / "state.db").read_bytes(), PAGE)
    (root,) = [row[3] for _, row in pages.tree(1) if row[:2] == ("table", "events")]
    overwrite(closed / "state.db", (int(str(root)) - 1) * PAGE, bytes(PAGE))
    left = saved(closed)
    assert len(everything - keys(left)) < 40
    (events,) = [line for line in left["table"] if line.table == "events"]
    assert (events.rows + events.lost, events.pages) == (430, 1), "what is lost is counted by the holes that it leaves"
    assert (
        "rows",
        f"events: 1 of its pages cannot be read, {events.rows} rows can be saved, at least {events.lost} are lost",
    ) in wrong(closed)


def test_the_first_page_is_gone_and_with_it_the_names_of_all_tables(closed: Path, everything: set[bytes]) -> None:
    overwrite(closed / "state.db", 0, bytes(PAGE))
    assert wrong(closed)[0] == ("file", "is no SQLite database, or its beginning was overwritten")
    left = keys(saved(closed))
    assert left <= everything
    assert len(left) > len(everything) * 0.95


def test_a_row_that_was_deleted_does_not_come_back(closed: Path) -> None:
    """Pages that were given back still hold what was once on them."""
    with closing(sqlite3.connect(closed / "state.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete=OFF")  # Debian's SQLite overwrites them, others do not
        connection.execute("DELETE FROM events WHERE rollout = 'aaaa'")
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'records'").fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    overwrite(closed / "state.db", (root - 1) * PAGE, bytes(PAGE))
    left = saved(closed)
    assert {line.rollout for line in left["event"]} == {"bbbb"}
    assert len(left["record"]) > 250


# ---- the WAL


def test_the_wal_counts_as_sqlite_counts_it(tmp_path: Path) -> None:
    """Random transactions, killed at random: the image is what SQLite makes of the files, by none of its code."""
    chance = random.Random(66)
    path = tmp_path / "state.db"
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("PRAGMA wal_autocheckpoint=20")
    writer.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)")
    for turn in range(60):
        writer.execute("BEGIN")
        for _ in range(chance.randrange(1, 6)):
            writer.execute(
                "INSERT OR REPLACE INTO t VALUES (?, ?)",
                (chance.randrange(50), chance.randbytes(chance.randrange(9000))),
            )
        if chance.random() < 0.2:
            writer.execute("DELETE FROM t WHERE a % 3 = ?", (chance.randrange(3),))
        writer.execute("COMMIT" if chance.random() < 0.8 else "ROLLBACK")
        image = read_image(path)
        assert image.diagnoses == ()
        with closing(sqlite3.connect(":memory:")) as ours:
            ours.deserialize(image.data[:18] + b"\x01\x01" + image.data[20:])
            assert ours.execute("SELECT * FROM t").fetchall() == writer.execute("SELECT * FROM t").fetchall(), turn
            assert ours.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert len(image.data) == PAGE * writer.execute("PRAGMA page_count").fetchone()[0]
        if turn % 20 == 19:
            writer.execute("DELETE FROM t WHERE a > 5")
            writer.execute("VACUUM")
    writer.close()


def events_of(lines: dict[str, list[SavedLine]]) -> set[bytes]:
    """Events are only ever added, so an older state has some of them."""
    return keys({"event": lines.get("event", [])})


def frames(folder: Path) -> list[bool]:
    """Of each frame of the WAL, whether it ends a transaction."""
    wal = (folder / "state.db-wal").read_bytes()
    return [wal[at + 4 : at + 8] != bytes(4) for at in range(32, len(wal) - FRAME + 1, FRAME)]


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.7, 0.99])
def test_a_wal_that_is_cut_off_where_its_index_is_left(killed: Path, original: Path, kept: float) -> None:
    """As kill -9 leaves it: the index knows how much was committed, so even a cut between two transactions is seen."""
    ends = [at + 1 for at, is_end in enumerate(frames(killed)) if is_end]
    cut = ends[int((len(ends) - 1) * kept)] if kept else 0
    os.truncate(killed / "state.db-wal", 32 + cut * FRAME if kept else 0)
    (first, *_) = wrong(killed)
    assert first[0] == "wal"
    assert "that were committed to the WAL are cut off or damaged" in first[1]
    left, all_of_them = events_of(saved(killed)), events_of(saved(original))
    assert left <= all_of_them
    assert kept > 0.9 or len(left) < len(all_of_them)


def test_a_wal_that_is_cut_off_within_a_transaction_after_a_power_cut(killed: Path) -> None:
    """The index is of memory: it is gone then. A transaction that was not whole was never answered."""
    (killed / "state.db-shm").unlink()
    ends = [at + 1 for at, is_end in enumerate(frames(killed)) if is_end]
    os.truncate(killed / "state.db-wal", 32 + ends[-1] * FRAME - 100)
    before = file_of(killed).check()
    assert before.is_whole
    with (killed / "state.db-wal").open("ab") as file:
        file.write(bytes(100))
    report = file_of(killed).check()
    assert report.is_whole
    assert [(each.check, each.outcome) for each in report.diagnoses] == [("wal", "warning")]
    assert "the last transaction of the WAL is not whole" in report.diagnoses[0].message


@pytest.mark.parametrize("offset", [0, 4, 8, 16, 24, 1000], ids=["page", "size", "salt", "sum", "content", "later"])
def test_a_byte_of_the_wal_that_flipped_with_transactions_behind_it(killed: Path, original: Path, offset: int) -> None:
    """Without its index. SQLite would take what is before it for all that there is."""
    (killed / "state.db-shm").unlink()
    path = killed / "state.db-wal"
    at = 32 + len(frames(killed)) // 2 * FRAME + offset
    overwrite(path, at, bytes([path.read_bytes()[at] ^ 0x40]))
    assert any(check == "wal" and "transactions of it are lost" in message for check, message in wrong(killed))
    assert events_of(saved(killed)) < events_of(saved(original))


@pytest.mark.parametrize(
    ("at", "said"), [(0, "does not begin as"), (12, "has a damaged header"), (30, "has a damaged header")]
)
def test_a_wal_whose_header_is_damaged(killed: Path, at: int, said: str) -> None:
    (killed / "state.db-shm").unlink()
    path = killed / "state.db-wal"
    overwrite(path, at, bytes([path.read_bytes()[at] ^ 1]))
    assert any(check == "wal" and said in message for check, message in wrong(killed))


def test_a_wal_of_another_file_is_left_out(killed: Path, tmp_path: Path) -> None:
    """Same tables, same size of a page, and whole in itself: only the number that each file is given tells."""
    other = tmp_path / "other"
    keep(other)
    for suffix in ("-wal", "-shm"):
        (killed / f"state.db{suffix}").write_bytes((other / f"state.db{suffix}").read_bytes())
    assert ("wal", "the WAL is of another file, and was left out: the one of this file is lost") in wrong(killed)


def test_a_wal_of_pages_of_another_size(closed: Path, tmp_path: Path) -> None:
    writer = sqlite3.connect(tmp_path / "other.db", isolation_level=None)
    for words in ("page_size=1024", "journal_mode=WAL"):
        writer.execute(f"PRAGMA {words}")
    writer.execute("CREATE TABLE t (a)")
    (closed / "state.db-wal").write_bytes((tmp_path / "other.db-wal").read_bytes())
    writer.close()
    assert wrong(closed) == [("wal", "the WAL is of another file, and was left out: the one of this file is lost")]


def test_a_journal_that_is_written_meanwhile_is_never_called_damaged(tmp_path: Path) -> None:
    over = threading.Event()

    def write() -> None:
        records = SqliteRecords(Database(tmp_path))
        while not over.is_set():
            records.save([Record(f"n{at}", "acme", "m", "b1:aa", "4be1f02") for at in range(40)])
            records.keep_blobs(
                {hashlib.sha256(data).hexdigest(): data for data in (os.urandom(5000) for _ in range(9))}
            )

    SqliteRecords(Database(tmp_path)).save([])
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(25):
            assert wrong(tmp_path) == []
    finally:
        over.set()
        writer.join()
    assert wrong(tmp_path) == []


def test_a_look_drops_no_lock_of_this_process(tmp_path: Path) -> None:
    """POSIX takes all locks of a process from a file as soon as the process closes it once."""
    script = (
        "import sqlite3, sys\n"
        "other = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)\n"
        "try:\n    other.execute('BEGIN IMMEDIATE')\n    print('mine')\nexcept sqlite3.OperationalError as error:\n    print(error)"
    )
    database = Database(tmp_path)
    with database.writing() as connection:
        connection.execute("INSERT INTO clusters VALUES ('lyon', 1, 'etcd')")
        assert file_of(tmp_path).check().is_whole
        command = [sys.executable, "-c", script, str(database.path)]
        assert subprocess.check_output(command, text=True, timeout=60) == "database is locked\n"
    database.close()


# ---- what must hold of the rows


SPOILT: list[tuple[str, str, str]] = [
    ("DELETE FROM events WHERE rollout = 'aaaa' AND seq IN (5, 7, 8, 9)", "events", "rollout aaaa lacks events: 5, 7, 8 and 1 more"),
    ("UPDATE events SET body = x'7b' WHERE rollout = 'aaaa' AND seq = 5", "events", "event 5 of rollout aaaa: an event in the journal cannot be read"),
    ("UPDATE events SET body = replace(body, 'node-007', 'node-xxx')", "events", "the events of rollout aaaa are not of its order: 'node-xxx'"),
    ("DELETE FROM orders WHERE rollout = 'aaaa'", "order", "the order of rollout aaaa is lost: it is not there"),
    ("UPDATE orders SET body = x'00' WHERE rollout = 'aaaa'", "order", "the order of rollout aaaa is lost"),
    ("UPDATE orders SET body = (SELECT body FROM orders WHERE rollout = 'bbbb') WHERE rollout = 'aaaa'", "order", "the order of rollout aaaa is lost: it is that of rollout bbbb"),
    ("UPDATE snapshots SET seq = seq - 1", "snapshot", "is not what its events lead to"),
    ("UPDATE snapshots SET seq = 9999", "snapshot", "the snapshot of rollout aaaa at event 9999 is not what its events lead to"),
    ("UPDATE snapshots SET body = x'00'", "snapshot", "the snapshot of rollout aaaa cannot be read"),
    ("DELETE FROM effects WHERE batch = 'bbbb-0007'", "effects", "of rollout bbbb, events and open batches do not agree on bbbb-0007"),
    ("INSERT INTO effects SELECT 'aaaa', 'aaaa-0001', body FROM effects LIMIT 1", "effects", "of rollout aaaa, events and open batches do not agree on aaaa-0001"),
    ("UPDATE effects SET body = x'7b7d' WHERE batch = 'bbbb-0007'", "effects", "an open batch of rollout bbbb cannot be read: bbbb-0007"),
    ("UPDATE rollouts SET status = 'paused' WHERE id = 'aaaa'", "status", "rollout aaaa is listed as paused, by its events it is finished"),
    ("UPDATE inbox SET rollout = 'cccc'", "inbox", "inbox name rollouts that are not listed: cccc"),
    ("UPDATE inbox SET body = x'7b7d'", "inbox", "request 1 to rollout bbbb cannot be read"),
    ("DELETE FROM rollouts WHERE id = 'aaaa'", "events", "events name rollouts that are not listed: aaaa"),
    ("DELETE FROM lease", "lease", "there are rollouts, and nobody ever had the lease"),
    ("UPDATE lease SET epoch = 0", "lease", "its epoch is 0, and it counts from 1"),
    ("UPDATE objects SET body = x'00' WHERE rowid = 1", "objects", "contents are not what their names say"),
    ("UPDATE objects SET body = (SELECT body FROM objects WHERE rowid = 2) WHERE rowid = 1", "objects", "contents are not what their names say"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "check", "said"), SPOILT, ids=[statement[:60] for statement, _, _ in SPOILT])
def test_rows_that_contradict_each_other(closed: Path, statement: str, check: str, said: str) -> None:
    """Each page is whole, and SQLite finds nothing."""
    with closing(sqlite3.connect(closed / "state.db")) as connection, connection:
        assert connection.execute(statement).rowcount > 0
    found = wrong(closed)
    assert [one for one in found if one[0] == check and said in one[1]], found


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE lease SET expires = expires + 86400", "that of ops@desk ends in 86,430 s"),
        ("UPDATE records SET epoch = 9 WHERE node = 'node-001'", "its epoch is 1, and a node was written to under 9"),
        ("UPDATE objects SET key = 'b1:aa' WHERE key LIKE 'b1:%' AND rowid = 5", "manifests are not those of their digests"),
    ],
)  # fmt: skip
def test_what_is_odd_and_no_damage(closed: Path, statement: str, said: str) -> None:
    with closing(sqlite3.connect(closed / "state.db")) as connection, connection:
        assert connection.execute(statement).rowcount == 1
    report = file_of(closed).check()
    assert report.is_whole
    assert [each.outcome for each in report.diagnoses] == ["warning"]
    assert said in report.diagnoses[0].message


def test_every_finding_comes_at_once(closed: Path) -> None:
    with closing(sqlite3.connect(closed / "state.db")) as connection, connection:
        for statement in ("DELETE FROM events WHERE seq = 3", "UPDATE inbox SET rollout = 'cccc'", "DELETE FROM lease"):
            connection.execute(statement)
    assert [check for check, _ in wrong(closed)] == ["events", "events", "inbox", "lease"]


def test_an_event_that_cannot_be_decoded_is_saved_as_it_is(closed: Path) -> None:
    with closing(sqlite3.connect(closed / "state.db")) as connection, connection:
        connection.execute("UPDATE events SET body = CAST('{torn' AS BLOB) WHERE rollout = 'aaaa' AND seq = 5")
    (line,) = [line for line in saved(closed)["event"] if line.text]
    assert (line.rollout, line.seq, line.event, line.text) == ("aaaa", 5, None, "{torn")


@pytest.mark.parametrize(
    "read", [lambda at: SqliteRecords(at).all(), lambda at: SqliteJournal(at, MemoryClock()).rollouts()]
)
def test_ordinary_reading_of_a_damaged_file_names_the_check(closed: Path, read: Callable[[Database], object]) -> None:
    overwrite(closed / "state.db", PAGE, bytes(PAGE * (pages_of(closed) - 1)))
    with pytest.raises(UnavailableError, match="is damaged") as caught:
        read(Database(closed))
    assert caught.value.hint.startswith("fleet journal check says what of it is damaged.")
