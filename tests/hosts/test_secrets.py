"""Secret values are in the vaults, and on the hosts in files that root alone may read: nowhere else."""

import base64
import stat
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


def test_no_secret_stays_on_the_controller(ground: Ground, secret_forms: list[str]) -> None:
    """After applies that worked, that failed, and that were killed: the whole home, repository, journal and runs."""
    ground.checkout.fleet("render", str(ground.folder / "rendered"))
    assert holders(ground.folder, secret_forms) == set()


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
