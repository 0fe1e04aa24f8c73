"""The library's face, pinned: who changes a name here changes it for everybody who calls fleet from Python."""

from __future__ import annotations

import inspect

import fleet
from fleet.workspace import Workspace
from fleet.workspace.hosts import Hosts
from fleet.workspace.rollouts import Rollouts
from fleet.workspace.secrets import Secrets

METHODS = {
    "open": "(path='.', *, sandbox='', vault_password=None, become_password=None)",
    "hosts": "(self, *, forks=20)",
    "validate": "(self)",
    "plan": "(self, scope=EVERYTHING, *, refresh=False, forks=20, updates=False, policy='', retrying='')",
    "refresh": "(self, scope=EVERYTHING, *, forks=20)",
    "save_plan": "(self, plan, path)",
    "load_plan": "(self, path)",
    "render": "(self, folder, scope=EVERYTHING)",
    "apply": "(self, plan, *, forks=20, take_over='', allow_dirty=False, unenforced=False, updates=False, verbosity=0, cluster=True, break_glass='', one_wave='', rollout_id='')",
    "check": "(self, plan, *, allow_dirty=False, unenforced=False, updates=False)",
    "simulate": "(self, rehearsal, scope=EVERYTHING)",
    "stop": "(self)",
    "status": "(self)",
    "rollouts": "(self)",
    "journal_file": "(self)",
    "nodes": "(self, scope=EVERYTHING)",
    "policies": "(self)",
    "node": "(self, name, *, origin=False, log=False)",
    "inventory": "(self)",
    "lock": "(self, upgrade=())",
    "generate_secrets": "(self)",
    "secrets": "(self)",
    "import_ansible": "(self, hosts, out, options=None, *, dry_run=False)",
}


HOSTS = {
    "offline": "(self)",
    "keys": "(self, scope)",
    "pin": "(self, rows, *, replace=False, commit=True)",
    "seed": "(self, name, public_key='')",
    "adopt": "(self, names, options)",
    "check_enrolled": "(self, name)",
    "retire": "(self, names, options, *, cluster=True)",
    "replace": "(self, name, *, cluster=True)",
    "doctor": "(self, scope=EVERYTHING, *, asks_nodes=True)",
}


ROLLOUTS = {
    "of_node": "(self, name, *, last=0, with_output=False)",
    "held_back": "(self, rollout_id)",
    "let_go": "(self, rollout_id)",
    "roll_back": "(self, rollout_id, *, waves=(), nodes=(), forks=20, cluster=True)",
    "list": "(self)",
    "ids": "(self)",
    "results": "(self, rollout_id, only=())",
    "story": "(self, rollout_id)",
    "waiting": "(self, rollout_id)",
    "events": "(self, rollout_id, after=0)",
    "watch": "(self, rollout_id)",
    "driver": "(self, rollout_id)",
    "new_id": "(self)",
    "supersede": "(self, by)",
    "deferred": "(self, plan)",
    "failed": "(self, rollout_id, plan)",
    "take_back": "(self, rollout_id)",
    "pause": "(self, rollout_id, reason='')",
    "cancel": "(self, rollout_id, reason='')",
    "approve": "(self, rollout_id, wave='')",
    "resume": "(self, rollout_id, *, forks=20, cluster=True)",
    "check": "(self, rollout_id, *, cluster=True)",
}


SECRETS = {
    "generate": "(self, *, edited=False)",
    "store": "(self, name, value, *, file='')",
    "value": "(self, name)",
    "names": "(self)",
    "rows": "(self)",
    "rotate": "(self, names, *, forget_previous=False)",
    "rekey": "(self, new)",
}


def shape(method: object) -> str:
    """The signature without annotations; the default scope by its name."""
    signature = inspect.signature(method)  # type: ignore[arg-type]
    parameters = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    text = str(signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty))
    return text.replace("Scope(sites=(), selector='', nodes=(), limit=0)", "EVERYTHING")


def test_the_public_names_of_fleet():
    assert sorted(fleet.__all__) == ["FleetError", "Workspace", "__version__"]
    assert fleet.Workspace is Workspace
    assert issubclass(fleet.FleetError, Exception)


def test_the_methods_of_the_workspace():
    public = {name for name, _ in inspect.getmembers(Workspace, callable) if not name.startswith("_")}

    assert {name: shape(getattr(Workspace, name)) for name in public} == METHODS
    assert isinstance(Workspace.root, property)
    assert isinstance(Workspace.state, property)


def test_the_methods_of_its_hosts():
    public = {name for name, _ in inspect.getmembers(Hosts, callable) if not name.startswith("_")}

    assert {name: shape(getattr(Hosts, name)) for name in public} == HOSTS


def test_the_methods_of_its_secrets():
    public = {name for name, _ in inspect.getmembers(Secrets, callable) if not name.startswith("_")}

    assert {name: shape(getattr(Secrets, name)) for name in public} == SECRETS


def test_the_methods_of_its_rollouts():
    public = {name for name, _ in inspect.getmembers(Rollouts, callable) if not name.startswith("_")}

    assert {name: shape(getattr(Rollouts, name)) for name in public} == ROLLOUTS
