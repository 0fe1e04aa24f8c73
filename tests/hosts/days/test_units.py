"""Units that do not come up."""

from tests.hosts.days.day import Day


def test_a_unit_that_never_gets_ready_is_told_with_its_state(day: Day) -> None:
    """Type=notify, and it never notifies: systemd gives it five seconds."""
    day.greet()
    day.checkout.edit("files/acme.service", "[Service]\n", "[Service]\nType=notify\nTimeoutStartSec=5\nRestart=no\n")
    day.checkout.commit("Wait for a word of acme")
    reason = day.fails("--node", "north-till-001")
    assert reason.startswith("acme.service did not start: failed, timeout, exit ")
    assert day.is_whole()
    day.checkout.edit("files/acme.service", "Type=notify\nTimeoutStartSec=5\nRestart=no\n", "")
    day.checkout.commit("Do not wait for a word of acme")
    day.heals()


def test_a_unit_that_is_restarted_again_and_again_is_told(day: Day) -> None:
    day.greet()
    day.checkout.edit("files/acme.service", "/bin/sleep infinity", "/bin/false\nRestart=always\nRestartSec=1")
    day.checkout.commit("Let acme end at once")
    reason = day.fails("--node", "north-till-001")
    assert reason.startswith("acme.service did not start: ")
    day.checkout.edit("files/acme.service", "/bin/false\nRestart=always\nRestartSec=1", "/bin/sleep infinity")
    day.checkout.commit("Let acme sleep again")
    day.heals()
