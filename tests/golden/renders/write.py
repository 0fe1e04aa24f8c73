"""Writes the goldens anew, by hand: python -m tests.golden.renders.write; then read every line of `git diff`."""

from __future__ import annotations

import shutil

from tests.golden.renders.rendering import HERE, VERSIONS, tree

if __name__ == "__main__":
    for minor in VERSIONS:
        shutil.rmtree(HERE / minor, ignore_errors=True)
        for path, data in tree(minor).items():
            file = HERE / minor / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
