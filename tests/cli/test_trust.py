"""`fleet node trust` and `replace`: what hosts show, what a person has to say, and what git gets."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from fleet.adapters.sqlite import Database, SqliteRecords
from fleet.cli.documents import OUTPUTS
from fleet.model.record import Record
from tests.cli.running import Ran, run, run_on_terminal
from tests.ssh.host import Host, make_key, serving

OPS = dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "ops") | dict.fromkeys(
    ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "ops@acme.example"
)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with serving(tmp_path_factory.mktemp("ssh")) as running:
        yield running


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(shop: Path, host: Host) -> Path:
    """lyon-a is the host, lyon-b and paris-a do not answer; all is committed."""
    lyon = shop / "sites" / "lyon.yaml"
    here = f"10.20.1.11, connection: {{address: 127.0.0.1, port: {host.port}}}"
    text = lyon.read_text().replace("10.20.1.11", here)
    lyon.write_text(text.replace("10.20.1.12", "10.20.1.12, connection: {address: 127.0.0.1, port: 9}"))
    (shop / ".gitignore").write_text(".fleet/\nnodes/\n")
    git(shop, "init", "-q")
    commit(shop)
    return shop


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=ops", "-c", "user.email=ops@acme.example", "commit", "-q", "-m", "x")


def trust(folder: Path, *words: str) -> Ran:
    return run("node", "trust", *words, cwd=folder, env=OPS)


def pinned(folder: Path) -> str:
    path = folder / "known_hosts"
    return path.read_text() if path.exists() else ""


def test_nothing_is_pinned_before_somebody_says_so(repository: Path, host: Host) -> None:
    done = trust(repository, "lyon-a")

    assert done.code == 3
    (row,) = [line.split() for line in done.out.splitlines() if line.startswith("lyon-a")]
    assert row == ["lyon-a", "127.0.0.1", "port", str(host.port), "ssh-ed25519", host.fingerprint, "new"]
    assert "nothing is pinned: say --yes, or --fingerprint for those that you compared" in done.err
    assert (pinned(repository), git(repository, "rev-list", "--count", "HEAD")) == ("", "1\n")


@pytest.mark.parametrize("way", ["--yes", "--fingerprint"])
def test_a_key_that_is_vouched_for_is_committed_alone(repository: Path, host: Host, way: str) -> None:
    (repository / "draft.yaml").write_text("# not committed\n")
    git(repository, "add", "draft.yaml")

    done = trust(repository, "lyon-a", way, *([host.fingerprint] if way == "--fingerprint" else []))

    assert done.code == 0
    assert pinned(repository) == host.pinned
    assert git(repository, "show", "--name-only", "--format=%s", "HEAD").split("\n\n") == [
        "Trust the host key of lyon-a", "known_hosts\n",
    ]  # fmt: skip
    assert f"pinned 1 in known_hosts, commit {git(repository, 'rev-parse', '--short=7', 'HEAD').strip()}\n" in done.err
    assert git(repository, "status", "--short") == "A  draft.yaml\n"
    again = trust(repository, "lyon-a")
    assert (again.code, again.out, again.err) == (0, "1 key is pinned already\n", "")


def test_a_person_at_a_terminal_is_asked(repository: Path, host: Host) -> None:
    no = run_on_terminal(
        "node", "trust", "lyon-a", cwd=repository, env=OPS, answers={"Do you vouch for this key?": "n"}
    )
    assert (no.code, pinned(repository)) == (3, "")
    yes = run_on_terminal(
        "node", "trust", "lyon-a", cwd=repository, env=OPS, answers={"Do you vouch for this key?": "y"}
    )
    assert (yes.code, pinned(repository)) == (0, host.pinned)


def test_without_a_commit_the_file_is_written(repository: Path, host: Host) -> None:
    done = trust(repository, "lyon-a", "--yes", "--no-commit")

    assert (done.code, pinned(repository)) == (0, host.pinned)
    assert done.err == "pinned 1 in known_hosts\n"
    assert git(repository, "status", "--short") == "?? known_hosts\n"


def test_a_host_that_does_not_answer_keeps_nobody_else_waiting(repository: Path, host: Host) -> None:
    done = trust(repository, "--site", "lyon", "--yes")

    assert done.code == 4
    assert "x lyon-b  ssh: connect to host 127.0.0.1 port 9: Connection refused\n" in done.out
    assert pinned(repository) == host.pinned


def test_as_json(repository: Path, host: Host) -> None:
    done = trust(repository, "--site", "lyon", "--yes", "--json")

    told: dict[str, Any] = json.loads(done.out)
    jsonschema.validate(told, OUTPUTS["keys"].json_schema())
    assert [(row["node"], row["state"]) for row in told["keys"]] == [("lyon-a", "new"), ("lyon-b", "unreachable")]
    assert told["keys"][0]["fingerprint"] == host.fingerprint
    assert told["commit"] == git(repository, "rev-parse", "HEAD").strip()
    unsure = trust(repository, "--node", "lyon-a", "--json")
    assert (unsure.code, json.loads(unsure.out)["keys"][0]["state"]) == (0, "pinned")


@pytest.mark.parametrize(
    ("fingerprint", "said"),
    [
        ("SHA256:other", "no host shows a key with fingerprint SHA256:other"),
        ("MD5:aa:bb", "not a fingerprint: `MD5:aa:bb`"),
    ],
)
def test_a_fingerprint_that_nobody_shows(repository: Path, fingerprint: str, said: str) -> None:
    done = trust(repository, "lyon-a", "--fingerprint", fingerprint)

    assert (done.code, pinned(repository)) == (2, "")
    assert said in done.err


def test_every_host_with_a_fingerprint_is_meant(repository: Path, host: Host) -> None:
    """A golden image with its key in it: two names, one key."""
    paris = repository / "sites" / "paris.yaml"
    paris.write_text(
        paris.read_text().replace("10.20.2.11", f"10.20.2.11, connection: {{address: localhost, port: {host.port}}}")
    )

    done = trust(repository, "lyon-a", "paris-a", "--fingerprint", host.fingerprint)

    assert done.code == 0
    assert pinned(repository).splitlines() == [host.pinned.strip(), f"[localhost]:{host.port} {host.host_key}"]


def test_another_key_than_the_pinned_one_is_refused(repository: Path, host: Host, tmp_path: Path) -> None:
    other = f"[127.0.0.1]:{host.port} {make_key(tmp_path / 'other')}\n"
    (repository / "known_hosts").write_text(other)

    done = trust(repository, "lyon-a", "--yes")

    assert done.code == 2
    assert f"lyon-a shows another host key than the pinned one: {host.fingerprint}, pinned is SHA256:" in done.err
    assert "fleet node replace lyon-a" in done.err
    assert pinned(repository) == other


def test_a_revoked_key_is_never_pinned(repository: Path, host: Host) -> None:
    text = f"@revoked * {host.host_key}\n"
    (repository / "known_hosts").write_text(text)

    done = trust(repository, "lyon-a", "--fingerprint", host.fingerprint)

    assert (done.code, pinned(repository)) == (4, text)
    assert "x lyon-a  the key that it shows is taken back by a line with @revoked in known_hosts\n" in done.out
    assert "pinned 0" not in done.err


def test_a_node_that_is_not_there(repository: Path) -> None:
    done = trust(repository, "lyon-c")

    assert done.code == 2
    assert "lyon-c" in done.err


# replace


def replace(folder: Path, *words: str) -> Ran:
    return run("node", "replace", *words, cwd=folder, env=OPS)


def test_no_key_is_pinned_for_a_node_that_was_never_applied(repository: Path) -> None:
    for name in ("lyon-a", "lyon-z"):
        done = replace(repository, name, "--yes")
        assert (done.code, pinned(repository)) == (2, "")
    assert git(repository, "rev-list", "--count", "HEAD") == "1\n"


def enrol(repository: Path, name: str) -> None:
    """As if it had been applied: the state knows a machine of that name."""
    database = Database(repository / ".fleet")
    SqliteRecords(database).save([Record(name, "shop", "f" * 32, "b1:aa")])
    database.close()


def is_enrolled(repository: Path, name: str) -> bool:
    database = Database(repository / ".fleet")
    found = name in SqliteRecords(database).all()
    database.close()
    return found


def test_new_hardware_takes_the_place_of_the_old_one_once_somebody_says_so(
    repository: Path, host: Host, tmp_path: Path
) -> None:
    enrol(repository, "lyon-a")
    old = f"# ours\n[127.0.0.1]:{host.port},gate {make_key(tmp_path / 'old')}\n"
    (repository / "known_hosts").write_text(old)
    commit(repository)

    unsure = replace(repository, "lyon-a")
    assert (unsure.code, pinned(repository), is_enrolled(repository, "lyon-a")) == (3, old, True)
    assert "nothing is changed: say --yes" in unsure.err
    wrong = replace(repository, "lyon-a", "--fingerprint", "SHA256:other")
    assert (wrong.code, pinned(repository), is_enrolled(repository, "lyon-a")) == (2, old, True)
    assert f"lyon-a shows a key with fingerprint {host.fingerprint}, not SHA256:other" in wrong.err

    done = replace(repository, "lyon-a", "--fingerprint", host.fingerprint)

    assert (done.code, is_enrolled(repository, "lyon-a")) == (0, False)
    assert pinned(repository) == f"# ours\ngate {old.split(maxsplit=3)[-1]}{host.pinned}"
    assert git(repository, "log", "-1", "--format=%s") == "Trust the host key of lyon-a\n"
    assert done.out.splitlines()[-1] == "lyon-a: machine ffffffffffff… is expected no more"
    assert done.err.endswith("fleet apply --node lyon-a\n")


def test_a_machine_that_does_not_answer_replaces_nothing(repository: Path) -> None:
    enrol(repository, "lyon-b")

    done = replace(repository, "lyon-b", "--yes")

    assert (done.code, is_enrolled(repository, "lyon-b")) == (4, True)


def test_replace_as_json(repository: Path, host: Host) -> None:
    enrol(repository, "lyon-a")

    done = replace(repository, "lyon-a", "--yes", "--no-commit", "--json")

    assert done.code == 0
    told = json.loads(done.out)
    jsonschema.validate(told, OUTPUTS["host-event"].json_schema())
    assert (told["event"], told["node"], told["machine_id"]) == ("NodeReplaced", "lyon-a", "f" * 32)
    assert (pinned(repository), git(repository, "status", "--short")) == (host.pinned, "?? known_hosts\n")
