"""Names of secrets, and the vault files that they belong in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import PurePosixPath

from fleet.errors import UsageError
from fleet.model.cluster import Cluster
from fleet.model.secret import SecretsLock

FOLDER = "secrets"
KEY_FILE = "secrets/fleet.yaml"
KEY_NAME = "fleet.fingerprint-key"
SHARED_FILE = "secrets/shared.yaml"
"""For what is no site's own. The key's file is another one: a rendered project never has to hold it."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")


def check_name(name: str) -> None:
    """Raises UsageError for a name that no spec could refer to, and for the key's."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"`{name}` cannot be the name of a secret", "Use letters, digits, `.`, `_` and `-`, as in `lyon-1.db`."
        )
    if name == KEY_NAME:
        raise UsageError(f"`{name}` is the key of all fingerprints, and none of your secrets", "Take another name.")


def file_of(name: str, file: str, clusters: Iterable[Cluster], lock: SecretsLock) -> str:
    """Where a value belongs: where it is already; else in `file`, if that is given; else in the vault of the site whose
    cluster's name it begins with; else in the shared one. Raises UsageError for a file that cannot be one.
    """
    held = lock.secrets.get(name)
    if file:
        _check_file(file)
        if held is not None and held.file != str(PurePosixPath(file)):
            raise UsageError(
                f"`{name}` is in {held.file}", "Leave --file out, or take it from there with ansible-vault edit first."
            )
        return str(PurePosixPath(file))
    if held is not None:
        return held.file
    owners = [cluster for cluster in clusters if name.startswith(f"{cluster.name}.")]
    if not owners:
        return SHARED_FILE
    return f"{FOLDER}/{max(owners, key=lambda cluster: len(cluster.name)).site}.yaml"


def unknown(name: str, lock: SecretsLock) -> UsageError:
    """The error for a name that secrets.lock does not list."""
    close = get_close_matches(name, lock.secrets, n=1)
    mend = f"did you mean `{close[0]}`?" if close else "fleet secret list names them"
    return UsageError(f"there is no secret `{name}`", mend)


def _check_file(file: str) -> None:
    path = PurePosixPath(file)
    is_hidden = any(part.startswith(".") for part in path.parts)
    if len(path.parts) < 2 or path.parts[0] != FOLDER or is_hidden or path.suffix not in {".yaml", ".yml"}:
        raise UsageError(f"`{file}` cannot be a vault file", f"name one below {FOLDER}/ that ends in .yaml")
