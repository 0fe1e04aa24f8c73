"""Another password for all vault files: killed at any moment, each opens with the old one or with the new one."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fleet.adapters.vault import VaultSecrets
from fleet.errors import SpecError, UsageError
from fleet.formats import vault
from fleet.formats.vaulted import dump_vaulted, read_vaulted
from tests.calls import prelude, read, unsynced
from tests.crash.driver import Points, arm

OLD, NEW = b"open sesame", b"close sesame"
LOCK = "secrets/secrets.lock"
WHOLE, PROD, EACH = "secrets/lyon.yaml", "secrets/prod.yaml", "secrets/own/each.yml"
COMMENTED = b'# kept\nb: "2"\n'


def store(root: Path, password: bytes = OLD) -> VaultSecrets:
    return VaultSecrets(root, lambda: password)


def make(root: Path) -> dict[str, dict[str, str]]:
    """A file of ours, one of another id with a comment in it, and one in which each value is a vault of its own."""
    (root / "secrets/own").mkdir(parents=True)
    (root / PROD).write_text(vault.encrypt(COMMENTED, OLD, "prod"))
    sealed = {"c": vault.encrypt(b"3\n", OLD, None), "d": vault.encrypt('"{{ \u00e9'.encode(), OLD, "dev")}
    (root / EACH).write_text(dump_vaulted(sealed))
    keep = store(root)
    keep.write({WHOLE: {"a": "1"}, PROD: keep.read(PROD), EACH: keep.read(EACH)})
    return {file: dict(keep.read(file)) for file in (WHOLE, PROD, EACH, "secrets/fleet.yaml")}


def opened(root: Path, files: Mapping[str, object]) -> dict[str, tuple[bytes, dict[str, str]]]:
    """Each file with the password that opens it."""
    found = {}
    for file in files:
        for password in (OLD, NEW):
            try:
                found[file] = (password, dict(store(root, password).read(file)))
            except UsageError:
                continue
    return found


def test_everything_opens_with_the_new_password_and_nothing_else_changed(tmp_path: Path) -> None:
    values, lock = make(tmp_path), (tmp_path / LOCK).read_bytes()
    (tmp_path / PROD).chmod(0o644)

    events = list(store(tmp_path).rekey(lambda: NEW))

    assert [(one.file, one.done, one.total, one.had_it) for one in events] == [
        (file, at, 4, False) for at, file in enumerate(sorted(values), 1)
    ]
    assert opened(tmp_path, values) == {file: (NEW, held) for file, held in values.items()}
    assert (tmp_path / LOCK).read_bytes() == lock
    assert list(store(tmp_path, NEW).problems(store(tmp_path).lock().secrets)) == []
    assert {stat.S_IMODE((tmp_path / file).stat().st_mode) for file in values} == {0o600}
    assert vault.decrypt((tmp_path / PROD).read_text(), {"prod": NEW}) == COMMENTED
    ids = [vault.vault_id_of((tmp_path / file).read_text()) for file in (WHOLE, PROD)]
    assert (ids, [vault.vault_id_of(text) for text in read_vaulted((tmp_path / EACH).read_bytes()).values()]) == (
        ["default", "prod"],
        ["default", "dev"],
    )


def test_the_real_ansible_vault_opens_what_is_written(tmp_path: Path) -> None:
    make(tmp_path)
    list(store(tmp_path).rekey(lambda: NEW))
    (tmp_path / "pw").write_bytes(NEW)
    tool = Path(sys.executable).parent / "ansible-vault"
    done = subprocess.run(
        [tool, "view", "--vault-password-file", "pw", PROD], cwd=tmp_path, capture_output=True, check=False,
        env=os.environ | {"ANSIBLE_HOME": str(tmp_path / "h")},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, COMMENTED), done.stderr


def killed(work: Callable[[], object], point: int) -> bool:
    """Whether a process that does `work` came to its `point`, where it is killed."""
    pid = os.fork()
    if pid == 0:
        try:
            arm(Points(point))
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_killed_at_any_moment_each_file_is_whole_and_the_next_one_goes_on(tmp_path: Path) -> None:
    point = mixed = 0
    while True:
        root = tmp_path / str(point)
        values = make(root)
        lock = (root / LOCK).read_bytes()
        point += 1
        if not killed(lambda at=root: list(store(at).rekey(lambda: NEW)), point):
            break
        left = opened(root, values)
        assert {file: held for file, (_, held) in left.items()} == values, point
        assert (root / LOCK).read_bytes() == lock
        mixed += len({password for password, _ in left.values()}) == 2

        events = list(store(root).rekey(lambda: NEW))

        assert {one.file: one.had_it for one in events} == {
            file: password == NEW for file, (password, _) in left.items()
        }
        assert opened(root, values) == {file: (NEW, held) for file, held in values.items()}
        assert (root / LOCK).read_bytes() == lock
        names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
        assert names == sorted([*values, LOCK]), "what was being written is gone"
    assert point > 25
    assert mixed > 10, "at most of these moments some have the old password, and some the new one"


def rekey_calls(root: Path, log: Path, more: str = "") -> list[str]:
    make(root)
    code = (
        f"from pathlib import Path\nfrom fleet.adapters.vault import VaultSecrets\n{more}\n"
        f"for _ in VaultSecrets(Path({str(root)!r}), lambda: {OLD!r}).rekey(lambda: {NEW!r}): pass\n"
    )
    subprocess.run([sys.executable, "-c", prelude(log) + code], check=True, timeout=60)
    return unsynced(read(log))


def test_power_that_goes_takes_nothing_that_was_promised(tmp_path: Path) -> None:
    assert rekey_calls(tmp_path / "root", tmp_path / "log") == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("import os; os.fsync = lambda handle: None", "renamed before it was synced"),
        (
            "import fleet.adapters.vault.rekeying as it; it.sync_folder = lambda folder: None",
            "its folder is not synced",
        ),
    ],
)
def test_a_sync_that_is_left_out_would_be_seen(tmp_path: Path, more: str, said: str) -> None:
    assert said in "\n".join(rekey_calls(tmp_path / "root", tmp_path / "log", more))


def test_all_that_is_wrong_is_told_before_anything_is_written(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "secrets/other.yaml").write_text(vault.encrypt(b'x: "1"\n', b"third", None))
    text = vault.encrypt(b'y: "1"\n', OLD, None)
    (tmp_path / "secrets/short.yaml").write_text(text[:200])
    (tmp_path / "secrets/clear.yaml").write_text('z: "1"\n')
    (tmp_path / "secrets/link.yaml").symlink_to("lyon.yaml")
    mixed = {"e": vault.encrypt(b"1", NEW, None), "f": vault.encrypt(b"2", b"third", None)}
    (tmp_path / "secrets/mixed.yaml").write_text(dump_vaulted(mixed))
    before = {path: path.read_bytes() for path in (tmp_path / "secrets").rglob("*.yaml")}

    with pytest.raises(SpecError) as raised:
        list(store(tmp_path).rekey(lambda: NEW))

    told = {(one.file, one.line): one.message for one in raised.value.problems}
    assert {place: message.partition(":")[0] for place, message in told.items()} == {
        ("secrets/clear.yaml", 1): "is not encrypted",
        ("secrets/link.yaml", 1): "is a link, and would be replaced by a file",
        ("secrets/mixed.yaml", 8): "`f`",
        (
            "secrets/other.yaml",
            1,
        ): "the password of vault id `default` does not open it, and the new one does not either",
        ("secrets/short.yaml", 4): "the vault is cut short",
    }
    assert all(one.hint for one in raised.value.problems)
    assert {path: path.read_bytes() for path in before} == before


def test_the_same_password_is_none(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(UsageError, match="the new vault password is the old one"):
        list(store(tmp_path).rekey(lambda: OLD))


def test_a_file_that_somebody_changes_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    make(tmp_path)
    events = store(tmp_path).rekey(lambda: NEW)
    next(events)
    theirs = vault.encrypt(b'a: "theirs"\n', OLD, None)
    (tmp_path / WHOLE).write_text(theirs)

    with pytest.raises(UsageError, match=r"secrets/lyon\.yaml was changed while it was being rekeyed"):
        list(events)

    assert (tmp_path / WHOLE).read_text() == theirs


def test_a_value_that_is_set_keeps_the_id_of_its_vault(tmp_path: Path) -> None:
    values = make(tmp_path)
    store(tmp_path).write({PROD: {"b": "new"}, EACH: values[EACH] | {"d": "new"}})

    assert vault.vault_id_of((tmp_path / PROD).read_text()) == "prod"
    sealed = read_vaulted((tmp_path / EACH).read_bytes())
    assert [vault.vault_id_of(sealed[name]) for name in "cd"] == ["default", "dev"]
