"""Runs over the real ssh client: reasons of nodes that cannot be reached, pinned host keys, connections kept open."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet.adapters.ansible import AnsibleApplier, AnsibleObserver, Settings
from fleet.adapters.ansible.environment import socket_folder
from fleet.errors import UsageError
from fleet.model.batch import BatchOrder
from tests.ssh.host import Host, make_key, serving

Order = Callable[..., BatchOrder]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with serving(tmp_path) as running:
        yield running


def reach(project: Any, name: str, port: int, key: Path | None = None, **more: object) -> None:
    identity = {} if key is None else {"ansible_ssh_private_key_file": str(key)}
    project.add(
        name, ansible_connection="ssh", ansible_host="127.0.0.1", ansible_port=port, ansible_user=getpass.getuser(),
        **(identity | more),
    )  # fmt: skip


def reason(project: Any, run_dir: Path, order: BatchOrder) -> tuple[str, str]:
    (result,) = AnsibleApplier(Settings(run_dir), project.write).run_batch(order).results
    return result.outcome, result.reason


def test_a_node_with_its_pinned_host_key_is_brought_in(project: Any, run_dir: Path, order: Order, host: Host) -> None:
    reach(project, "a", host.port, host.client_key)
    project.extra["known_hosts"] = host.pinned

    assert reason(project, run_dir, order("a")) == ("applied", "")
    assert project.runs("a") == 1


def test_the_key_of_the_settings_serves_nodes_that_name_none(
    project: Any, run_dir: Path, order: Order, host: Host
) -> None:
    reach(project, "a", host.port)
    project.extra["known_hosts"] = host.pinned
    applier = AnsibleApplier(Settings(run_dir, private_key=host.client_key), project.write)

    assert [one.outcome for one in applier.run_batch(order("a")).results] == ["applied"]


def test_an_unknown_host_key_is_refused_with_the_mend(project: Any, run_dir: Path, order: Order, host: Host) -> None:
    reach(project, "a", host.port, host.client_key)

    assert reason(project, run_dir, order("a")) == (
        "unreachable",
        f"no host key is pinned for [127.0.0.1]:{host.port}: fleet node trust shows it, and pins it when you vouch for it",
    )
    assert project.runs("a") == 0


def test_another_host_key_than_the_pinned_one_is_refused(
    project: Any, run_dir: Path, order: Order, host: Host, tmp_path: Path
) -> None:
    reach(project, "a", host.port, host.client_key)
    project.extra["known_hosts"] = f"[127.0.0.1]:{host.port} {make_key(tmp_path / 'other')}\n"

    assert reason(project, run_dir, order("a")) == (
        "unreachable",
        "its host key is not the pinned one: if its hardware was exchanged, fleet node replace pins the new key",
    )
    assert project.runs("a") == 0


def test_a_key_that_is_pinned_no_more_is_refused_by_the_next_run(
    project: Any, run_dir: Path, order: Order, host: Host
) -> None:
    """A connection that an earlier run left open knows nothing of it."""
    reach(project, "a", host.port, host.client_key)
    project.extra["known_hosts"] = host.pinned
    applier = AnsibleApplier(Settings(run_dir), project.write)
    assert [one.outcome for one in applier.run_batch(order("a")).results] == ["applied"]
    project.extra["known_hosts"] = "# none\n"
    (refused,) = applier.run_batch(order("a", batch_id="r1-0002")).results
    assert (refused.outcome, refused.reason.partition(":")[0]) == (
        "unreachable",
        "no host key is pinned for [127.0.0.1]",
    )


def test_a_host_key_that_only_the_user_knows_is_not_pinned(
    project: Any, run_dir: Path, order: Order, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".ssh").mkdir(mode=0o700)
    (tmp_path / ".ssh" / "known_hosts").write_text(host.pinned)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ANSIBLE_HOST_KEY_CHECKING", "False")
    monkeypatch.setenv("ANSIBLE_SSH_ARGS", "-o StrictHostKeyChecking=no")
    reach(project, "a", host.port, host.client_key)

    outcome, words = reason(project, run_dir, order("a"))
    assert (outcome, words.partition(":")[0]) == ("unreachable", "no host key is pinned for [127.0.0.1]")


def test_a_key_that_is_not_let_in_is_told_with_the_user(
    project: Any, run_dir: Path, order: Order, host: Host, tmp_path: Path
) -> None:
    make_key(tmp_path / "stranger")
    reach(project, "a", host.port, tmp_path / "stranger", ansible_ssh_common_args="-o IdentitiesOnly=yes")
    project.extra["known_hosts"] = host.pinned

    outcome, words = reason(project, run_dir, order("a"))
    assert outcome == "unreachable"
    assert words.startswith(f"ssh: permission denied for {getpass.getuser()}@127.0.0.1 (publickey")


def test_a_port_where_nobody_listens_is_told_in_sshs_words(project: Any, run_dir: Path, order: Order) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        words = f"ssh: connect to host 127.0.0.1 port {port}: Connection refused"
        reach(project, "a", port)
        project.add("b")

        results = AnsibleApplier(Settings(run_dir), project.write).run_batch(order("a", "b")).results
        looks = {one.node: one for one in AnsibleObserver(Settings(run_dir), project.write).observe(["a", "b"])}
        seen = {results[0].reason, looks["a"].unreachable}
        for _ in range(5):
            if words in seen:
                break
            (again,) = AnsibleObserver(Settings(run_dir), project.write).observe(["a"])
            seen.add(again.unreachable)

    # ssh may be gone before Ansible has written the task to it: then Ansible does not pass on what ssh said.
    either = {words, "the connection was lost, and ssh gave no reason"}
    assert [one.outcome for one in results] == ["unreachable", "applied"]
    assert words in seen <= either
    assert looks["b"].unreachable == ""


def test_a_jump_host_is_held_to_its_pinned_key_too(project: Any, run_dir: Path, order: Order, host: Host) -> None:
    jump = f"-J {getpass.getuser()}@localhost:{host.port}"
    reach(project, "a", host.port, ansible_ssh_common_args=jump)
    project.extra["known_hosts"] = host.pinned
    applier = AnsibleApplier(Settings(run_dir, private_key=host.client_key), project.write)

    (refused,) = applier.run_batch(order("a")).results
    project.extra["known_hosts"] = host.pinned + host.pinned.replace("127.0.0.1", "localhost")
    (passed,) = applier.run_batch(order("a", batch_id="r1-0002")).results

    words = "its jump host closed the connection: is that one's host key pinned, and may you log in there?"
    assert (refused.outcome, refused.reason) == ("unreachable", words)
    assert (passed.outcome, passed.reason) == ("applied", "")


def test_ssh_keeps_connections_in_a_short_private_folder_of_this_run(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / "short"
    runtime.mkdir(mode=0o700)
    for base in (runtime, Path("/tmp/does-not-exist-here")):
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
        folder = socket_folder(run_dir)
        assert len(str(folder)) + 1 + 10 + 17 <= 107
        assert folder.stat().st_mode & 0o777 == 0o700
        assert folder != socket_folder(run_dir / "another")
        assert folder == socket_folder(run_dir)
    assert socket_folder(run_dir).parent == Path(f"/tmp/fleet-{os.geteuid()}")


def test_a_socket_folder_that_others_may_enter_is_refused(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / "r"
    (runtime / "fleet").mkdir(parents=True)
    (runtime / "fleet").chmod(0o755)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))

    with pytest.raises(UsageError, match="not a private folder of yours"):
        socket_folder(run_dir)
