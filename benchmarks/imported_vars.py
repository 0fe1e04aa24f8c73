"""Prints each node's variables of a fleet in a folder, as JSON: `python imported_vars.py FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from fleet.load import load
from fleet.model.learned import Learned
from fleet.model.tree import Tree
from fleet.resolve import resolve

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    tree = Tree({str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.yaml")})
    nodes = resolve(load(tree), Learned()).nodes
    sys.stdout.buffer.write(msgspec.json.encode({node.name: node.settings.vars for node in nodes}))
