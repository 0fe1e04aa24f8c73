"""Plans that are kept in a file between `fleet plan` and `fleet apply`."""

from __future__ import annotations

from pathlib import Path

from fleet.errors import UsageError
from fleet.model.plan import Plan


def save(plan: Plan, target: Path, state: Path) -> None:
    """A folder `state` that is not there is made, and is private."""
    from fleet.adapters.disk import make_private_folder, write_atomic
    from fleet.operations.saved_plan import encoded

    if target.absolute().parent == state:
        make_private_folder(target.parent)
    write_atomic(target, encoded(plan))


def load(path: str | Path) -> Plan:
    from fleet.operations.saved_plan import decoded

    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the plan {path}: {error.strerror}") from None
    return decoded(data, str(path))
