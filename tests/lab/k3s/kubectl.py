"""`k3s kubectl`: the few of its commands that tools and tests call, on /etc/rancher/k3s/k3s.yaml. Anything else ends.

get TYPE [NAME] [-n NS | -A] [-l SELECTOR] [-o name|json|wide] [--ignore-not-found]; get --raw PATH
apply -f FILE|-; create -f FILE|-; delete TYPE NAME... | -f FILE [--ignore-not-found] [--wait=false]
label|annotate TYPE NAME KEY=VALUE KEY-; taint node NAME KEY=VALUE:EFFECT KEY-; patch TYPE NAME -p JSON [--type T]
cordon|uncordon NAME; drain NAME [--ignore-daemonsets ...]; version; cluster-info
"""

import base64
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

from .client import Client, RequestError, UnreachableError
from .draining import cordon, drain
from .manifests import apply_text, documents_of
from .paths import KUBECONFIG
from .release import KUBERNETES
from .resources import Discovery, UnknownKindError, path_of

VALUED = {"n", "namespace", "l", "selector", "o", "output", "f", "filename", "p", "patch", "type", "raw", "kubeconfig"}
VALUED |= {"timeout", "grace-period", "request-timeout", "field-selector", "field-manager", "pod-selector"}
SHORT = {"n": "namespace", "l": "selector", "o": "output", "f": "filename", "p": "patch", "A": "all-namespaces"}
SWITCHES = {"all-namespaces", "ignore-not-found", "overwrite", "wait", "force", "server-side", "no-headers", "now"}
SWITCHES |= {"ignore-daemonsets", "delete-emptydir-data", "disable-eviction", "force-conflicts"}
PATCHES = {"merge": "merge-patch", "json": "json-patch", "strategic": "strategic-merge-patch"}


def stop(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise SystemExit(1)


def parse(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    words, options, rest = [], {}, list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            words.append(word)
            continue
        name, found, value = word.lstrip("-").partition("=")
        if not word.startswith("--") and len(name) > 1 and name[0] in VALUED and not found:
            name, found, value = name[0], "=", name[1:]
        key = SHORT.get(name, name)
        if name not in VALUED and key not in VALUED | SWITCHES:
            stop(f"error: unknown flag: {word}")
        if name in VALUED and not found:
            value = rest.pop(0) if rest else stop(f"error: flag needs an argument: {word}")
        options[key] = value if found or name in VALUED else "true"
    return words, options


def kubectl(arguments: list[str]) -> None:
    words, options = parse(arguments)
    if not words:
        stop("kubectl controls the Kubernetes cluster manager.")
    command, *words = words
    commands = {
        "get": get,
        "apply": apply,
        "create": create,
        "delete": delete,
        "label": label,
        "annotate": label,
        "taint": taint,
        "patch": patch,
        "cordon": cordon,
        "uncordon": cordon,
        "drain": drain,
        "version": version,
    }
    if command not in commands:
        stop(f'error: unknown command "{command}" for "kubectl" (the stand-in has few of them)')
    try:
        commands[command](Kubectl(options, command), words)
    except RequestError as error:
        stop(f"Error from server ({reason_of(error)}): {error.reason}")
    except UnreachableError as error:
        stop(f"The connection to the server was refused - did you specify the right host or port? {error}")
    except (UnknownKindError, ValueError) as error:
        stop(f"error: {error}")


def reason_of(error: RequestError) -> str:
    try:
        return str(json.loads(error.body).get("reason") or error.status)
    except ValueError:
        return str(error.status)


class Kubectl:
    def __init__(self, options: dict[str, str], command: str) -> None:
        self.options = options
        self.command = command
        self.api = open_kubeconfig(Path(options.get("kubeconfig") or os.environ.get("KUBECONFIG") or KUBECONFIG))
        self.discovery = Discovery(self.api)

    def path(self, kind: str, name: str = "") -> tuple[str, dict[str, Any]]:
        base, resource = self.discovery.of_name(kind)
        is_all = self.options.get("all-namespaces") == "true"
        namespace = "" if is_all else self.options.get("namespace", "default")
        return path_of(base, resource, namespace, name), resource

    def text(self) -> str:
        source = self.options.get("filename") or stop("error: must specify -f")
        return sys.stdin.read() if source == "-" else Path(source).read_text()


def open_kubeconfig(file: Path) -> Client:
    import yaml

    if not file.exists():
        stop(f"error: stat {file}: no such file or directory")
    document = yaml.safe_load(file.read_text())
    if not document.get("clusters"):
        stop("error: the light stand-in has no cluster to ask")
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    with tempfile.TemporaryDirectory() as folder:
        pair = Path(folder, "crt"), Path(folder, "key")
        for path, field in zip(pair, ("client-certificate-data", "client-key-data"), strict=True):
            path.touch(mode=0o600)
            path.write_bytes(base64.b64decode(user[field]))
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        return Client(cluster["server"], authority=authority, certificate=pair, program="kubectl")


def get(call: Kubectl, words: list[str]) -> None:
    if "raw" in call.options:
        print(call.api.request("GET", call.options["raw"]), end="")
        return
    kinds, names = split_names(words)
    for kind in kinds.split(","):
        for item_name in names or [""]:
            path, resource = call.path(kind, item_name)
            query = [
                ("labelSelector", call.options.get("selector")),
                ("fieldSelector", call.options.get("field-selector")),
            ]
            path += "?" + "&".join(f"{key}={quote(value)}" for key, value in query if value)
            try:
                show(call, resource, call.api.get(path))
            except RequestError as error:
                if error.status != 404 or call.options.get("ignore-not-found") != "true":
                    raise


def quote(text: str) -> str:
    from urllib.parse import quote as quoted

    return quoted(text, safe="")


def split_names(words: list[str]) -> tuple[str, list[str]]:
    """`node a b`, or `node/a`."""
    if not words:
        stop("error: You must specify the type of resource to get")
    if "/" in words[0]:
        return words[0].partition("/")[0], [word.partition("/")[2] for word in words]
    return words[0], words[1:]


def show(call: Kubectl, resource: dict[str, Any], document: dict[str, Any]) -> None:
    output = call.options.get("output", "")
    if output == "json":
        print(json.dumps(document, indent=4))
        return
    items = document.get("items", [document])
    if output == "name":
        print(
            "".join(f"{resource['singularName'] or resource['name']}/{item['metadata']['name']}\n" for item in items),
            end="",
        )
        return
    if output not in {"", "wide"}:
        stop(f"error: the stand-in has no output format {output!r}: name, json or wide")
    if not items:
        print("No resources found", file=sys.stderr)
        return
    if call.options.get("no-headers") != "true":
        print(f"{'NAME':<40} STATUS")
    for item in items:
        print(f"{item['metadata']['name']:<40} {state_of(item)}")


def state_of(item: dict[str, Any]) -> str:
    if item.get("kind") == "Node" or "nodeInfo" in item.get("status", {}):
        ready = [row["status"] for row in item["status"].get("conditions", []) if row["type"] == "Ready"]
        state = {"True": "Ready", "False": "NotReady"}.get(ready[0] if ready else "", "NotReady")
        return state + (",SchedulingDisabled" if item["spec"].get("unschedulable") else "")
    return str(item.get("status", {}).get("phase", ""))


def apply(call: Kubectl, words: list[str]) -> None:
    for name in apply_text(call.api, call.text(), call.options.get("field-manager", "kubectl")):
        print(f"{name} serverside-applied")


def create(call: Kubectl, words: list[str]) -> None:
    for document in documents_of(call.text()):
        base, resource = call.discovery.of_kind(document["apiVersion"], document["kind"])
        namespace = document["metadata"].get("namespace") or call.options.get("namespace", "default")
        call.api.json("POST", f"{path_of(base, resource, namespace)}?fieldManager=kubectl-create", document)
        print(f"{resource['kind'].lower()}/{document['metadata']['name']} created")


def delete(call: Kubectl, words: list[str]) -> None:
    targets = []
    if "filename" in call.options:
        for document in documents_of(call.text()):
            base, resource = call.discovery.of_kind(document["apiVersion"], document["kind"])
            meta = document["metadata"]
            namespace = meta.get("namespace") or call.options.get("namespace", "default")
            targets.append((path_of(base, resource, namespace, meta["name"]), resource, meta["name"]))
    else:
        kind, names = split_names(words)
        targets = [(*call.path(kind, name), name) for name in names]
    for path, resource, name in targets:
        try:
            call.api.request("DELETE", path, {"propagationPolicy": "Background"})
        except RequestError as error:
            if error.status == 404 and call.options.get("ignore-not-found") == "true":
                continue
            raise
        print(f'{resource["singularName"]} "{name}" deleted')
        while call.options.get("wait") != "false" and call.api.find(path) is not None:
            time.sleep(0.2)


def label(call: Kubectl, words: list[str]) -> None:
    """label and annotate: KEY=VALUE sets, KEY- removes."""
    kind, name, *changes = words if "/" not in words[0] else [*words[0].split("/", 1), *words[1:]]
    field = "labels" if call.command == "label" else "annotations"
    pairs: dict[str, str | None] = {}
    for change in changes:
        key, found, value = change.partition("=")
        pairs[key if found else key.removesuffix("-")] = value if found else None
    path, _ = call.path(kind, name)
    if call.options.get("overwrite") != "true":
        kept = call.api.get(path)["metadata"].get(field, {})
        for key, value in pairs.items():
            if value is not None and key in kept and kept[key] != value:
                stop(f"error: '{key}' already has a value ({kept[key]}), and --overwrite is false")
    call.api.merge(f"{path}?fieldManager=kubectl-{call.command}", {"metadata": {field: pairs}})
    print(f"{kind}/{name} {'labeled' if field == 'labels' else 'annotated'}")


def taint(call: Kubectl, words: list[str]) -> None:
    _, name, *changes = words
    path = f"/api/v1/nodes/{name}"
    taints = call.api.get(path)["spec"].get("taints", [])
    for change in changes:
        pair, _, effect = change.removesuffix("-").partition(":")
        key, _, value = pair.partition("=")
        taints = [row for row in taints if row["key"] != key or (effect and row["effect"] != effect)]
        if not change.endswith("-"):
            taints.append({"key": key, "effect": effect} | ({"value": value} if value else {}))
    call.api.merge(f"{path}?fieldManager=kubectl-taint", {"spec": {"taints": taints or None}})
    print(f"node/{name} tainted")


def patch(call: Kubectl, words: list[str]) -> None:
    kind, name = words[0].split("/", 1) if "/" in words[0] else (words[0], words[1])
    path, _ = call.path(kind, name)
    body = json.loads(call.options.get("patch") or stop("error: must specify -p"))
    call.api.json(
        "PATCH",
        f"{path}?fieldManager=kubectl-patch",
        body,
        kind=f"application/{PATCHES[call.options.get('type', 'strategic')]}+json",
    )
    print(f"{kind}/{name} patched")


def version(call: Kubectl, words: list[str]) -> None:
    print(f"Client Version: {KUBERNETES}\nServer Version: {call.api.get('/version')['gitVersion']}")
