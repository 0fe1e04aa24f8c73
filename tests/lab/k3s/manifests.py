"""server/manifests: every file is applied when it is new or changed (docs/installation/packaged-components.md).

As there: `<file>.skip` beside a file leaves it alone, and a deleted file deletes nothing. A guess: server-side apply
(K3s has an Addon resource and a three-way merge of its own), and that a file is looked at every 2 s, not 15 s.
A resource of a kind that the API server does not know (HelmChart) is logged and tried again.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .client import Client, RequestError, UnreachableError
from .output import log
from .resources import Discovery, UnknownKindError, path_of

EVERY_SECONDS = 2
ENDINGS = (".yaml", ".yml", ".json")


class Deployer:
    def __init__(self, folder: Path, api: Callable[[], Client], node: str) -> None:
        self.folder = folder
        self.api = api
        self.manager = f"deploy@{node}"
        self._done: dict[Path, tuple[float, int]] = {}
        self._said: dict[Path, str] = {}

    def run(self) -> None:
        while True:
            for file in sorted(self.folder.rglob("*")):
                if file.suffix.lower() in ENDINGS and not file.with_name(f"{file.name}.skip").exists():
                    self.look_at(file)
            time.sleep(EVERY_SECONDS)

    def look_at(self, file: Path) -> None:
        try:
            state = (file.stat().st_mtime, file.stat().st_size)
            if self._done.get(file) == state:
                return
            apply_text(self.api(), file.read_text(), self.manager)
        except (RequestError, UnreachableError, UnknownKindError, ValueError, OSError) as error:
            if self._said.get(file) != str(error):
                self._said[file] = str(error)
                log("error", f"Failed to process config: failed to process {file}: {error}")
        else:
            self._done[file] = state
            log("info", f"Applied manifest at {file}")


def documents_of(text: str) -> list[dict[str, Any]]:
    """The objects in a YAML text, those inside a List as well. ValueError for what is none."""
    import yaml

    try:
        found = [document for document in yaml.safe_load_all(text) if document]
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
    objects = []
    for document in found:
        if not isinstance(document, dict) or "kind" not in document or "apiVersion" not in document:
            raise ValueError("a document without apiVersion and kind")
        objects += document["items"] if document["kind"] == "List" else [document]
    return objects


def apply_text(api: Client, text: str, manager: str) -> list[str]:
    """Apply every object of a text; says what each is, like `namespace/acme`."""
    discovery = Discovery(api)
    names = []
    for document in documents_of(text):
        base, resource = discovery.of_kind(document["apiVersion"], document["kind"])
        meta = document["metadata"]
        path = path_of(base, resource, meta.get("namespace") or "default", meta["name"])
        query = f"?fieldManager={manager}&force=true"
        api.json("PATCH", path + query, document, kind="application/apply-patch+yaml")
        names.append(f"{resource['kind'].lower()}/{meta['name']}")
    return names
