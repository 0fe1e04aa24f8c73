import sys
from pathlib import Path

REPOSITORY = str(Path(__file__).resolve().parents[2])
if REPOSITORY not in sys.path:
    sys.path.insert(0, REPOSITORY)

from tests.lab.fixtures import lab_pool  # noqa: E402  found by the path above

__all__ = ["lab_pool"]
