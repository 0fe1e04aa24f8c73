"""The other side of the plan benchmark: the best script that a user would write for the `exploded` fleet.

    python benchmarks/naive_exploded.py DIR [--files]

PyYAML's CSafeLoader with the garbage collector off, one cached Jinja2 environment, templates compiled once; it renders
the files of every node, writes nothing, and prints how many files and bytes there were and one sha256 over theirs.
It checks nothing, knows no inheritance, and shares no code with fleet.
"""

from __future__ import annotations

import gc
import hashlib
import sys
from pathlib import Path

import jinja2
import yaml

HEADER = "# Written by fleet from the fleet's git repository; what is changed here is changed back.\n"
CONFIG = (
    HEADER
    + """\
{% if node.role == "server" %}
agent-token-file: "/etc/rancher/k3s/agent-token"
disable:
  - "traefik"
{% endif %}
node-ip: "{{ node.address }}"
node-name: "{{ node.name }}"
{% if node.role == "agent" %}
server: "https://{{ first }}:6443"
{% endif %}
token-file: "/etc/rancher/k3s/{{ node.role }}-token"
{% if node.role == "server" %}
write-kubeconfig-mode: "0600"
{% endif %}
"""
)
REGISTRIES = (
    HEADER
    + """\
mirrors:
  docker.io:
    endpoint:
{% for endpoint in fleet.spec.k3s.registries.mirrors["docker.io"].endpoint %}
      - "{{ endpoint }}"
{% endfor %}
"""
)


def main(folder: Path, *, listed: bool) -> None:
    gc.disable()
    plain = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    trimmed = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, trim_blocks=True)
    documents = []
    for path in sorted(folder.rglob("*.yaml")):
        documents += yaml.load_all(path.read_bytes(), yaml.CSafeLoader)
    fleet = next(document for document in documents if document["kind"] == "Fleet")
    files = {
        file["path"]: plain.from_string((folder / file["template"]).read_text())
        for file in fleet["spec"]["os"]["files"]
    }
    config, registries = trimmed.from_string(CONFIG), trimmed.from_string(REGISTRIES)
    unit = plain.from_string((Path(__file__).parents[1] / "templates/k3s/k3s.service.j2").read_text())
    made = []
    for site in documents:
        if site["kind"] != "Site":
            continue
        nodes = site["spec"]["nodes"]
        for node in nodes:
            context = {
                "node": {**node, "labels": {**site["metadata"]["labels"], **node["labels"]}},
                "site": {"name": site["metadata"]["name"], "labels": site["metadata"]["labels"]},
                "vars": {**fleet["spec"]["vars"], **node["vars"]},
                "fleet": {"name": fleet["metadata"]["name"], "spec": fleet["spec"]},
                "first": nodes[0]["address"],
            }
            name = "k3s.service" if node["role"] == "server" else "k3s-agent.service"
            description = "Lightweight Kubernetes" + (" agent" if node["role"] == "agent" else "")
            texts = {
                "/etc/rancher/k3s/config.yaml": config.render(context),
                "/etc/rancher/k3s/registries.yaml": registries.render(context),
                f"/etc/systemd/system/{name}": unit.render(role=node["role"], description=description),
                **{path: template.render(context) for path, template in files.items()},
            }
            for path, text in texts.items():
                data = text.encode()
                made.append((node["name"], path, hashlib.sha256(data).hexdigest(), len(data)))
    total = hashlib.sha256()
    for node_name, path, sha256, _ in sorted(made):
        total.update(f"{node_name} {path} {sha256}\n".encode())
        if listed:
            print(node_name, path, sha256)
    print(f"{len(made)} files, {sum(size for *_, size in made)} bytes, sha256 {total.hexdigest()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), listed="--files" in sys.argv[2:])
