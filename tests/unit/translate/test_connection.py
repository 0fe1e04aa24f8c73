"""How hosts are reached."""

from __future__ import annotations

import json

import pytest

from fleet.formats import vault
from tests.unit.translate.inventories import documents, made, nodes, spec, told


def way(variables: str) -> tuple[dict[str, object], list[str]]:
    """The connection of a host with these variables, and what is told."""
    found = made(f"all: {{hosts: {{one: {{ansible_host: 10.0.0.1, {variables}}}}}}}\n")
    return nodes(found)["one"].get("connection", {}), told(found)


@pytest.mark.parametrize(
    ("variables", "connection"),
    [
        ("ansible_port: 2222", {"port": 2222}),
        ('ansible_port: "2222"', {"port": 2222}),
        ("ansible_ssh_port: 2222", {"port": 2222}),
        ("ansible_user: ops", {"user": "ops"}),
        ("ansible_user: ops, ansible_ssh_user: older", {"user": "older"}),
        ("ansible_ssh_private_key_file: ~/.ssh/k", {"privateKey": "~/.ssh/k"}),
        ("ansible_private_key_file: /k, ansible_ssh_private_key_file: /l", {"privateKey": "/l"}),
        ("ansible_become: yes", {"become": True}),
        ('ansible_become: "no"', {"become": False}),
        ("ansible_become: false", {"become": False}),
        ("ansible_ssh_common_args: -J jump@gw:22", {"jumpHost": "jump@gw:22"}),
        ("ansible_ssh_extra_args: -o ProxyJump=a", {"jumpHost": "a"}),
        ("ansible_ssh_args: -J a, ansible_ssh_common_args: -J b, ansible_ssh_extra_args: -J c", {"jumpHost": "a"}),
        (
            """ansible_ssh_common_args: '-o ProxyCommand="nc %h %p" -i /k'""",
            {"proxyCommand": "nc %h %p", "privateKey": "/k"},
        ),
        ('ansible_port: "{{ base + 1 }}", base: 5', {}),
        ('ansible_port: "{{ p }}", p: 2201', {"port": 2201}),
        ('ansible_user: "{{ a }}", a: "{{ b }}", b: ops', {"user": "ops"}),
        ('ansible_user: "u-{{ inventory_hostname }}"', {"user": "u-one"}),
    ],
)
def test_fields_of_the_connection(variables, connection):
    assert way(variables)[0] == connection


@pytest.mark.parametrize(
    ("variables", "lines"),
    [
        ("ansible_port: 0", ["not carried over: it is not a port from 1 to 65535"]),
        ("ansible_port: true", ["not carried over: it is not a port from 1 to 65535"]),
        ("ansible_user: John.Doe", ["not carried over: it is not a login name of lower-case letters, digits, `_` and `-`"]),
        ("ansible_user: !vault x", ["not carried over: it is not a login name of lower-case letters, digits, `_` and `-`"]),
        ("ansible_become: maybe", ["not carried over: it is not true or false"]),
        ("ansible_private_key_file: ''", ["not carried over: it is not the path of a key"]),
        ("ansible_private_key_file: keys/k", ["a path that depends on where Ansible was started"]),
        ('ansible_port: "{{ base + 1 }}"', ["not carried over: only Ansible can work out what its Jinja gives"]),
        ("ansible_ssh_common_args: -o 'x", ["not carried over: a quote in it is not closed"]),
        (
            "ansible_ssh_common_args: -o UserKnownHostsFile=/dev/null",
            ["UserKnownHostsFile is not carried over: fleet pins host keys in `known_hosts` of the fleet's folder"],
        ),
        ("ansible_ssh_common_args: -o ControlMaster=auto", ["ControlMaster is not needed: it only says how ssh is called"]),
        ("ansible_ssh_common_args: -p 22 -l me -o SendEnv=X", ["SendEnv is not carried over", "User is not carried over", "Port is not carried over"]),
        (
            "ansible_private_key_file: /k, ansible_ssh_common_args: -i /l",
            ["IdentityFile is not carried over"],
        ),
        (
            """ansible_ssh_common_args: '-J a -o ProxyCommand="nc %h %p"'""",
            ["the jump host is not carried over: there is a ProxyCommand, too"],
        ),
        ("ansible_connection: winrm", ["not carried over: fleet reaches nodes by ssh only"]),
        ("ansible_connection: ssh", ["not needed: fleet reaches nodes by ssh only"]),
        ("ansible_become_user: postgres", ["not carried over: fleet becomes root"]),
        ("ansible_become_method: su", ["not carried over: fleet becomes root by sudo"]),
        ("ansible_python_interpreter: /usr/bin/python3", ["not needed: fleet runs the node's python3"]),
        ("ansible_python_interpreter: /opt/py", ["not carried over: fleet runs the node's python3"]),
        ("ansible_ssh_pipelining: true", ["not needed: it only says how Ansible itself works"]),
        ("ansible_winrm_transport: ntlm", ["not carried over: fleet reaches nodes by ssh and sudo only"]),
        ("ansible_become_password: hunter2", ["a connection secret is not carried over"]),
        ("ansible_ssh_pass: hunter2", ["a connection secret is not carried over"]),
    ],
)  # fmt: skip
def test_what_is_told(variables, lines):
    assert sorted(each.partition(": ")[2] for each in way(variables)[1]) == sorted(lines)


def test_a_variable_of_ansible_that_nobody_knows_is_kept():
    found = made("all: {hosts: {one: {ansible_host: 10.0.0.1, ansible_custom: 1}}}\n")
    assert nodes(found)["one"]["vars"] == {"ansible_custom": 1}


def test_what_a_group_says_stays_with_the_group():
    found = made(
        "all: {vars: {ansible_user: ops}, children: {dmz: {vars: {ansible_port: 2222, ansible_ssh_common_args: -J gw},"
        " hosts: {one: {ansible_host: 10.0.0.1}}}, lan: {hosts: {two: {ansible_host: 10.0.0.2}}}}}\n"
    )
    assert spec(found)["connection"] == {"user": "ops"}
    assert spec(found, "profiles/dmz.yaml")["connection"] == {"port": 2222, "jumpHost": "gw"}
    assert "connection" not in nodes(found)["one"]


def test_a_stronger_jump_host_takes_a_weaker_proxy_away():
    found = made(
        "all: {vars: {ansible_ssh_common_args: -o ProxyCommand=nc}, children: {dmz: {vars: "
        "{ansible_ssh_common_args: -J gw}, hosts: {one: {ansible_host: 10.0.0.1}}}}}\n"
    )
    assert spec(found)["connection"] == {"proxyCommand": "nc"}
    assert spec(found, "profiles/dmz.yaml")["connection"] == {"jumpHost": "gw", "proxyCommand": None}


@pytest.mark.parametrize(
    ("host", "variables", "node"),
    [
        ("one", "ansible_host: 10.0.0.1", {"address": "10.0.0.1"}),
        ("one", "ansible_host: 10.0.0.1, ansible_ssh_host: 10.0.0.2", {"address": "10.0.0.2"}),
        ("10.0.0.1", "", {"address": "10.0.0.1"}),
        ("one", "ansible_host: one.acme.example", {"connection": {"address": "one.acme.example"}}),
        ("one.acme.example", "", {"connection": {"address": "one.acme.example"}}),
        ("one", 'ansible_host: "{{ ip }}", ip: 10.0.0.1', {"address": "10.0.0.1"}),
        ("one", 'ansible_host: "{{ inventory_hostname }}.lan"', {"connection": {"address": "one.lan"}}),
        ("one", "ansible_host: fd00::1", {"address": "fd00::1"}),
    ],
)
def test_where_a_node_is(host, variables, node):
    found = made(f'all: {{hosts: {{"{host}": {{{variables}}}}}}}\n')
    (only,) = nodes(found).values()
    assert {key: only[key] for key in ("address", "connection") if key in only} == node
    assert not [each for each in told(found) if " warning " in each]


@pytest.mark.parametrize(
    ("host", "variables", "address", "message"),
    [
        (
            "one",
            "ansible_host: \"{{ lookup('dns', 'x') }}\"",
            "one",
            "not carried over: only Ansible can work out where it is",
        ),
        ("one", "ansible_host: 5", "one", "not carried over: only Ansible can work out where it is"),
        ("web_1", "", "web-1", "`web_1` is neither an address nor a host name: web-1 stands in for it"),
        (
            "one",
            "ansible_host: fe80::1%eth0",
            "one",
            "`fe80::1%eth0` is neither an address nor a host name: one stands in for it",
        ),
    ],
)
def test_where_nobody_can_say_where_it_is(host, variables, address, message):
    found = made(f"all: {{hosts: {{{host}: {{{variables}}}}}}}\n")
    (only,) = nodes(found).values()
    assert only["connection"] == {"address": address}
    assert [each for each in told(found) if each.endswith(message)]


def test_hosts_behind_one_router_have_no_address_of_their_own():
    found = made("all: {vars: {ansible_host: 203.0.113.1}, hosts: {one: {ansible_port: 1}, two: {ansible_port: 2}}}\n")
    assert [node["connection"] for node in nodes(found).values()] == [
        {"address": "203.0.113.1", "port": 1},
        {"address": "203.0.113.1", "port": 2},
    ]


def test_who_says_no_user_is_told_once():
    found = made("all: {hosts: {one: {ansible_user: a}, two: {}, three: {}}}\n")
    assert told(found, "ansible_user") == [
        "1:39 note ansible_user: some hosts say no ansible_user: fleet connects as `fleet` there"
    ]
    assert documents(found)["fleet.yaml"]["spec"] == {}


SEALED = "!vault " + json.dumps(vault.encrypt(b"x", b"password", vault.DEFAULT_ID, bytes(32)))


def test_a_vaulted_password_of_sudo_becomes_a_secret():
    """At a group, behind a reference; and a clear one at a host keeps the group's from it."""
    found = made(
        f"all: {{children: {{web: {{vars: {{v: {SEALED}, ansible_become_pass: '{{{{ v }}}}'}}, hosts: {{"
        "one: {ansible_host: 10.0.0.1}, two: {ansible_host: 10.0.0.2, ansible_become_pass: hunter2}}}, lan: {hosts: "
        "{three: {ansible_host: 10.0.0.3}}}}}\n"
    )
    web = spec(found, "profiles/web.yaml")
    assert web["connection"] == {"becomePassword": web["vars"]["v"]} == {"becomePassword": "secret:v.web"}
    assert "connection" not in nodes(found)["one"]
    assert nodes(found)["two"]["connection"] == {"becomePassword": None}
    assert told(found, "ansible_become_pass")[-1].endswith("a connection secret is not carried over")


def test_passwords_of_sudo_under_two_names_are_told():
    found = made(f"all: {{vars: {{ansible_become_pass: {SEALED}}}, hosts: {{one: {{ansible_sudo_pass: {SEALED}}}}}}}\n")
    assert "connection" not in spec(found)
    assert "becomePassword" not in nodes(found)["one"].get("connection", {})
    assert len(told(found, "ansible_become_pass")) == len(told(found, "ansible_sudo_pass")) == 1


def test_of_one_setting_the_file_of_an_outer_group_is_in_force_before_what_an_inner_one_says_inline():
    """Also where Jinja has a part in it, so that it is worked out for each host."""
    found = made(
        "outer: {children: {inner: {vars: {net: 10.1}, hosts: {one: {ansible_host: '{{ net }}.0.1'}}}}}\n",
        group_vars={"outer": "net: '10.2'\n"},
    )
    assert nodes(found)["one"]["address"] == "10.2.0.1"


def test_of_a_jump_host_and_a_proxy_command_in_several_variables_the_command_is_kept():
    found = made(
        "all: {vars: {ansible_ssh_common_args: '-o ProxyCommand=\"nc %h %p\"'}, hosts: {one: {ansible_host: 10.0.0.1,"
        " ansible_ssh_extra_args: -J gw}, two: {ansible_host: 10.0.0.2}}}\n"
    )
    assert nodes(found)["one"]["connection"] == {"proxyCommand": "nc %h %p"}
    assert [each.partition(": ")[2] for each in told(found, "ansible_ssh_extra_args")] == [
        "the jump host is not carried over: there is a ProxyCommand, too"
    ]
