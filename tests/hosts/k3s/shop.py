"""A fleet of one site on the first hosts of the lab, for tests that want clusters of their own."""

import secrets
from pathlib import Path

from tests.hosts.checkout import Checkout
from tests.lab.lab import Lab

FLEET = """\
apiVersion: fleet/v1alpha1
kind: Fleet
metadata: {name: acme}
spec:
  k3s: {version: v1.34.2+k3s1}
  artifacts: {mirrors: ["http://10.77.0.1/k3s"]}
  connection: {user: fleet, privateKey: KEY}
  profiles: [base]
"""


def make_shop(lab: Lab, folder: Path, files: dict[str, str]) -> Checkout:
    """The repository with these files beside fleet.yaml: locked, with its tokens, committed. Nothing is applied."""
    home = folder / "home"
    home.mkdir()
    (home / "vault-password").write_text(secrets.token_hex(16))
    checkout = Checkout(lab, folder / "acme", home)
    checkout.folder.mkdir()
    checkout.git("init", "--quiet", "--initial-branch=main")
    written = {"fleet.yaml": FLEET, "known_hosts": lab.known_hosts.read_text(), ".gitignore": ".fleet/\n", **files}
    for path, text in written.items():
        checkout.write(path, text.replace("KEY", str(lab.ssh_key)) if path == "fleet.yaml" else text)
    checkout.fleet("lock")
    checkout.fleet("secret", "generate")
    checkout.commit("Describe the shop")
    return checkout
