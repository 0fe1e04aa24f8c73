"""What git no longer says goes away, and what was there before `fleet` comes back."""

import json

from tests.hosts.ground import SOUTH, UNIT, First, Ground

ACME_FILES = """\
      - path: /etc/acme/acme.conf
        template: templates/acme.conf.j2
        mode: "0640"
        validate: grep -q ^greeting= {file}
        restart: [acme.service]
      - path: /etc/systemd/system/acme.service
        source: files/acme.service
        restart: [acme.service]
"""
ACME_UNITS = """\
    units:
      - {name: acme.service, enabled: true, state: started}
"""
MOTD = """\
      - path: /etc/motd
        content: "{{ vars.greeting }} to {{ node.name }} at {{ site.name }}\\n"
"""


def test_dropped_files_and_units_go_and_originals_come_back(ground: Ground, first: First) -> None:
    checkout = ground.checkout
    for text in (ACME_FILES, ACME_UNITS, MOTD):
        checkout.edit("profiles/base.yaml", text, "")
    checkout.edit("profiles/base.yaml", "    files:\n", "    files: []\n")
    commit = checkout.commit("Drop acme and the greeting")
    report = checkout.plan()
    removed = {group["change"]["subject"] for group in report["groups"] if group["change"]["action"] == "remove"}
    assert {"/etc/motd", "/etc/acme/acme.conf", "/etc/systemd/system/acme.service"} <= removed

    checkout.fleet("apply", "--yes", "--site", "south")
    for name in SOUTH:
        host = ground.hosts[name]
        assert host.read("/etc/motd") == first.originals[name]
        assert host.stat("/etc/motd").mode == 0o644
        assert host.tree("/etc/acme", "/etc/systemd/system/acme.service") == {}
        assert host.tree("/etc/systemd/system/multi-user.target.wants/acme.service") == {}
        assert host.unit_show("acme.service", "LoadState", "ActiveState") == {
            "LoadState": "not-found",
            "ActiveState": "inactive",
        }
        assert json.loads(host.read("/var/lib/fleet/record.json"))["commit"] == commit
    assert ground.hosts["north-a"].read("/etc/systemd/system/acme.service") == UNIT, "the other site was not in scope"
