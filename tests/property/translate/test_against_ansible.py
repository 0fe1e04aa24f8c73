"""Random inventories, in which groups lie in groups and everything overrides everything: what fleet resolves an import to
is what `ansible-inventory` gives, value by value. Each example is large, since a process of Ansible's costs seconds.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet import Workspace
from fleet.model.translation import ImportOptions
from tests.golden.imports.against_ansible import hosts_of, listed, resolved

GROUPS, SITES, HOSTS, NAMES = 14, 3, 30, 9
VALUES = (
    1, 2, True, "a", "b", "1", "yes", "", 1.5, None, [], {}, [1, 2], [3], ["x", {"k": 1}], {"a": 1}, {"a": 2, "b": 1},
    {"c": {"d": 1}}, {"c": {"d": 2, "e": [1]}}, {"c": 5}, {"l": [{"name": "n", "x": 1}]}, {"l": [{"name": "m"}]},
    [{"name": "n", "x": 1}], [{"name": "m", "x": 2}], [{"name": "n", "y": 3}, {"name": "o"}], [{"path": "/p"}],
    [{"name": "n"}, {"other": 1}], "two\nlines\n", {"a": "x", "l": [1]},
)  # fmt: skip


class Inventory:
    """What is written out, made by chance of one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        chance = self._random
        self.groups: dict[str, dict[str, Any]] = {}
        for at in range(GROUPS):
            above = [f"g{other}" for other in range(at) if chance.random() < 0.25]
            self.groups[f"g{at}"] = {"above": above, "hosts": [], "vars": self._vars(0.5)}
            if chance.random() < 0.3:
                self.groups[f"g{at}"]["vars"]["ansible_group_priority"] = chance.randint(1, 12)
        for at in range(SITES):
            self.groups[f"s{at}"] = {"above": [], "hosts": [], "vars": self._vars(0.6)}
        self.hosts = {f"h{at}": self._vars(0.25) for at in range(HOSTS)}
        for host in self.hosts:
            for group in chance.sample(range(GROUPS), chance.randint(0, 4)):
                self.groups[f"g{group}"]["hosts"].append(host)
            self.groups[f"s{chance.randrange(SITES)}"]["hosts"].append(host)
        self.everyone = self._vars(0.5)
        files = [*self.groups, "all"]
        self.group_files = {group: self._vars(0.5) for group in chance.sample(files, len(files) // 3)}
        self.host_files = {host: self._vars(0.4) for host in chance.sample(list(self.hosts), HOSTS // 4)}
        self.is_ini = chance.random() < 0.4
        self.has_sites = chance.random() < 0.6

    def _vars(self, share: float) -> dict[str, Any]:
        return {f"v{at}": self._random.choice(VALUES) for at in range(NAMES) if self._random.random() < share}

    def write(self, folder: Path) -> Path:
        for kind, files in (("group_vars", self.group_files), ("host_vars", self.host_files)):
            (folder / kind).mkdir()
            for owner, values in files.items():
                (folder / kind / f"{owner}.json").write_text(json.dumps(values))
        hosts = folder / ("hosts.ini" if self.is_ini else "hosts.yml")
        hosts.write_text(self._ini() if self.is_ini else self._yaml())
        return hosts

    def _yaml(self) -> str:
        """JSON is YAML. Groups stand at the top, and once more where they are children."""
        top: dict[str, Any] = {"all": {"vars": self.everyone, "hosts": self.hosts}}
        for name, group in self.groups.items():
            top[name] = {"hosts": dict.fromkeys(group["hosts"]), "vars": group["vars"], "children": {}}
        for name, group in self.groups.items():
            for parent in group["above"]:
                top[parent]["children"][name] = None
        return json.dumps(top, indent=1)

    def _ini(self) -> str:
        lines = [f"{host} {self._words(own)}" for host, own in self.hosts.items()]
        for name, group in self.groups.items():
            lines += [f"[{name}]", *group["hosts"], f"[{name}:vars]"]
            lines += [f"{key}={value!r}" for key, value in group["vars"].items()]
            for parent in group["above"]:
                lines += [f"[{parent}:children]", name]
        lines += ["[all:vars]", *(f"{key}={value!r}" for key, value in self.everyone.items())]
        return "\n".join(lines) + "\n"

    def _words(self, own: dict[str, Any]) -> str:
        """shlex takes one layer of quotes, Python's literals have another."""
        return " ".join(f"{key}={json.dumps(repr(value))}" for key, value in own.items())


def without_nulls(value: Any) -> Any:
    """A null removes in a layer, so the variable is absent, which the report tells."""
    return {key: item for key, item in value.items() if item is not None}


@settings(max_examples=14, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1 << 32))
def test_every_host_has_what_ansible_gives_it(seed: int) -> None:
    made = Inventory(seed)
    folder = Path(tempfile.mkdtemp())
    try:
        hosts = made.write(folder)
        inventory = listed(hosts, folder / "home")
        options = ImportOptions(site_group=r"s\d" if made.has_sites else "")
        report = Workspace.open(folder).import_ansible(hosts, folder / "out", options)
        nodes = {node.name: node for node in resolved(folder / "out").nodes}
    finally:
        shutil.rmtree(folder)

    theirs = {host: without_nulls(inventory["_meta"]["hostvars"].get(host, {})) for host in made.hosts}
    ours = {host: nodes[host].settings.vars for host in made.hosts}
    assert {host: json.dumps(values, sort_keys=True) for host, values in ours.items()} == {
        host: json.dumps(values, sort_keys=True) for host, values in theirs.items()
    }
    assert {note.message.split(":")[0] for note in report.notes if note.severity == "warning"} <= {"null"}
    for group in report.groups:
        seen = {
            name for name, node in nodes.items() if {**node.labels, "site": node.site}.get(group.label) == group.value
        }
        assert seen == hosts_of(group.group, inventory), group
