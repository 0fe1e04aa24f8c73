#!/usr/bin/env python3
"""An Ansible inventory source: what `fleet inventory` says of the folder that this file is in.

    ansible-inventory -i inventories/sandbox/hosts.py --graph

`edgefleet` is the second name of the command: another product ships a `fleet`, too.
"""

import os
import shutil
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
BESIDE = str(Path(sys.executable).parent)

if __name__ == "__main__":
    command = shutil.which("edgefleet") or shutil.which("edgefleet", path=BESIDE)
    if command is None:
        sys.exit("the command `edgefleet` is not on the PATH: pip install edgefleet")
    os.execv(command, [command, "-C", str(FOLDER), "inventory", *sys.argv[1:]])  # noqa: S606 - no shell, and its arguments are Ansible's
