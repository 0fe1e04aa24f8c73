"""2,000 nodes of which 20 change, against a fleet of those 20 alone: what the others cost. Nodes are folders."""

from __future__ import annotations

import sys
from pathlib import Path

from measuring import Command, Figures, measure, once
from table import Row

FLEET = str(Path(sys.executable).parent / "fleet")
SITES, PER_SITE, FORKS, LIMIT = 100, 20, 8, 10.0
DOCUMENT = """\
apiVersion: fleet/v1alpha1
kind: Fleet
metadata: {name: shops}
spec:
  os:
    files:
      - {path: /etc/motd, content: "{{ vars.greeting }} at {{ site.name }}, this is {{ node.name }}\\n"}
      - {path: /etc/acme/acme.conf, content: "node={{ node.name }}\\n"}
"""
SITE = """\
apiVersion: fleet/v1alpha1
kind: Site
metadata: {{name: {name}}}
spec:
  vars: {{greeting: {greeting}}}
  network: {{cidr: 10.{high}.{low}.0/24, gateway: 10.{high}.{low}.1}}
  nodeSets: [{{name: till, count: {count}, role: none, addresses: 10.{high}.{low}.10-10.{high}.{low}.200}}]
"""


class Shops:
    """A fleet of `sites` shops with `tills` nodes each, which are folders."""

    def __init__(self, folder: Path, sites: int, tills: int, document: str = DOCUMENT) -> None:
        self.tills = tills
        self.folder = folder / "fleet"
        self.nodes = folder / "nodes"
        self.rounds = 0
        (self.folder / "sites").mkdir(parents=True)
        (self.folder / "fleet.yaml").write_text(document)
        (self.folder / ".gitignore").write_text(".fleet/\n")
        for number in range(sites):
            self._write(number, "welcome")
        self._git("init", "--quiet")
        self._commit("Shops")

    @property
    def apply(self) -> list[str]:
        return [FLEET, "apply", "--yes", "--sandbox", str(self.nodes), "--forks", str(FORKS)]

    def greet(self) -> None:
        """Another greeting in one shop, committed."""
        self.rounds += 1
        self._write(0, f"round {self.rounds}")
        self._commit(f"Round {self.rounds}")

    def greeted(self) -> int:
        """How many nodes have the last greeting."""
        wanted = f"round {self.rounds} at shop-000, "
        return sum(path.read_text().startswith(wanted) for path in self.nodes.glob("*/etc/motd"))

    def _write(self, number: int, greeting: str) -> None:
        name = f"shop-{number:03}"
        text = SITE.format(name=name, greeting=greeting, high=number // 200, low=number % 200, count=self.tills)
        (self.folder / "sites" / f"{name}.yaml").write_text(text)

    def _commit(self, message: str) -> None:
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", message)

    def _git(self, *words: str) -> None:
        author = ("-c", "user.name=bench", "-c", "user.email=bench@acme.example")
        once(Command(["git", *author, *words], self.folder))


def compare(folder: Path, runs: int, scale: int) -> list[Row]:
    sites, tills = max(2, SITES // scale), max(2, PER_SITE // scale)
    large, small = Shops(folder / "large", sites, tills), Shops(folder / "small", 1, tills)
    first, _ = once(Command(large.apply, large.folder))
    once(Command(small.apply, small.folder))
    commands = {
        name: Command(shops.apply, shops.folder, before=shops.greet)
        for name, shops in (("large", large), ("small", small))
    }
    took = measure(commands, runs)
    for shops in (large, small):
        if shops.greeted() != tills:
            raise SystemExit(f"{shops.greeted()} nodes of {shops.nodes} were greeted, not {tills}")
    return rows_of(took["large"], took["small"], first, (sites * tills, tills))


def rows_of(large: Figures, small: Figures, first: float, counts: tuple[int, int]) -> list[Row]:
    more = large.least - small.least
    return [
        Row(f"apply, {counts[0]:,} nodes, all new", f"{first:.1f} s CPU"),
        Row(f"apply, {counts[0]:,} nodes, {counts[1]} changed", f"{large.least:.2f} s CPU"),
        Row(f"  apply, those {counts[1]} alone", f"{small.least:.2f} s CPU"),
        Row("  more than that", f"{more:.2f} s CPU", f"<= {LIMIT:g} s", more <= LIMIT),
    ]
