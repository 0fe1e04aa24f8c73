# Copyright the fleet authors
# SPDX-License-Identifier: Apache-2.0
"""The controller's half of fleet_bundle: packs a node's bundle, its contents and the secrets that it names.

What the node has on probation is confirmed here, over a new connection.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import os
import re
import subprocess
import time

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
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
SNAPSHOT_SECONDS = 3600
# How long the controller waits, beyond the node's own time, to hear what became of a change that it could not confirm.
HEAR_SECONDS = 60
NAP_SECONDS = 3
# ssh's words for a connection that was there and is lost: what runs on the node may run on.
LOST = re.compile(r"not responding|reset by peer|Broken pipe|closed by remote host|Connection .*closed", re.IGNORECASE)
ASIDE = ("secrets", "learned", "payload", "bundle", "files", "take", "take_over", "expect")
NOT_SAVED = {"step": "snapshot", "at": "", "changed": False}


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
        packed = b""
        if args.get("confirm") == "users":
            return dict(result, **self._confirm_users(args, bundle, task_vars))
        if args.get("users"):
            args.update(wanted=bundle["digest"], way_in=bundle.get("confirm") or {})
            return dict(result, **self._keep(args, task_vars))
        if args.get("undo"):  # the node has it all itself
            args["way_in"] = bundle.get("confirm") or {}
        else:
            args["secrets"] = self._secrets(project, bundle)
            args["learned"] = learned(args.get("learned") or {}, after, task_vars["hostvars"])
            packed = pack(bundle, lambda name: self._read(project, f"files/{name[:2]}/{name}"))
        return dict(result, **self._bring_in(args, bundle, packed, task_vars))

    def _confirm_users(self, args, bundle, task_vars):
        """The answer has no digest: the bundle is yet to come."""
        ways = {"digest": bundle["digest"], "seconds": bundle["confirm"]["seconds"]}
        done = self._confirm(args, {"changed": False}, ways, task_vars)
        return done if done.get("failed") else {"changed": False}

    def _keep(self, args, task_vars):
        """What users are, before they change: they are on probation from here on, and confirmed before the bundle comes."""
        if not args["way_in"]:
            return {"changed": False}
        try:
            done = self._call(args, b"", task_vars)
            return self._call(dict(args, program=program()), b"", task_vars) if done.get("step") == "program" else done
        except AnsibleConnectionFailure as exc:
            return unreachable(exc)

    def _bring_in(self, args, bundle, packed, task_vars):
        try:
            done = self._call(args, packed, task_vars)
            if done.get("step") == "program":
                args["program"] = program()
                done = self._call(args, packed, task_vars)
            if done.get("step") == "snapshot" and bundle.get("snapshot", {}).get("kind") == "external":
                save_datastore(bundle["snapshot"], done["msg"], args["secrets"])
                args["snapshot_taken"] = done["at"]
                done = self._call(args, packed, task_vars)
                if done.get("step") == "program":
                    done = self._call(dict(args, program=program()), packed, task_vars)
        except AnsibleConnectionFailure as exc:
            done = unreachable(exc)
            if not LOST.search(done["msg"]) or not bundle.get("confirm"):
                return done
            # It may have come to its end there, and a new connection may come about.
            ways = {"digest": args.get("undo") or bundle["digest"], "seconds": bundle["confirm"]["seconds"]}
            heard = self._confirm(args, {"changed": True, "changes": []}, ways, task_vars)
            return done if heard.get("step") in ("confirm", UNREACHABLE) else heard
        return self._confirm(args, done, done["unconfirmed"], task_vars) if "unconfirmed" in done else done

    def _confirm(self, args, done, ways, task_vars):
        """Over new connections, until the node says that it is confirmed or put back."""
        asked = {name: value for name, value in args.items() if name not in ASIDE}
        for name in ("undo", "way_in", "program"):
            asked.pop(name, None)
        ends, why = time.monotonic() + ways["seconds"] + HEAR_SECONDS, ""
        with new_connections(self._connection):
            while True:
                try:
                    said = self._execute_module(MODULE, dict(asked, confirm=ways["digest"]), task_vars=task_vars)
                    if not said.get("failed"):
                        told = {name: said[name] for name in ("digest", "record", "learned", "clock") if name in said}
                        done.pop("unconfirmed", None)
                        return dict(done, **told)
                    if said.get("step") in ("undone", "confirm"):
                        return dict(said, changes=[], changed=False, msg=undone(said["msg"], why))
                    why = words(said.get("msg") if said.get("step") else said.get("module_stderr") or said.get("msg"))
                except AnsibleError as exc:
                    why = words(getattr(exc, "message", None) or str(exc))
                if time.monotonic() > ends:
                    break
                time.sleep(NAP_SECONDS)
        text = (
            "undone: not reached over a new connection since it changed ({}): it puts itself back within {} s".format(
                why, ways["seconds"]
            )
        )
        return {"failed": True, "changed": False, "msg": text, "step": "undone", "at": ""}

    def _call(self, args, packed, task_vars):
        if not packed:
            return self._execute_module(MODULE, args, task_vars=task_vars)
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


@contextlib.contextmanager
def new_connections(connection):
    """Every ssh in here logs in anew: what hangs on an open connection proves nothing of the next one."""
    try:
        kept = connection.get_option("ssh_args") or ""
        connection.set_option("ssh_args", "-o ControlPath=none -o ControlMaster=no " + kept)
    except (KeyError, AnsibleError):  # no ssh: a sandbox
        yield
        return
    try:
        yield
    finally:
        connection.set_option("ssh_args", kept)


def program():
    """The module's own text: the node keeps it, and puts back with it what is not confirmed."""
    path = os.path.join(os.path.dirname(__file__), os.pardir, "modules", "fleet_bundle.py")
    with open(path, encoding="utf-8") as handle:
        return handle.read()


def unreachable(exc):
    text = getattr(exc, "message", None) or str(exc)
    return {"failed": True, "changed": False, "msg": text, "step": UNREACHABLE, "at": ""}


def words(text):
    """The last line that ssh, sudo or the module said, without what Ansible says in front of it."""
    lines = [line.strip() for line in str(text or "").splitlines() if line.strip()]
    return re.sub(r"^.*(via|over) ssh: +", "", lines[-1])[-160:] if lines else "no answer"


def undone(text, why):
    """The node's words, with what stood in the way of a new connection."""
    return f"{text} ({why})" if why else text


def learned(known, after, hostvars):
    """What is known, or else what the first of the hosts that came before has told in this run."""
    for host in after if not known else ():
        if host in hostvars:
            told = hostvars[host].get("bundle_result", {}).get("learned")
            if told:
                return told
    return known


def save_datastore(how, why, secrets):
    """Run the user's command on the controller, in the fleet's folder."""
    command, folder = how["command"], how.get("folder") or None
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=SNAPSHOT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise AnsibleActionFail(f"snapshot: {why}; `{command[0]}` cannot do it: {exc}", result=NOT_SAVED)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode("utf-8", "replace").strip()
        for value in secrets.values():
            said = said.replace(value, "(a secret)")
        text = f"snapshot: {why}; `{command[0]}` ended with {done.returncode}, nothing was touched: {said[-300:]}"
        raise AnsibleActionFail(text, result=NOT_SAVED)


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
