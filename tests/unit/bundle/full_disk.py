"""Runs fleet_bundle on a small file system that fills up one page later each time: `full_disk.py MODULE FOLDER`.

FOLDER holds `before/` (a node's tree), and `options.json` for the run. Prints a line of JSON for each size: what the run
said, what was on the disk then, and what the next one said when there was room. Runs in a mount namespace of its own.
"""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PAGE = 4096
PLENTY = 64 * 1024 * 1024


def main() -> None:
    module = load(sys.argv[1])
    # Another program takes the last page after fleet_bundle has looked how much is left.
    module.Tree.room = plenty
    folder = Path(sys.argv[2])
    root = folder / "root"
    root.mkdir()
    options = json.loads((folder / "options.json").read_text()) | {"root": str(root)}
    for pages in range(200):
        call("mount", "-t", "tmpfs", "-o", f"size={PLENTY}", "tmpfs", str(root))
        try:
            call("cp", "-a", f"{folder}/before/.", str(root))
            call("mount", "-o", f"remount,size={used(root) + pages * PAGE}", str(root))
            said = module.run(dict(options))
            found = contents(root)
            call("mount", "-o", f"remount,size={PLENTY}", str(root))
            healed = module.run(dict(options))
            again = module.run(dict(options))
            line = {"pages": pages, "said": said, "found": found, "healed": healed, "then": contents(root)}
            print(json.dumps({**line, "again": again["changed"]}))
        finally:
            call("umount", "--lazy", str(root))  # its lock is open until this process ends
        if not said.get("failed"):
            return


def load(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("fleet_bundle", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plenty(_tree: object, _path: str) -> tuple[int, int]:
    return 0, PLENTY


def used(root: Path) -> int:
    words = subprocess.check_output(["df", "--block-size=1", "--output=used", str(root)], text=True).split()
    return int(words[1])


def contents(root: Path) -> dict[str, str]:
    """Every file outside of fleet's own folder, by its path."""
    paths = [path for path in sorted(root.rglob("*")) if path.is_file()]
    named = {"/" + str(path.relative_to(root)): path.read_text() for path in paths}
    return {path: text for path, text in named.items() if not path.startswith("/var/lib/fleet/")}


def call(*argv: str) -> None:
    subprocess.run(argv, check=True)


if __name__ == "__main__":
    main()
