"""K3s's rules about settings that only inheritance makes visible, and what users may not say beside fleet."""

from __future__ import annotations

import pytest

from fleet.errors import MistakesError
from fleet.model.problem import Mistake
from tests.specs import FLEET, ONE, document, resolved

EXTERNAL = ONE + "cluster: {datastore: {external: {endpointSecret: db}}}\n"


def mistakes(*documents: str) -> list[Mistake]:
    with pytest.raises(MistakesError) as caught:
        resolved(*documents)
    return caught.value.mistakes


@pytest.mark.parametrize(
    "key",
    [
        "token", "token-file", "agent-token", "agent-token-file", "server", "cluster-init", "datastore-endpoint",
        "datastore-cafile", "datastore-certfile", "datastore-keyfile", "node-name", "tls-san", "node-ip",
        "node-label", "node-taint",
    ],
)  # fmt: skip
def test_keys_that_fleet_sets_itself(key: str) -> None:
    value = "true" if key == "cluster-init" else "x"
    (mistake,) = mistakes(FLEET, document("Site", "lyon", f"{EXTERNAL}k3s: {{config: {{{key}: {value}}}}}"))
    assert mistake.message.startswith(f"k3s.config.{key} is set by fleet itself: ")
    assert mistake.place.path == ("spec", "k3s", "config", key)
    assert mistake.on_key


def test_several_are_told_in_the_order_of_their_name() -> None:
    said = "k3s: {config: {token-file: x, server: x, cluster-init: true, node-ip: x}}"
    found = mistakes(FLEET, document("Site", "lyon", f"{EXTERNAL}{said}"))
    assert [mistake.place.path[-1] for mistake in found] == ["cluster-init", "node-ip", "server", "token-file"]


def test_the_unit_of_k3s_is_fleets_own() -> None:
    site = """
    nodes:
      - {name: a, role: server, address: 10.0.0.1}
      - {name: b, role: agent, address: 10.0.0.2}
    os: {units: [{name: UNIT, enabled: false}]}
    """
    (mistake,) = mistakes(FLEET, document("Site", "lyon", site.replace("UNIT", "k3s-agent.service")))
    assert mistake.message == "unit k3s-agent.service of b is one that fleet keeps running itself"
    assert mistake.place.path == ("spec", "os", "units")
    (mistake,) = mistakes(FLEET, document("Site", "lyon", site.replace("UNIT", "k3s.service")))
    assert mistake.message == "unit k3s.service of a is one that fleet keeps running itself"
    plain = site.replace("role: server", "role: none").replace("role: agent", "role: none")
    assert len(resolved(FLEET, document("Site", "lyon", plain.replace("UNIT", "k3s.service"))).nodes) == 2


def test_a_manifest_without_content_is_found_on_every_node_that_lacks_it() -> None:
    found = mistakes(
        FLEET,
        document("Profile", "quota", "k3s: {manifests: [{name: quota, content: 'a: b'}]}"),
        document("Site", "lyon", ONE + "profiles: [quota]"),
        document(
            "Site",
            "turin",
            "nodes: [{name: t, role: server, address: 10.0.0.1, k3s: {manifests: [{name: quota}]}}]",
        ),
    )
    assert [mistake.message for mistake in found] == [
        "manifest quota has no content on t: none of its layers gives one"
    ]


def test_a_file_without_content_is_found_on_every_node_that_lacks_it() -> None:
    found = mistakes(
        document("Fleet", "acme", ""),
        document("Profile", "motd", "os: {files: [{path: /etc/motd, content: hello}]}"),
        document("Site", "lyon", "profiles: [motd]\nnodes: [{name: a, role: none, address: 10.0.0.1}]"),
        document(
            "Site",
            "turin",
            "nodes: [{name: t, role: none, address: 10.0.0.2, os: {files: [{path: /etc/motd, mode: '0600'}]}}]",
        ),
    )
    assert [mistake.message for mistake in found] == ["/etc/motd has no content on t: none of its layers gives one"]
