"""GitSource against the real `git` command."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
from pathlib import Path

import pytest

from fleet.adapters.git import GitSource
from fleet.adapters.git.command import run
from fleet.errors import SpecError, UnavailableError, UsageError
from fleet.model.tree import Revision

AUTHOR = {
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@acme.example",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@acme.example",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], env=os.environ | AUTHOR, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "acme"
    (folder / "sites").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "fleet.yaml").write_bytes(b"one\n")
    (folder / "sites" / "lyon.yaml").write_bytes(b"two\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "First stores\n\nMore words.")
    return folder


def contents(source: GitSource, revision: str = "") -> dict[str, bytes]:
    return dict(source.read(revision).files)


def problems(source: GitSource, revision: str = "") -> list[tuple[str, str]]:
    with pytest.raises(SpecError) as raised:
        source.read(revision)
    return [(problem.file, problem.message) for problem in raised.value.problems]


def test_a_clean_working_tree_is_its_commit(repository: Path) -> None:
    tree = GitSource(repository).read()

    assert dict(tree.files) == {"fleet.yaml": b"one\n", "sites/lyon.yaml": b"two\n"}
    assert tree.root == str(repository)
    assert tree.revision.commit == git(repository, "rev-parse", "HEAD")
    assert (tree.revision.branch, tree.revision.subject, tree.revision.signer) == ("main", "First stores", "")
    assert not tree.revision.dirty


def test_a_working_tree_holds_what_is_not_committed_yet_and_not_what_is_ignored(repository: Path) -> None:
    (repository / ".gitignore").write_text("*.log\n")
    (repository / "new.yaml").write_bytes(b"new\n")
    (repository / "run.log").write_bytes(b"noise\n")
    (repository / "fleet.yaml").write_bytes(b"edited\n")
    (repository / "sites" / "lyon.yaml").unlink()

    tree = GitSource(repository).read()

    assert dict(tree.files) == {".gitignore": b"*.log\n", "fleet.yaml": b"edited\n", "new.yaml": b"new\n"}
    assert tree.revision.dirty


@pytest.mark.parametrize("change", ["edit", "add", "delete", "stage"])
def test_each_kind_of_change_makes_a_tree_dirty(repository: Path, change: str) -> None:
    if change == "edit":
        (repository / "fleet.yaml").write_bytes(b"edited\n")
    elif change == "add":
        (repository / "new.yaml").write_bytes(b"new\n")
    elif change == "delete":
        (repository / "fleet.yaml").unlink()
    else:
        (repository / "new.yaml").write_bytes(b"new\n")
        git(repository, "add", "new.yaml")

    assert GitSource(repository).read().revision.dirty


def test_the_records_of_fleet_are_neither_spec_nor_dirt(repository: Path) -> None:
    (repository / ".fleet" / "blobs").mkdir(parents=True)
    (repository / ".fleet" / "blobs" / "ab").write_bytes(b"blob")

    tree = GitSource(repository).read()

    assert list(tree.files) == ["fleet.yaml", "sites/lyon.yaml"]
    assert not tree.revision.dirty


def test_a_folder_inside_a_repository_is_read_by_itself(repository: Path) -> None:
    (repository / "outside.yaml").write_bytes(b"not of this fleet\n")

    tree = GitSource(repository / "sites").read()

    assert dict(tree.files) == {"lyon.yaml": b"two\n"}
    assert not tree.revision.dirty
    assert contents(GitSource(repository / "sites"), "HEAD") == {"lyon.yaml": b"two\n"}


def test_a_revision_is_read_as_it_was(repository: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    (repository / "fleet.yaml").write_bytes(b"later\n")
    git(repository, "commit", "-q", "-a", "-m", "Later")

    tree = GitSource(repository).read(first[:12])

    assert dict(tree.files) == {"fleet.yaml": b"one\n", "sites/lyon.yaml": b"two\n"}
    assert (tree.revision.commit, tree.revision.subject, tree.revision.branch) == (first, "First stores", "")
    assert not tree.revision.dirty
    assert tree.root == ""
    assert contents(GitSource(repository), "main")["fleet.yaml"] == b"later\n"
    assert GitSource(repository).read("main").revision.branch == "main"
    assert GitSource(repository).read("HEAD").revision.branch == "main"


def test_head_tells_the_revision_without_the_files(repository: Path, tmp_path: Path) -> None:
    source = GitSource(repository)
    assert source.head() == source.read().revision
    (repository / "fleet.yaml").write_bytes(b"edited\n")
    assert source.head().dirty
    (tmp_path / "plain").mkdir()
    assert GitSource(tmp_path / "plain").head() == Revision()
    (repository / ".git" / "HEAD").unlink()
    with pytest.raises(UnavailableError, match="not a git repository"):
        source.head()


def test_a_revision_is_read_out_of_a_bare_repository_too(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(repository), "bare.git")

    assert contents(GitSource(tmp_path / "bare.git"), "main") == {"fleet.yaml": b"one\n", "sites/lyon.yaml": b"two\n"}


@pytest.mark.parametrize("revision", ["nowhere", "0123456789abcdef0123456789abcdef01234567"])
def test_an_unknown_revision_is_named(repository: Path, revision: str) -> None:
    with pytest.raises(UsageError, match=f"no revision `{revision}`"):
        GitSource(repository).read(revision)


@pytest.mark.parametrize("revision", ["--output=/tmp/x", "main..other", "a\0b"])
def test_a_revision_that_is_an_option_or_a_range_is_refused(repository: Path, revision: str) -> None:
    with pytest.raises(UsageError, match="not a revision"):
        GitSource(repository).read(revision)


def test_a_repository_without_a_commit_is_dirty_and_has_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "trunk")
    (tmp_path / "fleet.yaml").write_bytes(b"one\n")

    tree = GitSource(tmp_path).read()

    assert dict(tree.files) == {"fleet.yaml": b"one\n"}
    assert (tree.revision.commit, tree.revision.branch, tree.revision.dirty) == ("", "trunk", True)


def test_a_folder_outside_git_is_walked(tmp_path: Path) -> None:
    (tmp_path / "sites" / "deep").mkdir(parents=True)
    (tmp_path / ".fleet").mkdir()
    (tmp_path / ".fleet" / "fleet.db").write_bytes(b"")
    (tmp_path / "fleet.yaml").write_bytes(b"one\n")
    (tmp_path / "sites" / "deep" / "lyon.yaml").write_bytes(b"two\n")

    tree = GitSource(tmp_path).read()

    assert dict(tree.files) == {"fleet.yaml": b"one\n", "sites/deep/lyon.yaml": b"two\n"}
    assert tree.revision.short == "a folder outside git"


def test_a_folder_outside_git_needs_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fleet.yaml").write_bytes(b"one\n")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert contents(GitSource(tmp_path)) == {"fleet.yaml": b"one\n"}


def test_a_repository_without_the_git_command_says_so(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))

    for revision in ("", "HEAD"):
        with pytest.raises(UnavailableError, match="git is not installed"):
            GitSource(repository).read(revision)


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        GitSource(tmp_path / "typo").read()


def test_a_broken_repository_gives_gits_own_words(repository: Path) -> None:
    (repository / ".git" / "HEAD").unlink()

    with pytest.raises(UnavailableError, match="not a git repository"):
        GitSource(repository).read()


def test_a_repository_of_another_user_hints_at_safe_directory(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")

    with pytest.raises(UnavailableError, match="belongs to another user") as raised:
        GitSource(repository).read()
    assert raised.value.hint.endswith(f"git config --global --add safe.directory {repository}")


@pytest.mark.parametrize("is_committed", [True, False])
def test_links_that_lead_out_are_refused_with_both_ends(repository: Path, *, is_committed: bool) -> None:
    (repository / "shadow.yaml").symlink_to("../../../../../../../../../../etc/shadow")
    (repository / "sites" / "abs.yaml").symlink_to("/etc/passwd")
    (repository / "sites" / "next.yaml").symlink_to("../../neighbour.yaml")
    if is_committed:
        git(repository, "add", ".")
        git(repository, "commit", "-q", "-m", "links")
    out = "a link that leads out of the repository, to"
    wanted = [
        ("shadow.yaml", f"{out} ../../../../../../../../../../etc/shadow"),
        ("sites/abs.yaml", "a link to an absolute path, /etc/passwd" if is_committed else f"{out} /etc/passwd"),
        ("sites/next.yaml", f"{out} ../../neighbour.yaml"),
    ]

    assert problems(GitSource(repository), "HEAD" if is_committed else "") == wanted


@pytest.mark.parametrize("is_committed", [True, False])
def test_links_inside_the_repository_are_followed(repository: Path, *, is_committed: bool) -> None:
    (repository / "sites" / "same.yaml").symlink_to("../fleet.yaml")
    (repository / "sites" / "twice.yaml").symlink_to("same.yaml")
    (repository / "nowhere.yaml").symlink_to("gone.yaml")
    (repository / "round.yaml").symlink_to("round.yaml")
    (repository / "places").symlink_to("sites")
    if is_committed:
        git(repository, "add", ".")
        git(repository, "commit", "-q", "-m", "links")

    assert contents(GitSource(repository), "HEAD" if is_committed else "") == {
        "fleet.yaml": b"one\n",
        "sites/lyon.yaml": b"two\n",
        "sites/same.yaml": b"one\n",
        "sites/twice.yaml": b"one\n",
    }
    # A link out of the fleet's folder that stays inside the repository is fine.
    assert contents(GitSource(repository / "sites"), "HEAD" if is_committed else "") == {
        "lyon.yaml": b"two\n",
        "same.yaml": b"one\n",
        "twice.yaml": b"one\n",
    }


def test_special_files_are_refused(tmp_path: Path, repository: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    os.mkfifo(plain / "pipe.yaml")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(plain / "socket.yaml"))
    (plain / "link.yaml").symlink_to("pipe.yaml")
    wanted = "expected a file, found a device, a socket or a pipe"
    assert problems(GitSource(plain)) == [(name, wanted) for name in ("link.yaml", "pipe.yaml", "socket.yaml")]
    listener.close()

    (repository / "fleet.yaml").unlink()
    os.mkfifo(repository / "fleet.yaml")
    assert problems(GitSource(repository)) == [("fleet.yaml", wanted)]


def test_a_pipe_that_takes_a_files_place_does_not_hang(repository: Path) -> None:
    files = GitSource(repository).read().files
    (repository / "fleet.yaml").unlink()
    os.mkfifo(repository / "fleet.yaml")

    with pytest.raises(SpecError) as raised:
        files["fleet.yaml"]
    assert raised.value.problems[0].message == "expected a file, found a device, a socket or a pipe"


def test_a_file_that_is_too_large_is_refused_by_its_size_alone(repository: Path) -> None:
    with (repository / "huge.yaml").open("wb") as huge:
        huge.truncate(64 * 1024 * 1024 + 1)
    files = GitSource(repository).read().files
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(SpecError) as raised:
        files["huge.yaml"]
    assert raised.value.problems[0].message == "expected at most 64 MiB, found 67,108,865 bytes"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 * 1024

    git(repository, "add", "huge.yaml")
    git(repository, "commit", "-q", "-m", "huge")
    with pytest.raises(SpecError, match="1 problem"):
        GitSource(repository).read("HEAD").files["huge.yaml"]


@pytest.mark.parametrize("in_git", [True, False])
def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path, *, in_git: bool) -> None:
    if in_git:
        git(tmp_path, "init", "-q")
    (tmp_path / os.fsdecode(b"caf\xe9.yaml")).write_bytes(b"x\n")

    assert problems(GitSource(tmp_path)) == [
        ("caf\\xe9.yaml", "expected a file name in UTF-8, found other bytes"),
    ]


@pytest.mark.parametrize("in_git", [True, False])
def test_folders_nested_too_deeply_are_refused(tmp_path: Path, *, in_git: bool) -> None:
    if in_git:
        git(tmp_path, "init", "-q")
    good = tmp_path.joinpath(*["d"] * 32)
    bad = good / "d"
    good.mkdir(parents=True)
    (good / "a.yaml").write_bytes(b"x\n")
    assert list(GitSource(tmp_path).read().files) == ["/".join(["d"] * 32 + ["a.yaml"])]

    bad.mkdir()
    (bad / "a.yaml").write_bytes(b"x\n")
    assert problems(GitSource(tmp_path)) == [
        ("/".join(["d"] * 33), "expected at most 32 folders inside each other, found more")
    ]


def test_what_a_hook_sets_does_not_redirect_the_reading(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))

    assert list(GitSource(repository).read().files) == ["fleet.yaml", "sites/lyon.yaml"]


def test_a_repository_cannot_make_the_reading_run_a_program(repository: Path, tmp_path: Path) -> None:
    evil = tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    evil.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(evil))
    git(repository, "config", "core.pager", str(evil))

    assert list(GitSource(repository).read().files) == ["fleet.yaml", "sites/lyon.yaml"]
    assert list(GitSource(repository).read("HEAD").files) == ["fleet.yaml", "sites/lyon.yaml"]
    assert not (tmp_path / "ran").exists()


def test_a_signature_names_its_signer_only_when_it_holds(repository: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    allowed = tmp_path / "allowed"
    public = (tmp_path / "key.pub").read_text()
    allowed.write_text(f"ops@acme.example {public}")
    git(repository, "config", "gpg.format", "ssh")
    git(repository, "config", "user.signingkey", str(key))
    git(repository, "config", "gpg.ssh.allowedSignersFile", str(allowed))
    git(repository, "commit", "-q", "-S", "--allow-empty", "-m", "Signed")
    assert GitSource(repository).read().revision.signer == "ops@acme.example"
    assert GitSource(repository).read("HEAD").revision.signer == "ops@acme.example"

    allowed.write_text("")
    assert GitSource(repository).read().revision.signer == ""


def test_submodules_and_repositories_inside_are_not_read(repository: Path) -> None:
    inner = repository / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    (inner / "a.yaml").write_bytes(b"x\n")
    assert list(GitSource(repository).read().files) == ["fleet.yaml", "sites/lyon.yaml"]

    git(inner, "add", ".")
    git(inner, "commit", "-q", "-m", "inner")
    git(repository, "add", "inner")
    git(repository, "commit", "-q", "-m", "submodule")
    assert list(GitSource(repository).read().files) == ["fleet.yaml", "sites/lyon.yaml"]
    assert list(GitSource(repository).read("HEAD").files) == ["fleet.yaml", "sites/lyon.yaml"]


def test_a_shallow_or_broken_clone_says_which_object_is_missing(repository: Path) -> None:
    identity = git(repository, "rev-parse", "HEAD:fleet.yaml")
    files = GitSource(repository).read("HEAD").files
    (repository / ".git" / "objects" / identity[:2] / identity[2:]).unlink()

    with pytest.raises(UnavailableError, match=identity):
        files["fleet.yaml"]


def test_ten_thousand_files_cost_three_runs_of_git_and_little_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q")
    for folder in range(100):
        (tmp_path / f"d{folder}").mkdir()
        for file in range(100):
            (tmp_path / f"d{folder}" / f"{file}.yaml").write_bytes(b"x\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "many")
    trace = tmp_path.parent / "trace"
    monkeypatch.setenv("GIT_TRACE2_EVENT", str(trace))
    before = _cpu()

    tree = GitSource(tmp_path).read()

    spent = _cpu() - before
    started = trace.read_text().count('"event":"start"')
    print(f"10,000 files: {spent * 1000:.0f} ms CPU, {started} runs of git")
    assert (len(tree.files), started) == (10_000, 3)
    assert spent < 0.5
    assert sum(len(data) for data in GitSource(tmp_path).read("HEAD").files.values()) == 20_000


def _cpu() -> float:
    mine, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime


def test_git_that_gives_no_answer_is_unavailable(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 5\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")

    with pytest.raises(UnavailableError, match=r"git status in .* gave no answer in 0\.2 s"):
        run(repository, "status", timeout=0.2)


def test_a_folder_that_is_no_part_of_the_fleet_is_passed_over(tmp_path: Path) -> None:
    """A sandbox inside the fleet's own folder: its links and files are no spec, in git and outside it."""
    (tmp_path / "fleet.yaml").write_text("a: 1\n")
    nodes = tmp_path / "nodes" / "a"
    nodes.mkdir(parents=True)
    (nodes / "out").symlink_to("/etc/passwd")
    (nodes / "x.yaml").write_text("b: 2\n")
    (tmp_path / "nodes-too").mkdir()
    (tmp_path / "nodes-too" / "y.yaml").write_text("c: 3\n")
    source = GitSource(tmp_path, "nodes")
    assert sorted(source.read().files) == ["fleet.yaml", "nodes-too/y.yaml"]
    for words in (
        ["init", "-q"],
        ["add", "fleet.yaml", "nodes-too"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", "-C", tmp_path, *words], check=True)
    tree = source.read()
    assert sorted(tree.files) == ["fleet.yaml", "nodes-too/y.yaml"]
    assert not tree.revision.dirty


def test_a_file_is_written_and_committed_alone(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AUTHOR.items():
        monkeypatch.setenv(name, value)
    (repository / "fleet.yaml").write_bytes(b"changed\n")
    (repository / "sites" / "staged.yaml").write_bytes(b"staged\n")
    git(repository, "add", "sites/staged.yaml")

    commit = GitSource(repository).write("known_hosts", b"lyon ssh-ed25519 AAAA\n", "Trust lyon")

    assert commit == git(repository, "rev-parse", "HEAD")
    assert git(repository, "show", "--format=%s", "--name-status", "HEAD") == "Trust lyon\n\nA\tknown_hosts"
    assert git(repository, "status", "--porcelain").splitlines() == ["M fleet.yaml", "A  sites/staged.yaml"]
    assert (repository / "known_hosts").stat().st_mode & 0o777 == 0o644


def test_a_file_of_a_fleet_in_a_subfolder_is_committed_there(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AUTHOR.items():
        monkeypatch.setenv(name, value)
    GitSource(repository / "sites").write("known_hosts", b"x ssh-ed25519 AAAA\n", "Trust x")

    assert git(repository, "show", "--format=", "--name-only", "HEAD") == "sites/known_hosts"


def test_without_a_message_or_a_repository_nothing_is_committed(repository: Path, tmp_path: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    assert GitSource(repository).write("known_hosts", b"x\n", "") == ""
    assert git(repository, "rev-parse", "HEAD") == head
    (tmp_path / "plain").mkdir()
    assert GitSource(tmp_path / "plain").write("known_hosts", b"x\n", "Trust x") == ""
    assert (tmp_path / "plain" / "known_hosts").read_bytes() == b"x\n"


def test_a_commit_that_git_refuses_says_that_the_file_is_there(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    git(repository, "config", "user.useConfigOnly", "true")
    with pytest.raises(UnavailableError, match="known_hosts is written, and git did not commit it") as raised:
        GitSource(repository).write("known_hosts", b"x\n", "Trust x")
    assert raised.value.hint == "Commit it yourself."
    assert (repository / "known_hosts").read_bytes() == b"x\n"
