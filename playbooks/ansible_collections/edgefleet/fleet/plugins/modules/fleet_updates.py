#!/usr/bin/python
# Copyright the fleet authors
# SPDX-License-Identifier: Apache-2.0
"""Take OS updates once for each day of the archive, say what changed and whether a reboot is due, confirm a reboot."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_updates
short_description: Take OS updates, and confirm reboots
version_added: "0.1.0"
author: The fleet authors (@edgefleet)
description:
  - Takes updates with apt, and writes what they changed to C(/var/lib/fleet/updates.json).
  - What was taken already (O(done)) is not taken again, and no archive is asked.
options:
  state:
    description: V(taken) takes updates, V(read) only tells, V(confirmed) checks that the node was rebooted and runs again.
    type: str
    choices: [taken, read, confirmed]
    default: taken
  mode:
    description: V(security) takes what comes from a security archive, V(all) everything. Nothing is ever removed.
    type: str
    choices: [security, all]
    default: security
  snapshot:
    description: Day of the archive, as in C(2026-11-01).
    type: str
    default: ""
  sources:
    description: Lines of sources.list. Default is what the node's own apt is set to.
    type: list
    elements: str
    default: []
  done:
    description: What is written down when the updates are taken. A node that holds it is left alone.
    type: str
    default: ""
  force:
    description: Take updates although O(done) is written down already.
    type: bool
    default: false
  boot_id:
    description: With V(confirmed), the boot id before the reboot.
    type: str
    default: ""
  unit_timeout:
    description: With V(confirmed), seconds that the units of the node's record have to become active.
    type: int
    default: 300
attributes:
  check_mode:
    description: Asks the archive, and changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Take security updates of one day
  edgefleet.fleet.fleet_updates:
    mode: security
    snapshot: "2026-11-01"
    done: security 2026-11-01
"""

RETURN = r"""
updates:
  description: What the last run did, as in the node's record.
  type: dict
  returned: always
boot_id: {description: This boot's id., type: str, returned: always}
packages: {description: How many packages changed., type: int, returned: always}
record: {description: "The node's record, with V(confirmed).", type: dict, returned: sometimes}
step: {description: Where it failed., type: str, returned: failure}
at: {description: What it failed on., type: str, returned: failure}
"""

import contextlib
import fcntl
import glob
import json
import os
import re
import time

from ansible.module_utils.basic import AnsibleModule

STATE = "/var/lib/fleet"
UPDATES = STATE + "/updates.json"
RECORD = STATE + "/record.json"
SOURCES = STATE + "/updates.list"
LISTS = STATE + "/apt-lists"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
REQUIRED = "/run/reboot-required"
SNAPSHOTS_SINCE = (2, 7, 7)  # apt knows APT::Snapshot
# What runs everywhere, and goes on with its old code until a reboot.
CORE = re.compile(r"(libc6|libssl[0-9.]+(t64)?|systemd|dbus)(:.*)?\Z")
# As sorted(1) in the running kernel's name: 6.1.0-9 comes before 6.1.0-10.
NUMBERS = re.compile(r"([0-9]+)")
# Inst NAME [OLD] (NEW ARCHIVE [ARCH]); OLD is absent for a package that is new.
INSTALL = re.compile(r"Inst (\S+)(?: \[([^\]]*)\])? \((\S+) (.*?)(?: \[[^\]]*\])?\)")
APT = [
    "-o",
    "DPkg::Lock::Timeout=300",
    "-o",
    "Acquire::Retries=3",
    "-o",
    "Acquire::http::Timeout=60",
    "-o",
    "Dpkg::Options::=--force-confdef",
    "-o",
    "Dpkg::Options::=--force-confold",
    "-o",
    "APT::Color=0",
]
ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "LC_ALL": "C.UTF-8",
    "APT_LISTCHANGES_FRONTEND": "none",
    "NEEDRESTART_SUSPEND": "1",  # units restart in the order that the fleet knows, or with a reboot
}


class Failure(Exception):
    """What stopped it: the step, what it was about, and why, in words for people."""

    def __init__(self, step, at, reason):
        super().__init__(f"{step}: {at}: {reason}" if at else f"{step}: {reason}")
        self.step = step
        self.at = at


def read_json(path):
    try:
        with open(path, encoding="utf-8") as handle:
            value = json.load(handle)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def read_text(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read().strip()
    except OSError:
        return ""


def write_json(path, value):
    """Whole or not there: written beside, synced, renamed, and the folder synced."""
    beside = path + ".new"
    with open(
        os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644), "w", encoding="utf-8"
    ) as handle:
        json.dump(value, handle, sort_keys=True, indent=1)
        handle.flush()
        os.fsync(handle.fileno())
    os.rename(beside, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def locked():
    """The node's lock, which fleet_bundle takes too."""
    os.makedirs(STATE, 0o755, exist_ok=True)
    descriptor = os.open(STATE + "/lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Failure("lock", STATE + "/lock", "another run is at work on this node")
    finally:
        os.close(descriptor)


class Apt:
    """apt-get with the archive that was asked for, and lists of its own where that is not the node's."""

    def __init__(self, module, snapshot, sources):
        self.module = module
        self.options = list(APT)
        if not module.get_bin_path("apt-get"):
            raise Failure("updates", "", "OS updates need apt, and apt-get is not here")
        if sources:
            self._own_sources(sources)
        elif snapshot:
            self.options += [
                "-o",
                "APT::Snapshot=%sT000000Z" % snapshot.replace("-", ""),
                "-o",
                "APT::Snapshot-All=true",
            ]
            self._refuse_old()
        if snapshot:
            self.options += ["-o", "Acquire::Check-Valid-Until=false"]

    def _own_sources(self, sources):
        os.makedirs(LISTS + "/partial", 0o755, exist_ok=True)
        with open(SOURCES, "w", encoding="utf-8") as handle:
            handle.write("".join(source + "\n" for source in sources))
        self.options += [
            "-o",
            "Dir::Etc::SourceList=" + SOURCES,
            "-o",
            "Dir::Etc::SourceParts=/dev/null",
            "-o",
            "Dir::State::Lists=" + LISTS,
        ]

    def _refuse_old(self):
        said = self.module.run_command(["apt-get", "--version"], environ_update=ENVIRONMENT)[1].split()
        version = tuple(int(part) for part in re.findall(r"[0-9]+", said[1] if len(said) > 1 else "0")[:3])
        if version < SNAPSHOTS_SINCE:
            raise Failure(
                "updates",
                "",
                "apt %s knows no snapshots: name `sources:` for them" % (said[1] if len(said) > 1 else ""),
            )

    def run(self, step, *words):
        code, out, err = self.module.run_command(["apt-get", *self.options, *words], environ_update=ENVIRONMENT)
        if code != 0:
            errors = [line[3:] for line in (err + "\n" + out).splitlines() if line.startswith("E: ")]
            raise Failure(
                step, "", errors[0] if errors else "apt-get ended with %d: %s" % (code, (err or out).strip()[-300:])
            )
        return out

    def update(self):
        """An archive that does not answer is an error, and not what its lists said last week."""
        self.run("updates", "-o", "APT::Update::Error-Mode=any", "update")

    def candidates(self):
        """[(name, old, new, archive)] of what an upgrade would install. Nothing is removed."""
        out = self.run("updates", "--simulate", "upgrade", "--with-new-pkgs")
        return [found.groups() for found in map(INSTALL.match, out.splitlines()) if found]

    def install(self, packages):
        """Exactly these versions, with what they need."""
        self.run("updates", "--assume-yes", "--no-remove", "install", "--only-upgrade", *packages)

    def upgrade(self):
        self.run("updates", "--assume-yes", "upgrade", "--with-new-pkgs")


def installed(module):
    """name -> version of every package that is there."""
    code, out, err = module.run_command(
        ["dpkg-query", "-W", "-f=${binary:Package} ${Version} ${db:Status-Status}\\n"], environ_update=ENVIRONMENT
    )
    if code != 0:
        raise Failure("updates", "", "dpkg-query ended with %d: %s" % (code, err.strip()[-300:]))
    rows = [line.split(" ") for line in out.splitlines()]
    return {row[0]: row[1] for row in rows if len(row) == 3 and row[2] == "installed"}


def reboot_due():
    """Why the node should be rebooted; empty for no reason."""
    if os.path.exists(REQUIRED):
        packages = sorted(set(read_text(REQUIRED + ".pkgs").split()))
        return "for " + ", ".join(packages[:5]) if packages else "asked for by the system"
    running = os.uname().release
    kernels = [os.path.basename(path)[len("vmlinuz-") :] for path in glob.glob("/boot/vmlinuz-*")]
    newest = max(kernels, key=by_number) if kernels else ""
    if newest and running in kernels and newest != running:
        return f"kernel {newest} is installed, {running} runs"
    return ""


def due(changed, boot_id):
    """Why a reboot is due after these changes, which were made in the boot of that id."""
    core = [one["name"] for one in changed if CORE.match(one["name"])] if boot_id == read_text(BOOT_ID) else []
    return reboot_due() or ("for " + ", ".join(core) if core else "")


def by_number(text):
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in NUMBERS.split(text) if part]


def take(module, params):
    state = read_json(UPDATES)
    if params["done"] and state.get("done") == params["done"] and not params["force"]:
        return state, 0
    apt = Apt(module, params["snapshot"], params["sources"])
    if not module.check_mode:
        code, _, err = module.run_command(
            ["dpkg", "--configure", "-a", "--force-confdef", "--force-confold"], environ_update=ENVIRONMENT
        )
        if code != 0:  # what a power cut left half installed is finished first
            raise Failure("updates", "", "dpkg --configure -a ended with %d: %s" % (code, err.strip()[-300:]))
    apt.update()
    found = apt.candidates()
    if params["mode"] == "security":
        found = [one for one in found if "security" in one[3].lower()]
    if module.check_mode:
        return state, len(found)
    before = installed(module)
    try:
        if params["mode"] == "all" and found:
            apt.upgrade()
        elif found:
            apt.install([f"{name}={new}" for name, _, new, _ in found])
    finally:
        after = installed(module)
        changed = [
            {"name": name, "before": before.get(name, ""), "after": after.get(name, "")}
            for name in sorted(before.keys() | after.keys())
            if before.get(name, "") != after.get(name, "")
        ]
        if changed:
            # Also of a run that broke off, which is not done by that.
            boot_id = read_text(BOOT_ID)
            state = {"done": state.get("done", ""), "at": time.time(), "changed": changed, "boot_id": boot_id}
            write_json(UPDATES, dict(state, reboot=due(changed, boot_id)))
    if not changed:
        state = dict(state, at=time.time(), changed=[], boot_id=read_text(BOOT_ID))
    state = dict(state, done=params["done"], reboot=due(changed, state["boot_id"]))
    write_json(UPDATES, state)
    return state, len(changed)


def confirm(module, params):
    """The node runs in another boot than before, and what its record wants started is active."""
    boot_id = read_text(BOOT_ID)
    if not params["boot_id"] or boot_id == params["boot_id"]:
        raise Failure("reboot", "", "the node answers, and was not rebooted: its boot id is the same")
    record = read_json(RECORD)
    units = json.loads(record.get("manifest") or "{}").get("units", [])
    wanted = [unit["name"] for unit in units if unit.get("state") == "started"]
    deadline = time.monotonic() + params["unit_timeout"]
    while True:
        late = [name for name in wanted if module.run_command(["systemctl", "is-active", "--quiet", name])[0] != 0]
        if not late:
            break
        if time.monotonic() > deadline:
            raise Failure("reboot", late[0], "did not become active after the reboot")
        time.sleep(1)
    state = dict(read_json(UPDATES), reboot=reboot_due(), rebooted=boot_id)
    write_json(UPDATES, state)
    kept = {key: value for key, value in record.items() if key not in ("files", "folders")}
    return state, dict(kept, updates=state)


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"choices": ["taken", "read", "confirmed"], "default": "taken"},
            "mode": {"choices": ["security", "all"], "default": "security"},
            "snapshot": {"default": ""},
            "sources": {"type": "list", "elements": "str", "default": []},
            "done": {"default": ""},
            "force": {"type": "bool", "default": False},
            "boot_id": {"default": ""},
            "unit_timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        if params["state"] == "read":
            state = dict(read_json(UPDATES))
            state["reboot"] = due(state.get("changed", []), state.get("boot_id", ""))
            module.exit_json(changed=False, updates=state, packages=0, boot_id=read_text(BOOT_ID))
        with locked():
            if params["state"] == "confirmed":
                state, record = confirm(module, params)
                module.exit_json(changed=False, updates=state, packages=0, boot_id=read_text(BOOT_ID), record=record)
            state, count = take(module, params)
        module.exit_json(changed=bool(count), updates=state, packages=count, boot_id=read_text(BOOT_ID))
    except Failure as exc:
        module.fail_json(msg=str(exc), step=exc.step, at=exc.at)


if __name__ == "__main__":
    main()
