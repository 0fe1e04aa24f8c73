"""The way through a jump host, as ssh itself reads it."""

from __future__ import annotations

import shlex

import pytest

from fleet.formats.ssh_jump import jump_options


@pytest.mark.parametrize(
    ("jump_host", "key", "words"),
    [
        ("", "~/.ssh/fleet", []),
        ("ops@bastion", "", ["-J", "ops@bastion"]),
        ("ops@bastion,second", "/k", ["-J", "ops@bastion,second"]),
    ],
)
def test_where_no_key_is_to_be_shown_it_is_sshs_own_option(jump_host: str, key: str, words: list[str]) -> None:
    assert jump_options(jump_host, key, "known_hosts") == words


@pytest.mark.parametrize(
    ("jump_host", "target"),
    [
        ("ops@bastion:2222", "ssh://ops@bastion:2222"),
        ("bastion", "ssh://bastion"),
        ("ops@[fd00::1]:22", "ssh://ops@[fd00::1]:22"),
        ("ssh://ops@bastion", "ssh://ops@bastion"),
    ],
)
def test_the_key_of_the_node_is_shown_to_the_jump_host_as_well(jump_host: str, target: str) -> None:
    option, command = jump_options(jump_host, "~/my keys/fleet", "/a b/known_hosts")
    assert option == "-o"
    name, _, text = command.partition("=")
    assert name == "ProxyCommand"
    words = shlex.split(text)
    assert words[:3] == ["ssh", "-i", "~/my keys/fleet"]
    assert words[-3:] == ["-W", "[%h]:%p", target]
    assert {"StrictHostKeyChecking=yes", "BatchMode=yes", "UserKnownHostsFile=/a b/known_hosts"} <= set(words)
