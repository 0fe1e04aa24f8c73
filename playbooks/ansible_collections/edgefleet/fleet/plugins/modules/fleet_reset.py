#!/usr/bin/python
# Copyright the fleet authors
# SPDX-License-Identifier: Apache-2.0
"""Leave nothing of K3s on a host: its units, containers, mounts, interfaces, firewall rules and data.

What there is to remove is said by K3s's own k3s-killall.sh and k3s-uninstall.sh (k3s-io/k3s, install.sh, create_killall
and create_uninstall). Other than these, nothing that is mounted is emptied, no link is followed, and what is not K3s's own
stays. In order: refuse, lock, stop, end processes, unmount, firewall, interfaces, data, configuration. Killed anywhere, the
next run goes on; the record, by which it is known whose host this is, is taken away by fleet_bundle behind it.
"""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_reset
short_description: Leave nothing of K3s on a host
version_added: "0.1.0"
author: The fleet authors (@edgefleet)
description:
  - Stops K3s, ends its containers, unmounts what is mounted below its folders, and removes its interfaces, firewall rules,
    data and configuration.
  - A host without a record of this fleet is refused where K3s is on it.
options:
  node:
    description: The node's name in the fleet.
    type: str
    required: true
  fleet:
    description: Name of the fleet.
    type: str
    required: true
  machine_id:
    description: The enrolled machine-id. Another machine is never written to.
    type: str
    default: ""
  take_over:
    description: Reason to go on although the record is of another fleet or node, or there is none.
    type: str
    default: ""
  root:
    description: Directory that stands for C(/). In a sandbox only files are removed.
    type: path
    default: /
attributes:
  check_mode:
    description: Tells what there is, and changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Leave nothing of K3s
  edgefleet.fleet.fleet_reset:
    node: "{{ fleet_node }}"
    fleet: "{{ fleet_name }}"
"""

RETURN = r"""
removed: {description: "Paths that were there, and went.", type: list, elements: str, returned: always}
unmounted: {description: "Mount points, each with nothing on it touched.", type: list, elements: str, returned: always}
ended: {description: How many processes were ended., type: int, returned: always}
interfaces: {description: Network interfaces that went., type: list, elements: str, returned: always}
firewall: {description: "Programs whose tables held rules of K3s.", type: list, elements: str, returned: always}
left: {description: "What stays, and why.", type: list, elements: str, returned: always}
paths: {description: "All that is K3s's own, there or not.", type: list, elements: str, returned: always}
step: {description: Where it failed., type: str, returned: failure}
at: {description: What it failed on., type: str, returned: failure}
"""

import contextlib
import fcntl
import glob
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import time

from ansible.module_utils.basic import AnsibleModule

STATE = "/var/lib/fleet"
RECORD = STATE + "/record.json"
UNITS = ("k3s.service", "k3s-agent.service")
UNIT_FOLDER = "/etc/systemd/system/"
BIN = "/usr/local/bin/"
PROGRAMS = tuple(BIN + name for name in ("k3s", "k3s-killall.sh", "k3s-uninstall.sh", "k3s-agent-uninstall.sh"))
LINKS = tuple(BIN + name for name in ("kubectl", "crictl", "ctr"))  # to k3s, or else somebody's own
DATA = "/var/lib/rancher/k3s"
DATA_NAMES = ("agent", "data", "server", "storage")  # what K3s makes in a data-dir, which may hold other things
STATES = ("/run/k3s", "/run/flannel", "/var/lib/kubelet", "/var/lib/cni", "/var/log/pods", "/var/log/containers")
CONFIGURATION = ("/etc/rancher/node", "/etc/rancher/k3s")  # last: it says where the data is
SHARED = ("/etc/rancher", "/var/lib/rancher")  # gone when nobody else has anything there
NETNS = "/run/netns"
INTERFACES = ("cni0", "flannel.1", "flannel-v6.1", "flannel-wg", "flannel-wg-v6", "kube-ipvs0")
FAMILIES = ("iptables", "ip6tables")
VARIANTS = ("-nft", "-legacy", "")
# A chain of Kubernetes, of a CNI plugin or of flannel is declared, filled or jumped to; or the rule is flannel's by name.
RULE = re.compile(r"(:|-A |.* -[jg] )(KUBE-|CNI-|FLANNEL-)|-A .*--comment \"?flanneld\b")
DATA_DIR = re.compile(r"""^["']?data-dir["']?[ \t]*:[ \t]*("[^"]*"|'[^']*'|[^#\n]*)""", re.M)
END_SECONDS = 30
UMOUNT_SECONDS = 60


class Failure(Exception):
    def __init__(self, step, at, reason):
        super().__init__(f"{step}: {at}: {reason}" if at else f"{step}: {reason}")
        self.step, self.at = step, at


def run(*argv, stdin=None, seconds=300, env=None):
    """(code, standard output and errors)."""
    try:
        done = subprocess.run(
            argv, input=stdin, capture_output=True, text=True, errors="replace", timeout=seconds, check=False, env=env
        )
    except subprocess.TimeoutExpired:
        return 124, f"no end after {seconds} s"
    except OSError as exc:
        return 127, exc.strerror or str(exc)
    return done.returncode, done.stdout + done.stderr


def read_text(path):
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as handle:
            return handle.read()
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
        return ""


# ---------------------------------------------------------------------------------------------------------------
# Whose host, and where its data is


def guard(record, params, machine, is_there):
    """Raises Failure where this host is not the fleet's own to reset."""
    if params["machine_id"] and machine != params["machine_id"]:
        found = machine or "none"
        raise Failure("machine-id", "", "enrolled is {}, this machine has {}".format(params["machine_id"], found))
    if params["take_over"]:
        return
    hint = "; give a reason to take it over"
    if not record and is_there:
        raise Failure("record", "", "K3s is here, and no record of fleet `{}`{}".format(params["fleet"], hint))
    for key in ("fleet", "node"):
        found = record.get(key, params[key])
        if found != params[key]:
            raise Failure(key, "", f"this host is of {key} `{found}`, not `{params[key]}`{hint}")
    if record.get("machine_id", machine) != machine:
        raise Failure("machine-id", "", "the record is of machine {}{}".format(record["machine_id"], hint))


def read_record(root):
    text = read_text(root + RECORD)
    try:
        record = json.loads(text) if text else {}
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise Failure("record", RECORD, "cannot be read; remove it, and give a reason to take the host over")
    return record


def data_dirs(root):
    """Every data-dir that K3s's configuration names, and its default. Raises Failure for one that cannot be meant."""
    found = {DATA}
    for path in [f"{root}/etc/rancher/k3s/config.yaml", *sorted(glob.glob(root + "/etc/rancher/k3s/config.yaml.d/*"))]:
        for value in DATA_DIR.findall(read_text(path)):
            folder = value.strip().strip("\"'")
            if not os.path.isabs(folder) or os.path.normpath(folder) in ("/", "//"):
                raise Failure("data-dir", folder, f"{path[len(root) :]} names it, and it is no folder to empty")
            found.add(os.path.normpath(folder))
    return sorted(found)


def is_mounted(path):
    return os.path.realpath(path) in mount_points()


def own_paths(root, folders):
    """All that is K3s's own, in the order in which it goes. What a data-dir holds beside that is not K3s's."""
    paths = []
    for folder in folders:
        is_whole = folder == DATA and not is_mounted(root + folder)
        paths += [folder] if is_whole else [f"{folder}/{name}" for name in DATA_NAMES]
    paths += STATES + PROGRAMS
    paths += [link for link in LINKS if os.path.basename(link_of(root + link)) == "k3s"]
    units = [UNIT_FOLDER + name + end for name in UNITS for end in ("", ".env")]
    return paths + units + list(CONFIGURATION)


def link_of(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""


# ---------------------------------------------------------------------------------------------------------------
# What runs


def known_units():
    """Units of K3s that systemd knows."""
    found = []
    for name in UNITS:
        code, said = run("systemctl", "show", "--property=LoadState", "--value", "--", name)
        if code == 0 and said.strip() not in ("not-found", ""):
            found.append(name)
    return found


def stop_units(names):
    """Disabled first: a host that is rebooted in the middle does not start K3s, which would found or join a cluster."""
    for verb in ("disable", "stop"):
        for name in names:
            code, said = run("systemctl", "--no-pager", verb, "--", name)
            if code != 0:
                raise Failure("units", name, f"systemctl {verb}: {said.strip() or code}")


def forget_units(names):
    """systemd keeps what failed until it is told."""
    run("systemctl", "daemon-reload")
    for name in names:
        run("systemctl", "reset-failed", "--", name)


class Process:
    """One of /proc. `cgroup` is in which control groups it is."""

    def __init__(self, pid):
        fields = read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()
        self.pid, self.state, self.parent = pid, fields[0] if fields else "Z", int(fields[1]) if fields else 0
        self.programs = (link_of(f"/proc/{pid}/exe"), read_text(f"/proc/{pid}/cmdline").partition("\0")[0])
        self.cgroup = read_text(f"/proc/{pid}/cgroup")


def processes():
    found = [Process(int(name)) for name in os.listdir("/proc") if name.isdigit()]
    return [one for one in found if one.state != "Z" and one.pid not in (1, os.getpid())]


def of_k3s(found, folders, own):
    """containerd, its shims, and everything below them: programs out of `DATA-DIR/data`, and all pods' control groups.
    `own` are the control groups of this process.
    """
    places = tuple(f"{place}/data/" for folder in folders for place in (folder, os.path.realpath(folder)))
    is_in_pod = "/kubepods" in own  # then so is every process of this host
    ours = {
        one.pid
        for one in found
        if any(program.startswith(places) for program in one.programs) or ("/kubepods" in one.cgroup and not is_in_pod)
    }
    while True:
        more = {one.pid for one in found if one.parent in ours} - ours
        if not more:
            return ours
        ours |= more


def signal_all(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def found_running(folders):
    return of_k3s(processes(), folders, read_text("/proc/self/cgroup"))


def end_processes(folders):
    """Stopped before they are ended, so that none of them starts another one meanwhile. Returns how many there were."""
    ended, deadline = set(), time.monotonic() + END_SECONDS
    while True:
        pids = found_running(folders)
        if not pids:
            return len(ended)
        if time.monotonic() > deadline:
            raise Failure("processes", str(min(pids)), f"does not end, nor do {len(pids) - 1} more: a reboot ends them")
        signal_all(pids, signal.SIGSTOP)
        pids |= found_running(folders)
        signal_all(pids, signal.SIGKILL)
        ended |= pids
        time.sleep(0.1)


# ---------------------------------------------------------------------------------------------------------------
# What is mounted


def mount_points():
    """In the order in which they came to be (proc(5), mountinfo)."""
    lines = read_text("/proc/self/mountinfo").splitlines()
    return [re.sub(r"\\([0-7]{3})", lambda one: chr(int(one.group(1), 8)), line.split(" ")[4]) for line in lines]


def of_ours(points, paths):
    """Those at what is K3s's own, and below it: a disk that a data-dir lies on is neither."""
    ours = tuple(os.path.realpath(os.path.dirname(path)) + "/" + os.path.basename(path) + "/" for path in paths)
    return [point for point in points if (point + "/").startswith(ours) or point.startswith(NETNS + "/cni-")]


def unmount(paths):
    """The last one first. All of them private before: the end of a mount below one that was bound with all in it (rbind)
    would end the same mount at the place where that comes from.
    """
    done = []
    while True:
        points = of_ours(mount_points(), paths)
        if not points:
            return sorted(set(done))
        said = ""
        before = len(points)
        for point in points:
            run("mount", "--make-private", point, seconds=UMOUNT_SECONDS)
        for point in reversed(points):
            code, said_now = run("umount", point, seconds=UMOUNT_SECONDS)
            if code != 0:  # a server that is away
                code, said_now = run("umount", "-f", point, seconds=UMOUNT_SECONDS)
            said = said_now if code != 0 else said
            done += [point] if code == 0 else []
        if len(of_ours(mount_points(), paths)) >= before:
            raise Failure("unmount", points[-1], said.strip() or "it stays mounted")


# ---------------------------------------------------------------------------------------------------------------
# What is in the kernel


def k3s_path(folders):
    """Where programs are looked for: the host's own, then those that K3s has brought."""
    own = [one for folder in folders for one in sorted(glob.glob(folder + "/data/*/bin/aux"))]
    return ":".join([os.environ.get("PATH", ""), "/usr/sbin:/sbin", *own])


def without_rules(saved):
    """The tables without what Kubernetes, CNI and flannel put into them."""
    return "".join(line for line in saved.splitlines(keepends=True) if not RULE.match(line))


def clean_firewall(folders, check):
    """Programs whose tables held such rules. Tables without any are not loaded anew."""
    path, found = k3s_path(folders), []
    for name in [family + variant for family in FAMILIES for variant in VARIANTS]:
        save, restore = (shutil.which(f"{name}-{verb}", path=path) for verb in ("save", "restore"))
        if not save or not restore:
            continue
        env = dict(os.environ, PATH=path, LC_ALL="C")
        saved = subprocess.run([save], capture_output=True, text=True, check=False, timeout=60, env=env).stdout
        kept = without_rules(saved)
        if kept == saved:
            continue
        found.append(name)
        if not check:
            code, said = run(restore, stdin=kept, env=env)
            if code != 0:
                raise Failure("firewall", name, f"its tables cannot be loaded anew: {said.strip() or code}")
    return found


def interfaces():
    """Those that K3s's network made: by name, and what hangs on its bridge."""
    code, said = run("ip", "-o", "link", "show")
    found = []
    for line in said.splitlines() if code == 0 else ():
        name = line.split(": ")[1].partition("@")[0]
        if name in INTERFACES or " master cni0 " in line:
            found.append(name)
    return sorted(found, key=lambda name: name in INTERFACES)  # what hangs on the bridge, then that


def drop_interfaces(names):
    for name in names:
        code, said = run("ip", "link", "delete", name)
        if code != 0 and name in interfaces():  # the other end of a pair went with its peer
            raise Failure("interfaces", name, said.strip())


# ---------------------------------------------------------------------------------------------------------------
# What is on disk


def mount_id(descriptor):
    """Which mount an open folder is on (proc(5), fdinfo): two of one file system have one device number, not one of these."""
    return re.search(r"^mnt_id:\s*(\d+)", read_text(f"/proc/self/fdinfo/{descriptor}"), re.M).group(1)


def clear(folder, name, path):
    """Remove `name` of an open folder, and all below it. A link goes, not what it leads to; nothing on another mount goes."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode):
        os.unlink(name, dir_fd=folder)
        return
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        if mount_id(descriptor) != mount_id(folder):
            raise Failure("remove", path, "something is mounted there, and that is not emptied: unmount it")
        for child in os.listdir(descriptor):
            clear(descriptor, child, os.path.join(path, child))
    finally:
        os.close(descriptor)
    os.rmdir(name, dir_fd=folder)


@contextlib.contextmanager
def opened(root, path):
    """A descriptor of a folder. A link on the way, as /var of some systems is one, is followed inside the root only, and
    only if root made it: nobody else can lead this astray. Raises FileNotFoundError, NotADirectoryError.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    stack, todo, links = [os.open(root or "/", flags)], path.split("/")[::-1], 0
    try:
        while todo:
            name = todo.pop()
            if name == "..":
                if len(stack) > 1:
                    os.close(stack.pop())
            elif name not in ("", "."):
                found = os.stat(name, dir_fd=stack[-1], follow_symlinks=False)
                if not stat.S_ISLNK(found.st_mode):
                    stack.append(os.open(name, flags, dir_fd=stack[-1]))
                    continue
                links += 1
                if links > 40 or found.st_uid not in (0, os.geteuid()):
                    raise Failure("remove", path, f"`{name}` on the way is a link that is not root's")
                target = os.readlink(name, dir_fd=stack[-1])
                while target.startswith("/") and len(stack) > 1:
                    os.close(stack.pop())
                todo.extend(target.split("/")[::-1])
        yield stack[-1]
    finally:
        for descriptor in stack:
            os.close(descriptor)


def is_there(root, path):
    parent, name = os.path.split(path)
    try:
        with opened(root, parent) as folder:
            os.stat(name, dir_fd=folder, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def remove(root, path):
    """The last name is never followed."""
    parent, name = os.path.split(path)
    try:
        with opened(root, parent) as folder:
            clear(folder, name, path)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as exc:
        raise Failure("remove", path, f"{exc.strerror}: {exc.filename}" if exc.filename else exc.strerror)


def led_to(root, paths):
    """Links that stand where K3s keeps something: they go, what they lead to stays."""
    return [
        f"{path} was a link to {link_of(root + path)}, which stays" for path in paths if os.path.islink(root + path)
    ]


# ---------------------------------------------------------------------------------------------------------------
# The run


@contextlib.contextmanager
def locked(root, check):
    """As fleet_bundle: one run at a time. Without a record there is no lock."""
    try:
        handle = open(root + STATE + "/lock", "a" if not check else "r", encoding="utf-8")
    except FileNotFoundError:
        yield
        return
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure("lock", STATE + "/lock", "another run is at work on this node")
        yield


def reset(params, check):
    root = "" if params["root"] == "/" else params["root"].rstrip("/")
    folders = data_dirs(root)
    paths = own_paths(root, folders)
    there = [path for path in paths if is_there(root, path)]
    is_k3s = any(path not in STATES for path in there)  # else they are of another Kubernetes
    guard(read_record(root), params, read_text(root + "/etc/machine-id").strip(), is_k3s)
    found = {"ended": 0, "unmounted": [], "interfaces": [], "firewall": [], "removed": [], "left": [], "paths": paths}
    if not is_k3s:
        return found
    with locked(root, check):
        found.update(removed=there, left=led_to(root, [path for path in there if path not in LINKS]))
        if not root:
            found.update(looked(folders, paths) if check else taken_down(folders, paths))
        if not check:
            clean_disk(root, folders, paths)
            found["left"] += [f"{one} holds more than K3s's own" for one in folders if is_used(root + one)]
    return found


def clean_disk(root, folders, paths):
    for path in paths:
        remove(root, path)
    if not root:
        forget_units(UNITS)
    for folder in (*[one for one in folders if not is_mounted(root + one)], *SHARED):
        with contextlib.suppress(OSError):
            os.rmdir(root + folder)
    os.sync()  # a power cut brings nothing of it back once the record is gone


def is_used(folder):
    """Whether a data-dir is still there, with something in it."""
    try:
        return bool(os.listdir(folder))
    except OSError:
        return False


def looked(folders, paths):
    pids = found_running(folders)
    points = sorted(set(of_ours(mount_points(), paths)))
    return {
        "ended": len(pids),
        "unmounted": points,
        "interfaces": interfaces(),
        "firewall": clean_firewall(folders, check=True),
    }


def taken_down(folders, paths):
    """All that runs and hangs in the kernel. The firewall is cleaned while K3s's own programs for that are there."""
    stop_units(known_units())
    found = {"ended": end_processes(folders), "unmounted": unmount(paths)}
    found.update(firewall=clean_firewall(folders, check=False), interfaces=interfaces())
    drop_interfaces(found["interfaces"])
    for path in glob.glob(NETNS + "/cni-*"):
        remove("", path)
    return found


def main():
    module = AnsibleModule(
        argument_spec={
            "node": {"required": True},
            "fleet": {"required": True},
            "machine_id": {"default": ""},
            "take_over": {"default": ""},
            "root": {"type": "path", "default": "/"},
        },
        supports_check_mode=True,
    )
    try:
        found = reset(module.params, module.check_mode)
    except Failure as exc:
        module.fail_json(msg=str(exc), step=exc.step, at=exc.at)
    except OSError as exc:
        module.fail_json(msg=f"{exc.filename or 'node'}: {exc.strerror}", step="node", at=str(exc.filename or ""))
    is_changed = any(found[key] for key in ("removed", "unmounted", "ended", "interfaces", "firewall"))
    module.exit_json(changed=is_changed, **found)


if __name__ == "__main__":
    main()
