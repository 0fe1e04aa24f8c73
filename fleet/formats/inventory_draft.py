"""An inventory while its texts are read: several files make one, as Ansible joins them.

Source: ansible-core, ansible.inventory.data and ansible.plugins.inventory.
"""

from collections.abc import Callable, Mapping
from typing import Any

from fleet.formats import FormatError
from fleet.formats.inventory_graph import ALL, PRIORITY, UNGROUPED, Group, Inventory, Mark, Marks
from fleet.formats.inventory_hosts import MOST_HOSTS, expand


class PassedOverError(FormatError):
    """A mistake that Ansible itself only warns of: it goes on without what is wrong."""


Place = tuple[int, int]
Tell = Callable[[FormatError], None]


def stop_at_first(error: FormatError) -> None:
    """What is done about a mistake where nobody collects them."""
    raise error


class Draft:
    """`tell` gets every mistake that the readers find; where it comes back, they go on with the rest.

    `file` is the text that is read just now; marks carry it.
    """

    def __init__(self, tell: Tell = stop_at_first) -> None:
        self.tell = tell
        self.file = ""
        self.hosts: dict[str, dict[str, Any]] = {}
        self._lines: dict[str, int] = {}
        self._marks = Marks({}, {}, {}, {})
        self._members: dict[str, dict[str, None]] = {}
        self._children: dict[str, dict[str, None]] = {}
        self._vars: dict[str, dict[str, Any]] = {}
        self._parents: dict[str, dict[str, None]] = {}
        self.add_group(ALL, 1, 1)
        self.add_group(UNGROUPED, 1, 1)
        self._children[ALL][UNGROUPED] = None

    @property
    def groups(self) -> list[str]:
        return list(self._members)

    def add_group(self, name: str, line: int, column: int) -> None:
        if name not in self._members:
            self._members[name], self._children[name], self._vars[name], self._parents[name] = {}, {}, {}, {}
            self._marks.groups[name] = Mark(self.file, line, column)

    def add_child(self, parent: str, child: str, line: int, column: int) -> None:
        """Put a group below another. Raises FormatError where that closes a loop."""
        if child == parent or parent in self._below(child):
            problem = f"the group `{child}` would be inside itself"
            raise FormatError(problem, f"Remove it from the children of `{parent}`", line, column)
        self._children[parent][child] = None
        self._parents[child][parent] = None

    def _below(self, name: str) -> set[str]:
        found: set[str] = set()
        waiting = [name]
        while waiting:
            fresh = self._children[waiting.pop()].keys() - found
            found |= fresh
            waiting.extend(fresh)
        return found

    def set_group_vars(self, group: str, values: Mapping[str, Any], places: Mapping[str, Place]) -> None:
        """Raises FormatError for a priority that is no number."""
        if PRIORITY in values:
            _check_priority(values[PRIORITY], places[PRIORITY])
        self._vars[group].update(values)
        self._mark(self._marks.group_vars.setdefault(group, {}), places)

    def add_hosts(
        self, pattern: str, group: str, values: Mapping[str, Any], places: Mapping[str, Place], at: Place
    ) -> None:
        """Add what a pattern such as `node[01:40]:2222` names. Raises FormatError."""
        names, port = expand(pattern, *at)
        if len(self.hosts) + len(names) > MOST_HOSTS:
            raise FormatError(f"more than {MOST_HOSTS:,} hosts", "Split the inventory", *at)
        mark = Mark(self.file, *at)
        for name in names:
            is_new = name not in self.hosts
            own = self.hosts.setdefault(name, {})
            self._members[group][name] = None
            marks = self._marks.host_vars.setdefault(name, {})
            if is_new:
                self._lines[name], self._marks.hosts[name] = at[0], mark
                if port is not None:  # Ansible takes it from the first mention only
                    own["ansible_port"], marks["ansible_port"] = port, mark
            own.update(values)
            self._mark(marks, places)

    def _mark(self, marks: dict[str, Mark], places: Mapping[str, Place]) -> None:
        for name, place in places.items():
            marks[name] = Mark(self.file, *place)

    def finish(self) -> Inventory:
        """Join what has no place yet: hosts to `ungrouped`, groups to `all`, as Ansible does."""
        grouped = {host for name in self._members if name not in {ALL, UNGROUPED} for host in self._members[name]}
        self._members[UNGROUPED] = {host: None for host in self.hosts if host not in grouped}
        self._members[ALL] = {}
        for name in self._members:
            if name not in {ALL, UNGROUPED} and not self._parents[name]:
                self._children[ALL][name] = None
        groups = {
            name: Group(tuple(hosts), tuple(self._children[name]), self._vars[name])
            for name, hosts in self._members.items()
        }
        return Inventory(self.hosts, groups, self._lines, self._marks)


def _check_priority(value: Any, place: Place) -> None:
    try:
        int(value)
    except (TypeError, ValueError):
        raise FormatError(f"{PRIORITY} must be a whole number", "Write a number such as 10", *place) from None
