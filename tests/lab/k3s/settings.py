"""config.yaml and config.yaml.d as K3s reads them, and the checks that K3s leaves out.

docs/installation/configuration.md: command line over environment over files; in config.yaml.d the last file wins, in
the order of names; `key+` appends; a list on the command line replaces the file's. pkg/configfilearg/parser.go: a file
counts when its name ends in .yaml or .yml, in any case.

Stricter than K3s, on purpose: K3s skips a key that it does not know, or that is not of the role, with a warning
(parser.go, stripInvalidFlags: "Unknown flag --x found in config.yaml, skipping"). Here that line is the last one.
"""

import os
import re
from pathlib import Path
from typing import Any

from .keys import ALIASES, DISABLE_ITEMS, VALUES, keys_of
from .output import fatal
from .release import VERSION

CONFIG = "/etc/rancher/k3s/config.yaml"
# pkg/cli/cmds: the environment variables of flags.
VARIABLES = {
    "K3S_TOKEN": "token",
    "K3S_TOKEN_FILE": "token-file",
    "K3S_URL": "server",
    "K3S_NODE_NAME": "node-name",
    "K3S_AGENT_TOKEN": "agent-token",
    "K3S_AGENT_TOKEN_FILE": "agent-token-file",
    "K3S_DATA_DIR": "data-dir",
    "K3S_CLUSTER_INIT": "cluster-init",
    "K3S_CLUSTER_RESET": "cluster-reset",
    "K3S_DATASTORE_ENDPOINT": "datastore-endpoint",
    "K3S_KUBECONFIG_MODE": "write-kubeconfig-mode",
}
DURATION = re.compile(r"(\d+(\.\d+)?(ns|us|ms|s|m|h))+|0")

Settings = dict[str, Any]


def read_settings(role: str, arguments: list[str]) -> Settings:
    """Everything that is set, by its plain name; lists are lists of texts, switches are booleans, numbers are numbers."""
    kinds = keys_of(role, VERSION)
    path, rest = find_config(arguments)
    settings = check_file(role, read_files(path), kinds)
    for variable, key in VARIABLES.items():
        if os.environ.get(variable) and key in kinds:
            settings[key] = as_kind(key, kinds[key], os.environ[variable])
    settings |= read_arguments(role, rest, kinds)
    check_values(role, settings)
    return settings


def find_config(arguments: list[str]) -> tuple[Path, list[str]]:
    """The configuration's path, and the arguments without it."""
    path, rest = os.environ.get("K3S_CONFIG_FILE") or CONFIG, list(arguments)
    for position, argument in enumerate(arguments):
        name, found, value = argument.partition("=")
        if name in {"--config", "-c"}:
            path = value if found else "".join(arguments[position + 1 : position + 2])
            del rest[position : position + (1 if found else 2)]
            break
    return Path(path), rest


def read_files(path: Path) -> dict[str, Any]:
    """What the file and its folder of drop-ins say together, with the keys as written (but for `+`)."""
    folder = Path(f"{path}.d")
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    drop_ins = [file for file in found if file.name.lower().endswith((".yaml", ".yml"))]
    values: dict[str, Any] = {}
    for file in [path, *(drop_in for drop_in in drop_ins if not drop_in.is_dir())]:
        if file.exists():
            for key, value in read_yaml(file).items():
                name = str(key).removesuffix("+")
                is_append = str(key).endswith("+") and name in values
                values[name] = [*as_list(values[name]), *as_list(value)] if is_append else value
    return values


def read_yaml(path: Path) -> dict[Any, Any]:
    import yaml

    try:
        document = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        fatal(f"failed to read {path}: {error}")
    if document is None:
        return {}
    if not isinstance(document, dict):
        fatal(f"failed to read {path}: it holds no mapping")
    return document


def as_list(value: object) -> list[str]:
    """toSlice of parser.go."""
    if value is None or value == "":
        return []
    return [as_text(item) for item in value] if isinstance(value, list) else [as_text(value)]


def as_text(value: object) -> str:
    """wrangler's convert.ToString: what becomes of a YAML value on the way to a flag."""
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def check_file(role: str, values: dict[str, Any], kinds: dict[str, str]) -> Settings:
    settings: Settings = {}
    for written, value in values.items():
        key = ALIASES.get(written, written)
        if key not in kinds:
            other = "agent" if role == "server" else "server"
            why = f": it is one of `k3s {other}`" if key in keys_of(other, VERSION) else ""
            fatal(f"Unknown flag --{written} found in config.yaml, which the stand-in refuses{why}")
        settings[key] = as_kind(key, kinds[key], value)
    return settings


def as_kind(key: str, kind: str, value: object) -> Any:
    """The value as the flag would hold it; anything that it would not take ends the program, as it does there."""
    if kind == "l":
        return as_list(value)
    if isinstance(value, (list, dict)):
        fatal(f"Error: invalid value for flag -{key}: it takes one value")
    text = as_text(value)
    if kind == "b":
        if text.lower() not in {"true", "false", "1", "0", "t", "f"}:
            fatal(f'Error: invalid boolean value "{text}" for -{key}: parse error')
        return text.lower() in {"true", "1", "t"}
    if kind == "i":
        if not re.fullmatch(r"-?\d+", text):
            fatal(f'Error: invalid value "{text}" for flag -{key}: parse error')
        return int(text)
    if kind == "d" and not DURATION.fullmatch(text):
        fatal(f'Error: invalid value "{text}" for flag -{key}: parse error')
    return text


def read_arguments(role: str, arguments: list[str], kinds: dict[str, str]) -> Settings:
    """Flags with their values, `--key=value`, `--key value` or `--switch`."""
    settings: Settings = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name, found, value = word.lstrip("-").partition("=")
        key = ALIASES.get(name, name)
        if not word.startswith("-") or key not in kinds:
            fatal(f"Error: flag provided but not defined: -{name}")
        if not found:
            value = (
                "true" if kinds[key] == "b" else rest.pop(0) if rest else fatal(f"Error: flag needs a value: -{name}")
            )
        if kinds[key] == "l":
            settings.setdefault(key, []).append(value)
        else:
            settings[key] = as_kind(key, kinds[key], value)
    return settings


def check_values(role: str, settings: Settings) -> None:
    for key, allowed in VALUES.items():
        if key in settings and settings[key] not in allowed:
            fatal(f"Error: invalid value {settings[key]!r} for --{key}: it takes {', '.join(allowed)}")
    if role == "server":
        # pkg/cli/server/server.go
        if settings.get("cluster-reset-restore-path") and not settings.get("cluster-reset"):
            fatal("Error: invalid flag use; --cluster-reset required with --cluster-reset-restore-path")
        if settings.get("disable-etcd") and not settings.get("server"):
            fatal("Error: invalid flag use; --server is required with --disable-etcd")
        for key in ("disable-etcd", "disable-apiserver"):
            if settings.get(key) and settings.get("datastore-endpoint"):
                fatal(f"Error: invalid flag use; cannot use --{key} with --datastore-endpoint")


def disabled_items(settings: Settings) -> set[str]:
    """`disable` as a set: pkg/cli/server/server.go splits each item at commas."""
    return {item.strip() for text in settings.get("disable", []) for item in text.split(",")}


def unknown_disabled(settings: Settings) -> set[str]:
    """Names that are no packaged component; K3s takes them as the names of manifests (packaged-components.md)."""
    return disabled_items(settings) - set(DISABLE_ITEMS)
