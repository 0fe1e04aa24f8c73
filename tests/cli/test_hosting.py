"""`fleet node adopt` and `retire`, and the password for sudo, in a sandbox of folders."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from fleet.cli.documents import OUTPUTS
from tests.cli.running import Ran, run, run_on_terminal

WHO = ("-c", "user.name=ops", "-c", "user.email=ops@acme.example")


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *WHO, *words], check=True, capture_output=True)


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")


@pytest.fixture
def repository(shop: Path) -> Path:
    (shop / ".gitignore").write_text(".fleet/\nnodes/\n")
    git(shop, "init", "-q")
    commit(shop)
    return shop


def node(folder: Path, *words: str, given: str = "") -> Ran:
    return run("node", words[0], *words[1:], cwd=folder, given=given)


def sandboxed(folder: Path, *words: str) -> Ran:
    return node(folder, *words, "--sandbox", "nodes")


def events(done: Ran) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in done.out.splitlines()]
    for each in found:
        jsonschema.validate(each, OUTPUTS["host-event"].json_schema())
    return found


# adopt and retire


def theirs(repository: Path, name: str) -> Path:
    """A host that is in use: it has a file of its own where the spec has one."""
    path = repository / "nodes" / name / "etc" / "shop.conf"
    path.parent.mkdir(parents=True)
    path.write_text("greeting = mine\n")
    return path


def test_a_host_comes_under_management_file_by_file_and_is_given_back(repository: Path) -> None:
    file = theirs(repository, "lyon-a")

    looked = sandboxed(repository, "adopt", "lyon-a", "--check")
    assert looked.code == 3
    assert looked.out.startswith("lyon-a: 1 path would wait\n  ~ /etc/shop.conf  content")
    assert "      - greeting = mine\n      + greeting = hello lyon-a\n" in looked.out
    assert not (repository / "nodes" / "lyon-a" / "var").exists()

    waits = sandboxed(repository, "adopt", "lyon-a")
    assert waits.code == 3
    assert waits.out.startswith("lyon-a: adopted, 1 path waits\n")
    assert file.read_text() == "greeting = mine\n"
    plan = json.loads(run("plan", "--json", "--sandbox", "nodes", cwd=repository).out)
    assert plan["adopting"] == ["lyon-a"]
    assert "lyon-a" not in [change["node"] for change in plan["nodes"]]

    taken = sandboxed(repository, "adopt", "lyon-a", "--take", "/etc/shop.conf")
    assert (taken.code, taken.out) == (0, "lyon-a: adopted, and as git wants; taken: /etc/shop.conf\n")
    assert file.read_text() == "greeting = hello lyon-a\n"
    again = sandboxed(repository, "adopt", "lyon-a")
    assert again.code == 2
    assert "lyon-a is managed already" in again.err

    refused = sandboxed(repository, "retire", "lyon-a")
    assert refused.code == 2
    assert "lyon-a is a node of the fleet" in refused.err
    leave(repository, "lyon-a")
    done = sandboxed(repository, "retire", "lyon-a")
    assert (done.code, done.out.splitlines()[0]) == (0, "lyon-a: given back; 0 paths gone, 1 path as before")
    assert file.read_text() == "greeting = mine\n"
    assert not (repository / "nodes" / "lyon-a" / "var" / "lib" / "fleet" / "record.json").exists()
    unknown = sandboxed(repository, "retire", "lyon-a")
    assert unknown.code == 2
    assert "no node lyon-a was ever applied from here" in unknown.err


def leave(repository: Path, name: str) -> None:
    """The node leaves the spec."""
    lyon = repository / "sites" / "lyon.yaml"
    lyon.write_text(
        "".join(line for line in lyon.read_text().splitlines(keepends=True) if f"name: {name}," not in line)
    )
    commit(repository)


def test_all_at_once_as_json(repository: Path) -> None:
    files = [theirs(repository, name) for name in ("lyon-a", "lyon-b")]

    found = sandboxed(repository, "adopt", "lyon-a", "lyon-b", "--json")
    assert found.code == 3
    told = {each["node"]: each for each in events(found)}
    assert {name: [wait["path"] for wait in each["waiting"]] for name, each in told.items()} == {
        "lyon-a": ["/etc/shop.conf"], "lyon-b": ["/etc/shop.conf"],
    }  # fmt: skip
    done = sandboxed(repository, "adopt", "lyon-a", "lyon-b", "--take-all", "--json")
    assert (done.code, [each["is_whole"] for each in events(done)]) == (0, [True, True])
    assert [file.read_text() for file in files] == ["greeting = hello lyon-a\n", "greeting = hello lyon-b\n"]


def test_take_and_take_all_are_one_too_many(repository: Path) -> None:
    done = sandboxed(repository, "adopt", "lyon-a", "--take-all", "--take", "/etc/shop.conf")

    assert (done.code, done.out) == (2, "")
    assert "expected one of --take and --take-all" in done.err


def test_hosts_are_adopted_from_a_commit(repository: Path) -> None:
    site = repository / "sites" / "paris.yaml"
    site.write_text(site.read_text().replace("10.20.2.11", "127.0.0.1, connection: {port: 9}"))

    done = node(repository, "adopt", "paris-a")
    assert done.code == 2
    assert "hosts are changed from a commit" in done.err
    away = node(repository, "adopt", "paris-a", "--allow-dirty")
    assert away.code == 4
    assert away.out.startswith("x paris-a  ")


def test_who_does_not_answer_is_given_back_only_as_gone(repository: Path) -> None:
    site = repository / "sites" / "lyon.yaml"
    site.write_text(site.read_text().replace("10.20.1.11}", "127.0.0.1, connection: {port: 9}}"))
    commit(repository)
    head = subprocess.run(
        ["git", "-C", repository, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    enrol(repository, "lyon-a", head)
    leave(repository, "lyon-a")

    away = node(repository, "retire", "lyon-a")
    assert away.code == 4
    assert away.out.startswith("x lyon-a  ")
    gone = node(repository, "retire", "lyon-a", "--gone", "--json")
    assert gone.code == 0
    (event,) = events(gone)
    assert (event["event"], event["was_asked"]) == ("NodeRetired", False)
    assert node(repository, "retire", "lyon-a", "--gone").code == 2


def enrol(repository: Path, name: str, commit_id: str) -> None:
    from fleet.adapters.sqlite import Database, SqliteRecords
    from fleet.model.record import Record

    database = Database(repository / ".fleet")
    SqliteRecords(database).save([Record(name, "shop", "f" * 32, "b1:aa", commit=commit_id)])
    database.close()


def test_a_person_is_asked_before_a_host_is_given_back(repository: Path) -> None:
    assert run("apply", "--sandbox", "nodes", "--node", "lyon-a", cwd=repository).code == 0
    leave(repository, "lyon-a")
    words = ("node", "retire", "lyon-a", "--sandbox", "nodes")

    no = run_on_terminal(*words, cwd=repository, answers={"Give back lyon-a?": "n"})
    assert no.code == 130
    assert "left as it is" in no.out
    yes = run_on_terminal(*words, cwd=repository, answers={"Give back lyon-a?": "y"})
    assert yes.code == 0
    assert not (repository / "nodes" / "lyon-a" / "etc" / "shop.conf").exists()


# the password for sudo


def test_a_password_for_sudo_that_secrets_do_not_have(repository: Path) -> None:
    fleet = repository / "fleet.yaml"
    fleet.write_text(
        fleet.read_text().replace("profiles:", "connection: {becomePassword: secret:sudo}\n  profiles:", 1)
    )
    commit(repository)

    for words in (("apply",), ("node", "adopt", "lyon-a")):
        done = run(*words, cwd=repository)
        assert done.code == 2
        assert "secrets/ lacks sudo (for sudo on lyon-a, fleet.yaml:5:32)" in done.err


def test_a_file_for_the_password_that_is_not_there(repository: Path) -> None:
    site = repository / "sites" / "paris.yaml"
    site.write_text(site.read_text().replace("10.20.2.11", "127.0.0.1, connection: {port: 9}"))
    commit(repository)

    done = node(repository, "adopt", "paris-a", "--become-password-file", "no-such-file")

    assert (done.code, done.out) == (2, "")
    assert "no-such-file" in done.err
    assert "Traceback" not in done.err


def test_the_password_is_asked_for_and_never_shown(repository: Path) -> None:
    site = repository / "sites" / "paris.yaml"
    site.write_text(site.read_text().replace("10.20.2.11", "127.0.0.1, connection: {port: 9}"))
    commit(repository)

    done = run_on_terminal(
        "node", "adopt", "paris-a", "-K", cwd=repository, answers={"Password for sudo on the nodes:": "hunter2"}
    )

    assert done.code == 4
    assert "hunter2" not in done.out
    kept = [path for path in (repository / ".fleet").rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]
    assert kept == []
