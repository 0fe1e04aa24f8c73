"""What it costs to read secrets.lock of a fleet, in CPU milliseconds: `python benchmarks/lock_read.py DIR`.

The first read of a process, without what it takes to start one: a plan has long started when it comes to it.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from fleet.adapters.vault import VaultSecrets


def main(folder: Path) -> None:
    began = time.process_time()
    VaultSecrets(folder, lambda: b"").lock()
    print(f"{(time.process_time() - began) * 1000:.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
