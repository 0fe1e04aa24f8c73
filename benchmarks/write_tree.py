"""A floor for `fleet render` on this disk: reads a tree, then writes the same files elsewhere with open and write.

python benchmarks/write_tree.py FROM TO

Reading is part of what it costs: nobody makes files out of nothing.
"""

from __future__ import annotations

import os
import sys


def main(source: str, target: str) -> None:
    for folder, _, names in os.walk(source):
        place = target + folder[len(source) :]
        os.mkdir(place)  # noqa: PTH102 - a floor: Path objects would be part of what it costs
        for name in names:
            with open(f"{folder}/{name}", "rb") as file:  # noqa: PTH123 - the same
                data = file.read()
            with open(f"{place}/{name}", "wb") as file:  # noqa: PTH123 - the same
                file.write(data)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
