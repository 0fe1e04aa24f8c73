"""A merged layer becomes total Settings: every default of the language stands here.

One `SettingsMaker` serves a whole fleet: equal inputs (by identity, as `merge` keeps it) give the same objects, so
that 10,000 nodes with a variable of their own still share one K3sSettings and one OsSettings.
"""

from __future__ import annotations

from typing import Any

from fleet.model.bundle import BundlePackage, BundleUnit, BundleUser
from fleet.model.lock import Lock
from fleet.model.node import (
    ContentSource,
    K3sSettings,
    NodeFile,
    NodeManifest,
    OsSettings,
    Settings,
    Updates,
)

DEFAULT_CHANNEL = "stable"
DEFAULT_MODE = "0644"
DEFAULT_OWNER = "root"
SNAPSHOT = "{snapshot}"
"""In a source of updates: the day. It stays where no layer says one, and the node is refused."""

_NOTHING: dict[str, Any] = {}


class SettingsMaker:
    """`unlocked` collects channels and versions that fleet.lock does not pin."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self._k3s: dict[int, tuple[Any, K3sSettings]] = {}
        self._os: dict[int, tuple[Any, OsSettings]] = {}
        self._plain = _k3s_settings(_NOTHING, "")
        self.unlocked: set[str] = set()

    def settings(self, merged: dict[str, Any], *, is_k3s: bool) -> Settings:
        return Settings(
            k3s=self._of_k3s(merged.get("k3s", _NOTHING)) if is_k3s else self._plain,
            hardening=merged.get("hardening", "none"),
            os=self._of_os(merged.get("os", _NOTHING)),
            vars=merged.get("vars", _NOTHING),
        )

    def _of_k3s(self, merged: dict[str, Any]) -> K3sSettings:
        known = self._k3s.get(id(merged))
        if known is None:
            known = self._k3s[id(merged)] = (merged, _k3s_settings(merged, self._version(merged)))
        return known[1]

    def _of_os(self, merged: dict[str, Any]) -> OsSettings:
        known = self._os.get(id(merged))
        if known is None:
            known = self._os[id(merged)] = (merged, _os_settings(merged))
        return known[1]

    def _version(self, merged: dict[str, Any]) -> str:
        version: str = merged.get("version", "")
        if not version:
            channel: str = merged.get("channel", DEFAULT_CHANNEL)
            version = self._lock.channels.get(channel, "")
            if not version:
                self.unlocked.add(f"channel {channel}")
                return ""
        if version not in self._lock.releases:
            self.unlocked.add(version)
        elif merged.get("airGap") and not self._lock.releases[version].images:
            self.unlocked.add(f"images of {version}")
        return version


def _k3s_settings(merged: dict[str, Any], version: str) -> K3sSettings:
    return K3sSettings(
        version=version,
        config=merged.get("config", {}),
        registries=merged.get("registries", {}),
        labels=merged.get("labels", {}),
        taints=tuple(merged.get("taints", ())),
        manifests=tuple(NodeManifest(name=m["name"], content=_content(m)) for m in merged.get("manifests", ())),
        air_gap=merged.get("airGap", False),
    )


def _os_settings(merged: dict[str, Any]) -> OsSettings:
    return OsSettings(
        packages=tuple(BundlePackage(p["name"], p.get("version", "")) for p in merged.get("packages", ())),
        sysctl={key: str(value) for key, value in merged.get("sysctl", _NOTHING).items()},
        files=tuple(_file(f) for f in merged.get("files", ())),
        units=tuple(BundleUnit(u["name"], u.get("enabled"), u.get("state")) for u in merged.get("units", ())),
        users=tuple(_user(u) for u in merged.get("users", ())),
        updates=_updates(merged.get("updates", _NOTHING)),
    )


def _updates(value: dict[str, Any]) -> Updates:
    snapshot = value.get("snapshot", "")
    return Updates(
        mode=value.get("mode", "none"),
        snapshot=snapshot,
        reboot=value.get("reboot", "never"),
        sources=tuple(source.replace(SNAPSHOT, snapshot or SNAPSHOT) for source in value.get("sources", ())),
    )


def _file(value: dict[str, Any]) -> NodeFile:
    return NodeFile(
        path=value["path"],
        content=_content(value),
        mode=value.get("mode", DEFAULT_MODE),
        has_mode="mode" in value,
        owner=value.get("owner", DEFAULT_OWNER),
        group=value.get("group", DEFAULT_OWNER),
        validate=value.get("validate", ""),
        restart=tuple(value.get("restart", ())),
        reload=tuple(value.get("reload", ())),
        confirm=value.get("confirm", False),
    )


def _user(value: dict[str, Any]) -> BundleUser:
    return BundleUser(
        name=value["name"],
        groups=tuple(value.get("groups", ())),
        shell=value.get("shell", ""),
        authorized_keys=tuple(value.get("authorizedKeys", ())),
        system=value.get("system", False),
    )


def _content(value: dict[str, Any]) -> ContentSource:
    if "template" in value:
        return ContentSource("template", value["template"])
    if "source" in value:
        return ContentSource("source", value["source"])
    if "content" in value:
        return ContentSource("text", value["content"])
    return ContentSource("missing", "")
