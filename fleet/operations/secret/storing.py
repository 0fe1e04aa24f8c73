"""secret set and get: one value, into its vault file and out of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fleet.errors import UsageError
from fleet.k3s.token import HINT, wrong_token
from fleet.model.cluster import Cluster
from fleet.model.secret import PREVIOUS
from fleet.operations.secret.events import SecretStored
from fleet.operations.secret.names import check_name, file_of, unknown
from fleet.ports.secrets import Secrets

MOST_BYTES = 1024 * 1024
"""As much as Kubernetes lets a Secret hold."""
_BASE64 = "keep it as base64 and let what reads it decode it: base64 -w0 FILE | fleet secret set NAME"


def store_value(
    name: str, data: bytes, file: str, clusters: Iterable[Cluster], store: Secrets
) -> Iterator[SecretStored]:
    """Puts a value under `name`. Only its own file is opened, and the key's. Raises UsageError for what cannot be a
    secret; the words never hold the value.
    """
    clusters = list(clusters)
    check_name(name)
    value = text_of(name, data)
    tokens = {token for cluster in clusters for token in (cluster.token, cluster.agent_token)}
    if name.removesuffix(PREVIOUS) in tokens and (wrong := wrong_token(value)):
        raise UsageError(f"`{name}` is a K3s token, and the value is none: {wrong}", HINT)
    lock = store.lock()
    target = file_of(name, file, clusters, lock)
    store.write({target: {**store.read(target), name: value}})
    before = lock.secrets.get(name)
    yield SecretStored(name, target, store.lock().secrets[name].version, 0 if before is None else before.version)


def value_of(name: str, store: Secrets) -> str:
    """Opens the one file that holds it. Raises UsageError for a name that there is not."""
    lock = store.lock()
    locked = lock.secrets.get(name)
    if locked is None:
        raise unknown(name, lock)
    values = store.read(locked.file)
    if name not in values:
        raise UsageError(
            f"`{name}` is not in {locked.file}, as secrets.lock says", f"Take {locked.file} from git again."
        )
    return values[name]


def text_of(name: str, data: bytes) -> str:
    """The value that was given. One line loses the end of line that `echo` and editors write; more lines stay."""
    if len(data) > MOST_BYTES:
        raise UsageError(
            f"`{name}`: a secret holds at most {MOST_BYTES:,} bytes, found more",
            "Keep the key of such data as a secret, and the data elsewhere.",
        )
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"`{name}`: the value is not UTF-8 at byte {error.start:,}", _BASE64) from None
    if "\0" in text:
        raise UsageError(f"`{name}`: the value holds a zero byte, at character {text.index(chr(0)):,}", _BASE64)
    line = text.removesuffix("\n").removesuffix("\r")
    value = text if "\n" in line else line
    if not value:
        raise UsageError(f"`{name}`: the value is empty", "Give one on standard input, or with --from-file FILE.")
    return value
