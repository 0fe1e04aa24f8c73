"""What fleet renders for a fleet, as one sha256: to show that both sides of a benchmark make the same files.

python benchmarks/fleet_files.py DIR [--files]
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from fleet.adapters.git import GitSource
from fleet.adapters.share import shipped
from fleet.operations.intent import read_intent
from fleet.testing import MemoryRecords


def main(folder: Path, *, listed: bool) -> None:
    intent = read_intent(GitSource(folder).read(), MemoryRecords(), shipped().texts, str(folder))
    made = []
    for node in intent.fleet.nodes:
        bundle = intent.renderer.bundle(node)
        made += [(node.name, file.path, file.sha256, file.size) for file in bundle.files if file.sha256]
    total = hashlib.sha256()
    for node_name, path, sha256, _ in sorted(made):
        total.update(f"{node_name} {path} {sha256}\n".encode())
        if listed:
            print(node_name, path, sha256)
    print(f"{len(made)} files, {sum(size for *_, size in made)} bytes, sha256 {total.hexdigest()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), listed="--files" in sys.argv[2:])
