"""Where K3s looks for its files, and the modes they are given.

Sources: install.sh (binary, unit, environment file), k3s-io/docs installation/configuration.md,
installation/private-registry.md, installation/airgap.md, security/hardening-guide.md, cli/token.md.
Modes are octal strings, as a bundle carries them. Nothing that holds a secret is readable for others.
"""

import posixpath

import msgspec

BINARY = "/usr/local/bin/k3s"
# install.sh links these to the binary, unless a command of that name is there already.
LINKS = ("/usr/local/bin/kubectl", "/usr/local/bin/crictl", "/usr/local/bin/ctr")

CONFIG_DIR = "/etc/rancher/k3s"
CONFIG = "/etc/rancher/k3s/config.yaml"
CONFIG_DROPIN_DIR = "/etc/rancher/k3s/config.yaml.d"
# Ours: the labels and taints that K3s gives the Node. A file of its own, since no change of it restarts K3s.
NODE_CONFIG = "/etc/rancher/k3s/config.yaml.d/20-fleet-node.yaml"
REGISTRIES = "/etc/rancher/k3s/registries.yaml"
KUBECONFIG = "/etc/rancher/k3s/k3s.yaml"

# Ours: what token-file and agent-token-file point at. A server holds both, an agent only the second.
SERVER_TOKEN = "/etc/rancher/k3s/server-token"  # noqa: S105 - a path, no password
AGENT_TOKEN = "/etc/rancher/k3s/agent-token"  # noqa: S105 - a path, no password
DATASTORE_CA = "/etc/rancher/k3s/datastore-ca.crt"
DATASTORE_CERT = "/etc/rancher/k3s/datastore-client.crt"
DATASTORE_KEY = "/etc/rancher/k3s/datastore-client.key"

SYSTEMD_DIR = "/etc/systemd/system"
ROUTE_UNIT = "fleet-default-route.service"
SYSCTL = "/etc/sysctl.d/90-kubelet.conf"
DATA_DIR = "/var/lib/rancher/k3s"

MODE_BINARY = "0755"
MODE_UNIT = "0644"
MODE_SYSCTL = "0644"
MODE_IMAGES = "0644"
MODE_SECRET = "0600"  # noqa: S105 - a file mode, no password
MODE_PRIVATE_DIR = "0700"

# K3s's own playbooks write config and tokens 0644; both give away the cluster.
PRIVATE_FILES = frozenset(
    {
        CONFIG,
        NODE_CONFIG,
        REGISTRIES,
        KUBECONFIG,
        SERVER_TOKEN,
        AGENT_TOKEN,
        DATASTORE_CA,
        DATASTORE_CERT,
        DATASTORE_KEY,
    }
)


def unit_name(role: str) -> str:
    """`k3s.service` of a server, `k3s-agent.service` of an agent (install.sh). Raises ValueError for another role."""
    if role == "server":
        return "k3s.service"
    if role == "agent":
        return "k3s-agent.service"
    raise ValueError(f"K3s runs as server or agent, not as `{role}`")


def unit_path(role: str) -> str:
    return f"{SYSTEMD_DIR}/{unit_name(role)}"


def environment_path(role: str) -> str:
    """The unit's environment file, 0600: it may hold a proxy's password (advanced.md, "Configuring an HTTP proxy")."""
    return f"{SYSTEMD_DIR}/{unit_name(role)}.env"


def token_path(role: str) -> str:
    """What `token-file` points at on a node of this role. Raises ValueError for a role that is neither."""
    if role == "server":
        return SERVER_TOKEN
    if role == "agent":
        return AGENT_TOKEN
    raise ValueError(f"K3s runs as server or agent, not as `{role}`")


class Layout(msgspec.Struct, frozen=True):
    """The files below K3s's data directory, wherever `data-dir` puts it."""

    data_dir: str = DATA_DIR

    def _server(self, *parts: str) -> str:
        return posixpath.join(self.data_dir, "server", *parts)

    @property
    def server_dir(self) -> str:
        return self._server()

    @property
    def manifests(self) -> str:
        """Manifests in here are applied when K3s starts and whenever they change (installation/packaged-components)."""
        return self._server("manifests")

    @property
    def psa(self) -> str:
        return self._server("psa.yaml")

    @property
    def audit_policy(self) -> str:
        return self._server("audit.yaml")

    @property
    def audit_log_dir(self) -> str:
        return self._server("logs")

    @property
    def audit_log(self) -> str:
        return self._server("logs", "audit.log")

    @property
    def database(self) -> str:
        """The datastore: SQLite's state.db, or etcd's member directory."""
        return self._server("db")

    @property
    def sqlite(self) -> str:
        return self._server("db", "state.db")

    @property
    def etcd(self) -> str:
        return self._server("db", "etcd")

    @property
    def snapshots(self) -> str:
        return self._server("db", "snapshots")

    @property
    def tls(self) -> str:
        return self._server("tls")

    @property
    def server_ca(self) -> str:
        """The CA whose sha256 is the hash in a token's K10 prefix (cli/token.md)."""
        return self._server("tls", "server-ca.crt")

    @property
    def token(self) -> str:
        """The full K10 token that a server writes after its first start (cli/token.md)."""
        return self._server("token")

    @property
    def agent_token(self) -> str:
        return self._server("agent-token")

    @property
    def agent_dir(self) -> str:
        return posixpath.join(self.data_dir, "agent")

    def certificates(self, role: str) -> tuple[str, ...]:
        """Where certificates of K3s lie, CAs and others alike: k3s-io/docs, cli/certificate.md."""
        own = (self.tls, self._server("tls", "etcd")) if role == "server" else ()
        return (*own, self.agent_dir)

    @property
    def images(self) -> str:
        """Image tarballs in here are imported when K3s starts (installation/airgap.md)."""
        return posixpath.join(self.data_dir, "agent", "images")

    @property
    def private_dirs(self) -> tuple[str, ...]:
        """Directories that are made 0700 before K3s's first start, as K3s makes them itself (hardening-guide.md)."""
        return (self.server_dir, self.manifests, self.audit_log_dir)
