"""Versions of K3s: `v1.35.4+k3s1`, its minor `v1.35`, its order, and the names of release channels.

Sources: k3s-io/docs release-notes/, upgrades/manual.md ("Release Channels") and upgrades/automated.md (image tags).
"""

import functools
import re
from collections.abc import Iterable

import msgspec

CHANNEL_SERVER = "https://update.k3s.io/v1-release/channels"
HELD = "k3s_version"
"""What a node tells under this name: the version of the last bundle which was on it as a whole."""
CHANNELS = ("stable", "latest", "testing")

_VERSION = re.compile(r"v(\d{1,4})\.(\d{1,4})\.(\d{1,4})(?:-rc(\d{1,4}))?\+k3s(\d{1,4})", re.ASCII)
_LOOSE = re.compile(
    r"v?(\d{1,4})\.(\d{1,4})\.(\d{1,4})(?:[-+]rc\.?(\d{1,4}))?(?:[-+.]k3s[-.]?(\d{1,4}))?", re.ASCII | re.IGNORECASE
)
_MINOR = re.compile(r"v(\d{1,4})\.(\d{1,4})", re.ASCII)
_CHANNEL = re.compile(r"stable|latest|testing|v\d{1,4}\.\d{1,4}(?:-testing)?", re.ASCII)


class Version(msgspec.Struct, frozen=True):
    """One release. `k3s` counts K3s's own releases of one Kubernetes patch; `rc` is None for a final release."""

    major: int
    minor: int
    patch: int
    k3s: int
    rc: int | None = None

    def __str__(self) -> str:
        candidate = "" if self.rc is None else f"-rc{self.rc}"
        return f"v{self.major}.{self.minor}.{self.patch}{candidate}+k3s{self.k3s}"

    # Spelt out, since functools.total_ordering takes a Struct's own refusal to compare for an ordering.
    def __lt__(self, other: object) -> bool:
        return _order(self) < _order(other) if isinstance(other, Version) else NotImplemented

    def __le__(self, other: object) -> bool:
        return _order(self) <= _order(other) if isinstance(other, Version) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return _order(self) > _order(other) if isinstance(other, Version) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return _order(self) >= _order(other) if isinstance(other, Version) else NotImplemented


def _order(version: Version) -> tuple[int, int, int, int, bool, int]:
    # A candidate comes before the release that it is a candidate for, and after the K3s release before that one.
    return (version.major, version.minor, version.patch, version.k3s, version.rc is None, version.rc or 0)


@functools.lru_cache(maxsize=1024)
def parse_version(text: str) -> Version:
    """`v1.35.4+k3s1` or `v1.35.4-rc1+k3s1` as a Version.

    Raises ValueError that says what was expected, what was found and, where it can be guessed, what was meant.
    """
    match = _VERSION.fullmatch(text)
    if match is None:
        hint = version_hint(text)
        mend = f". {hint}" if hint else ""
        raise ValueError(f"not a K3s version: expected a form such as v1.35.4+k3s1, found `{text}`{mend}")
    major, minor, patch, candidate, k3s = match.groups()
    return Version(int(major), int(minor), int(patch), int(k3s), None if candidate is None else int(candidate))


def parsed(text: str) -> Version | None:
    """A version as a node's record or a lock tells it; None for what is none."""
    try:
        return parse_version(text)
    except ValueError:
        return None


def newest_by_minor(releases: Iterable[str]) -> dict[str, Version]:
    """The newest of some releases for each minor (`v1.35`). What is no version is passed over."""
    newest: dict[str, Version] = {}
    for version in filter(None, map(parsed, releases)):
        minor = minor_of(version)
        newest[minor] = max(version, newest.get(minor, version))
    return newest


def version_hint(text: str) -> str | None:
    """What a text that is not a version was probably meant to be, as a sentence for people; None without a guess."""
    if is_channel_name(text):
        return f"`{text}` is a release channel: write `channel: {text}`"
    match = _LOOSE.fullmatch(text.strip())
    if match is None:
        return None
    major, minor, patch, candidate, k3s = match.groups()
    middle = f"-rc{candidate}" if candidate else ""
    return f"Did you mean `v{major}.{minor}.{patch}{middle}+k3s{k3s or 1}`?"


def minor_of(version: Version | str) -> str:
    """The minor as K3s's channels spell it: `v1.35`. Raises ValueError for a text that is not a version."""
    found = parse_version(version) if isinstance(version, str) else version
    return f"v{found.major}.{found.minor}"


def minor_number(minor: str) -> tuple[int, int]:
    """`v1.35` as (1, 35), to compare minors by. Raises ValueError for any other spelling."""
    match = _MINOR.fullmatch(minor)
    if match is None:
        raise ValueError(f"not a minor version of K3s: expected a form such as v1.35, found `{minor}`")
    return int(match[1]), int(match[2])


def is_downgrade(old: Version, new: Version) -> bool:
    """Whether going from old to new goes back. K3s supports no downgrade (k3s-io/docs upgrades/roll-back.md)."""
    return new < old


def is_skip(old: Version, new: Version) -> bool:
    """Whether going from old to new leaves out a minor version, which Kubernetes' version skew policy forbids."""
    return new.major > old.major or (new.major == old.major and new.minor > old.minor + 1)


def minors_on_the_way(old: Version, new: Version) -> tuple[str, ...]:
    """The minors to pass through, the last one new's own: v1.33.x to v1.36.x gives v1.34, v1.35, v1.36.

    Empty for the same minor and for a downgrade. Raises ValueError where the major differs: nobody knows that way.
    """
    if old.major != new.major:
        raise ValueError(f"no known way from {old} to {new}: the major version differs")
    return tuple(f"v{old.major}.{minor}" for minor in range(old.minor + 1, new.minor + 1))


def is_channel_name(text: str) -> bool:
    """Whether a text has the form of a release channel: stable, latest, testing, v1.35, v1.35-testing."""
    return _CHANNEL.fullmatch(text) is not None


def image_tag(version: Version | str) -> str:
    """The version as a container image tag, which may hold no plus: v1.35.4-k3s1 (upgrades/automated.md)."""
    return str(version).replace("+", "-")
