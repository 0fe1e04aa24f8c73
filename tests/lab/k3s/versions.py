"""Which versions may follow each other on the same data.

docs/upgrades/manual.md: minors are upgraded one by one, and nothing goes back without the datastore's. A guess: that
it is refused. K3s starts and may break later; the stand-in writes into the datastore (so a restored snapshot brings its
own) which release each server ran, and does not start on data that a newer minor has written, nor after a skipped one.
"""

from .etcd import Etcd
from .output import fatal
from .release import VERSION, minor_of

PREFIX = "/standin/versions/"


def check_versions(etcd: Etcd, node: str) -> None:
    """By this node's own last version, and by the other servers', from which it may be one minor away."""
    known = {key.removeprefix(PREFIX): version for key, version in etcd.get(PREFIX, prefix=True).items()}
    mine = minor_of(VERSION)
    if node in known:
        refuse(known.pop(node), mine)
    for other, version in known.items():
        if abs(minor_of(version) - mine) > 1:
            fatal(f"Error: {VERSION} cannot run beside {version} of {other}: API servers may be one minor apart")


def refuse(before: str, mine: int) -> None:
    """End where the data was last written by `before` and this minor may not go on with it."""
    last = minor_of(before)
    if mine < last:
        fatal(f"Error: the data was written by {before}, a newer minor than {VERSION}: restore a snapshot of before")
    if mine > last + 1:
        fatal(f"Error: the data was written by {before}: from there to {VERSION} a minor would be skipped")


def forget_version(etcd: Etcd, node: str) -> None:
    """The node is no server of this cluster any more."""
    etcd.delete(PREFIX + node)


def record_version(etcd: Etcd, node: str) -> None:
    if etcd.get(PREFIX + node).get(PREFIX + node) != VERSION:
        etcd.put(PREFIX + node, VERSION)
