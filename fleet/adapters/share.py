"""What ships beside the code: templates, playbooks with the collection, examples. Inside the wheel below _share/."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fleet.model.project import Shipped

_PACKAGE = Path(__file__).parents[1]
_SKIPPED = frozenset({"__pycache__", ".pytest_cache", ".ansible"})


def root() -> Path:
    """The folder that holds templates/, playbooks/ and examples/: the wheel's own, or the checkout's."""
    shipped = _PACKAGE / "_share"
    return shipped if shipped.is_dir() else _PACKAGE.parent


@cache
def shipped() -> Shipped:
    texts = {path: data.decode() for path, data in _files(root() / "templates").items()}
    return Shipped(texts=texts, playbooks=_files(root() / "playbooks"))


def _files(folder: Path) -> dict[str, bytes]:
    found = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not _SKIPPED.intersection(relative.parts) and path.suffix != ".pyc":
            found[relative.as_posix()] = path.read_bytes()
    return found
