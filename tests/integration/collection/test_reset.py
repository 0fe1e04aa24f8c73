"""reset.yml asks twice, and gives back all but K3s: sandboxes, with the stock ansible-playbook."""

from __future__ import annotations

from typing import Any

import pytest

K3S = "/etc/rancher/k3s/config.yaml"


@pytest.fixture
def used(project: Any) -> Any:
    """Two nodes that had a file and a K3s of their own before."""
    for node in ("a", "b"):
        for path in ("/etc/motd", K3S):
            place = project.sandbox(node) / path.lstrip("/")
            place.parent.mkdir(parents=True)
            place.write_text("theirs\n")
        project.nodes[node] = {"files": [project.file(path, b"ours\n") for path in ("/etc/motd", K3S, "/srv/x")]}
    assert project.apply().code == 0
    for node in ("a", "b"):
        data = project.sandbox(node) / "var/lib/rancher/k3s/server"
        data.mkdir(parents=True)
        (data / "token").write_text("t0ken")
    return project


def files(used: Any, node: str) -> dict[str, str]:
    root = used.sandbox(node)
    return {f"/{path.relative_to(root)}": path.read_text() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--limit", "a"),
        ("--limit", "a", "-e", "fleet_reset=b"),
        ("-e", "fleet_reset=a"),
        ("-e", "fleet_reset=all"),
        ("--limit", "a", "-e", "fleet_reset="),
    ],
)
def test_nothing_is_done_unless_each_host_is_named_twice(used: Any, words: tuple[str, ...]) -> None:
    before = {node: files(used, node) for node in ("a", "b")}
    done = used.play(*words, book="reset.yml", machine=False)
    assert done.code == 2
    assert "This would remove K3s with all of its data" in done.output
    assert {node: files(used, node) for node in ("a", "b")} == before


def test_what_was_before_comes_back_but_nothing_of_k3s(used: Any) -> None:
    other = files(used, "b")
    assert used.play("--limit", "a", "-e", "fleet_reset=a", book="reset.yml").code == 0
    found = files(used, "a")
    assert found.pop("/etc/machine-id")
    assert found == {"/etc/motd": "theirs\n"}
    assert not (used.sandbox("a") / "var/lib/rancher").exists()
    assert files(used, "b") == other
    again = used.play("--limit", "a", "-e", "fleet_reset=a", book="reset.yml")
    assert (again.code, again.stats["a"]["changed"]) == (0, 0)


def test_another_fleets_host_is_not_touched(used: Any) -> None:
    before = files(used, "a")
    used.hostvars["a"] = {"fleet_name": "other"}
    used.write()
    done = used.play("--limit", "a", "-e", "fleet_reset=a", book="reset.yml", machine=False)
    assert done.code == 2
    assert "this host is of fleet `acme`, not `other`" in done.output
    assert files(used, "a") == before
