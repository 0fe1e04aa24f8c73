"""Hosts that go away in the middle."""

import time

from tests.hosts.checkout import Running
from tests.hosts.days.day import NODE, Day

SLOW = "ExecStartPre=/bin/sleep 8\n"


def started(day: Day) -> Running:
    """A run that is in the middle of the node's units."""
    day.checkout.edit("files/acme.service", "ExecStart=", f"{SLOW}ExecStart=")
    day.greet()
    running = day.checkout.start("apply", "--yes", "--json", "--node", NODE)
    running.wait_for("BatchStarted")
    deadline = time.monotonic() + 60
    while day.host.unit_show("acme.service", "ActiveState")["ActiveState"] != "activating":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return running


def mend(day: Day) -> None:
    day.checkout.edit("files/acme.service", f"{SLOW}ExecStart=", "ExecStart=")
    day.checkout.commit("Start acme at once")


def test_a_host_that_loses_its_power_in_the_middle_is_told_and_comes_to_what_git_says(day: Day) -> None:
    running = started(day)
    day.host.kill()
    said = running.end()
    assert said.code == 4, said.text
    (one,) = said.events("NodeUnreachable")
    assert one["node"] == NODE
    day.host.start()
    day.host.wait_running()
    assert day.is_whole()
    mend(day)  # git has gone on: what came through meanwhile is known to be our own
    day.heals()


def test_a_host_that_reboots_in_the_middle_is_told_and_comes_to_what_git_says(day: Day) -> None:
    running = started(day)
    day.host.reboot()
    said = running.end()
    assert said.code == 4, said.text
    (one,) = [*said.events("NodeUnreachable"), *said.events("NodeFailed")]
    assert one["node"] == NODE
    assert day.is_whole()
    mend(day)  # git has gone on: what came through meanwhile is known to be our own
    day.heals()


def test_a_host_that_loses_its_link_in_the_middle_is_told_and_comes_to_what_git_says(day: Day) -> None:
    running = started(day)
    day.host.link_down()
    said = running.end()
    assert said.code == 4, said.text
    (one,) = said.events("NodeUnreachable")
    assert one["node"] == NODE
    assert any(words in one["reason"] for words in ("timed out", "No route", "the connection was lost"))
    day.host.link_up()
    assert day.is_whole()
    mend(day)  # git has gone on: what came through meanwhile is known to be our own
    day.heals()
