"""The API server itself: it is real, and both processes end with whoever started them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab.apiserver import build
from tests.lab.apiserver.certificates import Authority, Pair
from tests.lab.apiserver.server import ApiServer
from tests.lab.errors import LabError

ROOT = Path(__file__).parents[2]
STARTS = "import sys,time,pathlib\nfrom tests.lab.apiserver.server import ApiServer\nwith ApiServer(pathlib.Path(sys.argv[1])) as api:\n print(*(p.pid for p in api._running.values()), flush=True)\n time.sleep(600)\n"


def test_it_is_kubernetes(api: ApiServer) -> None:
    assert api.must("GET", "/version")["gitVersion"] == build.VERSION
    assert f"k8s.io/kubernetes {build.VERSION}\n" in (build.HERE / "go.mod").read_text()
    kinds = {each["kind"] for each in api.must("GET", "/api/v1")["resources"]}
    assert {"Node", "Pod", "Secret", "Eviction"} <= kinds


def test_who_is_not_known_may_do_nothing(api: ApiServer, tmp_path: Path) -> None:
    nobody = api.authority.client("nobody")
    assert api.call("GET", "/api/v1/nodes", pair=nobody)[0] == 403
    other = Authority(tmp_path / "another").client("system:admin", "system:masters")
    assert api.call("GET", "/api/v1/nodes", pair=Pair(other.certificate, other.key))[0] == 401


@pytest.mark.timeout(180)
def test_both_end_when_their_starter_is_killed(api: ApiServer, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", STARTS, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, cwd=ROOT) as process:
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        assert len(pids) == 2
        assert all(is_alive(pid) for pid in pids)
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_binary_is_built_once_for_each_state_of_its_sources(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a pretended Go, which counts."""
    calls = tmp_path / "calls"
    go = tmp_path / "go"
    go.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = env ]; then echo go1.26.8; exit; fi\n'
        f'echo "$@" >> {calls}; [ ! -e {tmp_path}/broken ] || exit 3\n'
        'while [ "$1" != -o ]; do shift; done; echo binary > "$2"\n'
    )
    go.chmod(0o755)
    monkeypatch.setattr(build, "PLACES", (str(go),))
    cache = tmp_path / "cache"
    first = build.ensure_apiserver(cache)
    assert (build.ensure_apiserver(cache), len(calls.read_text().splitlines())) == (first, 1)
    (tmp_path / "sources").mkdir()
    for name in build.SOURCES:
        (tmp_path / "sources" / name).write_text(f"{name} of another day\n")
    monkeypatch.setattr(build, "HERE", tmp_path / "sources")
    (tmp_path / "broken").touch()
    with pytest.raises(LabError, match="ended with 3"):
        build.ensure_apiserver(cache)
    assert [path.name for path in (cache / "apiserver").glob("*") if path.suffix != ".lock"] == [first.name]
    (tmp_path / "broken").unlink()
    assert build.ensure_apiserver(cache) != first


def test_the_kubeconfig_is_laid_out_as_k3s_does(api: ApiServer) -> None:
    text = api.kubeconfig()
    assert f"    server: https://127.0.0.1:{api.port}\n  name: default\n" in text
    assert json.dumps(text).count("-data: ") == 3


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
