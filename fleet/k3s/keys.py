"""The keys of /etc/rancher/k3s/config.yaml: which there are, of what kind, on which role, from which minor on.

The facts are in data/keys.json. Sources, in k3s-io/docs: cli/server.md (with "Critical Configuration Values"),
cli/agent.md, installation/configuration.md, reference/flag-deprecation.md, release-notes/; in k3s-io/k3s:
pkg/cli/cmds/server.go, pkg/cli/cmds/agent.go, pkg/daemons/config/types.go (CriticalControlArgs). `minors` in the
file says of each minor what was seen and what is carried over.

K3s skips a key that it does not know with no more than a line in its log (pkg/configfilearg): a typing error in a
config.yaml is silent. That is why every key is checked before it is written.
"""

import difflib
import functools
from pathlib import Path
from typing import Literal

import msgspec

from fleet.k3s.version import minor_number

Kind = Literal["bool", "string", "int", "list", "duration"]
Role = Literal["server", "agent"]


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One key.

    `kind` is that of its flag; a list also takes a single string, a duration is Go's (`5m0s`). `since` and `until`
    are the first and the last minor that know it, empty for as far as is known. `backported`: patch releases of
    minors before `since` may know it too. `critical`: must be the same on all servers of a cluster. `immutable`:
    stays as it is once a cluster exists. `values`: all that it takes, where that is a closed list. `default`: what
    K3s takes when the key is absent, where that matters. `aliases`: other spellings that K3s takes and `fleet` does
    not, so that one key is never set twice. `hidden`: absent from `k3s server --help`. `secret`: its value is one.
    """

    name: str
    kind: Kind
    roles: tuple[Role, ...]
    since: str = ""
    until: str = ""
    backported: bool = False
    critical: bool = False
    immutable: bool = False
    hidden: bool = False
    secret: bool = False
    values: tuple[str, ...] = ()
    default: str | int | bool | None = None
    aliases: tuple[str, ...] = ()
    note: str = ""


class FormerKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key that K3s once knew, or that people write for another one; `use` is empty where nothing takes its place."""

    name: str
    use: str
    why: str


class MinorSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the keys of one minor were taken from."""

    minor: str
    source: str


class _Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    about: str
    minors: tuple[MinorSource, ...]
    former: tuple[FormerKey, ...]
    keys: tuple[Key, ...]


_DATA = msgspec.json.decode(Path(__file__).with_name("data").joinpath("keys.json").read_bytes(), type=_Data)
_KEYS = {key.name: key for key in _DATA.keys}
_FORMER = {key.name: key for key in _DATA.former}
_ALIASES = {alias: key for key in _DATA.keys for alias in key.aliases}

MINOR_SOURCES = _DATA.minors
KNOWN_MINORS = tuple(source.minor for source in _DATA.minors)
# The newest four that K3s has released (release-notes/v1.37.X.md: v1.37.1+k3s1 of Sep 30 2026), newest last.
SUPPORTED_MINORS = KNOWN_MINORS[-4:]

# "Critical Configuration Values" of cli/server.md. Of `disable`, only servicelb counts: CRITICAL_DISABLE_ITEMS.
CRITICAL_KEYS = frozenset(key.name for key in _DATA.keys if key.critical)
CRITICAL_DISABLE_ITEMS = frozenset({"servicelb"})
# What a joining server really compares: the source has one more than the page (types.go, CriticalControlArgs).
COMPARED_KEYS = CRITICAL_KEYS | {"supervisor-metrics"}
IMMUTABLE_KEYS = frozenset(key.name for key in _DATA.keys if key.immutable)
LIST_KEYS = frozenset(key.name for key in _DATA.keys if key.kind == "list")
SECRET_KEYS = frozenset(key.name for key in _DATA.keys if key.secret)
# Packaged components (installation/packaged-components.md). Any other name turns off a manifest of that file name.
DISABLE_ITEMS = ("coredns", "servicelb", "traefik", "local-storage", "metrics-server", "runtimes")


def is_known_minor(minor: str) -> bool:
    """Whether the keys of this minor are known. Raises ValueError for a spelling that is not like `v1.35`."""
    minor_number(minor)
    return minor in KNOWN_MINORS


def find_key(name: str) -> Key | None:
    """The key of this very spelling (`key+` counts as `key`), whatever the minor and the role."""
    return _KEYS.get(plain_name(name))


def find_former(name: str) -> FormerKey | None:
    """What became of a key that is no longer one, or never was though people write it."""
    return _FORMER.get(plain_name(name))


def find_alias(name: str) -> Key | None:
    """The key that this is another spelling of, such as `t` of `token` or `kube-controller-arg`."""
    return _ALIASES.get(plain_name(name))


def plain_name(name: str) -> str:
    """`node-label` for `node-label+`, which appends to what an earlier file says (configuration.md)."""
    return name.removesuffix("+")


def is_in_minor(key: Key, minor: str) -> bool:
    """Whether a minor knows a key. Raises ValueError for a spelling that is not like `v1.35`."""
    number = minor_number(minor)
    if key.since and number < minor_number(key.since):
        return False
    return not (key.until and number > minor_number(key.until))


@functools.lru_cache(maxsize=64)
def key_names(minor: str | None, role: Role) -> frozenset[str]:
    """The keys that a role takes in a minor; those of any minor for None. Raises ValueError for a misspelt minor."""
    return frozenset(key.name for key in _DATA.keys if role in key.roles and (minor is None or is_in_minor(key, minor)))


def server_only(name: str) -> bool:
    """Whether only servers take this key; False for a key that nobody knows."""
    key = find_key(name)
    return key is not None and key.roles == ("server",)


def suggest(name: str, minor: str | None, role: Role) -> str | None:
    """The key that was probably meant: the one that an alias or a former key stands for, or the nearest spelling."""
    plain = plain_name(name)
    names = key_names(minor, role)
    if (key := _ALIASES.get(plain)) is not None and key.name in names:
        return key.name
    if (former := _FORMER.get(plain)) is not None and former.use in names:
        return former.use
    # People also write keys as environment variables and as flags.
    wanted = plain.removeprefix("--").removeprefix("K3S_").replace("_", "-").lower()
    if wanted in names:
        return wanted
    nearest = difflib.get_close_matches(wanted, sorted(names), n=1, cutoff=0.75)
    return nearest[0] if nearest else None
