"""A file that holds a secret is not for everybody to read, whatever the default for files is."""

from __future__ import annotations

import pytest

from fleet.model.learned import Learned
from fleet.model.secret import LockedSecret
from fleet.render import Renderer, RenderError
from fleet.resolve import resolve
from tests.specs import document, loaded

SECRETS = {"db": LockedSecret(file="secrets/x.yaml", version=1, fingerprint="f1")}


def modes(*files: str) -> dict[str, str]:
    spec = loaded(
        document("Fleet", "acme", f"vars: {{pass: secret:db}}\nos: {{files: [{', '.join(files)}]}}"),
        document("Site", "lyon", "nodes: [{name: a, role: none, address: 10.0.0.1}]"),
    )
    fleet = resolve(spec, Learned())
    renderer = Renderer(fleet, spec.lock, SECRETS, spec.files, {})
    bundle = renderer.bundle(fleet.nodes[0])
    assert renderer.sketch(fleet.nodes[0]).digest == bundle.digest
    return {file.path: file.mode for file in bundle.files}


def test_the_default_is_private_where_a_secret_is_inside() -> None:
    assert modes(
        "{path: /plain, content: x}",
        "{path: /secret, content: 'p={{ secrets.db }}'}",
        "{path: /by-node, content: '{{ node.name }} {{ secrets.db }}'}",
        "{path: /by-variable, content: '{{ vars.pass }}'}",
        "{path: /node-without, content: '{{ node.name }}'}",
    ) == {"/plain": "0644", "/secret": "0600", "/by-node": "0600", "/by-variable": "0600", "/node-without": "0644"}


def test_a_mode_of_ones_own_stands_while_others_cannot_read() -> None:
    assert modes("{path: /s, content: '{{ secrets.db }}', mode: '0640'}") == {"/s": "0640"}


@pytest.mark.parametrize("content", ["{{ secrets.db }}", "{{ node.name }}{{ secrets.db }}"])
@pytest.mark.parametrize("mode", ["0644", "0604", "0601"])
def test_a_mode_that_lets_everybody_in_is_refused(content: str, mode: str) -> None:
    with pytest.raises(RenderError, match=f"holds a secret, and mode {mode} lets everybody read it"):
        modes(f"{{path: /s, content: '{content}', mode: '{mode}'}}")
