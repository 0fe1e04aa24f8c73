"""Where K3s keeps what (docs/architecture.md, pkg/daemons/config/types.go, pkg/deps), below `data-dir`."""

from pathlib import Path

API_SERVER = Path("/usr/local/lib/k3s-standin/kube-apiserver")
ETC = Path("/etc/rancher/k3s")
KUBECONFIG = ETC / "k3s.yaml"
NODE_PASSWORD = Path("/etc/rancher/node/password")
NODE_ID = Path("/etc/rancher/node/id")
DATA = "/var/lib/rancher/k3s"


class ServerPaths:
    def __init__(self, data: str) -> None:
        self.data = Path(data)
        self.home = self.data / "server"
        self.tls = self.home / "tls"
        self.etcd_tls = self.tls / "etcd"
        self.cred = self.home / "cred"
        self.db = self.home / "db"
        self.etcd = self.db / "etcd"
        self.sqlite = self.db / "state.db"
        self.snapshots = self.db / "snapshots"
        self.reset_flag = self.db / "reset-flag"
        self.manifests = self.home / "manifests"
        self.logs = self.home / "logs"
        self.token = self.home / "token"
        self.agent_token = self.home / "agent-token"
        self.node_token = self.home / "node-token"
        self.agent = self.data / "agent"

    def make(self) -> None:
        """The folders, with K3s's modes."""
        for folder, mode in ((self.home, 0o700), (self.tls, 0o700), (self.cred, 0o700), (self.db, 0o700)):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(mode)
        for folder in (self.etcd_tls, self.manifests, self.logs, self.agent):
            folder.mkdir(parents=True, exist_ok=True)
