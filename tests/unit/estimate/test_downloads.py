"""Which changes make a node download something."""

import pytest

from fleet.estimate import downloads
from fleet.model.change import Change, NodeChange
from tests.unit.estimate.test_radius import AGENT_UPGRADE, CHRONY, FIRST, UPGRADE

IMAGES = "/var/lib/rancher/k3s/agent/images/k3s-airgap-images-amd64.tar.zst"
SHA, OTHER = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    ("change", "is_fetched"),
    [
        (FIRST, True),
        (Change("first", "add", "everything"), False),  # a plain host
        (UPGRADE, True),
        (AGENT_UPGRADE, True),
        (Change("k3s", "remove", "K3s", "v1.34.6+k3s1"), False),
        (Change("artifact", "add", IMAGES, "", SHA), True),
        (Change("artifact", "edit", IMAGES, OTHER, SHA), True),
        (Change("artifact", "edit", IMAGES, "mode 0600", "mode 0644"), False),
        (Change("artifact", "remove", IMAGES, SHA), False),
        (CHRONY, False),
    ],
)
def test_a_download(change: Change, *, is_fetched: bool) -> None:
    assert downloads(NodeChange("a", "lyon", "", "none", "b1:old", "b1:new", (CHRONY, change))) is is_fetched
