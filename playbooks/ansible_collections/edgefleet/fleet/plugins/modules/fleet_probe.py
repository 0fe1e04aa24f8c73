#!/usr/bin/python
# Copyright the fleet authors
# SPDX-License-Identifier: Apache-2.0
"""Look at a host: what keeps a bundle from coming in, or K3s from running, before it happens. Writes nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_probe
short_description: Look at a host
version_added: "0.1.0"
author: The fleet authors (@edgefleet)
description:
  - Tells clock, room, mounts, kernel modules, units and the like. It judges nothing and writes nothing.
options:
  modules:
    description: Kernel modules that the node's configuration needs.
    type: list
    elements: str
    default: []
  units:
    description: Systemd units whose state is told. Below another O(root), what C(fleet_bundle) would have made of them.
    type: list
    elements: str
    default: []
  watch:
    description: How many seconds to look whether one of O(units) is started again.
    type: float
    default: 0.0
  root:
    description: Directory that stands for C(/).
    type: path
    default: /
attributes:
  check_mode:
    description: It changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Look
  edgefleet.fleet.fleet_probe:
    modules: [overlay, br_netfilter]
"""

RETURN = r"""
probe:
  description: What was found.
  returned: always
  type: dict
"""

import json
import os
import sys
import time

from ansible.module_utils.basic import AnsibleModule

PATHS = ("/", "/etc", "/usr/local/bin", "/var/lib/fleet", "/var/lib/rancher", "/tmp")


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read()
    except OSError:
        return ""


def room(root, path):
    """Free and all bytes and inodes of the file system on which a path is or will be, and whether it is read-only."""
    where = path
    while True:
        try:
            found = os.statvfs(root.rstrip("/") + where or "/")
        except OSError:
            if where == "/":
                return None
            where = os.path.dirname(where)
            continue
        return {
            "path": path,
            "free": found.f_bavail * found.f_frsize,
            "total": found.f_blocks * found.f_frsize,
            "inodes_free": found.f_favail,
            "inodes": found.f_files,
            "readonly": bool(found.f_flag & os.ST_RDONLY),
            "noexec": bool(found.f_flag & os.ST_NOEXEC),
        }


def module_state(name, loaded, built_in, release):
    plain = name.replace("-", "_")
    if plain in loaded:
        return "loaded"
    if plain in built_in:
        return "built-in"
    known = read(f"/lib/modules/{release}/modules.dep")
    names = {os.path.basename(line.split(":")[0]).split(".")[0].replace("-", "_") for line in known.splitlines()}
    if plain in names:
        return "available"
    return "absent" if known or built_in else "unknown"


def modules(wanted):
    release = os.uname().release
    loaded = {line.split()[0] for line in read("/proc/modules").splitlines() if line}
    loaded |= {name for name in os.listdir("/sys/module")} if os.path.isdir("/sys/module") else set()
    built_in = {
        os.path.basename(line).split(".")[0].replace("-", "_")
        for line in read(f"/lib/modules/{release}/modules.builtin").splitlines()
    }
    return {name: module_state(name, loaded, built_in, release) for name in wanted}


def failed_units(module):
    said = module.run_command(["systemctl", "list-units", "--failed", "--plain", "--no-legend"])[1]
    return [line.split()[0] for line in said.splitlines() if line.split()]


SHOWN = "Id,LoadState,ActiveState,SubState,Type,Result,NRestarts,ActiveEnterTimestampMonotonic,ExecMainExitTimestampMonotonic"


def shown(module, names):
    """What systemd says of each unit, in one call. A name may be another one's alias, so they are told apart by their order."""
    code, said, wrong = module.run_command(["systemctl", "show", "--property=" + SHOWN, "--"] + names)
    blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in said.split("\n\n")]
    if code != 0 or len(blocks) != len(names):
        module.fail_json(msg="systemd does not tell of its units: " + (wrong.strip() or "no reason given"))
    return dict(zip(names, blocks))


def number(unit, key):
    return int(unit.get(key) or 0) if (unit.get(key) or "0").isdigit() else 0


def unit_states(module, names, seconds):
    """A service that crashes and is started again is active most of the time: it is seen by what changes meanwhile."""
    before = shown(module, names)
    if seconds > 0:
        time.sleep(seconds)
    found = {}
    for name, unit in (shown(module, names) if seconds > 0 else before).items():
        result, is_active = unit.get("Result", ""), unit.get("ActiveState") in ("active", "reloading", "refreshing")
        counted = ("NRestarts", "ActiveEnterTimestampMonotonic")
        ended = number(unit, "ExecMainExitTimestampMonotonic") > 0
        found[name] = {
            "load": unit.get("LoadState", ""),
            "active": unit.get("ActiveState", ""),
            "sub": unit.get("SubState", ""),
            "result": "" if result == "success" else result,
            "restarts": number(unit, "NRestarts"),
            # One that only now became active has been started, and not started again.
            "is_restarting": is_active
            and before[name].get("ActiveState") == "active"
            and any(number(unit, key) > number(before[name], key) for key in counted),
            "is_over": unit.get("Type") == "oneshot" and not is_active and result == "success" and ended,
        }
    return found


def pretended_states(root, names):
    """What fleet_bundle wrote down instead of telling systemd."""
    try:
        units = json.loads(read(os.path.join(root, "var/lib/fleet/units.json")) or "{}")
    except ValueError:
        units = {}
    return {
        name: {
            "load": "loaded" if name in units else "not-found",
            "active": "active" if units.get(name, {}).get("state") == "started" else "inactive",
        }
        for name in names
    }


def main():
    module = AnsibleModule(
        argument_spec={
            "modules": {"type": "list", "elements": "str", "default": []},
            "units": {"type": "list", "elements": "str", "default": []},
            "watch": {"type": "float", "default": 0.0},
            "root": {"type": "path", "default": "/"},
        },
        supports_check_mode=True,
    )
    root = module.params["root"]
    real = root == "/"
    controllers = read("/sys/fs/cgroup/cgroup.controllers").split()
    if not controllers:  # the older hierarchy
        controllers = [line.split()[0] for line in read("/proc/cgroups").splitlines()[1:] if line.split()[-1] == "1"]
    names = module.params["units"]
    units = {}
    if names:
        units = unit_states(module, names, module.params["watch"]) if real else pretended_states(root, names)
    found = {
        "units": units,
        "now": time.time(),
        "boot_id": read("/proc/sys/kernel/random/boot_id").strip(),
        "machine_id": read(os.path.join(root, "etc/machine-id")).strip(),
        "python": "%d.%d.%d" % sys.version_info[:3],
        "kernel": os.uname().release,
        "arch": os.uname().machine,
        "systemd": module.run_command(["systemctl", "is-system-running"])[1].strip() if real else "",
        "failed_units": failed_units(module) if real else [],
        "synchronized": os.path.exists("/run/systemd/timesync/synchronized") if real else True,
        "controllers": controllers,
        "rooms": [one for one in (room(root, path) for path in PATHS) if one],
        "modules": modules(module.params["modules"]) if real else {},
    }
    module.exit_json(changed=False, probe=found)


if __name__ == "__main__":
    main()
