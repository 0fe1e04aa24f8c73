"""VaultSecrets against the real `ansible-vault`, and `secret generate` on top of it, with kill points."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from fleet.adapters.vault import VaultSecrets, password_source
from fleet.errors import UnavailableError, UsageError
from fleet.model.cluster import Cluster
from fleet.model.problem import Place
from fleet.model.secret import LockedSecret, SecretsLock
from fleet.operations.secret import SecretsComplete, SecretsListed, SecretsMade, generate, list_own
from fleet.testing.contracts.secrets import SecretsContract

TOOL = Path(sys.executable).parent / "ansible-vault"


class TestVaultSecrets(SecretsContract):
    @pytest.fixture
    def secrets(self, tmp_path: Path) -> VaultSecrets:
        return store(tmp_path)


def ansible_vault(root: Path, verb: str, file: str, text: str = "", password: str = "open sesame") -> str:
    (root / "pw").write_text(password)
    done = subprocess.run(
        check=False, args=[TOOL, verb, "--vault-password-file", root / "pw", *(["--output", file] if text else [file])],
        input=text or None, cwd=root, capture_output=True, text=True, env=os.environ | {"ANSIBLE_HOME": str(root / "h")},
    )  # fmt: skip
    (root / "pw").unlink()
    assert done.returncode == 0, done.stderr
    return done.stdout


def store(root: Path, password: bytes = b"open sesame") -> VaultSecrets:
    return VaultSecrets(root, lambda: password)


def lock_of(root: Path) -> SecretsLock:
    return msgspec.json.decode((root / "secrets" / "secrets.lock").read_bytes(), type=SecretsLock)


def test_ansible_reads_what_is_written_and_the_other_way_round(tmp_path: Path) -> None:
    store(tmp_path).write({"secrets/lyon.yaml": {"zulu": 'a "b" \\ \u00e9 \t x', "no": "1e3", "two-lines": "a\nb\n"}})

    assert ansible_vault(tmp_path, "view", "secrets/lyon.yaml") == (
        '"no": "1e3"\ntwo-lines: |\n  a\n  b\nzulu: "a \\"b\\" \\\\ \u00e9 \\t x"\n'
    )
    ansible_vault(tmp_path, "encrypt", "secrets/paris.yaml", 'db: "p4ss"\n')
    assert store(tmp_path).read("secrets/paris.yaml") == {"db": "p4ss"}
    assert store(tmp_path).read("secrets/lyon.yaml")["zulu"] == 'a "b" \\ \u00e9 \t x'
    assert store(tmp_path).read("secrets/absent.yaml") == {}


def test_files_are_private_and_hold_no_value_in_clear(tmp_path: Path) -> None:
    os.umask(os.umask(0o000))
    store(tmp_path).write({"secrets/lyon.yaml": {"db": "hunter2"}})

    assert stat.S_IMODE((tmp_path / "secrets" / "lyon.yaml").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "secrets" / "fleet.yaml").stat().st_mode) == 0o600
    everything = b"".join(path.read_bytes() for path in (tmp_path / "secrets").iterdir())
    assert b"hunter2" not in everything
    assert sorted(path.name for path in (tmp_path / "secrets").iterdir()) == ["fleet.yaml", "lyon.yaml", "secrets.lock"]


def test_the_lock_names_each_secret_with_a_keyed_fingerprint_and_a_version(tmp_path: Path) -> None:
    secrets = store(tmp_path)
    secrets.write({"secrets/lyon.yaml": {"a": "same", "b": "same"}, "secrets/paris.yaml": {"c": "x"}})
    first = lock_of(tmp_path)
    assert {name: (one.file, one.version) for name, one in first.secrets.items()} == {
        "a": ("secrets/lyon.yaml", 1),
        "b": ("secrets/lyon.yaml", 1),
        "c": ("secrets/paris.yaml", 1),
    }
    assert first.secrets["a"].fingerprint != first.secrets["b"].fingerprint
    assert all(len(one.fingerprint) == 64 for one in first.secrets.values())

    store(tmp_path).write({"secrets/lyon.yaml": {"a": "other", "d": "new"}})

    second = lock_of(tmp_path)
    assert sorted(second.secrets) == ["a", "c", "d"]
    assert (second.secrets["a"].version, second.secrets["d"].version) == (2, 1)
    assert second.secrets["a"].fingerprint != first.secrets["a"].fingerprint
    assert second.secrets["c"] == first.secrets["c"]
    assert (tmp_path / "secrets" / "secrets.lock").read_bytes().endswith(b"}\n")


def test_the_same_value_gives_another_fingerprint_in_another_fleet(tmp_path: Path) -> None:
    found = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        store(tmp_path / name).write({"secrets/a.yaml": {"pin": "1234"}})
        found.add(lock_of(tmp_path / name).secrets["pin"].fingerprint)
    assert len(found) == 2


def test_writing_the_same_values_again_touches_nothing(tmp_path: Path) -> None:
    store(tmp_path).write({"secrets/lyon.yaml": {"a": "1"}})
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in (tmp_path / "secrets").iterdir()}

    store(tmp_path).write({"secrets/lyon.yaml": {"a": "1"}})

    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in (tmp_path / "secrets").iterdir()} == before


def test_the_key_of_fingerprints_is_kept_and_never_made_anew(tmp_path: Path) -> None:
    store(tmp_path).write({"secrets/fleet.yaml": {"a": "1", "fleet.fingerprint-key": "00" * 32}})
    held = store(tmp_path).read("secrets/fleet.yaml")
    assert sorted(held) == ["a", "fleet.fingerprint-key"]
    assert held["fleet.fingerprint-key"] != "00" * 32
    assert list(lock_of(tmp_path).secrets) == ["a"]

    (tmp_path / "secrets" / "fleet.yaml").unlink()
    with pytest.raises(UsageError, match=r"their key is not in secrets/fleet\.yaml"):
        store(tmp_path).write({"secrets/lyon.yaml": {"b": "2"}})
    assert not (tmp_path / "secrets" / "lyon.yaml").exists()


def test_a_wrong_password_is_told_with_the_file(tmp_path: Path) -> None:
    store(tmp_path).write({"secrets/lyon.yaml": {"a": "1"}})

    with pytest.raises(UsageError, match=r"secrets/lyon\.yaml: the password of vault id `default` does not open it"):
        store(tmp_path, b"wrong").read("secrets/lyon.yaml")
    with pytest.raises(UsageError, match="does not open it"):
        store(tmp_path, b"wrong").write({"secrets/lyon.yaml": {"a": "2"}})
    assert store(tmp_path).read("secrets/lyon.yaml") == {"a": "1"}


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ("- a\n", "expected one mapping of names to values"),
        ('a: "1"\n---\nb: "2"\n', "expected one mapping of names to values"),
        ("a: 1\n", "expected `a` to be a text, found a int"),
        ("a:\n", "expected `a` to be a text, found nothing"),
        ("a: [\n", "holds no YAML"),
    ],
)
def test_a_vault_file_of_another_shape_is_refused(tmp_path: Path, plain: str, message: str) -> None:
    (tmp_path / "secrets").mkdir()
    ansible_vault(tmp_path, "encrypt", "secrets/lyon.yaml", plain)
    with pytest.raises(UsageError, match=message):
        store(tmp_path).read("secrets/lyon.yaml")


def test_a_file_that_nobody_encrypted_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "lyon.yaml").write_text('a: "1"\n')
    with pytest.raises(UsageError, match=r"secrets/lyon\.yaml is not encrypted") as raised:
        store(tmp_path).read("secrets/lyon.yaml")
    assert raised.value.hint.startswith("ansible-vault encrypt secrets/lyon.yaml")


@pytest.mark.parametrize("file", ["../secrets/a.yaml", "secrets/../a.yaml", "a.yaml", "/etc/passwd", "secrets", ""])
def test_only_files_below_secrets_are_read_and_written(tmp_path: Path, file: str) -> None:
    with pytest.raises(UsageError, match="not a file of secrets"):
        store(tmp_path).read(file)
    with pytest.raises(UsageError, match="not a file of secrets"):
        store(tmp_path).write({file: {"a": "1"}})


def test_a_lock_that_is_broken_is_told(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "secrets.lock").write_text("{")
    with pytest.raises(UsageError, match="is not as fleet wrote it"):
        store(tmp_path).lock()


# Where the password comes from.


def never() -> str:
    raise AssertionError("asked")


def test_the_password_comes_from_the_first_that_is_given(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("first\n")
    (tmp_path / "two").write_text("second\n")
    environ = {"FLEET_VAULT_PASSWORD_FILE": str(tmp_path / "two"), "FLEET_VAULT_PASSWORD": "third"}
    assert password_source(str(tmp_path / "one"), environ, never)() == b"first"
    assert password_source("", environ, never)() == b"second"
    del environ["FLEET_VAULT_PASSWORD_FILE"]
    assert password_source("", environ, never)() == b"third"
    assert password_source("", {}, lambda: "f\u00f6urth")() == "f\u00f6urth".encode()
    with pytest.raises(UsageError, match="nobody is there to ask"):
        password_source("", {}, None)()


def test_a_password_is_asked_for_once_and_only_when_it_is_needed(tmp_path: Path) -> None:
    asked: list[int] = []

    def prompt() -> str:
        asked.append(1)
        return "open sesame"

    secrets = VaultSecrets(tmp_path, password_source("", {}, prompt))
    assert secrets.read("secrets/lyon.yaml") == {}
    assert secrets.lock() == SecretsLock()
    assert asked == []
    secrets.write({"secrets/lyon.yaml": {"a": "1"}})
    secrets.read("secrets/paris.yaml")
    assert asked == [1]


def test_an_executable_file_prints_the_password(tmp_path: Path) -> None:
    script = tmp_path / "client"
    script.write_text("#!/bin/sh\necho open sesame\n")
    script.chmod(0o700)
    assert password_source(str(script), {}, never)() == b"open sesame"
    script.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(UnavailableError, match="ended with 3"):
        password_source(str(script), {}, never)()


@pytest.mark.parametrize(("name", "content"), [("absent", None), ("empty", ""), ("blank", "\n"), ("huge", "x" * 70000)])
def test_what_is_no_password_is_refused(tmp_path: Path, name: str, content: str | None) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UsageError):
        password_source(str(tmp_path / name), {}, never)()


# secret generate.


def cluster(name: str, site: str = "") -> Cluster:
    return Cluster(
        name, site or name, (f"{name}-a",), (), "sqlite", "", (), f"{name}.k3s-token", f"{name}.k3s-agent-token",
        Place("sites.yaml"),
    )  # fmt: skip


def test_each_cluster_gets_two_tokens_of_its_own_once(tmp_path: Path) -> None:
    clusters = [cluster("lyon"), cluster("lyon-gpu", "lyon"), cluster("no")]

    events = list(generate(clusters, SecretsLock(), store(tmp_path)))

    assert events == [
        SecretsMade(
            "secrets/lyon.yaml",
            ("lyon.k3s-token", "lyon.k3s-agent-token", "lyon-gpu.k3s-token", "lyon-gpu.k3s-agent-token"),
            1,
            2,
        ),
        SecretsMade("secrets/no.yaml", ("no.k3s-token", "no.k3s-agent-token"), 2, 2),
        SecretsComplete(3, 6),
    ]
    values = [*store(tmp_path).read("secrets/lyon.yaml").values(), *store(tmp_path).read("secrets/no.yaml").values()]
    assert len(set(values)) == 6
    assert all(len(bytes.fromhex(value)) == 32 for value in values)
    assert sorted(lock_of(tmp_path).secrets) == sorted(
        name for one in clusters for name in (one.token, one.agent_token)
    )

    assert list(generate(clusters, lock_of(tmp_path), store(tmp_path))) == [SecretsComplete(3, 0)]
    assert values[:4] == list(store(tmp_path).read("secrets/lyon.yaml").values())


def test_tokens_join_what_a_file_holds_already(tmp_path: Path) -> None:
    store(tmp_path).write({"secrets/lyon.yaml": {"db": "hunter2", "lyon.k3s-token": "mine"}})

    (made, _) = generate([cluster("lyon")], lock_of(tmp_path), store(tmp_path))

    assert made == SecretsMade("secrets/lyon.yaml", ("lyon.k3s-agent-token",), 1, 1)
    held = store(tmp_path).read("secrets/lyon.yaml")
    assert (held["db"], held["lyon.k3s-token"]) == ("hunter2", "mine")
    assert sorted(held) == ["db", "lyon.k3s-agent-token", "lyon.k3s-token"]


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


class Dying(VaultSecrets):
    """Dies when it has written so many files."""

    def __init__(self, root: Path, lives: int) -> None:
        super().__init__(root, lambda: b"open sesame")
        self.lives = lives

    def _save(self, file: str, values: dict[str, str]) -> None:
        if self.lives == 0:
            raise Killed
        self.lives -= 1
        super()._save(file, values)


@pytest.mark.parametrize("lives", [0, 1, 2, 3])
def test_a_kill_leaves_at_worst_values_that_the_next_run_lists(tmp_path: Path, lives: int) -> None:
    clusters = [cluster("a"), cluster("b"), cluster("c")]
    with pytest.raises(Killed):
        list(generate(clusters, SecretsLock(), Dying(tmp_path, lives)))
    assert not (tmp_path / "secrets" / "secrets.lock").exists()
    left: Mapping[str, Mapping[str, str]] = {name: store(tmp_path).read(f"secrets/{name}.yaml") for name in "abc"}

    *_, end = generate(clusters, store(tmp_path).lock(), store(tmp_path))

    assert end == SecretsComplete(3, 6 - 2 * max(0, lives - 1))
    for name, values in left.items():
        assert values.items() <= store(tmp_path).read(f"secrets/{name}.yaml").items()
    assert len(lock_of(tmp_path).secrets) == 6


def test_what_tokens_of_many_sites_cost(tmp_path: Path) -> None:
    clusters = [cluster(f"store-{number:04d}") for number in range(125)]
    before = resource.getrusage(resource.RUSAGE_SELF)

    events = list(generate(clusters, SecretsLock(), store(tmp_path)))

    after = resource.getrusage(resource.RUSAGE_SELF)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"tokens of 125 sites: {spent:.2f} s CPU, one PBKDF2 of 10,000 rounds a file")
    assert events[-1] == SecretsComplete(125, 250)
    assert len(events) == 126
    assert spent < 10


def test_the_lock_of_1250_sites_is_read_in_50_ms(tmp_path: Path) -> None:
    names = [f"store-{number:04d}.{kind}" for number in range(1250) for kind in ("k3s-token", "k3s-agent-token")]
    locked = {name: LockedSecret(f"secrets/{name[:10]}.yaml", 1, "ab" * 32) for name in names}
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "secrets.lock").write_bytes(msgspec.json.encode(SecretsLock(secrets=locked)))
    began = time.process_time()

    lock = store(tmp_path).lock()

    spent = time.process_time() - began
    print(f"secrets.lock of 1,250 sites: {spent * 1000:.1f} ms CPU")
    assert len(lock.secrets) == 2500
    assert spent < 0.05


def test_what_people_keep_in_vaults_of_their_own_is_listed_and_noticed(tmp_path: Path) -> None:
    """A password for a registry, written with ansible-vault: a plan sees it, and sees when it changes."""
    keep = store(tmp_path)
    list(generate([cluster("lyon")], SecretsLock(), keep))
    own = tmp_path / "secrets" / "registry.yaml"
    ansible_vault(tmp_path, "encrypt", str(own), 'registry-password: "one"\n')
    files = ["secrets/registry.yaml", "secrets/lyon.yaml", "secrets/fleet.yaml", "secrets/secrets.lock", "fleet.yaml"]

    events = list(list_own(files, [cluster("lyon")], store(tmp_path).lock(), store(tmp_path)))

    assert events == [SecretsListed("secrets/registry.yaml", ("registry-password",))]
    first = store(tmp_path).lock().secrets
    assert first["registry-password"].file == "secrets/registry.yaml"
    assert {"lyon.k3s-token", "lyon.k3s-agent-token", "registry-password"} == set(first)

    ansible_vault(tmp_path, "encrypt", str(own), 'registry-password: "two"\n')
    again = list(list_own(files, [cluster("lyon")], store(tmp_path).lock(), store(tmp_path)))
    assert again == [SecretsListed("secrets/registry.yaml", (), ("registry-password",))]
    second = store(tmp_path).lock().secrets
    assert second["registry-password"].fingerprint != first["registry-password"].fingerprint
    assert second["registry-password"].version == first["registry-password"].version + 1
    assert second["lyon.k3s-token"] == first["lyon.k3s-token"]
