from pathlib import Path

import jinja2
import pytest

TEMPLATES = Path(__file__).parents[3] / "templates"

UNIT = """\
[Unit]
Description=Lightweight Kubernetes
Documentation=https://k3s.io
Wants=network-online.target
After=network-online.target

[Install]
WantedBy=multi-user.target

[Service]
Type=notify
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
EnvironmentFile=-/etc/systemd/system/%N.service.env
KillMode=process
Delegate=yes
User=root
# Limits other than infinity make the kernel account for them, which costs.
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
# Every option is in /etc/rancher/k3s/config.yaml: one given here would beat it.
ExecStart=/usr/local/bin/k3s {role}
"""


@pytest.fixture
def template():
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template("k3s/k3s.service.j2")


@pytest.mark.parametrize("role", ["server", "agent"])
def test_the_unit_is_install_shs_with_a_bare_exec_start(template, role):
    assert template.render(role=role, description="Lightweight Kubernetes") == UNIT.replace("{role}", role)


def test_the_unit_takes_two_values_and_no_fewer(template):
    with pytest.raises(jinja2.UndefinedError):
        template.render(role="server")
