"""How many nodes may download at once: what the spec says, and what is meant where it does not."""

import pytest

from fleet.model.crowd import Downloads
from tests.specs import document, resolved

HTTP = '"https://mirror.acme.example/k3s"'


@pytest.mark.parametrize(
    ("artifacts", "meant"),
    [
        ("", Downloads(50, 4)),
        (f"artifacts: {{mirrors: [{HTTP}]}}", Downloads(50, 4)),
        ("artifacts: {maxConcurrent: {perSite: 1}}", Downloads(50, 1)),
        ("artifacts: {maxConcurrent: {perMirror: 7}}", Downloads(7, 4)),
        (f"artifacts: {{mirrors: [{HTTP}], maxConcurrent: {{perMirror: 9, perSite: 2}}}}", Downloads(9, 2)),
        ('artifacts: {mirrors: ["file:mirror"], maxConcurrent: {perSite: 1}}', Downloads()),
        (f'artifacts: {{mirrors: ["file:mirror", {HTTP}]}}', Downloads(50, 4)),
    ],
)
def test_limits(artifacts: str, meant: Downloads) -> None:
    assert resolved(document("Fleet", "acme", artifacts)).downloads == meant
