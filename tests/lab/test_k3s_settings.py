"""config.yaml as the stand-in reads and checks it: alike in its light and its full form. No cluster is started."""

from collections.abc import Iterator

import pytest

from tests.lab.machines import Machine, Machines

VERSION = "v1.36.1+k3s1"
CONFIG = "/etc/rancher/k3s/config.yaml"


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with Machines() as machines:
        machine = machines.add("m1")
        machine.install_k3s(VERSION)
        yield machine


@pytest.fixture(autouse=True)
def _clean(machine: Machine) -> None:
    machine.run("rm", "-rf", "/etc/rancher", "/var/lib/rancher")


def refused(machine: Machine, role: str, config: str, *arguments: str) -> str:
    machine.write(CONFIG, config)
    said = machine.run("sh", "-c", 'k3s "$@" 2>&1; echo "status $?"', "sh", role, *arguments, timeout=30)
    assert said.endswith("status 1\n"), said
    return said


@pytest.mark.parametrize(
    ("role", "config", "message"),
    [
        ("server", "no-such-key: 1\n", "Unknown flag --no-such-key found in config.yaml"),
        ("server", "nodelabel: [a=b]\n", "Unknown flag --nodelabel found in config.yaml"),
        ("server", "cluster-secret: x\n", "Unknown flag --cluster-secret found"),
        ("server", "write-kubeconfig-name: x\n", "Unknown flag --write-kubeconfig-name found"),  # from v1.37 on
        ("server", "helm-controller-arg: [x=y]\n", "Unknown flag --helm-controller-arg found"),  # from v1.36.3 on
        ("server", "disable-apiserver-lb: true\n", "refuses: it is one of `k3s agent`"),
        ("agent", "cluster-init: true\n", "refuses: it is one of `k3s server`"),
        ("agent", "disable: [traefik]\n", "refuses: it is one of `k3s server`"),
        ("agent", "write-kubeconfig-mode: '0600'\n", "refuses: it is one of `k3s server`"),
        ("server", "cluster-init: perhaps\n", 'invalid boolean value \\"perhaps\\" for -cluster-init'),
        ("server", "https-listen-port: many\n", 'invalid value \\"many\\" for flag -https-listen-port'),
        ("server", "etcd-s3-timeout: soon\n", 'invalid value \\"soon\\" for flag -etcd-s3-timeout'),
        ("server", "cluster-domain: [a, b]\n", "invalid value for flag -cluster-domain: it takes one value"),
        ("server", "flannel-backend: wireguard\n", "invalid value 'wireguard' for --flannel-backend"),
        ("server", "egress-selector-mode: none\n", "invalid value 'none' for --egress-selector-mode"),
        ("server", "cluster-reset-restore-path: /x\n", "--cluster-reset required with --cluster-reset-restore-path"),
        ("server", "disable-etcd: true\n", "--server is required with --disable-etcd"),
        ("server", "- a list\n", "it holds no mapping"),
        ("server", "a: b: c\n", f"failed to read {CONFIG}: mapping values are not allowed"),
        ("server", "node-label: [node-role.kubernetes.io/till=true]\n", "unknown 'kubernetes.io' or 'k8s.io' labels"),
        ("server", "node-taint: [a=b]\n", "invalid taint 'a=b'"),
        ("agent", "token: x\n", "--server is required"),
        ("agent", "server: https://10.78.0.1:6443\n", "--token is required"),
        ("agent", "server: https://10.78.0.1:6443\ntoken-file: /nowhere\n", "failed to read --token-file"),
        ("agent", "server: http://10.78.0.1:6443\ntoken: x\n", "https"),
    ],
)
def test_what_does_not_start(machine: Machine, role: str, config: str, message: str) -> None:
    assert message in refused(machine, role, config)


def test_arguments_that_k3s_does_not_define(machine: Machine) -> None:
    assert "flag provided but not defined: -no-such" in refused(machine, "server", "", "--no-such=1")
    assert "No help topic for" in refused(machine, "crictl", "")


def started(machine: Machine, **files: str) -> None:
    """Start a server with these files in config.yaml.d, and wait until it is ready."""
    machine.write(CONFIG, files.pop("main", ""))
    for name, text in files.items():
        machine.write(f"{CONFIG}.d/{name.replace('_', '.')}", text)
    server = machine.start("k3s", "server")
    server.wait_ready()
    server.stop()


def test_the_last_file_wins_and_plus_appends(machine: Machine) -> None:
    started(
        machine,
        main="write-kubeconfig-mode: '0600'\ntls-san: [a]\n",
        b_yaml="write-kubeconfig-mode: '0640'\n",
        a_yml="write-kubeconfig-mode: '0644'\ntls-san+: [b]\n",
        c_txt="write-kubeconfig-mode: '0666'\nno-such-key: 1\n",
    )

    assert machine.path("/etc/rancher/k3s/k3s.yaml").stat().st_mode & 0o777 == 0o640


def test_the_command_line_beats_the_file_and_the_environment(machine: Machine) -> None:
    machine.write(CONFIG, "token: from-the-file\n")
    command = "K3S_TOKEN=from-the-environment timeout 2 k3s server --token=from-the-line; true"
    machine.run("sh", "-c", command)

    assert machine.read("/var/lib/rancher/k3s/server/token").endswith("::server:from-the-line\n")


def test_a_minor_is_not_skipped_and_none_goes_back(machine: Machine) -> None:
    version = "/var/lib/rancher/k3s/server/db/standin-version"
    started(machine)
    assert machine.read(version) == VERSION

    machine.write(version, "v1.37.1+k3s1")
    assert "written by v1.37.1+k3s1, a newer minor than v1.36.1+k3s1" in refused(machine, "server", "")
    machine.write(version, "v1.34.2+k3s1")
    assert "a minor would be skipped" in refused(machine, "server", "")
    machine.write(version, "v1.35.4+k3s1")
    started(machine)


def test_it_can_be_told_to_fail(machine: Machine) -> None:
    faults = "/var/lib/k3s-standin/faults.json"
    machine.write(faults, '{"start": "fail"}')
    assert "told to fail (start)" in refused(machine, "server", "")

    machine.write(faults, '{"start": "fail", "version": "v1.35.4+k3s1"}')
    started(machine)
    machine.path(faults).unlink()
