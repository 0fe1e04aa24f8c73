"""Switches for tests: what the stand-in is told to do badly. A JSON object in FILE; without the file, all goes well.

start: fail            `k3s server` and `k3s agent` end before they have done anything
start-delay: 30        seconds more until it is ready
crash-after: 5         ends with status 1 so many seconds after it was ready
lose-data: true        the datastore is gone at the next start, once
not-ready: true        its node says Ready=False, as a kubelet with a broken network would
no-heartbeat: true     its node's Lease is not renewed any more
no-node: true          its node is not registered
slow-api: 0.5          seconds that each request to the API server waits
default-route: needed  it ends where flannel would find no default route, or one of another interface
snapshot: fail         `etcd-snapshot save` fails
debug: true            every request is logged
version: v1.36.1+k3s1  the switches hold for this version only, and for no other
"""

import json
from pathlib import Path
from typing import Any

from .output import fatal, log
from .release import VERSION

FILE = Path("/var/lib/k3s-standin/faults.json")


def fault(name: str) -> Any:
    """The switch's value now; None where it is not set."""
    try:
        switches: dict[str, Any] = json.loads(FILE.read_text())
    except (OSError, ValueError):
        return None
    if switches.get("version", VERSION) != VERSION:
        return None
    return switches.get(name)


def clear(name: str) -> None:
    switches = json.loads(FILE.read_text())
    del switches[name]
    FILE.write_text(json.dumps(switches))


def fail_where_told(name: str) -> None:
    if fault(name) == "fail":
        log("error", f"the stand-in was told to fail: {name}")
        fatal(f"Error: told to fail ({name})")
