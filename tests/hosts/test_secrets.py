"""Secret values are in the vaults, and on the hosts in files that root alone may read: nowhere else."""

import base64
import sqlite3
import stat
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from tests.hosts.ground import NAMES, SERVERS, Ground, holders

TOKENS = "/etc/rancher/k3s/"


def forms(values: dict[str, str]) -> list[str]:
    """Each value as it is, and in base64, wherever it may start in a longer text."""
    found: list[str] = []
    for value in values.values():
        found.append(value)
        for shift in range(3):
            coded = base64.b64encode(b"x" * shift + value.encode()).decode()
            found.append(coded[4 if shift else 0 : len(coded) // 4 * 4 - 4])
    return found


@pytest.fixture
def secret_forms(ground: Ground) -> list[str]:
    values = ground.secret_values()
    assert {name for name in values if "k3s" in name} == {
        f"{cluster}.{kind}" for cluster in ("north", "south") for kind in ("k3s-token", "k3s-agent-token")
    }
    assert len(set(values.values())) == len(values)
    return forms(values)


def test_the_search_finds_what_is_planted(ground: Ground, secret_forms: list[str], tmp_path: Path) -> None:
    value = ground.secret_values()["north.k3s-token"]
    for number, text in enumerate((value, base64.b64encode(f"token: {value}\n".encode()).decode())):
        (tmp_path / str(number)).write_text(f"before {text} after")
    assert holders(tmp_path, secret_forms) == {tmp_path / "0", tmp_path / "1"}


def unpacked(database: Path) -> bytes:
    """All that a database of ours holds, one after another: it keeps larger contents compressed."""
    found: list[bytes] = []
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for value in (value for row in connection.execute(f"SELECT * FROM {table}") for value in row):
                data = value if isinstance(value, bytes) else str(value).encode()
                found.append(zlib.decompress(data) if data[:1] == b"\x78" else data)
    return b"\n".join(found)


def test_the_search_reads_what_the_database_compresses(ground: Ground) -> None:
    text = unpacked(ground.checkout.folder / ".fleet/state.db")
    assert b"greeting=welcome\nnode=north-a\n" in text
    assert b"{secret north.k3s-token}" in text, "contents are kept with the secrets' names in their place"


def test_no_secret_stays_on_the_controller(ground: Ground, secret_forms: list[str]) -> None:
    """After applies that worked, that failed, and that were killed: the home, the repository, the runs, the journal."""
    ground.checkout.fleet("render", str(ground.folder / "rendered"))
    assert holders(ground.folder, secret_forms) == set()
    text = unpacked(ground.checkout.folder / ".fleet/state.db")
    assert [form for form in secret_forms if form.encode() in text] == []
    commits = ground.checkout.git("rev-list", "--all").split()
    said = ground.checkout.run(["git", "grep", "-lF", *(w for f in secret_forms for w in ("-e", f)), *commits], code=1)
    assert said.out == ""


def test_only_root_may_read_them_on_a_host(ground: Ground, secret_forms: list[str]) -> None:
    for name in NAMES:
        host = ground.hosts[name]
        words = " ".join(f"-e '{text}'" for text in secret_forms)
        folders = "/etc /home /opt /root /run /tmp /usr/local /var"
        script = f"grep -rlaF {words} {folders} 2>/dev/null; true"
        found = host.run(["sh", "-c", script]).splitlines()
        assert any(path.startswith(TOKENS) for path in found), "the search finds the token where it has to be"
        for path in found:
            state = host.stat(path)
            assert (state.owner, stat.S_IMODE(state.mode)) == ("root", 0o600), f"{path} of {name}"
            assert path.startswith((TOKENS, "/var/lib/rancher/k3s/server/")), f"{path} of {name}"
        assert bool([path for path in found if path.startswith("/var/lib/rancher")]) is (name in SERVERS)
