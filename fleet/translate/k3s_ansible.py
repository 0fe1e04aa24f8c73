"""k3s-ansible's variables, of its present form and of older ones, and of forks with the same names.

Facts: k3s-io/k3s-ansible, `inventory-sample.yml` and the roles' defaults.
"""

from __future__ import annotations

import re
from typing import Any

from fleet.formats import FormatError, yaml
from fleet.k3s.arguments import read_arguments
from fleet.k3s.paths import DATA_DIR
from fleet.k3s.registries import registries_problems
from fleet.model.spec.scalars import Role
from fleet.translate.facts import Definition
from fleet.translate.k3s_settings import UNKNOWN, ConfigTaker, Settings, Source, put_version

TOKENS = ("k3s_token", "token")
_ENDPOINTS = ("master_ip", "apiserver_endpoint", "api_endpoint")
_FIRST_SERVER = re.compile(r"\bgroups\s*\[|\bhostvars\s*\[")
_PORT = 6443
_SAID_ELSEWHERE = {
    "extra_manifests": ("auto-deployed manifests are files of the repository", "Copy them there, and say `k3s: {manifests: …}`"),
    "airgap_dir": ("nodes fetch K3s from a mirror", "Say `artifacts: {mirrors: [file:DIR]}` in the Fleet"),
    "extra_service_envs": ("K3s's service gets no further environment", "A proxy is said as `proxy` of the Fleet"),
    "extra_install_envs": ("K3s is not installed by its script", ""),
    "opt_tls_san": ("the API's certificate gets the site's `cluster: {endpoint: …}`", "Say that name there"),
}  # fmt: skip
_NOT_NEEDED = {
    "systemd_dir": "fleet writes K3s's unit where systemd looks for it",
    "cluster_context": "fleet writes no kubeconfig on the controller",
    "kubeconfig": "fleet writes no kubeconfig on the controller",
    "user_kubectl": "fleet sets up no kubectl for users",
    "manage_firewall": "fleet does not open ports",
    "k3s_wait_ready": "fleet waits by itself",
    "k3s_server_wait_etcd_voters": "fleet brings servers one at a time",
    "server_group": "roles are the nodes' own",
    "agent_group": "roles are the nodes' own",
    "use_external_database": "it follows from `cluster: {datastore: …}`",
}
BECAME = {
    "k3s_version": "k3s.version",
    "token": "the cluster's token",
    "k3s_token": "the cluster's token",
    "api_endpoint": "the site's cluster.endpoint, unless it is the first server",
    "apiserver_endpoint": "the site's cluster.endpoint, unless it is the first server",
    "master_ip": "the site's cluster.endpoint, unless it is the first server",
    "api_port": "k3s.config.https-listen-port, unless it is 6443",
    "extra_server_args": "k3s of the servers",
    "extra_agent_args": "k3s of the agents",
    "server_config_yaml": "k3s.config of the servers",
    "agent_config_yaml": "k3s.config of the agents",
    "registries_config_yaml": "k3s.registries",
    "k3s_server_location": "k3s.config.data-dir, unless it is K3s's own",
}
NAMES = frozenset({*BECAME, *_SAID_ELSEWHERE, *_NOT_NEEDED})


def settings_of(host: str, role: Role, source: Source) -> Settings:
    """What the variables say of a server or an agent."""
    settings = Settings()
    text = source.value(host, "k3s_version")
    if isinstance(text, str) and (found := source.definition(host, "k3s_version")):
        put_version(settings, text, found, source.notes)
    for name in (f"{role}_config_yaml", f"extra_{role}_args"):  # arguments beat the file
        found = source.definition(host, name)
        if found is not None and (given := source.text(host, name)):
            config = (
                _from_yaml(given, found, source) if name.endswith("yaml") else _from_arguments(given, found, source)
            )
            ConfigTaker(settings, role, found, source.notes).take(config)
    _put_registries(settings, host, source)
    location = source.value(host, "k3s_server_location")
    if isinstance(location, str) and location.rstrip("/") not in {"", DATA_DIR}:
        settings.k3s["config", "data-dir"] = location
    if role == "server":
        _put_server(settings, host, source)
    return settings


def say_elsewhere(definition: Definition, source: Source) -> None:
    """A variable that no field takes."""
    if definition.name in _SAID_ELSEWHERE:
        why, hint = _SAID_ELSEWHERE[definition.name]
        if definition.value not in (None, "", [], {}):
            source.warn(definition, f"not carried over: {why}", hint)
    elif definition.name in _NOT_NEEDED:
        source.notes.note(definition.mark, definition.name, f"not needed: {_NOT_NEEDED[definition.name]}")


def _put_server(settings: Settings, host: str, source: Source) -> None:
    port = source.value(host, "api_port")
    if str(port).isdecimal() and int(port) != _PORT:
        settings.k3s["config", "https-listen-port"] = int(port)
    for name in TOKENS:
        settings.token = source.definition(host, name) or settings.token
    for name in _ENDPOINTS:
        found = source.definition(host, name)
        if found is None or (isinstance(found.value, str) and _FIRST_SERVER.search(found.value)):
            continue  # the first server, where fleet joins nodes anyway
        value = source.value(host, name)
        settings.endpoint = value if isinstance(value, str) else settings.endpoint


def _put_registries(settings: Settings, host: str, source: Source) -> None:
    name = "registries_config_yaml"
    found = source.definition(host, name)
    text = source.text(host, name)
    if found is None or not text:
        return
    if UNKNOWN in text:
        source.warn(
            found, "not carried over: only Ansible can work out what its Jinja gives", "Say `k3s: {registries: …}`"
        )
        return
    registries = _from_yaml(text, found, source)
    problems = registries_problems(registries)
    for problem in problems:
        where = ".".join(str(step) for step in problem.path)
        source.warn(found, f"not carried over: {where}: {problem.problem}", problem.hint)
    if registries and not problems:
        settings.k3s["registries",] = registries


def _from_yaml(text: str, definition: Definition, source: Source) -> dict[str, Any]:
    try:
        documents = yaml.parse(text.encode())
    except (FormatError, UnicodeEncodeError) as error:
        where = f"its line {error.line}: {error.problem}" if isinstance(error, FormatError) else "it is no text"
        source.warn(definition, f"not carried over: {where}", "Mend it, or say it in `k3s` of the spec")
        return {}
    content = documents[0] if len(documents) == 1 else None
    if documents and not isinstance(content, dict):
        source.warn(definition, "not carried over: it is not one map", "Say it in `k3s` of the spec")
    return content if isinstance(content, dict) else {}


def _from_arguments(text: str, definition: Definition, source: Source) -> dict[str, Any]:
    try:
        arguments = read_arguments(text)
    except ValueError:
        source.warn(definition, "not carried over: a quote in it is not closed")
        return {}
    for stray in arguments.strays:
        if UNKNOWN in stray:
            message = "a part of it is not carried over: only Ansible can work out what its Jinja gives"
            source.warn(definition, message, "Say it in `k3s` of the spec")
        else:
            source.warn(definition, "a word in it belongs to no flag, and is not carried over")
    return {key: value for key, value in arguments.config.items() if UNKNOWN not in key}
