"""What only root can try is in one file: a full disk and one that may not be written are mounts."""

from __future__ import annotations

import os

IS_ROOT = os.geteuid() == 0
collect_ignore = [] if IS_ROOT else ["test_disks.py"]


def pytest_report_header() -> list[str]:
    return [] if IS_ROOT else ["not root: tests/e2e/test_disks.py (full and read-only disks) is left out"]
