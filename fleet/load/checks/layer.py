"""Checks of what every level of inheritance may say: k3s, os, connection."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Literal

from msgspec import UnsetType

from fleet.k3s.config import ConfigProblem, config_problems
from fleet.k3s.node_labels import kubelet_refuses
from fleet.k3s.paths import AGENT_TOKEN, CONFIG, NODE_CONFIG, REGISTRIES, SERVER_TOKEN, SYSCTL
from fleet.k3s.registries import registries_problems
from fleet.load.checks.texts import date_fault, label_fault, path_fault, sysctl_fault
from fleet.load.flaw import Flaw, twice
from fleet.load.mistakes import sentence
from fleet.load.words import near
from fleet.model.problem import type_path
from fleet.model.spec.settings import ConnectionLayer, FileSpec, K3sLayer, Layer, Manifest, OsLayer, UpdatesSpec

# Not on a disk, or gone with the next boot.
_NOT_FOR_FILES = ("/proc", "/sys", "/dev", "/run", "/var/run", "/tmp", "/var/tmp")  # noqa: S108 -- refused, not used
_SET_ELSEWHERE = {
    CONFIG: "Set its keys under `k3s.config`.",
    NODE_CONFIG: "Set labels and taints under `k3s.labels` and `k3s.taints`.",
    REGISTRIES: "Set its keys under `k3s.registries`.",
    SERVER_TOKEN: "Tokens come from `secrets/`.",
    AGENT_TOKEN: "Tokens come from `secrets/`.",
    SYSCTL: "Set kernel parameters under `os.sysctl`.",
    "/etc/passwd": "Set users under `os.users`.",
    "/etc/shadow": "Set users under `os.users`.",
    "/etc/group": "Set groups under `os.users`.",
    "/etc/gshadow": "Set groups under `os.users`.",
}
_OURS = ("/var/lib/fleet", "/var/lib/rancher/k3s", "/usr/local/bin/k3s")
_REFUSED = "a kubelet may not give its Node the label `{}`: K3s would not start with it"
_SOURCES = ("content", "template", "source")


class LayerChecks:
    """Checks layers of one spec. `files` are the repository's, `minor` is K3s's where the spec names only one."""

    def __init__(self, files: Mapping[str, bytes], minor: str | None, sourced: Collection[str]) -> None:
        """`sourced`: files and manifests that some layer gives a content, so that another need not (they merge)."""
        self._files = files
        self._sourced = sourced
        self._minor = minor
        # Rows of a SiteSet share what they do not vary: a part that was fine is fine. Held, so that ids stay its own.
        self._fine: dict[tuple[int, str], object] = {}

    def of(self, path: type_path, layer: Layer, role: str = "") -> Iterator[Flaw]:
        """Flaws of a layer at `path`; `role` is that of the node or set that says it."""
        if isinstance(layer.k3s, K3sLayer):
            yield from self._part((*path, "k3s"), layer.k3s, role)
        if isinstance(layer.os, OsLayer):
            yield from self._part((*path, "os"), layer.os, role)
        if isinstance(layer.connection, ConnectionLayer):
            yield from _connection((*path, "connection"), layer.connection)

    def _part(self, path: type_path, part: K3sLayer | OsLayer, role: str) -> Iterator[Flaw]:
        if (id(part), role) in self._fine:
            return
        flaws = list(self._k3s(path, part, role) if isinstance(part, K3sLayer) else self._os(path, part))
        if flaws:
            yield from flaws
        else:
            self._fine[id(part), role] = part

    def _k3s(self, path: type_path, k3s: K3sLayer, role: str) -> Iterator[Flaw]:
        if isinstance(k3s.version, str) and isinstance(k3s.channel, str):
            yield Flaw(
                (*path, "channel"), "one of version and channel", "Remove one of them.", others=((*path, "version"),)
            )
        if isinstance(k3s.config, dict):
            for problem in _config_problems(k3s.config, self._minor, role):
                yield _of_config((*path, "config"), problem)
        if isinstance(k3s.registries, dict):
            for found in registries_problems(k3s.registries):
                yield Flaw((*path, "registries", *found.path), found.problem, sentence(found.hint))
        for key, value in (k3s.labels if isinstance(k3s.labels, dict) else {}).items():
            if fault := label_fault(key, value):
                yield Flaw((*path, "labels", key), fault)
            elif value is not None and kubelet_refuses(key):
                yield Flaw((*path, "labels", key), _REFUSED.format(key), "Use a prefix of your own.", on_key=True)
        for field in ("taints", "taints+"):
            taints = k3s.taints if field == "taints" else k3s.taints_append
            yield from twice((*path, field), taints if isinstance(taints, list) else (), "the taint", "")
        manifests = k3s.manifests if isinstance(k3s.manifests, list) else []
        yield from twice((*path, "manifests"), [each.name for each in manifests], "the manifest")
        for at, manifest in enumerate(manifests):
            yield from self._one_source((*path, "manifests", at), manifest, manifest.name)

    def _os(self, path: type_path, part: OsLayer) -> Iterator[Flaw]:
        files = part.files if isinstance(part.files, list) else []
        yield from twice((*path, "files"), [each.path for each in files], "the file", "path")
        for at, file in enumerate(files):
            yield from self._file((*path, "files", at), file)
        for key in part.sysctl if isinstance(part.sysctl, dict) else ():
            if fault := sysctl_fault(key):
                yield Flaw((*path, "sysctl", key), fault, on_key=True)
        packages = part.packages if isinstance(part.packages, list) else []
        names = [each if isinstance(each, str) else each.name for each in packages]
        yield from twice((*path, "packages"), names, "the package", "")
        units = part.units if isinstance(part.units, list) else []
        yield from twice((*path, "units"), [each.name for each in units], "the unit")
        users = part.users if isinstance(part.users, list) else []
        yield from twice((*path, "users"), [each.name for each in users], "the user")
        for at, user in enumerate(users):
            if user.name == "root":
                yield Flaw((*path, "users", at, "name"), "root is not a user to set")
        updates = part.updates
        snapshot = updates.snapshot if isinstance(updates, UpdatesSpec) else None
        if isinstance(snapshot, str) and (fault := date_fault(snapshot)):
            yield Flaw((*path, "updates", "snapshot"), fault)

    def _file(self, path: type_path, file: FileSpec) -> Iterator[Flaw]:
        yield from _node_path((*path, "path"), file.path)
        yield from self._one_source(path, file, file.path)
        if isinstance(file.validate, str) and "{file}" not in file.validate:
            yield Flaw(
                (*path, "validate"), "has no {file}, so it would not see the new content", "Say where {file} goes."
            )

    def _one_source(self, path: type_path, part: FileSpec | Manifest, name: str) -> Iterator[Flaw]:
        given = sources(part)
        if len(given) > 1 or (not given and name not in self._sourced):
            found = "found none" if not given else f"found {' and '.join(given)}"
            yield Flaw(path, f"expected one of content, template and source, {found}")
        for field in given:
            if field != "content":
                yield from self.repository_file((*path, field), getattr(part, field))

    def repository_file(self, path: type_path, name: str) -> Iterator[Flaw]:
        """Flaws of a field that names a file of the repository."""
        fault, hint = path_fault(name)
        if fault:
            yield Flaw(path, fault, hint)
        elif name not in self._files:
            yield Flaw(path, f"no file `{name}` in the repository", near_file(name, self._files))


def sources(part: FileSpec | Manifest) -> list[str]:
    """Which of content, template and source are given."""
    return [name for name in _SOURCES if not isinstance(getattr(part, name), UnsetType)]


def sourced_names(layers: Iterable[Layer]) -> frozenset[str]:
    """Paths of files and names of manifests that some layer gives a content."""
    found: set[str] = set()
    for layer in layers:
        if isinstance(layer.os, OsLayer) and isinstance(layer.os.files, list):
            found.update(file.path for file in layer.os.files if sources(file))
        if isinstance(layer.k3s, K3sLayer) and isinstance(layer.k3s.manifests, list):
            found.update(manifest.name for manifest in layer.k3s.manifests if sources(manifest))
    return frozenset(found)


def near_file(name: str, files: Iterable[str]) -> str:
    """A file of that name in another folder, or one with a similar path."""
    base = name.rpartition("/")[2]
    same = sorted(path for path in files if path.rpartition("/")[2] == base)
    hint = f"Did you mean `{same[0]}`?" if same else near(name, files)
    return "" if hint.startswith("Known") else hint


def _node_path(path: type_path, name: str) -> Iterator[Flaw]:
    fault, hint = path_fault(name)
    if fault:
        yield Flaw(path, fault, hint)
    elif name == "/":
        yield Flaw(path, "expected a file, found the root folder")
    elif name in _SET_ELSEWHERE:
        yield Flaw(path, f"`{name}` is not set as a file", _SET_ELSEWHERE[name])
    elif below := _below(name, _NOT_FOR_FILES):
        yield Flaw(path, f"nothing may be written below {below}: it is not on a disk, or is emptied at boot")
    elif below := _below(name, _OURS):
        yield Flaw(path, f"`{name}` belongs to fleet or K3s: nothing else may be written at {below}")


def _below(name: str, folders: Iterable[str]) -> str:
    return next((folder for folder in folders if name == folder or name.startswith(f"{folder}/")), "")


def _config_problems(config: dict[str, Any], minor: str | None, role: str) -> list[ConfigProblem]:
    if role in {"server", "agent"}:
        return config_problems(config, minor=minor, role="agent" if role == "agent" else "server")
    # Servers and agents will inherit this: wrong is what is wrong for both.
    roles: tuple[Literal["server", "agent"], ...] = ("server", "agent")
    by_role = [config_problems(config, minor=minor, role=each) for each in roles]
    refused = {problem.key for problem in by_role[1] if not problem.is_warning}
    return [problem for problem in by_role[0] if problem.is_warning or problem.key in refused]


def _of_config(path: type_path, problem: ConfigProblem) -> Flaw:
    on_key = not problem.problem.startswith("expected")
    severity: Literal["error", "warning"] = "warning" if problem.is_warning else "error"
    return Flaw((*path, problem.key), problem.problem, sentence(problem.hint), on_key, severity=severity)


def _connection(path: type_path, connection: ConnectionLayer) -> Iterator[Flaw]:
    if isinstance(connection.jump_host, str) and isinstance(connection.proxy_command, str):
        message, hint = "one of jumpHost and proxyCommand", "Remove one of them."
        yield Flaw((*path, "proxyCommand"), message, hint, others=((*path, "jumpHost"),))
