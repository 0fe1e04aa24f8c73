"""Disks that are full, that went read-only, or on which nothing may be run."""

import pytest

from tests.hosts.days.day import CONF, Day


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("/var/lib/fleet", "No space left on device (make room on it; nothing is half written)"),
        ("/etc/acme", "bytes are needed, 0 are free: make room on it"),
    ],
)
def test_a_full_disk_is_told_and_nothing_is_half_written(day: Day, folder: str, words: str) -> None:
    day.greet()
    with day.full(folder) as filler:
        reason = day.fails()
        assert words in reason
        assert folder in reason
        assert day.is_as_before()
        day.host.run(["rm", filler])
        day.heals()


def test_where_an_artifact_has_no_room_it_is_told_before_a_byte_of_it_is_kept(day: Day) -> None:
    day.host.run(["rm", "/usr/local/bin/k3s"])
    day.checkout.plan("--refresh")
    with day.full("/usr/local/bin") as filler:
        reason = day.fails()
        assert reason.startswith("room: /usr/local/bin/k3s: ")
        assert reason.endswith(" bytes are needed, 0 are free: make room on it")
        day.host.run(["rm", filler])
        day.heals()
    assert day.host.run(["k3s", "--version"]).startswith("k3s version ")


def test_a_read_only_etc_is_told_by_path_with_what_to_do(day: Day) -> None:
    day.greet()
    with day.read_only("/etc"):
        reason = day.fails()
    assert reason.startswith(f"write: {CONF}: Read-only file system (a disk that fails goes read-only: ")
    assert day.is_as_before()
    day.heals()


def test_where_nothing_may_be_run_from_temporary_folders_and_homes_it_goes_on_all_the_same(day: Day) -> None:
    day.greet()
    with (
        day.mounted("-t", "tmpfs", "-o", "noexec", "tmpfs", at="/tmp"),
        day.mounted("-t", "tmpfs", "-o", "noexec", "tmpfs", at="/var/tmp"),
        day.mounted("--bind", "/home", at="/home"),
    ):
        day.host.run(["mount", "-o", "remount,bind,noexec", "/home"])
        day.heals()
