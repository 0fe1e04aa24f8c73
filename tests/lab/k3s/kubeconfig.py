"""The admin's kubeconfig, with everything inside (pkg/daemons/control, docs/cluster-access.md)."""

import base64
import grp
import os
from pathlib import Path

from .output import fatal, write
from .paths import KUBECONFIG, ServerPaths
from .settings import Settings

TEMPLATE = """apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {authority}
    server: https://127.0.0.1:{port}
  name: {name}
contexts:
- context:
    cluster: {name}
    user: {name}
  name: {name}
current-context: {name}
kind: Config
preferences: {{}}
users:
- name: {name}
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
"""


def write_kubeconfig(settings: Settings, paths: ServerPaths, port: int) -> None:
    """To write-kubeconfig, or /etc/rancher/k3s/k3s.yaml, mode 0600 unless write-kubeconfig-mode says otherwise."""
    tls = paths.tls
    text = TEMPLATE.format(
        authority=encoded(tls / "server-ca.crt"),
        certificate=encoded(tls / "client-admin.crt", tls / "client-ca.crt"),
        key=encoded(tls / "client-admin.key"),
        port=port,
        name=settings.get("write-kubeconfig-name") or "default",
    )
    admin = paths.cred / "admin.kubeconfig"
    write(admin, text, 0o600)
    target = Path(str(settings.get("write-kubeconfig") or KUBECONFIG))
    try:
        mode = int(str(settings.get("write-kubeconfig-mode") or "600"), 8)
    except ValueError:
        fatal(f"Error: invalid write-kubeconfig-mode {settings['write-kubeconfig-mode']!r}")
    write(target, text, mode)
    group = settings.get("write-kubeconfig-group")
    if group:
        try:
            os.chown(target, 0, grp.getgrnam(str(group)).gr_gid)
        except KeyError:
            fatal(f"Error: group: unknown group {group}")


def encoded(*files: Path) -> str:
    return base64.b64encode(b"".join(file.read_bytes() for file in files)).decode()
