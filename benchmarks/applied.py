"""One apply of the fleet in this folder: `applied.py asked|unasked FORKS`. Unasked, nodes that are off are found by Ansible alone."""

from __future__ import annotations

import sys
from collections import deque

from fleet import Workspace
from fleet.ports.applier import answering
from fleet.wiring import Wiring


def main(how: str, forks: str) -> None:
    if how == "unasked":
        Wiring.silent = lambda *_: answering  # type: ignore[method-assign]
    workspace = Workspace.open(".")
    plan = workspace.plan(forks=int(forks))
    deque(workspace.apply(plan, forks=int(forks)), maxlen=0)


if __name__ == "__main__":
    main(*sys.argv[1:])
