"""Mirrors that send half of a file, another file, or next to nothing. The agent's binary is gone, and is fetched anew."""

from collections.abc import Iterator

import pytest

from tests.hosts.days.day import Day
from tests.hosts.ground import OLD

K3S = "/usr/local/bin/k3s"


@pytest.fixture
def gone(day: Day) -> Iterator[Day]:
    """The binary is not there, and fleet has seen it."""
    day.host.run(["mv", K3S, "/root/k3s"])
    assert day.checkout.plan("--refresh")["changing"] == 1
    yield day
    day.ground.lab.mirror.mend()
    if day.host.run(["sh", "-c", f"test -e {K3S}; echo $?"]).strip() != "0":
        day.host.run(["mv", "/root/k3s", K3S])


def test_half_a_file_is_told_and_the_next_run_asks_for_the_other_half(gone: Day) -> None:
    mirror = gone.ground.lab.mirror
    mirror.break_(f"{OLD}/k3s", "short")
    reason = gone.fails()
    assert "10.77.0.1" in reason
    assert "bytes arrived" in reason
    assert not _is_there(gone)
    mirror.mend()
    seen = len(mirror.requests())
    gone.heals()
    (rest,) = [one for one in mirror.requests()[seen:] if one.path.endswith("/k3s")]
    size = int(gone.host.run(["stat", "--format=%s", K3S]))
    assert (rest.status, rest.bytes) == (206, size - size // 2)
    assert _same(gone)


def test_another_file_is_told_with_both_sums_and_never_put_in_place(gone: Day) -> None:
    mirror = gone.ground.lab.mirror
    mirror.break_(f"{OLD}/k3s", "corrupt")
    reason = gone.fails()
    assert "sha256 is " in reason
    assert "http://10.77.0.1/k3s/" in reason
    assert not _is_there(gone)
    mirror.mend()
    gone.heals()
    assert _same(gone)


def test_one_byte_a_second_is_given_up_after_a_while_without_progress(gone: Day) -> None:
    mirror = gone.ground.lab.mirror
    mirror.break_(f"{OLD}/k3s", "slow")
    reason = gone.fails()
    assert "http://10.77.0.1/k3s/" in reason
    assert "30 s" in reason
    assert not _is_there(gone)
    mirror.mend()
    gone.heals()
    assert _same(gone)


def _is_there(day: Day) -> bool:
    return day.host.run(["sh", "-c", f"test -e {K3S} && echo there; true"]) == "there\n"


def _same(day: Day) -> bool:
    first, second = (day.host.run(["sha256sum", path]).split()[0] for path in (K3S, "/root/k3s"))
    return first == second
