"""Hosts that go away in the middle."""

import time

from tests.hosts.checkout import Running
from tests.hosts.days.day import NODE, Day

SLOW = "/etc/systemd/system/acme.service.d/slow.conf"
"""Not fleet's: an operator's own, which gives a test time while the unit starts."""


def started(day: Day) -> Running:
    """A run that is in the middle of the node's units."""
    day.host.run(["mkdir", "-p", SLOW.rpartition("/")[0]])
    day.host.write(SLOW, "[Service]\nExecStartPre=/bin/sleep 8\n")
    day.host.run(["systemctl", "daemon-reload"])
    day.greet()
    running = day.checkout.start("apply", "--yes", "--json")
    running.wait_for("BatchStarted")
    deadline = time.monotonic() + 60
    while day.host.unit_show("acme.service", "ActiveState")["ActiveState"] != "activating":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return running


def goes_on(day: Day) -> None:
    """git has gone on meanwhile: what came through before is known to be our own, and nobody has to say so."""
    assert day.is_whole()
    day.host.run(["rm", "-r", SLOW.rpartition("/")[0]])
    day.host.run(["systemctl", "daemon-reload"])
    day.greet()
    day.heals()


def test_a_host_that_loses_its_power_in_the_middle_is_told_and_comes_to_what_git_says(day: Day) -> None:
    running = started(day)
    day.host.kill()
    said = running.end()
    assert said.code == 4, said.text
    (one,) = said.events("NodeUnreachable")
    assert one["node"] == NODE
    day.host.start()
    day.host.wait_running()
    goes_on(day)


def test_a_host_that_reboots_in_the_middle_is_told_and_comes_to_what_git_says(day: Day) -> None:
    running = started(day)
    day.host.reboot()
    said = running.end()
    assert said.code == 4, said.text
    (one,) = [*said.events("NodeUnreachable"), *said.events("NodeFailed")]
    assert one["node"] == NODE
    goes_on(day)


def test_a_host_that_loses_its_link_in_the_middle_is_told_and_comes_to_what_git_says(day: Day) -> None:
    running = started(day)
    day.host.link_down()
    said = running.end()
    assert said.code == 4, said.text
    (one,) = said.events("NodeUnreachable")
    assert one["node"] == NODE
    assert any(words in one["reason"] for words in ("timed out", "No route", "the connection was lost"))
    day.host.link_up()
    goes_on(day)
