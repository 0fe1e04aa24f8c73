"""What the SQLite adapters add to their contracts: one private file that outlives the process and fails clearly."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

import fleet
from fleet.adapters.sqlite import Database, SqliteJournal, SqliteRecords, schema
from fleet.adapters.sqlite.database import translate
from fleet.decide import initial, snapshot
from fleet.engine.local import LocalEngine
from fleet.errors import BusyError, FleetError, UnavailableError, UsageError
from fleet.model.batch import BatchOrder
from fleet.model.effect import RunBatch
from fleet.model.event import PauseRequested, RolloutFinished, RolloutPaused, RolloutTakenOver, WaveStarted
from fleet.model.learned import LearnedCluster
from fleet.model.record import Record
from fleet.model.rollout import RolloutCounts
from fleet.model.signal import Pause
from fleet.ports.journal import Lease, Step
from fleet.testing import MemoryApplier, MemoryClock
from fleet.testing.contracts.journal import JournalContract
from fleet.testing.contracts.records import RecordsContract
from fleet.testing.orders import plain, rollout, wanted

pytestmark = pytest.mark.timeout(120)
ORDER = rollout(plain("gate"))
ROOT = str(Path(fleet.__file__).parents[1])
EFFECT = RunBatch(BatchOrder("7f3c-0001", "7f3c", 1, ("gate",), {"gate": ""}))


def python(script: str, *arguments: str) -> list[str]:
    """Runs a script that can import fleet, wherever the tests are run from."""
    return [sys.executable, "-c", f"import sys; sys.path.insert(0, {ROOT!r})\n{script}", *arguments]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / ".fleet")
    yield database
    database.close()


class TestSqliteJournal(JournalContract):
    @pytest.fixture
    def journal(self, database: Database, clock: MemoryClock) -> SqliteJournal:
        return SqliteJournal(database, clock)


class TestSqliteRecords(RecordsContract):
    @pytest.fixture
    def journal(self, database: Database) -> SqliteJournal:
        return SqliteJournal(database, MemoryClock())

    @pytest.fixture
    def records(self, database: Database) -> SqliteRecords:
        return SqliteRecords(database)


def test_the_file_is_private_and_every_commit_reaches_the_disk(database: Database) -> None:
    SqliteRecords(database).save([Record("gate", "acme", "m", "b1:aa")])
    with database.writing() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    modes = {path.name: path.stat().st_mode & 0o777 for path in database.path.parent.iterdir()}
    assert modes == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}
    assert database.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_file_that_others_could_read_is_closed_to_them(database: Database) -> None:
    SqliteRecords(database).save([])
    database.close()
    database.path.chmod(0o644)
    SqliteRecords(database).save([])
    assert database.path.stat().st_mode & 0o777 == 0o600


def test_reading_makes_no_file(database: Database) -> None:
    assert dict(SqliteRecords(database).all()) == {}
    assert list(SqliteJournal(database, MemoryClock()).rollouts()) == []
    assert not database.path.parent.exists()


def test_all_is_there_after_the_process_has_gone(database: Database) -> None:
    kept = snapshot(initial(ORDER))
    journal = SqliteJournal(database, MemoryClock())
    lease = journal.acquire("ops@desk")
    journal.begin(lease, ORDER)
    entries = journal.append(lease, "7f3c", Step((WaveStarted("w0", 0, 1),), (EFFECT,), kept))
    journal.post("7f3c", Pause("lunch"))
    database.close()

    again = SqliteJournal(Database(database.path.parent), MemoryClock())
    assert again.order("7f3c") == ORDER
    assert tuple(again.read("7f3c")) == entries
    assert again.open_effects("7f3c") == [EFFECT]
    assert again.kept("7f3c").snapshot == kept
    assert [posted.request for posted in again.posted("7f3c")] == [Pause("lunch")]


def test_a_step_is_kept_whole_or_not_at_all(database: Database) -> None:
    journal = SqliteJournal(database, MemoryClock())
    lease = journal.acquire("ops@desk")
    journal.begin(lease, ORDER)
    journal.post("7f3c", Pause("lunch"))
    with database.writing() as connection:  # the last thing that a step writes fails
        connection.execute("CREATE TRIGGER no BEFORE INSERT ON snapshots BEGIN SELECT RAISE(ABORT, 'no'); END")
    step = Step((WaveStarted("w0", 0, 1),), (EFFECT,), snapshot(initial(ORDER)), handled=(1,))
    with pytest.raises(FleetError):
        journal.append(lease, "7f3c", step)
    assert list(journal.read("7f3c")) == []
    assert list(journal.open_effects("7f3c")) == []
    assert [posted.request for posted in journal.posted("7f3c")] == [Pause("lunch")]


def test_what_is_kept_together_is_kept_whole_or_not_at_all(database: Database) -> None:
    journal, records = SqliteJournal(database, MemoryClock()), SqliteRecords(database)
    lease = journal.acquire("ops@desk")
    journal.begin(lease, ORDER)
    held = Record("gate", "acme", "m", "b1:aa")

    def keep(lease: Lease) -> None:
        with journal.together():
            records.save([held])
            journal.append(lease, "7f3c", Step((WaveStarted("w0", 0, 1),)))

    with pytest.raises(BusyError):
        keep(Lease(0, "ops@old"))
    assert dict(records.all()) == {}
    with journal.together():
        records.save([held])
        journal.append(lease, "7f3c", Step((WaveStarted("w0", 0, 1),)))
        with closing(sqlite3.connect(database.path)) as other:
            assert other.execute("SELECT count(*) FROM events").fetchone() == (0,), "nothing is there before the end"
    assert len(journal.read("7f3c")) == len(records.all()) == 1


def test_what_a_step_writes_does_not_grow_with_its_order(database: Database) -> None:
    """SQLite writes a row as a whole: what changes with each step is not in one with an order of megabytes."""
    journal = SqliteJournal(database, MemoryClock())
    lease = journal.acquire("ops@desk")
    wal = database.path.with_name("state.db-wal")
    written = []
    for number, nodes in enumerate((10, 30_000)):
        order = rollout(plain(*(f"node-{at:06d}-{at * 7919 % 99991}" for at in range(nodes))), id=f"{number:04x}")
        journal.begin(lease, order)
        with database.writing() as connection:
            connection.execute("PRAGMA wal_autocheckpoint=0")
        before = wal.stat().st_size
        for event in (PauseRequested("x", 0), RolloutPaused(order.id, "x", RolloutCounts())):
            journal.append(lease, order.id, Step((event,)))
        written.append(wal.stat().st_size - before)
    assert written[1] == written[0] > 0


def test_a_rollout_of_an_older_version_is_gone_on_with(database: Database) -> None:
    """v5.sql holds one whose controller died in its first batch, with a pause in its inbox."""
    database.path.parent.mkdir()
    with closing(sqlite3.connect(database.path)) as old:
        old.executescript((GOLDEN / "v5.sql").read_text())
    journal = SqliteJournal(database, MemoryClock())
    assert [entry.seq for entry in journal.read("7f3c")] == [1, 2, 3]
    assert [posted.request for posted in journal.posted("7f3c")] == [Pause("lunch")]
    order = journal.order("7f3c")
    events = list(LocalEngine(journal, MemoryApplier(wanted(order)), SqliteRecords(database)).resume("7f3c"))
    assert events[0] == RolloutTakenOver("7f3c", "ops@desk", 8, ("7f3c-0001",))
    assert events[-1] == RolloutFinished("7f3c", RolloutCounts(applied=3))


HOLDER = """
import time
from pathlib import Path
from fleet.adapters.sqlite import Database, SqliteJournal
from fleet.testing import MemoryClock
SqliteJournal(Database(Path(sys.argv[1])), MemoryClock()).acquire("ops@killed")
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(database: Database) -> Iterator[subprocess.Popen[str]]:
    """Another process with the lease."""
    command = python(HOLDER, str(database.path.parent))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_lease_of_a_killed_process_is_free_at_once(database: Database, holder: subprocess.Popen[str]) -> None:
    journal = SqliteJournal(database, MemoryClock())
    with pytest.raises(BusyError, match=rf"ops@killed \(process {holder.pid}\)"):
        journal.acquire("ops@desk")
    assert journal.holder() == Lease(1, "ops@killed")
    holder.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet buried
    assert journal.holder() is None
    assert journal.acquire("ops@desk") == Lease(2, "ops@desk")


@pytest.mark.parametrize(
    ("change", "is_free"),
    [("born = born - 1", True), ("machine = 'another', pid = 0, born = 1", False), ("pid = 0, born = 1", True)],
    ids=["a pid that was given out again", "another machine", "no such process"],
)
def test_whether_a_holder_is_gone(
    database: Database, holder: subprocess.Popen[str], change: str, is_free: object
) -> None:
    with database.writing() as connection:
        connection.execute(f"UPDATE lease SET {change}")
    journal = SqliteJournal(database, MemoryClock())
    if is_free:
        assert journal.acquire("ops@desk").epoch == 2
    else:
        with pytest.raises(BusyError, match="ops@killed"):
            journal.acquire("ops@desk")


def test_many_processes_may_open_and_write_at_once(database: Database) -> None:
    script = (
        "from pathlib import Path; from fleet.adapters.sqlite import Database, SqliteRecords\n"
        "from fleet.model.record import Record\n"
        "for i in range(20): SqliteRecords(Database(Path(sys.argv[1]))).save("
        "[Record(f'{sys.argv[2]}-{i}', 'acme', 'm', 'b1:aa')])"
    )
    folder = str(database.path.parent)
    processes = [subprocess.Popen(python(script, folder, str(n))) for n in range(4)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0, 0]
    assert len(SqliteRecords(database).all()) == 80


GOLDEN = Path(__file__).parents[2] / "golden/state"


@pytest.mark.parametrize("version", range(1, schema.VERSION))
def test_a_file_of_an_older_version_is_brought_along(database: Database, version: int) -> None:
    database.path.parent.mkdir()
    with closing(sqlite3.connect(database.path)) as old:
        old.executescript((GOLDEN / f"v{version}.sql").read_text())
    records = SqliteRecords(database)
    held = Record(
        "lyon-1-a", "acme", "m1", "b1:aa", "4be1f02", "ops@desk", 7, "amd64", 1750000000.5, differs=("/etc/motd",)
    )
    assert dict(records.all()) == {"lyon-1-a": held}
    assert dict(records.contacts()) == {}
    assert dict(records.clusters()) == {"lyon-1": LearnedCluster(existed=True, datastore="etcd")}
    waiting = replace(held, waiting=("/etc/a",))
    records.save([waiting])
    database.close()
    assert dict(SqliteRecords(database).all()) == {"lyon-1-a": waiting}
    with database.reading() as connection:
        assert connection.execute("SELECT version FROM schema_version").fetchall() == [(schema.VERSION,)]
        made = _tables(connection)
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript(schema.TABLES)
        assert made == _tables(fresh), "an old file and a new one have the same tables"


def _tables(connection: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for name in names}


def test_a_newer_schema_is_refused(database: Database) -> None:
    SqliteRecords(database).save([])
    with database.writing() as connection:
        connection.execute("UPDATE schema_version SET version = 99")
    database.close()
    with pytest.raises(UsageError, match="has version 99 of the schema, this fleet knows version 8") as caught:
        SqliteRecords(database).all()
    assert "newer fleet" in caught.value.hint


@pytest.mark.parametrize("content", [b"what is this\n" * 1000, b"\x00" * 8192], ids=["text", "zeros"])
def test_a_file_that_is_no_database_says_what_is_lost(database: Database, content: bytes) -> None:
    database.path.parent.mkdir()
    database.path.write_bytes(content)
    with pytest.raises(UnavailableError, match=r"state\.db is damaged") as caught:
        SqliteRecords(database).all()
    assert caught.value.hint == (
        "fleet journal check says what of it is damaged. Losing the folder loses history, never truth: move it away, "
        "and fleet plan --refresh rebuilds it from the nodes."
    )


def test_a_damaged_page_gives_an_error_of_ours(database: Database) -> None:
    SqliteRecords(database).save([Record(f"n{i}", "acme", "m", f"b1:{i}", manifest="x" * 500) for i in range(500)])
    database.close()
    size = database.path.stat().st_size
    with database.path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(1) * (size - 4096))
    with pytest.raises(UnavailableError, match="damaged"):
        SqliteRecords(database).all()


def test_a_damaged_object_gives_an_error_of_ours(database: Database) -> None:
    records = SqliteRecords(database)
    records.keep_blobs({"ff": b"content"})
    with database.writing() as connection:
        connection.execute("UPDATE objects SET body = x'00'")
    with pytest.raises(UnavailableError, match="damaged"):
        records.blobs(["ff"])


@pytest.mark.parametrize("folder", ["/proc/fleet", "/dev/null/fleet"])
def test_a_folder_that_may_not_be_written(folder: str) -> None:
    with pytest.raises(UsageError, match="cannot be opened") as caught:
        SqliteRecords(Database(Path(folder))).save([])
    assert folder in caught.value.hint


def test_folders_that_may_be_read_at_most() -> None:
    script = """
import os
from pathlib import Path
from fleet.adapters.sqlite import Database, SqliteRecords
from fleet.errors import UsageError
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
for do in (SqliteRecords.all, lambda records: records.save([])):
    for folder in ("sealed", "bare", "full"):
        try:
            print(folder, do(SqliteRecords(Database(Path(sys.argv[1]) / folder / ".fleet"))))
        except UsageError as error:
            print(folder, error.message.rpartition(": ")[2])
"""
    with tempfile.TemporaryDirectory() as top:  # pytest's own folder lets nobody else through
        Path(top).chmod(0o711)
        for name in ("sealed", "bare", "full"):
            (Path(top) / name).mkdir()
        database = Database(Path(top) / "full" / ".fleet")
        SqliteRecords(database).save([])
        database.close()
        for folder, mode in (("sealed", 0o000), ("bare", 0o555), ("full/.fleet", 0o555)):
            (Path(top) / folder).chmod(mode)
        found = subprocess.run(python(script, top), capture_output=True, text=True, check=True)
        (Path(top) / "full/.fleet").chmod(0o700)
    assert found.stderr == ""
    assert found.stdout.splitlines() == [
        "sealed Permission denied",
        "bare {}",
        "full unable to open database file",
        "sealed Permission denied",
        "bare Permission denied",
        "full unable to open database file",
    ]


def test_a_disk_without_room_says_so_and_keeps_what_was_there(tmp_path: Path) -> None:
    script = f"""
import resource
from pathlib import Path
from fleet.adapters.sqlite import Database, SqliteRecords
from fleet.errors import UnavailableError
records = SqliteRecords(Database(Path({str(tmp_path)!r})))
records.keep_blobs({{"small": b"x"}})
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
import os
try:
    records.keep_blobs({{"large": os.urandom(1_000_000)}})
except UnavailableError as error:
    print(error.message)
"""
    found = subprocess.run(python(script), capture_output=True, text=True, check=True)
    assert found.stdout.startswith(f"{tmp_path}/state.db ")
    assert found.stderr == ""
    assert dict(SqliteRecords(Database(tmp_path)).blobs(["small", "large"])) == {"small": b"x"}


@pytest.mark.parametrize(
    ("statements", "kind", "message"),
    [
        (["PRAGMA max_page_count=3", "CREATE TABLE t AS SELECT zeroblob(99999)"], UnavailableError, "the disk is full"),
        (["PRAGMA query_only=1", "CREATE TABLE t (a)"], UsageError, "cannot be written"),
        (["SELECT * FROM nowhere"], UnavailableError, "does not hold what fleet wrote"),
        (["SELECT abs(-9223372036854775807 - 1)"], UnavailableError, "does not hold"),
        (["SELECT zeroblob(2000000000)"], FleetError, "fails"),
    ],
)
def test_what_an_error_of_sqlite_means(
    tmp_path: Path, statements: list[str], kind: type[FleetError], message: str
) -> None:
    connection = sqlite3.connect(tmp_path / "state.db")
    *before, failing = statements
    for statement in before:
        connection.execute(statement)
    with pytest.raises(sqlite3.Error) as caught:
        connection.execute(failing).fetchall()
    connection.close()
    error = translate(caught.value, tmp_path / "state.db")
    assert type(error) is kind
    assert error.message.startswith(f"{tmp_path}/state.db ")
    assert message in error.message


def test_a_writer_that_hangs_is_not_waited_for_for_ever(database: Database) -> None:
    SqliteRecords(database).save([])
    with database.writing() as connection:
        connection.execute("PRAGMA busy_timeout=50")
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    begun = time.monotonic()
    assert dict(SqliteRecords(Database(database.path.parent)).all()) == {}
    assert time.monotonic() - begun < 5, "who only reads waits for nobody"
    with pytest.raises(UnavailableError, match="stays locked by another process"):
        SqliteRecords(database).save([])
    other.close()
    SqliteRecords(database).save([])


def test_10_000_records_are_read_quickly(database: Database) -> None:
    SqliteRecords(database).save(
        Record(f"node-{i:05d}", "acme", f"{i:032x}", f"b1:{i:064x}", "c" * 40, "ops@desk", 7, "amd64", 1.75e9 + i)
        for i in range(10_000)
    )
    records = SqliteRecords(Database(database.path.parent))

    def bare() -> int:
        with closing(sqlite3.connect(database.path)) as connection:
            return len([tuple(map(str, row)) for row in connection.execute("SELECT * FROM records")])

    ours = least_of(lambda: len(records.all()))
    assert ours < 2 * least_of(bare), "a Record costs little more than its row"


def least_of(read: Callable[[], int]) -> float:
    """Seconds of CPU, of five times: whatever else the machine does can only add to it."""
    took = []
    for _ in range(5):
        begun = time.process_time()
        assert read() == 10_000
        took.append(time.process_time() - begun)
    return min(took)


def test_naming_the_ports_does_not_import_sqlite() -> None:
    script = "import fleet.ports.journal, fleet.ports.records, fleet.adapters, fleet.engine.local, fleet.decide\n"
    script += "print('sqlite3' in sys.modules)"
    assert subprocess.check_output(python(script), text=True) == "False\n"
