"""Files and folders on the host that are not what they were."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.hosts.days.day import CONF, MOTD, NODE, Day


def test_a_file_that_became_a_folder_is_told_and_its_content_is_not_deleted(day: Day) -> None:
    day.greet()
    day.host.run(["rm", MOTD])
    day.host.run(["mkdir", MOTD])
    day.host.run(["touch", f"{MOTD}/kept"])
    assert day.fails() == f"look: {MOTD}: is not a regular file"
    assert day.host.run(["ls", MOTD]) == "kept\n"
    day.host.run(["rm", "-r", MOTD])
    day.heals()


def test_an_immutable_file_is_told_with_how_to_make_it_writable(day: Day) -> None:
    day.greet()
    day.host.run(["chattr", "+i", CONF])
    try:
        assert day.fails() == f"write: {CONF}: it is immutable: chattr -i {CONF}"
        assert day.is_as_before()
    finally:
        day.host.run(["chattr", "-i", CONF])
    day.heals()


def test_an_immutable_folder_is_told(day: Day) -> None:
    day.greet()
    day.host.run(["chattr", "+i", "/etc/acme"])
    try:
        assert day.fails() == f"write: {CONF}: /etc/acme is immutable: chattr -i /etc/acme"
        assert day.is_as_before()
    finally:
        day.host.run(["chattr", "-i", "/etc/acme"])
    day.heals()


def test_a_folder_that_became_a_link_of_somebody_else_is_not_followed(day: Day) -> None:
    day.greet()
    with replaced(day):
        day.host.run(["ln", "-s", "/etc", "/etc/acme"])
        day.host.run(["chown", "-h", "fleet", "/etc/acme"])
        reason = day.fails()
        assert "/etc/acme" in reason
        assert "link" in reason
        assert not is_in_etc(day)
    day.heals()


def test_a_folder_that_becomes_a_link_while_the_run_goes_on_is_not_followed(day: Day) -> None:
    """The check of the file's content, which runs before the file is put in its place, swaps its folder. root may: the
    link would have been followed had it been there before.
    """
    swap = "sh -c 'mv /etc/acme /root/acme; ln -s /etc /etc/acme; test -e {file}'"
    day.checkout.edit("profiles/base.yaml", "validate: grep -q ^greeting= {file}", f'validate: "{swap}"')
    day.greet()
    with replaced(day, by_itself=True):
        reason = day.fails("--node", NODE)
        assert "/etc/acme" in reason
        assert "became another folder" in reason
        assert not is_in_etc(day)
    day.checkout.edit("profiles/base.yaml", f'validate: "{swap}"', "validate: grep -q ^greeting= {file}")
    day.checkout.commit("Check the file again")
    day.heals()


@contextmanager
def replaced(day: Day, *, by_itself: bool = False) -> Iterator[None]:
    """/etc/acme is out of the way, and comes back."""
    if not by_itself:
        day.host.run(["mv", "/etc/acme", "/root/acme"])
    try:
        yield
    finally:
        day.host.run(["rm", "/etc/acme"])
        day.host.run(["mv", "/root/acme", "/etc/acme"])


def is_in_etc(day: Day) -> bool:
    return day.host.run(["sh", "-c", "ls -A /etc | grep -c acme.conf; true"]) != "0\n"
