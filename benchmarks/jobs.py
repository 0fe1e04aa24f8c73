"""What is measured. Each job makes its ground in a fresh folder, and gives rows of the table."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from measuring import Command, Figures, environment, measure
from table import Row, at_most, times

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
FLEET = str(BIN / "fleet")
CHANGES = frozenset({3})
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Ground:
    """`folder` is new and empty; `scale` divides the node counts, for a quick try that proves nothing about targets."""

    folder: Path
    runs: int
    scale: int = 1


@dataclass(frozen=True)
class Content:
    """What one side of a comparison made: `text` names files, bytes and one sha256 over all."""

    text: str
    files: int
    size: int


Job = Callable[[Ground], list[Row]]


def start(ground: Ground) -> list[Row]:
    """What every call of the command costs, with nothing to do."""
    retail = make_retail(ground.folder / "retail")
    took = measure({verb: Command([FLEET, verb], retail) for verb in ("--help", "status")}, ground.runs)
    return [at_most(f"fleet {verb}", figures.least, 0.35) for verb, figures in took.items()]


def plan_retail(ground: Ground) -> list[Row]:
    """A committed repository that was never planned: no records, nothing cached."""
    retail = make_retail(ground.folder / "retail")
    command = Command([FLEET, "plan"], retail, CHANGES, before=lambda: forget(retail))
    took = measure({"plan": command}, ground.runs)["plan"]
    made = content("fleet_files.py", retail)
    return [at_most("plan, retail, 10,000 nodes", took.least, 2.5, files=made.files, size=made.size), memory_of(took)]


def plan_exploded(ground: Ground) -> list[Row]:
    """Against the best script that a user would write, which only renders the same files."""
    nodes = 10_000 // ground.scale
    folder, size = make_exploded(ground.folder / "exploded", nodes)
    ours, theirs = content("fleet_files.py", folder), content("naive_exploded.py", folder)
    if ours.text != theirs.text:
        raise SystemExit(f"the two sides differ:\nfleet  {ours.text}\nnaive  {theirs.text}")
    commands = {
        "fleet": Command([FLEET, "plan"], folder, CHANGES, before=lambda: forget(folder)),
        "naive": Command([sys.executable, str(HERE / "naive_exploded.py"), str(folder)], folder),
    }
    took = measure(commands, ground.runs)
    fleet, naive = took["fleet"].least, took["naive"].least
    return [
        Row("exploded, 10,000 nodes: its YAML", f"{size / MEGABYTE:.2f} MB", ">= 4.5 MB", size >= 4.5 * MEGABYTE),
        at_most("plan, exploded, 10,000 nodes", fleet, 4, files=ours.files, size=ours.size),
        Row("  naive script, same sha256", f"{naive:.2f} s CPU", files=theirs.files, size=theirs.size),
        times("  fleet against naive", took["naive"], took["fleet"], 2),
    ]


def growth(ground: Ground) -> list[Row]:
    """Nodes against CPU and memory: a node may not cost more in a large fleet than in a small one."""
    counts = [count // ground.scale for count in (1_000, 10_000, 100_000)]
    commands = {}
    for count in counts:
        folder, _ = make_exploded(ground.folder / f"exploded-{count}", count)
        commands[str(count)] = Command([FLEET, "plan"], folder, CHANGES, before=lambda at=folder: forget(at))
    took = measure(commands, ground.runs)
    small, middle, large = (took[str(count)] for count in counts)
    ratio = large.least / small.least
    return [
        at_most("plan, exploded, 1,000 nodes", small.least, 0.5),
        memory_of(small),
        Row("plan, exploded, 10,000 nodes, again", f"{middle.least:.2f} s CPU"),
        memory_of(middle),
        at_most("plan, exploded, 100,000 nodes", large.least, 20),
        memory_of(large, 1_000 * MEGABYTE),
        Row("  100 times the nodes", f"{ratio:.0f} times the CPU", "<= 100 times", ratio <= 100),
    ]


def render(ground: Ground) -> list[Row]:
    """The whole tree onto disk; beside it what the same files cost a loop of open and write on this disk."""
    retail, out, bare = make_retail(ground.folder / "retail"), ground.folder / "out", ground.folder / "bare"
    rounds = iter(range(1_000_000))

    def fresh() -> None:
        """Another folder each time: deleting first would make creating dearer (ext4)."""
        for folder in (out, bare):
            if folder.exists():
                folder.rename(ground.folder / f"{folder.name}-{next(rounds)}")

    commands = {
        "fresh": Command([FLEET, "render", str(out)], retail, before=fresh),
        "loop": Command([sys.executable, str(HERE / "write_tree.py"), str(out), str(bare)], retail),
        "same": Command([FLEET, "render", str(out)], retail),
    }
    took = measure(commands, ground.runs)
    files = [path.stat().st_size for path in out.rglob("*") if path.is_file()]
    return [
        at_most("render, retail, 10,000 nodes, fresh", took["fresh"].least, 6, files=len(files), size=sum(files)),
        Row(
            "  a loop that writes the same files", f"{took['loop'].least:.2f} s CPU", files=len(files), size=sum(files)
        ),
        at_most("render, retail, 10,000 nodes, unchanged", took["same"].least, 2.5),
    ]


def inventory(ground: Ground) -> list[Row]:
    """Against ansible-inventory on what `fleet render` wrote of the same fleet."""
    nodes = 2_000 // ground.scale
    folder, _ = make_exploded(ground.folder / "exploded", nodes)
    rendered = ground.folder / "rendered"
    call([FLEET, "render", str(rendered)], folder)
    ours, theirs = ground.folder / "fleet.json", ground.folder / "ansible.json"
    commands = {
        "fleet": Command([FLEET, "inventory", "--list"], folder, output=ours),
        "ansible": Command([str(BIN / "ansible-inventory"), "--list"], rendered, output=theirs),
    }
    took = measure(commands, ground.runs)
    if listing(ours) != listing(theirs):
        raise SystemExit(f"{ours} and {theirs} differ")
    fleet, ansible = took["fleet"].least, took["ansible"].least
    return [
        Row("fleet inventory --list, 2,000 hosts", f"{fleet:.2f} s CPU", files=1, size=ours.stat().st_size),
        Row("  ansible-inventory --list, equal", f"{ansible:.2f} s CPU", files=1, size=theirs.stat().st_size),
        times("  fleet against ansible-inventory", took["ansible"], took["fleet"], 20),
    ]


def imports(ground: Ground) -> list[Row]:
    """An inventory of 10,000 hosts becomes a spec; the other side only lists it. Both give each host the same variables."""
    source, shops, shared = (ground.folder / name for name in ("source", "shops", "shared"))
    call([sys.executable, str(HERE / "large_inventory.py"), str(source), str(10_000 // ground.scale)], ground.folder)
    theirs = ground.folder / "ansible.json"
    verb = [FLEET, "import", "ansible", str(source)]
    commands = {
        "shops": Command([*verb, "--site-group", "shop_.*", "--out", str(shops)], ground.folder, before=gone(shops)),
        "shared": Command([*verb, "--out", str(shared)], ground.folder, before=gone(shared)),
        "ansible": Command([str(BIN / "ansible-inventory"), "-i", str(source), "--list"], ground.folder, output=theirs),
    }
    took = measure(commands, ground.runs)
    listed = {
        host: own_variables(found) for host, found in json.loads(theirs.read_bytes())["_meta"]["hostvars"].items()
    }
    for folder in (shops, shared):
        if json.loads(call([sys.executable, str(HERE / "imported_vars.py"), str(folder)], ground.folder)) != listed:
            raise SystemExit(f"{folder} and {theirs} differ")
    files = [path.stat().st_size for path in shops.rglob("*.yaml")]
    return [
        at_most("import, 10,000 hosts, a site a shop", took["shops"].least, 10, files=len(files), size=sum(files)),
        at_most("import, 10,000 hosts, one site", took["shared"].least, 10),
        memory_of(took["shared"]),
        Row(
            "  ansible-inventory --list, equal",
            f"{took['ansible'].least:.2f} s CPU",
            files=1,
            size=theirs.stat().st_size,
        ),
        times("  fleet against ansible-inventory", took["ansible"], took["shared"], 5),
    ]


def secrets(ground: Ground) -> list[Row]:
    """1,250 vault files, and the real ansible-vault on the same."""
    import vaults

    return vaults.compare(ground.folder, ground.runs, ground.scale)


def forming_clusters(ground: Ground) -> list[Row]:
    """40 clusters from nothing, beside as many nodes without K3s."""
    import forming

    return forming.compare(ground.folder, ground.runs, ground.scale)


def rehearse(ground: Ground) -> list[Row]:
    """A rollout of ten times retail, with pretend nodes."""
    import rehearsed

    return rehearsed.compare(make_retail(ground.folder / "retail"), ground.runs, ground.scale)


def few_changed(ground: Ground) -> list[Row]:
    """2,000 nodes of which 20 change. The first apply of all of them takes minutes."""
    import few

    return few.compare(ground.folder, ground.runs, ground.scale)


def batch_by_batch(ground: Ground) -> list[Row]:
    """40 batches of 50, which take a quarter of an hour on each side."""
    import batches

    return batches.compare(ground.folder, ground.runs, ground.scale)


def some_are_off(ground: Ground) -> list[Row]:
    """Seconds of a clock: what is measured is waiting."""
    import away

    return away.compare(ground.folder, ground.runs, ground.scale)


def decide(ground: Ground) -> list[Row]:
    """The decider alone: no journal, no work."""
    import decided

    return decided.decided(ground.runs, ground.scale)


def kept_journal(ground: Ground) -> list[Row]:
    """The engine and the journal with pretend nodes."""
    import journal

    return journal.journal(ground.folder, ground.runs, ground.scale)


def on_hosts(ground: Ground) -> list[Row]:
    """Against a play, on real hosts. Needs root, and what the lab needs."""
    import hosts

    return hosts.compare(ground.folder, ground.runs, max(2, hosts.HOSTS // ground.scale))


def own_variables(found: dict[str, object]) -> dict[str, object]:
    """Without those that became the node's address and connection."""
    return {name: value for name, value in found.items() if not name.startswith("ansible_")}


def gone(folder: Path) -> Callable[[], None]:
    return lambda: shutil.rmtree(folder, ignore_errors=True)


JOBS: dict[str, Job] = {
    "start": start, "retail": plan_retail, "exploded": plan_exploded, "growth": growth, "render": render,
    "inventory": inventory, "imports": imports, "secrets": secrets, "forming": forming_clusters,
    "few": few_changed, "batches": batch_by_batch, "away": some_are_off, "decide": decide, "journal": kept_journal, "simulate": rehearse, "hosts": on_hosts,
}  # fmt: skip
LONG = ("secrets", "forming", "few", "batches", "away", "decide", "journal", "simulate", "hosts")
"""Only those who name them wait for them."""


def make_retail(folder: Path) -> Path:
    call([FLEET, "init", str(folder), "--example", "retail"], folder.parent)
    commit(folder)
    return folder


def make_exploded(folder: Path, nodes: int) -> tuple[Path, int]:
    """The folder, and how many bytes of YAML it holds."""
    call([sys.executable, str(HERE / "exploded.py"), str(folder), str(nodes)], folder.parent)
    commit(folder)
    return folder, sum(path.stat().st_size for path in folder.rglob("*.yaml"))


def commit(folder: Path) -> None:
    """`.fleet` stays out of git, so that what is planned is the commit."""
    (folder / ".gitignore").write_text(".fleet/\n")
    author = ["-c", "user.name=bench", "-c", "user.email=bench@acme.example"]
    for words in (["init", "--quiet"], ["add", "--all"], [*author, "commit", "--quiet", "--message", "All of it"]):
        call(["git", *words], folder)


def content(program: str, folder: Path) -> Content:
    """What a side's program says: `N files, N bytes, sha256 HEX`."""
    said = call([sys.executable, str(HERE / program), str(folder)], folder)
    words = said.split()
    return Content(said, int(words[0]), int(words[2]))


def forget(folder: Path) -> None:
    """All that fleet kept of earlier runs."""
    shutil.rmtree(folder / ".fleet", ignore_errors=True)


def listing(path: Path) -> object:
    """Without `_meta.profile`, which says which version of Ansible's own output this is."""
    found = json.loads(path.read_bytes())
    found["_meta"].pop("profile", None)
    return found


def memory_of(took: Figures, limit: int = 0) -> Row:
    measured = f"{took.memory / MEGABYTE:.0f} MB"
    if not limit:
        return Row("  highest resident memory", measured)
    return Row("  highest resident memory", measured, f"<= {limit / MEGABYTE:.0f} MB", took.memory <= limit)


def call(argv: Sequence[str], cwd: Path) -> str:
    done = subprocess.run(argv, cwd=cwd, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout
