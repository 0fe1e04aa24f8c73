"""40 clusters of a server and an agent formed from nothing, beside an apply of as many nodes without K3s that hold as many
files, a secret of their site and a unit. Nodes are folders; both sides start with nothing each time, with as many nodes at
once.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from measuring import Command, Figures, measure, once
from table import Row

FLEET = str(Path(sys.executable).parent / "fleet")
CLUSTERS, FORKS = 40, 8
VERSION = "v1.36.3+k3s1"
CLUSTER = """\
apiVersion: fleet/v1alpha1
kind: Site
metadata: {{name: shop-{number:03}}}
spec:
  network: {{cidr: 10.20.{number}.0/24, gateway: 10.20.{number}.1}}
  nodes: [{{name: shop-{number:03}-a, role: server, arch: amd64, address: 10.20.{number}.11}}]
  nodeSets: [{{name: till, count: 1, role: agent, arch: amd64, addresses: 10.20.{number}.20-10.20.{number}.20}}]
"""
PLAIN = """\
apiVersion: fleet/v1alpha1
kind: Site
metadata: {{name: shop-{number:03}}}
spec:
  network: {{cidr: 10.20.{number}.0/24, gateway: 10.20.{number}.1}}
  nodeSets: [{{name: till, count: 2, role: none, arch: amd64, addresses: 10.20.{number}.20-10.20.{number}.21}}]
  os:
    files: [{{path: /etc/acme/token, content: "{{{{ secrets.own_{number:03} }}}}\n", mode: "0600", restart: [acme.service]}}]
"""
UNIT = """\
      - {path: /etc/systemd/system/acme.service, content: "[Service]\\nExecStart=/bin/true\\n", restart: [acme.service]}
"""
UNITS = "    units: [{name: acme.service, enabled: true, state: started}]\n"


class Shops:
    def __init__(self, folder: Path, site: str, count: int, spec: str, mirror: Path | None = None) -> None:
        self.folder, self.nodes = folder / "fleet", folder / "nodes"
        self.password = folder / "password"
        self.password.write_text("open sesame\n")
        (self.folder / "sites").mkdir(parents=True)
        (self.folder / ".gitignore").write_text(".fleet/\n")
        (self.folder / "fleet.yaml").write_text(spec)
        for number in range(count):
            (self.folder / f"sites/shop-{number:03}.yaml").write_text(site.format(number=number))
        self._git("init", "--quiet")
        if mirror is not None:
            shutil.copytree(mirror, self.folder / "mirror")
            self._fleet("lock")
            self._fleet("secret", "generate", "--vault-password-file", str(self.password))
        for number in range(count if mirror is None else 0):
            value = self.folder.parent / "value"
            value.write_text(f"{number:064}")
            where = ["--file", f"secrets/shop-{number:03}.yaml", "--from-file", str(value)]
            self._fleet("secret", "set", f"own_{number:03}", *where, "--vault-password-file", str(self.password))
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", "Shops")

    def _fleet(self, *words: str) -> None:
        once(Command([FLEET, *words], self.folder))

    def _git(self, *words: str) -> None:
        author = ("-c", "user.name=bench", "-c", "user.email=bench@acme.example")
        once(Command(["git", *author, *words], self.folder))

    @property
    def apply(self) -> Command:
        vault = ["--vault-password-file", str(self.password)]
        argv = [FLEET, "apply", "--yes", "--sandbox", str(self.nodes), "--forks", str(FORKS), *vault]
        return Command(argv, self.folder, before=self.forget)

    def forget(self) -> None:
        for path in (self.nodes, self.folder / ".fleet"):
            shutil.rmtree(path, ignore_errors=True)

    def held(self) -> dict[str, int]:
        """By node, how many files its record names."""
        records = self.nodes.glob("*/var/lib/fleet/record.json")
        found = {path.parts[-5]: json.loads(path.read_text()) for path in records}
        return {name: len(record["files"]) for name, record in found.items() if record["digest"]}


def compare(folder: Path, runs: int, scale: int) -> list[Row]:
    count = max(2, CLUSTERS // scale)
    once(Command([FLEET, "init", "example", "--example", "two-sites"], folder))
    mirror = folder / "example/mirror"
    head = "apiVersion: fleet/v1alpha1\nkind: Fleet\nmetadata: {name: shops}\nspec:\n"
    k3s = f'{head}  k3s: {{version: {VERSION}}}\n  artifacts: {{mirrors: ["file:mirror"]}}\n'
    (folder / "k3s").mkdir()
    formed = Shops(folder / "k3s", CLUSTER, count, k3s, mirror)
    once(formed.apply)
    files = max(formed.held().values())
    lines = [f'      - {{path: /etc/acme/{n}.conf, content: "{{{{ node.name }}}} {n}\\n"}}' for n in range(files - 2)]
    (folder / "plain").mkdir()
    plain = Shops(folder / "plain", PLAIN, count, f"{head}  os:\n    files:\n" + "\n".join(lines) + "\n" + UNIT + UNITS)
    took = measure({"formed": formed.apply, "plain": plain.apply}, runs)
    for shops in (formed, plain):
        if len(shops.held()) != 2 * count:
            raise SystemExit(f"{len(shops.held())} nodes of {shops.nodes} are done, not {2 * count}")
    if {*plain.held().values()} != {files}:
        raise SystemExit(f"the plain nodes hold {plain.held()} files, not {files}")
    return rows_of(took["formed"], took["plain"], 2 * count, files)


def rows_of(formed: Figures, plain: Figures, nodes: int, files: int) -> list[Row]:
    ours, theirs = (1000 * took.least / nodes for took in (formed, plain))
    return [
        Row(f"forming {nodes // 2} clusters, a node", f"{ours:.0f} ms CPU", f"<= {theirs:.0f} ms", ours <= theirs),
        Row(f"  plain apply, {nodes} nodes, {files} files each", f"{theirs:.0f} ms CPU a node"),
    ]
