"""`k3s etcd-snapshot`, and `k3s server --cluster-reset` (docs/cli/etcd-snapshot.md, pkg/etcd)."""

import json
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import NoReturn

from . import bootstrap
from .etcd import EtcdError
from .faults import fail_where_told
from .output import fatal, log, write
from .server import Server
from .settings import Settings, read_settings

RESET = "Managed etcd cluster membership has been reset, restart without --cluster-reset flag now."
OTHERS = " Backup and delete ${datadir}/server/db on each peer etcd server and rejoin the nodes"
RESET_BEFORE = (
    "Error: Managed etcd cluster membership was previously reset, please remove the cluster-reset flag and start k3s "
    "normally. If you need to perform another cluster reset, you must first manually delete the file at "
)


def snapshot_command(arguments: list[str]) -> None:
    """save, ls, delete and prune; their own flags, and `etcd-snapshot-*` of the server's configuration."""
    command, rest = (arguments[0], arguments[1:]) if arguments and not arguments[0].startswith("-") else ("", arguments)
    name, output, retention, names, others = "on-demand", "", None, [], []
    while rest:
        word = rest.pop(0)
        key, found, value = word.lstrip("-").partition("=")
        if not word.startswith("-"):
            names.append(word)
            continue
        if key in {"name", "o", "output", "snapshot-retention", "etcd-snapshot-retention"} and not found:
            value = rest.pop(0)
        if key == "name":
            name = value
        elif key in {"o", "output"}:
            output = value
        elif key in {"snapshot-retention", "etcd-snapshot-retention"}:
            retention = int(value)
        else:
            others.append({"--dir": "--etcd-snapshot-dir"}.get(f"--{key}", f"--{key}") + (f"={value}" if found else ""))
    settings = read_settings("server", others)
    server = Server(settings)
    if not (server.paths.etcd / "member" / "wal").is_dir():
        fatal(f"Error: etcd database not found in {server.paths.etcd}")
    folder = snapshot_folder(server, settings)
    if command == "save":
        save(server, folder, name)
    elif command in {"ls", "list", "l"}:
        show(folder, server.node, output)
    elif command == "delete":
        delete(folder, names)
    elif command == "prune":
        kept = sorted(folder.glob(f"{name}-*"), key=lambda file: file.stat().st_mtime, reverse=True)
        delete(folder, [file.name for file in kept[5 if retention is None else retention :]])
    else:
        fatal(f"Error: No help topic for '{command}'")


def snapshot_folder(server: Server, settings: Settings) -> Path:
    return Path(str(settings.get("etcd-snapshot-dir") or server.paths.snapshots))


def save(server: Server, folder: Path, name: str) -> None:
    fail_where_told("snapshot")
    file = folder / f"{name}-{server.node}-{int(time.time())}"
    try:
        server.etcd.save_snapshot(file)
    except EtcdError as error:
        fatal(f"Error: see server log for details: {error}")
    log("info", f"Snapshot {file.name} saved.")


def show(folder: Path, node: str, output: str) -> None:
    rows = []
    for file in sorted(folder.glob("*")) if folder.is_dir() else []:
        state = file.stat()
        made = datetime.fromtimestamp(state.st_mtime, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: UP017
        rows.append((file.name, f"file://{file}", state.st_size, made))
    if output == "json":
        items = [
            {
                "metadata": {"name": f"local-{name}"},
                "spec": {"snapshotName": name, "nodeName": node, "location": place},
                "status": {"size": str(size), "creationTime": made, "readyToUse": True},
            }
            for name, place, size, made in rows
        ]
        print(json.dumps({"kind": "ETCDSnapshotFileList", "apiVersion": "k3s.cattle.io/v1", "items": items}))
        return
    width = max((len(name) for name, *_ in rows), default=4)
    place_width = max((len(place) for _, place, *_ in rows), default=8)
    print(f"{'Name':<{width}} {'Location':<{place_width}} {'Size':<8} Created")
    for name, place, size, made in rows:
        print(f"{name:<{width}} {place:<{place_width}} {size:<8} {made}")


def delete(folder: Path, names: list[str]) -> None:
    for name in names:
        file = folder / name
        if not file.is_file():
            fatal(f"Error: snapshot {name} not found")
        file.unlink()
        log("info", f"Snapshot {name} deleted.")


class ClusterReset:
    """Become the only member again, from the datastore as it is or from a snapshot."""

    def __init__(self, settings: Settings) -> None:
        self.server = Server(settings)
        self.snapshot = str(settings.get("cluster-reset-restore-path") or "")

    def run(self) -> NoReturn:
        server, paths = self.server, self.server.paths
        if paths.reset_flag.exists():
            fatal(f"{RESET_BEFORE}{paths.reset_flag}")
        if self.snapshot:
            file = Path(self.snapshot)
            if not file.is_absolute():
                file = snapshot_folder(server, server.settings) / file
            if not file.exists():
                fatal(f"Error: starting kubernetes: preparing server: etcd: snapshot path does not exist: {file}")
        elif not server.etcd.is_initialized:
            fatal(f"Error: etcd database not found in {paths.etcd}")
        paths.make()
        if server.token is None:
            fatal("Error: preparing server: K3S_TOKEN is required: nothing else opens the bootstrap data")
        try:
            if self.snapshot:
                server.etcd.restore_snapshot(file)
            self.reset()
        except EtcdError as error:
            server.etcd.stop()
            fatal(f"Error: starting kubernetes: preparing server: {error}")
        write(paths.reset_flag, "", 0o600)
        server.etcd.stop()
        log("info", RESET + OTHERS)
        raise SystemExit(0)

    def reset(self) -> None:
        """Start etcd as the only member, and put down what the token opens."""
        from .apiserver import make_encryption_config
        from .certificates import make_authorities

        server = self.server
        make_authorities(server.paths)
        make_encryption_config(server.paths, server.settings)
        server.make_certificates()
        server.etcd.start(force=not self.snapshot)
        server.etcd.wait_healthy(patience=60)
        files = self.load()
        server.etcd.keep_only_this()
        bootstrap.put_down(server.paths, files)
        server.keep_tokens()

    def load(self) -> dict[str, str]:
        try:
            files = bootstrap.load(self.server.etcd, self.server.password)
        except SystemExit:
            self.server.etcd.stop()
            raise
        if files is None:
            self.server.etcd.stop()
            fatal("Error: preparing server: the datastore has no bootstrap data")
        return files
