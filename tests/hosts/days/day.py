"""A change of one host that meets with something: what `fleet` says of it, what is on the host then, and how it heals."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from tests.hosts.checkout import Said
from tests.hosts.ground import Ground
from tests.lab.host import Host

NODE = "north-till-001"
MOTD, CONF = "/etc/motd", "/etc/acme/acme.conf"
_NUMBERS = count(1)


class Day:
    """`host` is the node's. Its two files change with the greeting, and acme.service reads the second."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.checkout = ground.checkout
        self.host: Host = ground.hosts[NODE]
        self.others = {name: ground.moment(name) for name in ground.hosts if name != NODE}
        self.states: list[dict[str, str]] = [self._state()]

    def greet(self) -> None:
        """The change: a greeting that no test before has had."""
        text = f"day {next(_NUMBERS)}"
        self.ground.greet(NODE, text)
        self.states.append({MOTD: f"{text} to {NODE} at north\n", CONF: f"greeting={text}\nnode={NODE}\n"})

    def fails(self, *argv: str, event: str = "NodeFailed", code: int = 4) -> str:
        """Apply, and the reason that it gives for this node, the only one that fails."""
        said = self.checkout.fleet("apply", "--yes", "--json", *argv, code=code)
        (one,) = [*said.events("NodeFailed"), *said.events("NodeUnreachable")]
        assert (one["event"], one["node"]) == (event, NODE), said.text
        return str(one["reason"])

    def is_whole(self) -> bool:
        """Each file is as it was or as it shall be: never half, never gone."""
        now = self._state()
        return all(text in {state[path] for state in self.states} for path, text in now.items())

    def is_as_before(self) -> bool:
        return self._state() == self.states[0]

    def heals(self, *argv: str) -> Said:
        """The next run brings the node to what git says, no other one is touched, and nothing is left over."""
        said = self.checkout.fleet("apply", "--yes", "--json", *argv)
        assert [one["node"] for one in said.events("NodeApplied")] == [NODE], said.text
        assert self._state() == self.states[-1]
        assert self.host.unit_show("acme.service", "ActiveState") == {"ActiveState": "active"}
        assert self.checkout.plan("--refresh")["changing"] == 0
        left = self.host.run(["find", "/etc", "/usr/local", "-xdev", "-name", ".fleet-*"])
        assert left == "", "beside files that are in place stands nothing"
        assert self.ground.touched_since(self.others) == {}
        return said

    def _state(self) -> dict[str, str]:
        return {path: self.host.read(path) for path in (MOTD, CONF)}

    # ---- what happens

    @contextmanager
    def mounted(self, *mount: str, at: str) -> Iterator[None]:
        """Something is mounted on a folder of the host for a while."""
        self.host.run(["mount", *mount, at])
        try:
            yield
        finally:
            self.host.run(["umount", at])

    @contextmanager
    def read_only(self, folder: str) -> Iterator[None]:
        with self.mounted("--bind", folder, at=folder):
            self.host.run(["mount", "-o", "remount,bind,ro", folder])
            yield

    @contextmanager
    def full(self, folder: str) -> Iterator[str]:
        """The folder with its files, on a file system of its own that has not a byte left. Gives the path of the file
        that fills it.
        """
        filler = f"{folder}/filler"
        self._onto(folder, lambda: self.host.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder]))
        self.host.run(["sh", "-c", f"dd if=/dev/zero of={filler} bs=4k 2>/dev/null; true"])
        try:
            yield filler
        finally:
            self.host.run(["rm", "-f", filler])
            self._onto(folder, lambda: self.host.run(["umount", folder]))

    def _onto(self, folder: str, change: Callable[[], object]) -> None:
        """What is in a folder is in it again after something was mounted there, or is not any more."""
        self.host.run(["cp", "-a", folder, "/mnt/kept"])
        change()
        self.host.run(["find", folder, "-mindepth", "1", "-delete"])
        self.host.run(["cp", "-a", "/mnt/kept/.", folder])
        self.host.run(["rm", "-r", "/mnt/kept"])
