# Copyright the fleet authors
# SPDX-License-Identifier: Apache-2.0
"""The controller's half of fleet_bundle: packs a node's bundle, its contents and the secrets that it names."""

from __future__ import annotations

import base64
import gzip
import json
import os

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.edgefleet.fleet.plugins.plugin_utils.secrets import SecretError, Secrets

display = Display()

MODULE = "edgefleet.fleet.fleet_bundle"
# A packed bundle up to this size goes with the arguments, in the one connection that runs the module. A larger one is
# a file of its own: four more round trips.
INLINE_BYTES = 96 * 1024
# site.yml puts every host that failed into this group: a play in which all hosts fail would end the whole run.
FAILED = "fleet_failed"
# A node that cannot be reached fails with this step, so that `rescue` sees it; fleet_report tells it as unreachable.
UNREACHABLE = "connection"


class ActionModule(ActionBase):
    _requires_connection = True
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        args = dict(self._task.args)
        after, failed = args.pop("after", None) or [], task_vars["groups"].get(FAILED, ())
        failed = [host for host in after if host in failed]
        if failed:
            text = f"{', '.join(failed)} failed in this run: what depends on it is left as it is"
            display.warning(text)
            return dict(result, skipped=True, changed=False, msg=text)
        project = args.pop("project", None) or self._loader.get_basedir()
        if boolean(args.get("read", False)) or boolean(args.get("retire", False)):
            return dict(result, **self._execute_module(MODULE, args, task_vars=task_vars))
        node = args.get("node")
        if not node:
            raise AnsibleActionFail("fleet_bundle: `node` is needed")
        bundle = self._read_json(project, f"bundles/{node}.json")
        args["secrets"] = self._secrets(project, bundle)
        args["learned"] = learned(args.get("learned") or {}, after, task_vars["hostvars"])
        packed = pack(bundle, lambda name: self._read(project, f"files/{name[:2]}/{name}"))
        try:
            return dict(result, **self._call(args, packed, task_vars))
        except AnsibleConnectionFailure as exc:
            text = getattr(exc, "message", None) or str(exc)
            return dict(result, failed=True, changed=False, msg=text, step=UNREACHABLE, at="")

    def _call(self, args, packed, task_vars):
        if len(packed) <= INLINE_BYTES:
            args["payload"] = base64.b64encode(packed).decode("ascii")
            return self._execute_module(MODULE, args, task_vars=task_vars)
        folder = self._make_tmp_path()
        try:
            source = self._connection._shell.join_path(folder, "bundle.gz")
            self._transfer_data(source, packed)
            self._fixup_perms2((folder, source))
            return self._execute_module(MODULE, dict(args, bundle=source), task_vars=task_vars)
        finally:
            self._remove_tmp_path(folder)

    def _read(self, project, path):
        try:
            with open(os.path.join(project, path), "rb") as handle:
                return handle.read()
        except OSError as exc:
            raise AnsibleActionFail(f"{path} of the rendered project {project}: {exc.strerror}")

    def _read_json(self, project, path):
        try:
            return json.loads(self._read(project, path))
        except ValueError as exc:
            raise AnsibleActionFail(f"{path} of the rendered project {project} is not JSON: {exc}")

    def _secrets(self, project, bundle):
        """Values of the secrets that the bundle names, from the vault files that secrets.lock says hold them."""
        secrets = Secrets(self._loader, project)
        try:
            return {name: secrets.value(name) for name in sorted(named_secrets(bundle))}
        except SecretError as exc:
            raise AnsibleActionFail(str(exc))


def learned(known, after, hostvars):
    """What is known, or else what the first of the hosts that came before has told in this run."""
    for host in after if not known else ():
        if host in hostvars:
            told = hostvars[host].get("bundle_result", {}).get("learned")
            if told:
                return told
    return known


def named_secrets(bundle):
    entries = bundle["manifest"].get("files", []) + bundle.get("seeds", [])
    parts = [part for entry in entries for part in entry.get("segments", ())]
    return {part["name"] for part in parts if not isinstance(part, str)}


def pack(bundle, read):
    """gzip of a line of JSON, then the blobs one after another; the same bytes for the same bundle."""
    entries = bundle["manifest"].get("files", []) + bundle.get("seeds", [])
    names = sorted({entry["sha256"] for entry in entries if entry.get("sha256")})
    blobs = [read(name) for name in names]
    head = {"bundle": bundle, "blobs": [[name, len(data)] for name, data in zip(names, blobs)]}
    line = json.dumps(head, separators=(",", ":")).encode("ascii")
    return gzip.compress(b"\n".join([line, b"".join(blobs)]), 6, mtime=0)
