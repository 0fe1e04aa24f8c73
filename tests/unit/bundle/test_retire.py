"""A host that is given back: what was there before comes back, what the fleet brought goes, its record last."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

UNIT = b"[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
BACK = {"retire": True, "fleet": "acme", "node": "lyon-1-a"}


def held(desk: Any) -> dict[str, Any]:
    """A node that was applied twice; what its files were before."""
    desk.path("/etc/motd").write_bytes(b"theirs\n")
    before = desk.contents()
    desk.file("/etc/motd", b"ours\n")
    desk.file("/srv/deep/down", b"one\n")
    desk.file("/etc/systemd/system/a.service", UNIT, restart=["a.service"])
    desk.units = [{"name": "a.service", "enabled": True, "state": "started"}]
    desk.ok()
    desk.file("/srv/deep/down", b"two\n")
    desk.ok()
    return before  # type: ignore[no-any-return]


def test_all_goes_and_what_was_there_comes_back(desk: Any) -> None:
    before = held(desk)
    result = desk.ok(**BACK)
    assert (result["changed"], result["record"], result["before_digest"]) == (True, {}, desk.digest())
    assert desk.contents() == before
    assert not desk.path("/srv").exists()
    assert not desk.path("/etc/systemd/system/multi-user.target.wants").exists()
    assert not desk.path("/var/lib/fleet").exists()


def test_a_unit_of_ours_is_stopped_and_disabled(desk: Any) -> None:
    held(desk)
    calls = []
    pretended = desk.module.Pretended
    call = pretended.call

    def told(self: Any, verb: str, names: list[str]) -> str:
        calls.append((verb, *names))
        return str(call(self, verb, names))

    pretended.call = told
    try:
        desk.ok(**BACK)
    finally:
        pretended.call = call
    assert calls == [("stop", "a.service"), ("disable", "a.service")]


def test_a_check_writes_nothing(desk: Any) -> None:
    held(desk)
    before = desk.snapshot()
    result = desk.ok(**BACK, check=True)
    assert {change["action"] for change in result["changes"]} >= {"restore", "remove"}
    assert desk.snapshot() == before


def test_a_host_without_a_record_is_left_alone(desk: Any) -> None:
    desk.path("/etc/motd").write_bytes(b"theirs\n")
    before = desk.snapshot()
    assert desk.ok(**BACK)["changed"] is False
    assert desk.snapshot() == before


def test_another_fleets_node_is_not_given_back(desk: Any) -> None:
    held(desk)
    before = desk.snapshot()
    assert "fleet `acme` holds this node, not `other`" in desk.refused(**{**BACK, "fleet": "other"})
    assert "this machine is node `lyon-1-a`, not `lyon-1-b`" in desk.refused(**{**BACK, "node": "lyon-1-b"})
    assert "machine-id: " in desk.refused(**BACK, machine_id="f" * 32)
    assert desk.snapshot() == before


def test_killed_anywhere_the_next_run_goes_on(desk: Any, memory: Path, fleet_bundle: Any) -> None:
    """The record goes last: until then everything that it knows of can be taken away again."""
    nth = killed = 0
    while True:
        nth += 1
        one = type(desk)(fleet_bundle, memory / str(nth))
        before = held(one)
        opts = one.options(**BACK)
        child = os.fork()
        if child == 0:
            left = nth
            for name in ("unlink", "rmdir", "rename", "fsync"):
                real = getattr(os, name)

                def deadly(*args: Any, real: Any = real, **kwargs: Any) -> Any:
                    nonlocal left
                    left -= 1
                    if not left:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return real(*args, **kwargs)

                setattr(os, name, deadly)
            one.module.run(opts)
            os._exit(0)
        was_killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        killed += was_killed
        one.ok(**BACK)
        assert one.contents() == before, nth
        assert not one.path("/var/lib/fleet").exists(), nth
        if not was_killed:
            break
    assert killed > 20


def test_without_some_paths_what_was_there_does_not_come_back(desk: Any) -> None:
    """What reset.yml says of K3s: of a path, and of all below it."""
    for path in ("/etc/motd", "/etc/rancher/k3s/config.yaml", "/etc/rancher/k3s-own", "/usr/local/bin/k3s"):
        desk.path(path).parent.mkdir(parents=True, exist_ok=True)
        desk.path(path).write_bytes(b"theirs\n")
        desk.file(path, b"ours\n")
    desk.ok()
    desk.ok(**BACK, without=["/etc/rancher/k3s", "/usr/local/bin/k3s"])
    assert {path for path, (_, data) in desk.contents().items() if data == b"theirs\n"} == {
        "/etc/motd",
        "/etc/rancher/k3s-own",
    }
    assert not desk.path("/usr/local/bin/k3s").exists()
    assert not desk.path("/etc/rancher/k3s/config.yaml").exists()
