"""Secret values are in the vaults, and on the hosts in files that root alone may read: nowhere else."""

import base64
import os
import stat
from pathlib import Path

import pytest

from tests.hosts.ground import NAMES, SERVERS, Ground, holders
from tests.leaks import Processes, Search, forms_of, unpacked

TOKENS = "/etc/rancher/k3s/"


def forms(values: dict[str, str]) -> list[str]:
    """Each value as it is, in a URL, escaped, in hex, and in base64 wherever it may start in a longer text."""
    return list(dict.fromkeys(text.decode() for value in values.values() for _, text in forms_of(value)))


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


def database(ground: Ground) -> bytes:
    """All that the journal holds, one after another: it keeps larger contents compressed."""
    path = ground.checkout.folder / ".fleet/state.db"
    return b"\n".join(unpacked(path, path.read_bytes()))


def test_the_search_reads_what_the_database_compresses(ground: Ground) -> None:
    text = database(ground)
    assert b"greeting=welcome\nnode=north-a\n" in text
    assert b"{secret north.k3s-token}" in text, "contents are kept with the secrets' names in their place"


def test_no_secret_stays_on_the_controller(ground: Ground, secret_forms: list[str]) -> None:
    """After applies that worked, that failed, and that were killed: the home, the repository, the runs, the journal."""
    ground.checkout.fleet("render", str(ground.folder / "rendered"))
    assert holders(ground.folder, secret_forms) == set()
    memory = [Path(f"/dev/shm/fleet-{os.geteuid()}"), Path(f"/tmp/fleet-{os.geteuid()}")]
    assert Search(ground.secret_values()).in_folders(ground.folder, *memory) == set()
    text = database(ground)
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
            assert path.startswith((TOKENS, "/var/lib/rancher/k3s/server/", "/var/lib/fleet/snapshots/")), (
                f"{path} of {name}"
            )
        assert bool([path for path in found if path.startswith("/var/lib/rancher")]) is (name in SERVERS)


def test_no_process_and_no_output_shows_one_while_an_apply_runs(ground: Ground) -> None:
    """Those of the hosts among them: this machine sees their processes. What units and tasks log is looked at after."""
    search = Search({**ground.secret_values(), "password": ground.checkout.password_file.read_text().strip()})
    ground.greet("south-a", "secretly")
    with Processes(search) as watched:
        said = ground.checkout.fleet("apply", "--yes", "-vvv")

    assert watched.leaks == set()
    assert watched.rounds > 50
    assert search.in_bytes(said.text.encode(), "apply -vvv") == set()
    for name in ("south-a", "south-till-001"):
        told = ground.hosts[name].run(["journalctl", "--no-pager", "--output=cat", "--boot"])
        assert told, "the search looks at what is there"
        assert search.in_bytes(told.encode(), f"the journal of {name}") == set()
