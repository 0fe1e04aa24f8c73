import pytest

from fleet.k3s import paths
from fleet.k3s.paths import Layout, environment_path, token_path, unit_name, unit_path


def test_files_of_the_host():
    assert paths.BINARY == "/usr/local/bin/k3s"
    assert paths.CONFIG == "/etc/rancher/k3s/config.yaml"
    assert paths.REGISTRIES == "/etc/rancher/k3s/registries.yaml"
    assert paths.KUBECONFIG == "/etc/rancher/k3s/k3s.yaml"
    assert paths.SYSCTL == "/etc/sysctl.d/90-kubelet.conf"
    assert paths.DATA_DIR == "/var/lib/rancher/k3s"


def test_units_by_role():
    assert unit_name("server") == "k3s.service"
    assert unit_name("agent") == "k3s-agent.service"
    assert unit_path("agent") == "/etc/systemd/system/k3s-agent.service"
    assert environment_path("server") == "/etc/systemd/system/k3s.service.env"
    assert environment_path("agent") == "/etc/systemd/system/k3s-agent.service.env"


def test_a_token_file_per_role():
    assert token_path("server") == "/etc/rancher/k3s/server-token"
    assert token_path("agent") == "/etc/rancher/k3s/agent-token"


@pytest.mark.parametrize("ask", [unit_name, unit_path, environment_path, token_path])
def test_a_plain_host_has_no_k3s(ask):
    with pytest.raises(ValueError, match="not as `none`"):
        ask("none")


def test_what_holds_secrets_is_private():
    assert paths.MODE_SECRET == "0600"
    assert {
        "/etc/rancher/k3s/config.yaml",
        "/etc/rancher/k3s/registries.yaml",
        "/etc/rancher/k3s/server-token",
        "/etc/rancher/k3s/agent-token",
        "/etc/rancher/k3s/datastore-client.key",
    } <= paths.PRIVATE_FILES


def test_the_data_directory():
    layout = Layout()
    assert layout.manifests == "/var/lib/rancher/k3s/server/manifests"
    assert layout.psa == "/var/lib/rancher/k3s/server/psa.yaml"
    assert layout.audit_policy == "/var/lib/rancher/k3s/server/audit.yaml"
    assert layout.audit_log == "/var/lib/rancher/k3s/server/logs/audit.log"
    assert layout.images == "/var/lib/rancher/k3s/agent/images"
    assert layout.sqlite == "/var/lib/rancher/k3s/server/db/state.db"
    assert layout.etcd == "/var/lib/rancher/k3s/server/db/etcd"
    assert layout.snapshots == "/var/lib/rancher/k3s/server/db/snapshots"
    assert layout.server_ca == "/var/lib/rancher/k3s/server/tls/server-ca.crt"
    assert layout.token == "/var/lib/rancher/k3s/server/token"
    assert layout.private_dirs == (
        "/var/lib/rancher/k3s/server",
        "/var/lib/rancher/k3s/server/manifests",
        "/var/lib/rancher/k3s/server/logs",
    )


def test_the_data_directory_elsewhere():
    assert Layout("/data/k3s").manifests == "/data/k3s/server/manifests"
    assert Layout("/data/k3s").images == "/data/k3s/agent/images"
