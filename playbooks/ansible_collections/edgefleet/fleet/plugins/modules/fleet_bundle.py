#!/usr/bin/python
# Copyright the fleet authors
# SPDX-License-Identifier: Apache-2.0
"""Bring one bundle onto this node. Python 3.8 or later, nothing but the standard library.

Run by Ansible, or alone: python3 fleet_bundle.py --bundle FILE [--root DIR] [--check] [--diff]

In order: refuse, lock, look, fetch, validate, write beside, say what is meant (record), rename, remove, units, record.
"""

import sys

if sys.version_info < (3, 8):  # noqa: UP036 - this file is read by whatever python3 a node has
    sys.stdout.write(
        '{"failed": true, "changed": false, "step": "python", "at": "", '
        '"msg": "python: this node has Python %d.%d, and 3.8 or later is needed"}\n' % sys.version_info[:2]
    )
    sys.exit(1)

DOCUMENTATION = r"""
module: fleet_bundle
short_description: Bring a whole bundle onto a node, or read what a node holds
version_added: "0.1.0"
author: The fleet authors (@edgefleet)
description:
  - Makes the files, folders, artifacts, kernel parameters and systemd units of a node what its bundle says.
  - Every file is written beside its place, synced and renamed. Files that are no longer managed are removed, and what
    was there before comes back.
  - What the node holds is written last, to C(/var/lib/fleet/record.json).
  - An action plugin on the controller reads the bundle, its contents and its secrets from the rendered project.
options:
  project:
    description: The rendered project on the controller. It holds C(bundles/), C(files/) and C(secrets/).
    type: path
  node:
    description: The node's name in the fleet.
    type: str
  after:
    description: Hosts that this one depends on. Where one of them failed in this run, this host is skipped.
    type: list
    elements: str
    default: []
  bundle:
    description:
      - A bundle on the node, packed by the action plugin, or as JSON with its contents in O(files).
      - The action plugin sets it.
    type: path
  files:
    description: Folder of contents by sha256, beside a bundle that is JSON. Default is C(../files) from the bundle.
    type: path
  payload:
    description: A packed bundle in base64. The action plugin sets it where the bundle is small.
    type: str
  secrets:
    description: Values of the secrets that the bundle names. The action plugin sets it.
    type: dict
  learned:
    description:
      - What other nodes told and this one needs to join them, by name. V(k3s_ca) is the hash of the K3s cluster's CA.
      - The action plugin adds what hosts in O(after) told in this run.
    type: dict
    default: {}
  root:
    description: Directory that stands for C(/). Anything else than C(/) is a sandbox, in which nothing is started or owned.
    type: path
    default: /
  adopt:
    description:
      - The host is in use already. What is as the bundle says is managed from now on, what differs waits for O(take).
      - No unit is started, stopped, restarted or enabled. The next run without it does that, once nothing waits.
    type: bool
    default: false
  take:
    description: Paths that O(adopt) brings to what the bundle says; V(*) for all of them.
    type: list
    elements: str
    default: []
  retire:
    description: Give the host back. What was there before comes back, what the fleet brought goes, and the record last.
    type: bool
    default: false
  without:
    description: With O(retire), paths of which, and of what is below them, nothing comes back.
    type: list
    elements: str
    default: []
  read:
    description: Only read the record, and tell what on disk differs from it.
    type: bool
    default: false
  fleet:
    description: Name of the fleet. A node that another fleet holds is refused.
    type: str
    default: ""
  expect:
    description:
      - Digest that the node must hold, or V(none) where it must hold none yet. Empty does not ask.
      - Several, joined by commas, where it may hold any of them.
      - A node that holds the wanted digest already is never refused.
    type: str
    default: ""
  machine_id:
    description: The enrolled machine-id. Another machine is never written to.
    type: str
    default: ""
  take_over:
    description: Reason to write although the node is held by another fleet, another name, or another digest than O(expect).
    type: str
    default: ""
  snapshot:
    description:
      - A server's datastore is saved before another version of K3s takes its place. Where that fails, nothing is touched.
      - V(false) goes without, for a server that is broken already.
    type: bool
    default: true
  snapshot_taken:
    description: The version of K3s before which an external datastore was saved. The action plugin sets it.
    type: str
    default: ""
  commit:
    description: Commit of the fleet's repository, for the record.
    type: str
    default: ""
  controller:
    description: Who applies, for the record.
    type: str
    default: ""
  epoch:
    description: Which run of the controller applies, for the record.
    type: int
    default: 0
  unit_timeout:
    description: Seconds that units have to become active.
    type: int
    default: 300
  fetch_timeout:
    description: Seconds in which a source of an artifact must have given something; no limit for the whole of it.
    type: int
    default: 30
attributes:
  check_mode:
    description: Writes nothing at all.
    support: full
  diff_mode:
    description: Texts before and after. Files that hold secrets only say that they differ.
    support: full
"""

EXAMPLES = r"""
- name: Bring the bundle onto the node
  edgefleet.fleet.fleet_bundle:
    project: "{{ playbook_dir }}"
    node: "{{ fleet_node }}"
    fleet: "{{ fleet_name }}"

- name: Read what the node holds
  edgefleet.fleet.fleet_bundle:
    read: true
"""

RETURN = r"""
digest: {description: "Digest of the bundle. With O(read), the recorded one.", type: str, returned: always}
before_digest: {description: Digest that the node held before., type: str, returned: always}
machine_id: {description: The node's machine-id., type: str, returned: always}
arch: {description: "V(amd64), V(arm64) or V(arm).", type: str, returned: always}
changes:
  description: One entry for each path, kernel parameter or unit that differed, with kind, path, action and what differed.
  type: list
  elements: dict
  returned: always
waiting: {description: With O(adopt), paths that differ and were not taken., type: list, elements: str, returned: always}
restarted: {description: Units that were restarted., type: list, elements: str, returned: always}
reloaded: {description: Units that were reloaded., type: list, elements: str, returned: always}
learned:
  description: What others may need to know of this node, by name, V(k3s_ca) for one.
  type: dict
  returned: always
record: {description: The node's record., type: dict, returned: always}
clock: {description: "The node's own time, in seconds since 1970.", type: float, returned: always}
step: {description: Where it failed., type: str, returned: failure}
at: {description: "What it failed on: a path, a unit, or empty.", type: str, returned: failure}
"""

import argparse
import base64
import contextlib
import errno
import fcntl
import functools
import grp
import gzip
import hashlib
import json
import os
import pwd
import re
import select
import shlex
import shutil
import signal
import stat
import struct
import subprocess
import time

STATE = "/var/lib/fleet"
RECORD = STATE + "/record.json"
PRIVATE = STATE + "/private.json"  # sha256 of files with secrets: readable for root only
STAGED = STATE + "/staged.json"
UPDATES = STATE + "/updates.json"  # what fleet_updates did last
UNITS = STATE + "/units.json"  # what a sandbox would have started
CHECK = STATE + "/check"
SNAPSHOTS = STATE + "/snapshots"  # of K3s's datastore, before an upgrade: the token that opens it, and SQLite's file
DOWNLOADS = STATE + "/downloads"  # by sha256: what a link that broke has left, for the next run to go on with
ORIGINALS = STATE + "/originals"
APPLICATIONS = STATE + "/applications.jsonl"  # a line for each time that something here was about to change
GENERATIONS = STATE + "/generations"  # of each: manifest.json, and in files/ what the next one put something else for
MANIFEST = "manifest.json"
K3S = "k3s_version"
KEPT_GENERATIONS = KEPT_SNAPSHOTS = 3
TEMP = re.compile(r"\.fleet-[0-9a-f]{16}\.new")
UNIT_FOLDERS = ("/etc/systemd/system/", "/usr/lib/systemd/system/", "/lib/systemd/system/", "/run/systemd/system/")
LINKS = "/etc/systemd/system"
FORBIDDEN = ("/proc/", "/sys/", "/dev/", STATE + "/")
ARCH = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "armv8l": "arm"}
VALIDATE_SECONDS = 60
SNAPSHOT_SECONDS = 600
TOKEN_SECONDS = 60  # so long may a K3s that starts take until it can be told a token
OUTPUT_BYTES = 64 * 1024
LOG_BYTES = 64 * 1024  # from then on the lines go to a new file, and the old one is kept as the only `.1`
LOOP_SECONDS = 60  # so long may systemd restart a unit again and again before it counts as failed
SLOW_BYTES = 4096  # a source that gives less in `fetch_timeout` seconds is no better than one that gives nothing
ADVICE = {
    errno.EROFS: "a disk that fails goes read-only: dmesg says why; remount it, or replace it",
    errno.EIO: "the disk fails: dmesg says more",
    errno.ENOSPC: "make room on it; nothing is half written",
    errno.EDQUOT: "make room on it; nothing is half written",
}
NO_ROOM = "%d bytes are needed, %d are free: make room on it"
READ_FLAGS = 0x80006601 | struct.calcsize("l") << 16  # FS_IOC_GETFLAGS, linux/fs.h
FLAGS = ((0x10, "immutable", "i"), (0x20, "append-only", "a"))
SELINUX = "/sys/fs/selinux/enforce"
DIFF_BYTES = 128 * 1024
SHORTEST_LINE = 4  # characters of a line of a secret that is hidden by itself
URL_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"  # RFC 3986, 2.3
CHUNK = 1024 * 1024


class Failure(Exception):
    """What stopped the run: the step, the path (or unit) and the reason, in words for people."""

    def __init__(self, step, path, reason):
        super().__init__(f"{step}: {path}: {reason}" if path else f"{step}: {reason}")
        self.step = step
        self.path = path


def words(exc):
    said = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
    advice = ADVICE.get(exc.errno) if isinstance(exc, OSError) else None
    return f"{said} ({advice})" if advice else said


@contextlib.contextmanager
def telling(step, path=""):
    """What the system refuses becomes a failure that names the path, by default the one that it was refused for."""
    try:
        yield
    except OSError as exc:
        raise Failure(step, path or exc.filename or "", words(exc)) from exc


def naming(method):
    """What the system refuses is said of the whole path, with the flag that is why where one is."""

    @functools.wraps(method)
    def named(self, path, *args, **kwargs):
        try:
            return method(self, path, *args, **kwargs)
        except OSError as exc:
            exc.filename = path
            if exc.errno == errno.EPERM:
                exc.strerror = self.flagged(path) or exc.strerror
            raise

    return named


def canonical(manifest):
    return json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


# ---------------------------------------------------------------------------------------------------------------
# The tree: every access to disk below one root


def temp_name(name):
    """Fixed by the name: under the lock, one that exists was left by a run that crashed."""
    return f".fleet-{sha256(os.fsencode(name))[:16]}.new"


def flags_of(descriptor):
    """The flags of an open file or folder (chattr(1)). Closes it."""
    try:
        return int.from_bytes(fcntl.ioctl(descriptor, READ_FLAGS, bytes(struct.calcsize("l"))), sys.byteorder)
    finally:
        os.close(descriptor)


class Tree:
    """Files below `root`, by absolute paths that start there.

    A link on the way is followed inside the root only, and only if root or the running user made it: nobody else can
    lead a write astray. The last component is never followed. `base` is None while the root does not exist.
    """

    def __init__(self, root, make):
        self.root = root
        self.real = root == "/"
        self.pins = None
        self.labels = {}
        if make and not os.path.isdir(root):
            os.makedirs(root, 0o755, exist_ok=True)
            above = os.open(os.path.dirname(root), os.O_RDONLY | os.O_DIRECTORY)
            os.fsync(above)
            os.close(above)
        try:
            self.base = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            self.base = None

    def outside(self, path):
        """The path as other programs see it."""
        return path if self.real else self.root.rstrip("/") + path

    def _link(self, folder, name):
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISLNK(found.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, f"`{name}` on the way is not a folder")
        if found.st_uid not in (0, os.geteuid()):
            raise PermissionError(errno.EPERM, "`%s` on the way is a link made by user %d" % (name, found.st_uid))
        return os.readlink(name, dir_fd=folder)

    def _pin(self, path, descriptor):
        """A folder stays the one that was looked at: one that another took the place of meanwhile is not written to."""
        found = os.fstat(descriptor)
        if self.pins.setdefault(path, (found.st_dev, found.st_ino)) != (found.st_dev, found.st_ino):
            raise NotADirectoryError(errno.ENOTDIR, f"`{path}` became another folder while this run went on")

    @contextlib.contextmanager
    def folder(self, path):
        """A descriptor of the folder. Raises FileNotFoundError, NotADirectoryError, PermissionError."""
        if self.base is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.root)
        stack, todo, links = [os.dup(self.base)], path.split("/")[::-1], 0
        try:
            while todo:
                name = todo.pop()
                if name == "..":
                    if len(stack) > 1:
                        os.close(stack.pop())
                elif name not in ("", "."):
                    try:
                        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                        stack.append(os.open(name, flags, dir_fd=stack[-1]))
                    except OSError as exc:
                        links += 1
                        if exc.errno not in (errno.ENOTDIR, errno.ELOOP):
                            raise
                        if links > 40:
                            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from exc
                        target = self._link(stack[-1], name)
                        while target.startswith("/") and len(stack) > 1:
                            os.close(stack.pop())
                        todo.extend(target.split("/")[::-1])
            if self.pins is not None:
                self._pin(path, stack[-1])
            yield stack[-1]
        finally:
            for descriptor in stack:
                os.close(descriptor)

    @naming
    def stat(self, path):
        """None where nothing is. A link is not followed."""
        parent, name = os.path.split(path)
        try:
            with self.folder(parent) as folder:
                return os.stat(name or ".", dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def open(self, path):
        parent, name = os.path.split(path)
        with self.folder(parent) as folder:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(descriptor, "rb") as handle:
            yield handle

    @naming
    def read(self, path, limit=-1):
        with self.open(path) as handle:
            return handle.read(limit)

    @naming
    def digest(self, path):
        state = hashlib.sha256()
        with self.open(path) as handle:
            for chunk in iter(lambda: handle.read(CHUNK), b""):
                state.update(chunk)
        return state.hexdigest()

    @naming
    def mkdir(self, path, mode=0o755, ids=(-1, -1)):
        """Private until it has its owner. One that stays ours has its mode at once: nobody looks at it again."""
        parent, name = os.path.split(path)
        with self.folder(parent) as folder:
            os.mkdir(name, mode if ids == (-1, -1) else 0o700, dir_fd=folder)
            os.fsync(folder)
        self.restyle(path, mode, ids)
        if path in self.labels:
            with self.folder(path) as made:
                self.label(path, made)

    @naming
    def restyle(self, path, mode, ids):
        """Owner first: a change of owner clears the set-user-id bits."""
        parent, name = os.path.split(path)
        with self.folder(parent) as folder:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            try:
                if ids != (-1, -1):
                    os.fchown(descriptor, ids[0], ids[1])
                os.fchmod(descriptor, mode)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    @naming
    def beside(self, path, chunks, mode, ids, mtime_ns=None):
        """Write the temp beside `path`: complete, synced, with its owner and mode; `place` puts it there."""
        parent, name = os.path.split(path)
        with self.folder(parent) as folder:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temp_name(name), dir_fd=folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(temp_name(name), flags, 0o600, dir_fd=folder), "wb") as handle:
                for chunk in chunks:
                    handle.write(chunk)
                handle.flush()
                if ids != (-1, -1):
                    os.fchown(handle.fileno(), ids[0], ids[1])
                os.fchmod(handle.fileno(), mode)
                if mtime_ns is not None:
                    os.utime(handle.fileno(), ns=(mtime_ns, mtime_ns))
                self.label(path, handle.fileno())
                os.fsync(handle.fileno())

    def label(self, path, descriptor):
        """Give what will stand at `path` the SELinux context that the policy says; `labels` is empty without SELinux."""
        if path in self.labels:
            os.setxattr(descriptor, "security.selinux", self.labels[path].encode("ascii") + b"\0")

    def take_in(self, source, path, mode, ids):
        """Make a verified file of ours the temp beside `path`: renamed where that is one file system, else copied."""
        parent, name = os.path.split(path)
        with self.folder(parent) as folder, self.folder(os.path.dirname(source)) as origin:
            if os.fstat(folder).st_dev != os.fstat(origin).st_dev:
                with self.open(source) as handle:
                    self.beside(path, iter(lambda: handle.read(CHUNK), b""), mode, ids)
                return self.unlink(source)
            os.rename(os.path.basename(source), temp_name(name), src_dir_fd=origin, dst_dir_fd=folder)
            os.fsync(folder)
            os.fsync(origin)
            descriptor = os.open(temp_name(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                if ids != (-1, -1):
                    os.fchown(descriptor, ids[0], ids[1])
                os.fchmod(descriptor, mode)
                self.label(path, descriptor)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        return None

    def copy(self, source, path):
        """A copy with the mode, owner and time of its source. A sandbox owns nothing, so owners stay there."""
        found = self.stat(source)
        ids = (found.st_uid, found.st_gid) if self.real else (-1, -1)
        with self.open(source) as handle:
            chunks = iter(lambda: handle.read(CHUNK), b"")
            self.beside(path, chunks, stat.S_IMODE(found.st_mode), ids, found.st_mtime_ns)
        self.place(path)

    def link(self, source, path):
        """A second name for a file, kept when the first one gets another content; a copy where there are no links."""
        parent, name = os.path.split(path)
        with self.folder(os.path.dirname(source)) as origin, self.folder(parent) as folder:
            try:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temp_name(name), dir_fd=folder)
                os.link(
                    os.path.basename(source),
                    temp_name(name),
                    src_dir_fd=origin,
                    dst_dir_fd=folder,
                    follow_symlinks=False,
                )
                os.rename(temp_name(name), name, src_dir_fd=folder, dst_dir_fd=folder)
                with contextlib.suppress(FileNotFoundError):  # rename(2) does nothing where both are one file already
                    os.unlink(temp_name(name), dir_fd=folder)
                os.fsync(folder)
                return
            except OSError as exc:
                if exc.errno not in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
                    raise
        self.copy(source, path)

    @naming
    def append(self, path, line):
        """Add a line to a log: on the disk when this returns. One that was cut off stays a line of its own."""
        parent, name = os.path.split(path)
        with self.folder(parent) as folder:
            with contextlib.suppress(FileNotFoundError):
                if os.stat(name, dir_fd=folder, follow_symlinks=False).st_size >= LOG_BYTES:
                    os.rename(name, name + ".1", src_dir_fd=folder, dst_dir_fd=folder)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(name, flags, 0o600, dir_fd=folder), "ab") as handle:
                size = os.fstat(handle.fileno()).st_size
                is_cut = size and os.pread(handle.fileno(), 1, size - 1) != b"\n"
                handle.write((b"\n" if is_cut else b"") + line + b"\n")
                handle.flush()
                os.fsync(handle.fileno())
            os.fsync(folder)

    @naming
    def place(self, path):
        parent, name = os.path.split(path)
        with self.folder(parent) as folder:
            os.rename(temp_name(name), name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)

    @naming
    def unlink(self, path, temp=False):
        parent, name = os.path.split(path)
        with contextlib.suppress(FileNotFoundError), self.folder(parent) as folder:
            os.unlink(temp_name(name) if temp else name, dir_fd=folder)
            os.fsync(folder)

    @naming
    def sync_file(self, path):
        parent, name = os.path.split(path)
        with self.folder(parent) as folder:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def sync(self, *paths):
        """Make names in these folders last, as far as they are there."""
        for path in paths:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError), self.folder(path) as folder:
                os.fsync(folder)

    @naming
    def rmdir(self, path):
        """True if it was there and empty."""
        parent, name = os.path.split(path)
        try:
            with self.folder(parent) as folder:
                os.rmdir(name, dir_fd=folder)
                os.fsync(folder)
        except OSError as exc:
            if exc.errno in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EBUSY):
                return False
            raise
        if self.pins:
            self.pins.pop(path, None)  # this run's own doing: who makes it again makes another one
        return True

    @naming
    def names(self, path):
        try:
            with self.folder(path) as folder:
                return sorted(os.listdir(folder))
        except FileNotFoundError:
            return []

    def flagged(self, path):
        """That a flag of the file, or of its folder, lets nobody write, and how it is taken away; empty if none is."""
        parent, name = os.path.split(path)
        for one, entry in ((path, name), (parent, ".")):
            with contextlib.suppress(OSError), self.folder(parent) as folder:
                bits = flags_of(
                    os.open(entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
                )
                for flag, word, letter in FLAGS:
                    if bits & flag:
                        return "{} is {}: chattr -{} {}".format("it" if one == path else one, word, letter, one)
        return ""

    def room(self, path):
        """(device, free bytes) of the file system on which `path` is or will be."""
        while True:
            path = os.path.dirname(path)
            with contextlib.suppress(FileNotFoundError), self.folder(path) as folder:
                free = os.fstatvfs(folder)
                return os.fstat(folder).st_dev, free.f_bavail * free.f_frsize

    def missing(self, path):
        """Folders that must be made before `path` can be, outermost first."""
        found = []
        while True:
            path = os.path.dirname(path)
            if path == "/" or self.stat(path) is not None:
                return found[::-1]
            found.append(path)

    def read_json(self, path):
        """None where nothing is. Raises ValueError where it is not a JSON object."""
        try:
            value = json.loads(self.read(path).decode("utf-8"))
        except FileNotFoundError:
            return None
        if not isinstance(value, dict):
            raise ValueError("not a JSON object")
        return value

    def write_json(self, path, value, mode=0o644):
        data = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
        with telling("write", path):
            self.beside(path, [data.encode("utf-8")], mode, (-1, -1))
            self.place(path)


# ---------------------------------------------------------------------------------------------------------------
# What is wanted


class Item:
    """One file or artifact that the node must hold. `data` is None for an artifact: its content is behind `urls`."""

    def __init__(self, entry, kind="file", data=None, urls=()):
        self.path = check_path(entry["path"])
        self.kind = kind
        self.mode = check_mode(entry, "0644" if kind == "file" else "0755")
        self.owner = entry.get("owner", "root")
        self.group = entry.get("group", "root")
        self.data = data
        self.urls = list(urls)
        self.sha256 = sha256(data) if data is not None else entry.get("sha256", "")
        parts = [part for part in entry.get("segments", ()) if not isinstance(part, str)]
        self.secret = bool(parts)
        self.is_token = any(part.get("encoding") in TOKENS for part in parts)
        self.validate = entry.get("validate", "")
        self.restart = list(entry.get("restart", ()))
        self.reload = list(entry.get("reload", ()))


def check_path(path):
    parts = path.split("/")[1:]
    if not path.startswith("/") or {"", ".", ".."} & set(parts) or "\0" in path or "\n" in path:
        raise Failure("bundle", path, "not a plain absolute path")
    if (path + "/").startswith(FORBIDDEN):
        raise Failure("bundle", path, "nothing may be managed there")
    return path


def check_mode(entry, default):
    mode = entry.get("mode", default)
    if not re.match(r"[0-7]{4}\Z", mode):
        raise Failure("bundle", entry["path"], f"mode `{mode}` is not four octal digits")
    return int(mode, 8)


def read_bundle(opts):
    """(bundle, blobs by sha256). A packed bundle is gzip: a line of JSON, then the blobs one after another."""
    where = opts["bundle"] or "payload"
    try:
        if opts["payload"]:
            raw = base64.b64decode(opts["payload"])
        else:
            with open(where, "rb") as handle:
                raw = handle.read()
        if not raw.startswith(b"\x1f\x8b"):
            return read_loose(json.loads(raw.decode("utf-8")), opts)
        head, _, rest = gzip.decompress(raw).partition(b"\n")
        packed = json.loads(head.decode("utf-8"))
        blobs, at = {}, 0
        for name, size in packed["blobs"]:
            blobs[name] = rest[at : at + size]
            at += size
        return packed["bundle"], blobs
    except (OSError, EOFError, ValueError, KeyError, TypeError) as exc:
        raise Failure("bundle", where, f"cannot be read: {words(exc)}")


def read_loose(bundle, opts):
    folder = opts["files"] or os.path.join(os.path.dirname(os.path.abspath(opts["bundle"])), "..", "files")
    blobs = {}
    for entry in bundle["manifest"].get("files", []) + bundle.get("seeds", []):
        name = entry.get("sha256")
        if name:
            with open(os.path.join(folder, name[:2], name), "rb") as handle:
                blobs[name] = handle.read()
    return bundle, blobs


def nothing(opts):
    """The bundle of a host that is given back."""
    digest = "b1:" + sha256(canonical({}).encode("utf-8"))
    return {"format": "fleet.bundle/v1", "node": opts["node"], "fleet": opts["fleet"], "digest": digest, "manifest": {}}


def verify(bundle, opts):
    """Raises Failure unless the manifest is whole, ours, and for this node."""
    if bundle.get("format") != "fleet.bundle/v1":
        raise Failure("bundle", "", "format is `{}`, expected `fleet.bundle/v1`".format(bundle.get("format")))
    if opts["node"] and bundle["node"] != opts["node"]:
        raise Failure("bundle", "", "it is the bundle of `{}`, not of `{}`".format(bundle["node"], opts["node"]))
    opts["fleet"] = opts["fleet"] or bundle.get("fleet", "")
    if bundle.get("fleet", opts["fleet"]) != opts["fleet"]:
        raise Failure("bundle", "", "it is a bundle of fleet `{}`, not of `{}`".format(bundle["fleet"], opts["fleet"]))
    found = "b1:" + sha256(canonical(bundle["manifest"]).encode("utf-8"))
    if found != bundle["digest"]:
        raise Failure("bundle", "", "the manifest's digest is {}, expected {}".format(found, bundle["digest"]))


def content(entry, blobs, secrets, learned):
    """The bytes of a file. Raises Failure where a blob or a secret is absent or wrong."""
    if entry.get("sha256"):
        data = blobs.get(entry["sha256"])
        if data is None or sha256(data) != entry["sha256"]:
            state = "did not arrive" if data is None else "arrived damaged"
            raise Failure("bundle", entry["path"], "content {} {}".format(entry["sha256"], state))
        return data
    parts = []
    for part in entry.get("segments", ()):
        if isinstance(part, str):
            parts.append(part)
        elif part["name"] not in secrets:
            raise Failure("secrets", entry["path"], "secret `{}` did not arrive".format(part["name"]))
        else:
            kind = part.get("encoding", "plain")
            if kind not in ENCODINGS and kind not in TOKENS:
                raise Failure("bundle", entry["path"], "encoding `{}` is not known here".format(part["encoding"]))
            value = secrets[part["name"]]
            parts.append(token(value, TOKENS[kind], learned) if kind in TOKENS else ENCODINGS[kind](value))
    return "".join(parts).encode("utf-8")


def in_base64(text):
    return base64.b64encode(text.encode("utf-8")).decode("ascii")


def in_quotes(text):
    """A string that JSON and YAML 1.1 and 1.2 read alike: YAML knows no surrogates, and takes some characters as lines."""
    return re.sub("[\x7f-\uffff]", lambda one: "\\u%04x" % ord(one.group()), json.dumps(text, ensure_ascii=False))


ENCODINGS = {"plain": str, "base64": in_base64, "json": in_quotes}
TOKENS = {"k3s-server": "server", "k3s-agent": "node"}  # by encoding: whom K3s lets in with the token
FULL_TOKEN = re.compile(rb"K10([0-9a-f]{64})::(?:server|node):")


def token(value, user, learned):
    """A K3s token in its full form, by which a node knows the cluster's CA; the secret alone while nobody knows that."""
    ca = learned.get("k3s_ca", "")
    if ca and not re.match(r"[0-9a-f]{64}\Z", ca):
        raise Failure("bundle", "", "learned k3s_ca is not a sha256 in hex")
    is_full = FULL_TOKEN.match(value.encode("utf-8"))  # somebody keeps it like that
    return f"K10{ca}::{user}:{value}" if ca and not is_full else value


def is_same_token(item, found):
    """The form is of use in joining only. A node that joined keeps the one it has, unless that is of another cluster."""
    ours, theirs = FULL_TOKEN.search(item.data), FULL_TOKEN.search(found)
    if ours and theirs and ours.group(1) != theirs.group(1):
        return False
    return FULL_TOKEN.sub(b"", found) == FULL_TOKEN.sub(b"", item.data)


def read_items(bundle, blobs, secrets, learned):
    """(items to hold, seeds). Raises Failure, also where a path is named twice."""
    manifest, urls = bundle["manifest"], bundle.get("urls", {})
    items = [Item(entry, data=content(entry, blobs, secrets, learned)) for entry in manifest.get("files", ())]
    items += [Item(entry, "artifact", urls=urls.get(entry["path"], ())) for entry in manifest.get("artifacts", ())]
    seeds = [Item(entry, data=content(entry, blobs, secrets, learned)) for entry in bundle.get("seeds", ())]
    seen = set()
    for item in items + seeds:
        if item.path in seen:
            raise Failure("bundle", item.path, "named twice")
        seen.add(item.path)
    return items, seeds


# ---------------------------------------------------------------------------------------------------------------
# The record


def read_record(tree, take_over=""):
    """What the node says it holds; an empty record where it says nothing."""
    try:
        record = tree.read_json(RECORD)
        if record and not isinstance(record.get("files", {}), dict):
            raise ValueError("`files` is not an object")
        return record or {}
    except ValueError as exc:
        if take_over:
            return {}
        raise Failure("record", RECORD, f"cannot be read ({exc}); give a reason to take over to start anew")


def without_originals(record, paths):
    """The record, with no original at these paths and below them."""
    folders = tuple(path.rstrip("/") + "/" for path in paths)
    for path, entry in record.get("files", {}).items():
        if (path + "/").startswith(folders):
            entry.pop("original", None)
    return record


def guard(record, bundle, opts, machine):
    """Raises Failure where this node may not be written to. Writes nothing."""
    waiting = record.get("waiting", ())
    if waiting and not (opts["adopt"] or opts["retire"]):
        raise Failure("adopt", waiting[0], "%d of its paths wait to be taken: fleet node adopt" % len(waiting))
    if opts["adopt"] and record and not waiting:
        raise Failure("adopt", "", "it is managed already")
    if opts["machine_id"] and machine != opts["machine_id"]:
        found = machine or "none"
        raise Failure("machine-id", "", "enrolled is {}, this machine has {}".format(opts["machine_id"], found))
    if opts["take_over"]:
        return
    hint = "; give a reason to take it over"
    if record.get("fleet", opts["fleet"]) != opts["fleet"]:
        raise Failure(
            "fleet", "", "fleet `{}` holds this node, not `{}`{}".format(record["fleet"], opts["fleet"], hint)
        )
    if record.get("node", bundle["node"]) != bundle["node"]:
        raise Failure("node", "", "this machine is node `{}`, not `{}`{}".format(record["node"], bundle["node"], hint))
    if record.get("machine_id", machine) != machine:
        raise Failure(
            "machine-id", "", "the record is of machine {}, this is {}{}".format(record["machine_id"], machine, hint)
        )
    held = record.get("digest", "")
    # A run that did not end left no digest: then the node may be known by that, or by what it held before.
    accepted = {held or "none", record.get("base") or "none" if record.get("partial") else held or "none"}
    wanted = opts["expect"].split(",") if opts["expect"] else []
    if wanted and accepted.isdisjoint(wanted) and bundle["digest"] not in (held, record.get("wanted")):
        by = " (commit {} by {})".format(record.get("commit") or "unknown", record.get("controller") or "unknown")
        found = (held or "no whole bundle") + by if record else "none"
        raise Failure("expect", "", "the node was to hold {} and holds {}{}".format(" or ".join(wanted), found, hint))


def machine_id(tree, write=False):
    """That of the node. A sandbox that has none gets one of its path."""
    try:
        found = tree.read("/etc/machine-id", 64).decode("ascii", "replace").strip()
    except FileNotFoundError:
        found = ""
    if tree.real or found:
        return found if re.match(r"[0-9a-f]{32}\Z", found) else ""
    found = sha256(os.fsencode(os.path.realpath(tree.root)))[:32]
    if write:
        make_folders(tree, [("/etc", 0o755, (-1, -1))])
        tree.beside("/etc/machine-id", [found.encode() + b"\n"], 0o444, (-1, -1))
        tree.place("/etc/machine-id")
    return found


@contextlib.contextmanager
def locked(tree, write):
    """Only one run at a time. A run that may not write does not make the lock file."""
    if write:
        make_folders(tree, [(path, 0o755, (-1, -1)) for path in tree.missing(STATE + "/lock")])
    try:
        with tree.folder(STATE) as folder:
            flags = (os.O_RDWR | os.O_CREAT if write else os.O_RDONLY) | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open("lock", flags, 0o600, dir_fd=folder)
    except FileNotFoundError:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Failure("lock", STATE + "/lock", "another run is at work on this node")
    finally:
        os.close(descriptor)


def make_folders(tree, folders):
    for path, mode, ids in folders:
        with telling("write", path):
            if tree.stat(path) is None:
                tree.mkdir(path, mode, ids)


# ---------------------------------------------------------------------------------------------------------------
# Looking: what differs


class Look:
    """What differs between the node and what is wanted; nothing here has been written.

    write: items whose content is put in place. style: items or folders of which only mode or owner differ.
    gone: paths that are no longer managed. make: folders to make, as (path, mode, ids). restart, reload: units that
    read what changes. take: paths of which the original is kept. waiting: paths that differ and are left alone, for
    the host is being adopted.
    """

    def __init__(self):
        self.changes, self.diff = [], []
        self.write, self.style, self.gone, self.make, self.take = [], [], [], [], []
        self.restart, self.reload = set(), set()
        self.daemon_reload = False
        self.waiting = set()

    def add(self, kind, path, action, what=()):
        self.changes.append({"kind": kind, "path": path, "action": action, "what": list(what)})

    def leave(self, paths):
        """Let these wait: nothing is written there, and no unit that reads them hears of it."""
        self.waiting = set(paths)
        self.write = [item for item in self.write if item.path not in self.waiting]
        self.style = [item for item in self.style if item.path not in self.waiting]
        self.take = [path for path in self.take if path not in self.waiting]
        needed = {os.path.dirname(item.path) for item in self.write}
        self.make = [
            one
            for one in self.make
            if one[0] not in self.waiting and any((path + "/").startswith(one[0] + "/") for path in needed)
        ]
        self.restart = {name for item in self.write for name in item.restart}
        self.reload = {name for item in self.write for name in item.reload}
        self.daemon_reload = any(item.path.startswith(UNIT_FOLDERS) for item in self.write)


class Ids:
    """Numbers of users and groups. In a sandbox nothing is owned: (-1, -1) leaves owners alone."""

    def __init__(self, tree, check):
        self.real = tree.real
        self.check = check

    def of(self, item):
        if not self.real:
            return (-1, -1)
        return (self._number(item, item.owner, pwd.getpwnam), self._number(item, item.group, grp.getgrnam))

    def _number(self, item, name, find):
        if name.isdigit():
            return int(name)
        try:
            return find(name)[2]
        except KeyError:
            if self.check:  # users are made before the bundle, but not in check mode
                return -1
            raise Failure("look", item.path, f"no user or group `{name}` on this node")


def style_differs(found, mode, ids):
    what = ["mode"] if stat.S_IMODE(found.st_mode) != mode else []
    what += ["owner"] if ids[0] not in (-1, found.st_uid) else []
    return what + (["group"] if ids[1] not in (-1, found.st_gid) else [])


def look_item(tree, item, ids, known):
    """What differs: "absent", "content", "mode", "owner", "group". Raises Failure where something else is there."""
    found = tree.stat(item.path)
    if found is None:
        return ["absent"]
    if stat.S_ISLNK(found.st_mode):
        if known:
            return ["content"]
        raise Failure("look", item.path, "is a symbolic link, which is never followed; remove it or manage its target")
    if not stat.S_ISREG(found.st_mode):
        raise Failure("look", item.path, "is not a regular file")
    if item.is_token and item.data is not None and found.st_size <= OUTPUT_BYTES:
        data = tree.read(item.path)
        what = [] if is_same_token(item, data) else ["content"]
        item.sha256 = item.sha256 if what else sha256(data)
    elif item.data is not None and found.st_size != len(item.data):
        what = ["content"]
    else:
        what = ["content"] if tree.digest(item.path) != item.sha256 else []
    return what + style_differs(found, item.mode, ids.of(item))


def look_items(tree, items, seeds, record, ids, look, shows):
    known = record.get("files", {})
    for item in items + seeds:
        is_seed = item in seeds
        with telling("look", item.path):
            what = look_item(tree, item, ids, item.path in known) if not is_seed else seed_absent(tree, item)
        if not is_seed and item.path not in known and what != ["absent"]:
            look.take.append(item.path)
        if not what:
            continue
        whole = "absent" in what or "content" in what
        look.add("seed" if is_seed else item.kind, item.path, action_of(what), what)
        (look.write if whole else look.style).append(item)
        if whole:
            look.restart.update(item.restart)
            look.reload.update(item.reload)
            look.daemon_reload = look.daemon_reload or item.path.startswith(UNIT_FOLDERS)
        if shows:
            look.diff.append(diff_of(tree, item, what, known.get(item.path)))


def seed_absent(tree, item):
    return ["absent"] if tree.stat(item.path) is None else []


def action_of(what):
    return "create" if "absent" in what else "update" if "content" in what else "restyle"


def look_folders(tree, entries, items, ids, look):
    """Listed folders, and parents that nobody listed."""
    listed = {}
    for entry in entries:
        item = Item(dict(entry, mode=entry.get("mode", "0755")), "folder")
        listed[item.path] = item
        found = tree.stat(item.path)
        if found is None:
            look.add("folder", item.path, "create", ["absent"])
        elif not stat.S_ISDIR(found.st_mode):
            raise Failure("look", item.path, "is not a folder")
        else:
            what = style_differs(found, item.mode, ids.of(item))
            if what:
                look.add("folder", item.path, "restyle", what)
                look.style.append(item)
    needed = {path for item in items for path in tree.missing(item.path)}
    for path in listed:
        needed.update(tree.missing(path + "/x"))
    for path in sorted(needed):
        item = listed.get(path)
        look.make.append((path, item.mode, ids.of(item)) if item else (path, 0o755, (-1, -1)))


def look_gone(tree, items, record, look, shows):
    kept = {item.path for item in items}
    for path, entry in sorted(record.get("files", {}).items()):
        if path in kept:
            continue
        look.gone.append(path)
        found = tree.stat(path)
        if found is None and not entry.get("original"):
            continue
        look.add(entry.get("kind", "file"), path, "restore" if entry.get("original") else "remove")
        look.restart.update(entry.get("restart", ()))
        look.reload.update(entry.get("reload", ()))
        look.daemon_reload = look.daemon_reload or path.startswith(UNIT_FOLDERS)
        if shows:
            before = text_of(tree, path, bool(entry.get("secret")))
            after = text_of(tree, original_path(path), hidden=None) if entry.get("original") else ""
            look.diff.append(diff_entry(path, before, after))


# ---------------------------------------------------------------------------------------------------------------
# Diffs for people


def text_of(tree, path, hidden):
    """Content for people. `hidden` None: hidden where not everybody may read the file."""
    found = tree.stat(path)
    if found is None or not stat.S_ISREG(found.st_mode):
        return ""
    if hidden or (hidden is None and not found.st_mode & stat.S_IROTH):
        return "(not shown, it is private)\n"
    return as_text(tree.read(path) if found.st_size <= DIFF_BYTES else None, found.st_size)


def as_text(data, size):
    with contextlib.suppress(UnicodeDecodeError):
        if data is not None and len(data) <= DIFF_BYTES and b"\0" not in data:
            return data.decode("utf-8")
    return "(%d bytes, not shown)\n" % size


def diff_entry(path, before, after, note=""):
    return {"before_header": path, "after_header": path + note, "before": before, "after": after}


def diff_of(tree, item, what, known):
    """Secrets never show: neither ours, nor those in a private file that fleet did not write."""
    note = " ({}, mode {:04o})".format(", ".join(what), item.mode)
    if item.kind == "folder" or not {"absent", "content"} & set(what):
        return diff_entry(item.path, "", "", note)
    found = tree.stat(item.path)
    foreign = known is None and found is not None and not found.st_mode & stat.S_IROTH
    if item.secret or (known or {}).get("secret") or foreign:
        return diff_entry(item.path, "", "(differs; not shown, it is private)\n", note)
    if item.data is None:
        return diff_entry(item.path, text_of(tree, item.path, False), f"(artifact sha256 {item.sha256})\n", note)
    return diff_entry(item.path, text_of(tree, item.path, False), as_text(item.data, len(item.data)), note)


# ---------------------------------------------------------------------------------------------------------------
# Staging: everything is beside its place before the first file is in place


def check_room(tree, items):
    need = {}
    for item in items:
        if item.data is not None:
            device, free = tree.room(item.path)
            need[device] = need.get(device, 0) + len(item.data)
            if need[device] > free:
                raise Failure("room", item.path, NO_ROOM % (need[device], free))


def run_validate(tree, item, warnings, secrets):
    """Run the file's own check on its new content, under its own name, in a private folder."""
    shown = shlex.split(item.validate)
    path = os.path.join(CHECK, os.path.basename(item.path))
    if not tree.real and shutil.which(shown[0]) is None:
        warnings.append(f"{item.path}: `{shown[0]}` is not here, not validated in a sandbox")
        return
    make_folders(tree, [(CHECK, 0o700, (-1, -1))])
    tree.beside(path, [item.data], 0o600, (-1, -1))
    tree.place(path)
    command = [word.replace("{file}", tree.outside(path)) for word in shown]
    try:
        code, output = run_command(command, VALIDATE_SECONDS)
    finally:
        tree.unlink(path)
        tree.rmdir(CHECK)
    if code != 0:
        said = scrub(output.strip(), secrets)[-2000:]  # in this order: half of a value would not be known
        raise Failure(
            "validate", item.path, "`{}` ended with {}: {}".format(item.validate, code, said or "it said nothing")
        )


def run_command(command, seconds):
    """(exit code or a word for it, the end of its output). What it started ends with it, also in the background."""
    env = dict(os.environ, LC_ALL="C", SYSTEMD_PAGER="", SYSTEMD_COLORS="0")
    given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "bufsize": 0}
    try:
        child = subprocess.Popen(command, env=env, start_new_session=True, **given)
    except OSError as exc:
        return "no start", words(exc)
    deadline, kept = time.monotonic() + seconds, b""
    with child:
        said = select.poll()
        said.register(child.stdout, select.POLLIN)
        try:
            while True:
                code = child.poll()
                if said.poll(0 if code is not None else 50):
                    chunk = child.stdout.read(CHUNK)
                    kept = (kept + chunk)[-OUTPUT_BYTES:]
                    if not chunk:
                        code = child.wait(max(0.1, deadline - time.monotonic()))
                        return code, kept.decode("utf-8", "replace")
                elif code is not None:  # it ended, and something in the background still holds its output
                    return code, kept.decode("utf-8", "replace")
                if time.monotonic() > deadline:
                    raise subprocess.TimeoutExpired(command, seconds)
        except subprocess.TimeoutExpired:
            return "no end after %d s" % seconds, kept.decode("utf-8", "replace")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


def scrub(text, secrets):
    """`text` without the values of secrets, in every form in which a program may quote them, also line by line.

    The longest first: a value that another one begins with would leave the other's end. A line of a longer value that is
    hardly a word (`}`) stays: it tells nothing, and everything else would lose its sense.
    """
    forms = set()
    for value in secrets.values():
        for part in [value] + [line for line in value.splitlines() if len(line.strip()) >= SHORTEST_LINE]:
            if part.strip():
                forms.update(forms_of(part))
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "********")
    return text


def forms_of(text):
    """Plain, in quotes, as a part of a URL, and in base64 wherever it begins in a longer text."""
    data = text.encode("utf-8")
    url = "".join(chr(byte) if chr(byte) in URL_SAFE else f"%{byte:02X}" for byte in data)
    forms = [text, in_quotes(text)[1:-1], in_base64(text), url, url.replace("%20", "+")]
    if len(data) >= SHORTEST_LINE:
        for shift in range(3):
            coded = base64.b64encode(b"-" * shift + data).decode("ascii")
            forms.append(coded[(shift * 8 + 5) // 6 : (shift + len(data)) * 8 // 6])
    return forms


def shown_url(url):
    """Without user, password and query: they may be secrets."""
    return re.sub(r"//[^/@]*@", "//", url.split("?", 1)[0])


def open_url(url, start, seconds):
    """(stream, length of the whole or None, where it begins). Imported late: most runs fetch nothing, and it is not cheap.

    `start` is the first byte that is wanted (RFC 9110, Range Requests); a source that cannot do that begins at 0.
    """
    import urllib.parse

    scheme = url.split(":", 1)[0].lower()
    if scheme == "file":
        path = urllib.parse.unquote(urllib.parse.urlsplit(url).path)
        handle = open(path, "rb")
        return handle, os.fstat(handle.fileno()).st_size, handle.seek(start)
    if scheme not in ("http", "https"):
        raise ValueError(f"scheme `{scheme}` is not http, https or file")
    import urllib.request

    headers = {"User-Agent": "fleet_bundle", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = "bytes=%d-" % start
    answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=seconds)
    length = answer.headers.get("Content-Length")
    size = int(length) if length and length.isdigit() else None
    if answer.status == 206:
        found = re.match(r"bytes ([0-9]+)-[0-9]+/([0-9]+|[*])\Z", answer.headers.get("Content-Range", ""))
        if found is None or int(found.group(1)) != start:
            answer.close()
            raise ValueError("the answer is a part of it, and not the one that was asked for")
        return answer, int(found.group(2)) if found.group(2) != "*" else None, start
    return answer, size, 0


class Download:
    """One artifact on its way: what arrived stays in `downloads/` when the link breaks, and the next run goes on there."""

    def __init__(self, tree, item, seconds):
        self.tree, self.item, self.seconds = tree, item, seconds
        self.path = os.path.join(DOWNLOADS, item.sha256)
        make_folders(tree, [(DOWNLOADS, 0o700, (-1, -1))])
        with tree.folder(DOWNLOADS) as folder:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self.file = os.fdopen(os.open(item.sha256, flags, 0o600, dir_fd=folder), "r+b", buffering=0)
            os.fsync(folder)

    def close(self, keep):
        """Without a byte in it, or with wrong ones, it is of no use to the next run."""
        if not keep or not os.fstat(self.file.fileno()).st_size:
            self.tree.unlink(self.path)
        self.file.close()

    def get(self, url):
        """The whole of it from one source. Raises OSError, ValueError, HTTPException for a bad one."""
        had = os.fstat(self.file.fileno()).st_size
        found = self._get(url, had)
        if found and had:  # what was there was of something else, or the source does not give parts: once more
            found = self._get(url, 0)
        if found:
            self.file.truncate(0)
            raise ValueError(found)

    def _get(self, url, start):
        """Empty, or what is wrong with the content."""
        try:
            stream, length, start = open_url(url, start, self.seconds)
        except OSError as exc:
            if start and getattr(exc, "code", None) == 416:  # more is here than there
                return "416"
            raise
        with contextlib.closing(stream):
            self.file.truncate(start)
            self.file.seek(0)
            state = hashlib.sha256()
            for chunk in iter(lambda: self.file.read(CHUNK), b""):
                state.update(chunk)
            free = self.tree.room(self.path)[1]
            if (length or 0) - start > free:
                raise Failure("room", self.item.path, NO_ROOM % (length - start, free))
            there, free_there = self.tree.room(self.item.path)
            if there != self.tree.room(self.path)[0] and (length or 0) > free_there:
                raise Failure("room", self.item.path, NO_ROOM % (length, free_there))
            count = self._copy(stream, state, free) + start
        if length is not None and count < length:
            raise ValueError("%d of %d bytes arrived" % (count, length))
        os.fsync(self.file.fileno())
        return (
            "" if state.hexdigest() == self.item.sha256 else f"sha256 is {state.hexdigest()}, wanted {self.item.sha256}"
        )

    def _copy(self, stream, state, free):
        """How many bytes came. No limit for the whole: what goes on is let go on, what stands still is not."""
        count = seen = 0
        since = time.monotonic()
        for chunk in iter(lambda: stream.read1(CHUNK), b""):
            count += len(chunk)
            if count > free:
                raise Failure("room", self.item.path, "more than the %d free bytes arrived" % free)
            state.update(chunk)
            left = memoryview(chunk)
            while left:
                left = left[self.file.write(left) :]
            if time.monotonic() - since > self.seconds:
                if count - seen < SLOW_BYTES:
                    raise ValueError("only %d bytes came in %d s" % (count - seen, self.seconds))
                since, seen = time.monotonic(), count
        return count


def source_errors():
    """What a source may fail with. http.client is not loaded for it: that costs more than a file does."""
    spoken = sys.modules.get("http.client")
    return (OSError, ValueError) + ((spoken.HTTPException,) if spoken else ())


def fetch(tree, item, ids, seconds):
    """Put the verified content beside its place, from the first source that gives it."""
    reasons, got = [], Download(tree, item, seconds)
    keep = True
    try:
        for url in item.urls:
            try:
                got.get(url)
                return tree.take_in(got.path, item.path, item.mode, ids.of(item))
            except source_errors() as exc:
                if isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                    keep = False  # what fills the disk may be this
                    raise
                reasons.append("{}: {}".format(shown_url(url), getattr(exc, "reason", None) or words(exc)))
    except Failure:
        keep = False
        raise
    finally:
        got.close(keep)
        tree.rmdir(DOWNLOADS)
    raise Failure("fetch", item.path, "no source gave it: " + ("; ".join(reasons) or "it has no URL"))


def policy_labels(paths):
    """path -> the SELinux context that the policy wants there; empty where there is no SELinux."""
    if not paths or not os.path.exists(SELINUX):
        return {}
    code, output = run_command(["matchpathcon", "-n", "--"] + paths, 60)
    contexts = output.splitlines()
    if code != 0 or len(contexts) != len(paths):
        raise Failure("look", paths[0], f"SELinux is on, and matchpathcon says no context: {output.strip() or code}")
    return {path: context for path, context in zip(paths, contexts) if context != "<<none>>"}


def stage(tree, look, ids, warnings, secrets, seconds):
    """Everything beside its place. What a failure leaves there, clean_staged takes away."""
    if tree.real:
        tree.labels = policy_labels(sorted({item.path for item in look.write} | {path for path, _, _ in look.make}))
    check_room(tree, look.write)
    for item in look.write:
        if item.validate:
            run_validate(tree, item, warnings, secrets)
    plan = {"temps": [item.path for item in look.write] + look.gone, "folders": [path for path, _, _ in look.make]}
    if plan["temps"] or plan["folders"]:
        tree.write_json(STAGED, plan)
    make_folders(tree, look.make)
    for item in sorted(look.write, key=lambda one: one.data is not None):
        with telling("write", item.path):
            if item.data is None:
                fetch(tree, item, ids, seconds)
            else:
                tree.beside(item.path, [item.data], item.mode, ids.of(item))


def clean_staged(tree):
    plan = tree.read_json(STAGED) or {}
    for path in plan.get("temps", ()):
        tree.unlink(check_path(path), temp=True)
    for path in reversed(plan.get("folders", ())):
        tree.rmdir(check_path(path))
    if plan:
        tree.unlink(STAGED)


def settle(tree, record):
    """What a killed run has done may not be on the disk yet; this one finds it done, and would sync nothing of it."""
    if record.get("partial") or tree.stat(STAGED) is not None:
        os.sync()
    else:
        tree.sync(STATE, ORIGINALS, GENERATIONS, *(() if record else ("/var/lib", "/var", "/")))


def clean_up(tree, record, items):
    """Take away what a crashed run left: by names that only this module gives. Half a download that is wanted stays."""
    wanted = {item.sha256 for item in items if item.data is None}
    for name in tree.names(DOWNLOADS):
        if name not in wanted:
            tree.unlink(os.path.join(DOWNLOADS, name))
    tree.rmdir(DOWNLOADS)
    kept = {original_path(path) for path, entry in record.get("files", {}).items() if entry.get("original")}
    for name in tree.names(ORIGINALS) if record else ():
        if os.path.join(ORIGINALS, name) not in kept:
            tree.unlink(os.path.join(ORIGINALS, name))
    for name in tree.names(SNAPSHOTS):
        if tree.stat(os.path.join(SNAPSHOTS, name, MANIFEST)) is None:  # written last
            remove_all(tree, os.path.join(SNAPSHOTS, name))
    for name in tree.names(GENERATIONS):
        if tree.stat(os.path.join(GENERATIONS, name, MANIFEST)) is None:  # written last, removed first
            drop_generation(tree, name)
    generations = [os.path.join(GENERATIONS, name) for name in tree.names(GENERATIONS)]
    for folder in (STATE, ORIGINALS, *generations, *(os.path.join(one, "files") for one in generations)):
        for name in tree.names(folder):
            if TEMP.match(name):
                tree.unlink(os.path.join(folder, name))
    for name in tree.names(CHECK):
        tree.unlink(os.path.join(CHECK, name))
    tree.rmdir(CHECK)
    clean_staged(tree)


# ---------------------------------------------------------------------------------------------------------------
# Putting in place


def original_path(path):
    return os.path.join(ORIGINALS, sha256(os.fsencode(path)))


def keep_original(tree, path):
    """Copy what is there before fleet writes over it. A copy from before the record was lost is older, and wins."""
    make_folders(tree, [(ORIGINALS, 0o700, (-1, -1))])
    with telling("keep", path):
        if tree.stat(original_path(path)) is None:
            tree.copy(path, original_path(path))


def managed(items, record, originals):
    """`files` of the record: what fleet manages, and what it must know to take it away again."""
    files = {}
    for item in items:
        entry = {"kind": item.kind}
        entry.update({key: value for key, value in (("restart", item.restart), ("reload", item.reload)) if value})
        if item.secret:
            entry["secret"] = True
        if item.path in originals or record.get("files", {}).get(item.path, {}).get("original"):
            entry["original"] = True
        files[item.path] = entry
    return files


def put_in_place(tree, look, ids):
    for item in look.write:
        with telling("write", item.path):
            tree.place(item.path)
    for item in look.style:
        with telling("write", item.path):
            tree.restyle(item.path, item.mode, ids.of(item))


def take_away(tree, look, record, warnings):
    for path in look.gone:
        with telling("remove", path):
            take_away_one(tree, path, record["files"][path].get("original"), warnings)


def take_away_one(tree, path, original, warnings):
    found = tree.stat(path)
    if found is not None and stat.S_ISDIR(found.st_mode):
        warnings.append(f"{path}: is a folder now, left alone")
    elif original and tree.stat(original_path(path)) is None:
        warnings.append(f"{path}: its original is not in {ORIGINALS} any more, left as it is")
    elif original:
        make_folders(tree, [(parent, 0o755, (-1, -1)) for parent in tree.missing(path)])
        tree.copy(original_path(path), path)
    else:
        tree.unlink(path)


def drop_folders(tree, made, items, folders, look):
    """Folders that fleet made and nothing needs any more go when they are empty. Returns those that stay."""
    needed = {entry["path"] for entry in folders}
    for path in [item.path for item in items] + sorted(needed):
        while path != "/":
            path = os.path.dirname(path)
            needed.add(path)
    stay = []
    for path in sorted(made, reverse=True):
        if path in needed or not tree.rmdir(path):
            if tree.stat(path) is not None:
                stay.append(path)
        else:
            look.add("folder", path, "remove")
    return sorted(stay)


def generation_of(tree, record):
    """Its name: numbered, for a node's clock may go backwards. One that a crashed run had kept already is kept anew."""
    names, mark = tree.names(GENERATIONS), "-" + record["digest"].split(":")[-1][:16]
    if names and names[-1].endswith(mark):
        return names[-1]
    last = names[-1].partition("-")[0] if names else ""
    return "%08d%s" % ((int(last) if last.isdigit() else 0) + 1, mark)


def keep_generation(tree, record, look):
    """What the node held as a whole: its manifest, and the contents of files that are about to change or go.

    Artifacts are not kept: they are large, and their URLs are known. A file is linked, not copied, where that is possible.
    """
    if not record.get("manifest") or not record.get("digest"):
        return
    folder = os.path.join(GENERATIONS, generation_of(tree, record))
    files = os.path.join(folder, "files")
    make_folders(tree, [(GENERATIONS, 0o755, (-1, -1)), (folder, 0o755, (-1, -1)), (files, 0o700, (-1, -1))])
    for path in [item.path for item in look.write] + look.gone:
        known = record.get("files", {}).get(path)
        found = tree.stat(path)
        if known and known.get("kind", "file") == "file" and found is not None and stat.S_ISREG(found.st_mode):
            with telling("keep", path):
                tree.link(path, os.path.join(files, os.path.basename(original_path(path))))
    kept = {key: record.get(key) for key in ("digest", "commit", "at", "manifest")}
    tree.write_json(os.path.join(folder, MANIFEST), kept)
    for old in tree.names(GENERATIONS)[:-KEPT_GENERATIONS]:
        drop_generation(tree, old)


def drop_generation(tree, name):
    folder = os.path.join(GENERATIONS, name)
    tree.unlink(os.path.join(folder, MANIFEST))
    remove_all(tree, folder)


def remove_all(tree, path):
    """Everything at and below a path of our own state."""
    found = tree.stat(path)
    if found is None:
        return
    if not stat.S_ISDIR(found.st_mode):
        return tree.unlink(path)
    for name in tree.names(path):
        remove_all(tree, os.path.join(path, name))
    tree.rmdir(path)


# ---------------------------------------------------------------------------------------------------------------
# K3s's datastore before an upgrade


def k3s_version(record):
    """What a node's record says that K3s was, empty for none; of one that came in half, what was meant."""
    with contextlib.suppress(ValueError):
        return facts_version(json.loads(record.get("manifest") or "{}"))
    return ""


def facts_version(manifest):
    return manifest.get("facts", {}).get(K3S, "")


def save_snapshot(tree, how, version, secrets):
    """With the token of its time, without which it is of no use. The last three stay; etcd's own files are K3s's.

    K3s runs in no sandbox: there is a datastore where somebody put one.
    """
    if not tree.real and tree.stat(os.path.join(how["data_dir"], "server/db")) is None:
        return
    folder, server = os.path.join(SNAPSHOTS, next_snapshot(tree, version)), os.path.join(how["data_dir"], "server")
    missing = [(path, 0o755, (-1, -1)) for path in tree.missing(SNAPSHOTS)]
    make_folders(tree, missing + [(SNAPSHOTS, 0o700, (-1, -1)), (folder, 0o700, (-1, -1))])
    try:
        if how["kind"] == "sqlite":
            save_sqlite(tree, os.path.join(server, "db/state.db"), os.path.join(folder, "state.db"))
        elif tree.real:
            save_etcd(version, secrets)
    except BaseException:
        with contextlib.suppress(OSError):  # why it failed matters more, and the next run cleans up, too
            remove_all(tree, folder)
        raise
    if tree.stat(os.path.join(server, "token")) is not None:
        tree.copy(os.path.join(server, "token"), os.path.join(folder, "token"))
    tree.write_json(os.path.join(folder, MANIFEST), {K3S: version, "datastore": how["kind"], "at": time.time()})
    for old in tree.names(SNAPSHOTS)[:-KEPT_SNAPSHOTS]:
        remove_all(tree, os.path.join(SNAPSHOTS, old))


def next_snapshot(tree, version):
    """Numbered, for a node's clock may go backwards."""
    last = max([int(name.partition("-")[0]) for name in tree.names(SNAPSHOTS)], default=0)
    return "%08d-%s" % (last + 1, version)


def save_etcd(version, secrets):
    """By K3s itself, into its own folder of snapshots (k3s-io/docs, cli/etcd-snapshot.md)."""
    name = "fleet-before-upgrade-of-" + version.replace("+", "-")
    command = ["/usr/local/bin/k3s", "etcd-snapshot", "save", "--name", name]
    code, output = run_command(command, SNAPSHOT_SECONDS)
    if code != 0:
        said = scrub(output, secrets).strip()[-500:]
        raise Failure("snapshot", "", f"`{' '.join(command)}` ended with {code}, nothing was touched: {said}")


def save_sqlite(tree, source, target):
    """As sqlite3's own backup does it: K3s may write on meanwhile (k3s-io/docs, datastore/backup-restore.md)."""
    try:
        import sqlite3  # noqa: PLC0415 - most nodes never need it
    except ImportError:
        raise Failure(
            "snapshot", source, "this node's Python has no sqlite3, by which it is saved; nothing was touched"
        )
    if tree.stat(source) is None:
        raise Failure("snapshot", source, "is not there: K3s's datastore cannot be saved, and nothing was touched")
    tree.beside(target, [], 0o600, (-1, -1))
    tree.place(target)
    try:
        with contextlib.closing(sqlite3.connect(tree.outside(source), timeout=30)) as live:
            with contextlib.closing(sqlite3.connect(tree.outside(target))) as copy:
                live.backup(copy)
                (verdict,) = copy.execute("PRAGMA quick_check").fetchone()
    except sqlite3.Error as exc:
        raise Failure("snapshot", source, f"cannot be saved, and nothing was touched: {exc}")
    if verdict != "ok":
        raise Failure("snapshot", source, f"is damaged, and nothing was touched: {verdict}")
    tree.sync_file(target)


# ---------------------------------------------------------------------------------------------------------------
# K3s's server token: its cluster is told of another one before K3s starts with it


def tell_token(tree, how, item, manager, secrets, is_new):
    """A cluster's bootstrap data is encrypted with its server token, and K3s does not start with one that it was not told
    while it ran (k3s-io/docs, cli/token.md). This sends what `k3s token rotate` sends, whose arguments would show the
    token to everybody on the node. Any server may be told, and told again: the data has moved already then
    (pkg/server/handlers/token.go, pkg/cluster/storage.go).
    """
    known = os.path.join(how["data_dir"], "server/token")
    if tree.stat(known) is None:  # it never ran here, and joins with what it is given
        return
    held, new = bare_token(tree.read(known)), bare_token(item.data)
    if held == new and not is_new:
        return
    authority = tree.read(os.path.join(how["data_dir"], "server/tls/server-ca.crt")).decode("ascii")
    said = told_token(how, authority, held, new, manager, item.restart)
    if said is None:
        hint = "start it and apply again; nothing was touched"
        raise Failure(
            "token", item.path, f"K3s does not run here, and no server of its cluster knows the new one: {hint}"
        )
    status, text = said
    if status != 200:
        reason = scrub(text, dict(secrets, held=held)).strip()[-500:]
        raise Failure("token", item.path, f"K3s did not take it, and nothing was touched: {status} {reason}")


def bare_token(data):
    return FULL_TOKEN.sub(b"", data.strip()).decode("utf-8")


def told_token(how, authority, held, new, manager, units):
    """(status, text) of K3s's answer; None where it does not run. One that is about to start is waited for, but not where
    it is known that the cluster knows: K3s wrote that down before it stopped, or missed how another server was told.
    """
    body, ends = json.dumps({"newToken": new}), time.monotonic() + TOKEN_SECONDS
    while True:
        try:
            said = ask_k3s(how["url"], authority, held, "PUT", "/v1-k3s/token", body)
        except ConnectionRefusedError:
            said = None
            if held == new or is_told(how["servers"], authority, new):
                return 200, ""
        except OSError as exc:
            said = 503, words(exc)
        if said is not None and said[0] != 503:
            return said
        is_coming = any(state["active"] or state["starting"] for state in manager.states(units).values())
        if not is_coming or time.monotonic() > ends:
            return said
        time.sleep(1)


def is_told(servers, authority, new):
    """Whether one of them lets in who has the new token. It is given to nobody but a server that its CA vouches for."""
    for url in servers:
        with contextlib.suppress(OSError):
            if ask_k3s(url, authority, new, "GET", "/v1-k3s/encrypt/status")[0] not in (401, 403):
                return True
    return False


def ask_k3s(url, authority, token, method, path, body=None):
    """(status, text) of one of K3s's own requests. Raises OSError. Imported late, as for `open_url`."""
    import http.client
    import ssl
    import urllib.parse

    where, pair = urllib.parse.urlsplit(url), in_base64("server:" + token)
    context = ssl.create_default_context(cadata=authority)
    connection = http.client.HTTPSConnection(where.hostname, where.port, timeout=TOKEN_SECONDS / 2, context=context)
    try:
        connection.request(method, path, body, {"Authorization": "Basic " + pair})
        answer = connection.getresponse()
        return answer.status, answer.read(OUTPUT_BYTES).decode("utf-8", "replace")
    except http.client.HTTPException as exc:
        raise OSError(f"{url} gave no answer: {exc!r}")
    finally:
        connection.close()


# ---------------------------------------------------------------------------------------------------------------
# Kernel parameters


def sysctl_path(key):
    """As sysctl.d(5): after a first dot, dots and slashes change places."""
    first = re.search(r"[./]", key)
    if first and first.group() == ".":
        key = key.translate(str.maketrans("./", "/."))
    if not re.match(r"[A-Za-z0-9_./:@-]+\Z", key) or {"", ".", ".."} & set(key.split("/")):
        raise Failure("sysctl", key, "is not the name of a kernel parameter")
    return "/proc/sys/" + key


def read_sysctl(key):
    """The live value with single blanks; None where it cannot be read."""
    try:
        with open(sysctl_path(key)) as handle:
            return " ".join(handle.read().split())
    except (OSError, UnicodeDecodeError):
        return None


def try_sysctl(key, value):
    """Why the kernel does not take it; empty where it does."""
    try:
        with open(sysctl_path(key), "w") as handle:
            handle.write(value + "\n")
    except OSError as exc:
        return exc.strerror or str(exc)  # without advice: it is about disks, and /proc is none
    found = read_sysctl(key)
    return "" if found == value else f"the kernel keeps {found}"


def look_sysctl(wanted, refused, check, look, warnings):
    """Live values to set: the file in /etc/sysctl.d is one of the bundle's files.

    What the kernel refused before is no difference, but is tried again. Returns (what to set, what it still refuses).
    """
    differs, still = {}, {}
    for key, value in sorted(wanted.items()):
        value = " ".join(str(value).split())
        if read_sysctl(key) == value:
            continue
        if refused.get(key) != value:
            differs[key] = value
        elif check or try_sysctl(key, value):
            warnings.append(f"sysctl {key} = {value} was refused by this kernel")
            still[key] = value
            continue
        look.add("sysctl", key, "update", ["value"])
    return differs, still


def set_sysctl(differs, warnings):
    """Set live values. Returns what the kernel refused: a node may be unable to (a container, an absent module)."""
    refused = {}
    for key, value in differs.items():
        reason = try_sysctl(key, value)
        if reason:
            refused[key] = value
            warnings.append(f"sysctl {key} = {value} was not set: {reason}")
    return refused


# ---------------------------------------------------------------------------------------------------------------
# Units


class Systemd:
    """The node's own systemd, by systemctl. All that one run waits for together has `seconds`."""

    ENABLED = ("enabled", "enabled-runtime", "static", "alias", "indirect", "generated", "transient", "linked")
    SHOWN = (
        "Id,Type,LoadState,UnitFileState,ActiveState,SubState,Result,ExecMainStatus,NRestarts,"
        "InactiveEnterTimestampMonotonic"
    )

    def __init__(self, seconds):
        self.seconds = seconds
        self.deadline = None

    def left(self):
        if self.deadline is None:
            self.deadline = time.monotonic() + self.seconds
        return max(1, self.deadline - time.monotonic())

    def states(self, names):
        """name -> {"enabled", "plain", "active", "starting", "looping", "restarts", "settled", "why"}."""
        if not names:
            return {}
        code, output = run_command(["systemctl", "show", "--no-pager", "-p", self.SHOWN, "--"] + names, 60)
        blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in output.strip().split("\n\n")]
        if code != 0 or len(blocks) != len(names):
            raise Failure("units", " ".join(names), f"systemctl show: {output.strip() or code}")
        return {name: self._state(block) for name, block in zip(names, blocks)}

    def _state(self, block):
        active, result = block.get("ActiveState", ""), block.get("Result", "success")
        # A one-shot unit that ran well is inactive again; one that has not run since the boot is inactive, too.
        ran = block.get("InactiveEnterTimestampMonotonic", "0") != "0"
        done = block.get("Type") == "oneshot" and active == "inactive" and result == "success" and ran
        said = (active, block.get("SubState"), result, "exit " + block.get("ExecMainStatus", "unknown"))
        why = ", ".join(dict.fromkeys(word for word in said if word and word != "success"))
        return {
            "enabled": block.get("UnitFileState") in self.ENABLED,
            "plain": block.get("UnitFileState") in ("enabled", "enabled-runtime"),
            "active": active in ("active", "reloading") or done,
            "starting": active == "activating",
            "looping": block.get("SubState") == "auto-restart",
            "restarts": block.get("NRestarts", "0"),
            "settled": active in ("active", "failed", "inactive"),
            "why": "" if active == "active" or done else why,
        }

    def call(self, verb, names):
        """The output where it failed, else ""."""
        if verb in ("start", "restart"):  # or a unit that failed often is refused for a while
            run_command(["systemctl", "--no-pager", "reset-failed", "--"] + names, 60)
        code, output = run_command(["systemctl", "--no-pager", verb, "--"] + names, self.left())
        return "" if code == 0 else f"systemctl {verb}: {output.strip() or code}"

    def daemon_reload(self):
        said = run_command(["systemctl", "daemon-reload"], 60)
        if said[0] != 0:
            raise Failure("units", "daemon-reload", said[1].strip() or said[0])

    def wait(self, names):
        """unit -> why it is not active. The first look is a second late: a unit may end right after its start. One that
        systemd has started anew between two looks is looked at again, whatever it is at the moment.
        """
        started, restarts = time.monotonic(), dict.fromkeys(names, "0")
        while True:
            time.sleep(1)
            states = self.states(names)
            again = {name for name, one in states.items() if one["looping"] or one["restarts"] != restarts[name]}
            restarts = {name: one["restarts"] for name, one in states.items()}
            is_coming = any(not one["settled"] for name, one in states.items() if name not in again)
            is_late = time.monotonic() - started > LOOP_SECONDS
            if self.left() <= 1 or (not is_coming and (is_late or not again)):
                bad = {name: one["why"] for name, one in states.items() if one["why"] or name in again}
                return {name: why or "it ends, and is started again and again" for name, why in bad.items()}

    def journal(self, name):
        return run_command(["journalctl", "--no-pager", "-q", "-o", "cat", "-n", "20", "-u", name], 30)[1].strip()

    def save(self):
        """systemd remembers by itself."""


class Pretended:
    """The units of a sandbox: what would have been done is counted in units.json."""

    def __init__(self, tree):
        self.tree = tree
        self.units = tree.read_json(UNITS) or {}
        self.before = json.dumps(self.units, sort_keys=True)

    def states(self, names):
        shown = {}
        for name in names:
            unit = self.units.get(name, {})
            is_enabled, is_active = bool(unit.get("enabled")), unit.get("state") == "started"
            links = [self.tree.stat(link) is not None for link in self._links(name)]  # a killed run saved no units
            shown[name] = {"enabled": is_enabled and all(links), "plain": is_enabled or any(links)}
            shown[name].update(active=is_active, starting=False)
        return shown

    def call(self, verb, names):
        for name in names:
            unit = self.units.setdefault(
                name, {"enabled": False, "state": "stopped", "starts": 0, "restarts": 0, "reloads": 0}
            )
            if verb in ("enable", "disable"):
                unit["enabled"] = verb == "enable"
                self._link(name, unit["enabled"])
            elif verb == "start":
                unit.update(state="started", starts=unit["starts"] + 1)
            elif verb == "stop":
                unit["state"] = "stopped"
            else:
                counter = "restarts" if verb == "restart" else "reloads"
                unit[counter] += 1
        return ""

    def _links(self, name):
        """The links of WantedBy, as far as the unit file is in the sandbox."""
        try:
            text = self.tree.read("/etc/systemd/system/" + name).decode("utf-8", "replace")
        except FileNotFoundError:
            return []
        targets = " ".join(re.findall(r"^WantedBy=(.*)$", text, re.M)).split()
        return [f"/etc/systemd/system/{os.path.basename(target)}.wants/{name}" for target in targets]

    def _link(self, name, wanted):
        """What `systemctl enable` does with them."""
        for link in self._links(name):
            folder = os.path.dirname(link)
            self.tree.unlink(link)
            if wanted:
                make_folders(self.tree, [(folder, 0o755, (-1, -1))])
                with self.tree.folder(folder) as descriptor:
                    os.symlink("/etc/systemd/system/" + name, name, dir_fd=descriptor)
            else:
                self.tree.rmdir(folder)

    def daemon_reload(self):
        """A sandbox has no manager to tell."""

    def wait(self, names):
        return {}

    def journal(self, name):
        return ""

    def save(self):
        if json.dumps(self.units, sort_keys=True) != self.before:
            self.tree.write_json(UNITS, self.units)


def manager_of(tree, seconds):
    return Systemd(seconds) if tree.real else Pretended(tree)


def unit_steps(units, states, restart, reload):
    """What to do to units, as (verb, names) in order. Pure. A unit gets one of stop, restart, start, reload."""
    steps = {verb: [] for verb in ("disable", "enable", "stop", "restart", "start", "reload")}
    wanted = {unit["name"]: unit for unit in units}
    for name in sorted(states):
        unit, state = wanted.get(name, {}), states[name]
        if unit.get("enabled") is True and not state["enabled"]:
            steps["enable"].append(name)
        if unit.get("enabled") is False and state["plain"]:
            steps["disable"].append(name)
        if unit.get("state") == "stopped":
            if state["active"]:
                steps["stop"].append(name)
        elif name in restart and (state["active"] or state["starting"]):
            steps["restart"].append(name)
        elif not state["active"]:
            if unit.get("state") == "started":
                steps["start"].append(name)
        elif name in reload:
            steps["reload"].append(name)
    return [(verb, names) for verb, names in steps.items() if names]


def add_unit_changes(steps, look):
    for verb, names in steps:
        for name in names:
            if verb not in ("restart", "reload"):
                look.add("unit", name, verb)


def carry_out_units(manager, steps):
    """unit -> why it is not as wanted, for those that are not."""
    bad, expected = {}, []
    for verb, names in steps:
        for name in names:
            said = manager.call("reload-or-restart" if verb == "reload" else verb, [name])
            if said:
                bad[name] = said
        if verb in ("restart", "start", "reload"):
            expected += names
    late = manager.wait(sorted(expected)) if expected else {}
    bad.update({name: f"did not start: {why}" for name, why in late.items()})
    return bad


def sync_links(tree):
    """systemd syncs none of the links by which units are enabled: without them a node boots without its units."""
    names = [name for name in tree.names(LINKS) if name.endswith((".wants", ".requires", ".upholds"))]
    tree.sync(LINKS, *(os.path.join(LINKS, name) for name in names))


def stop_gone(manager, look, record):
    """A unit whose file goes for good is stopped and disabled while systemd still knows it."""
    for path in look.gone:
        name = os.path.basename(path)
        ours = os.path.dirname(path) + "/" in UNIT_FOLDERS and not record["files"][path].get("original")
        if ours and name.endswith((".service", ".timer", ".socket", ".path", ".mount")):
            state = manager.states([name])[name]
            if state["active"]:
                manager.call("stop", [name])
            if state["plain"]:
                manager.call("disable", [name])
            look.restart.discard(name)
            look.reload.discard(name)


# ---------------------------------------------------------------------------------------------------------------
# The run


class Apply:
    """One run on one node: what is wanted, what the node holds, and what came of it."""

    def __init__(self, opts, bundle, blobs):
        self.opts, self.bundle, self.manifest = opts, bundle, bundle["manifest"]
        self.secrets = opts["secrets"]
        self.check = opts["check"]
        self.items, self.seeds = read_items(bundle, blobs, self.secrets, opts["learned"])
        self.warnings, self.look, self.steps, self.learned = [], Look(), [], {}
        self.changed = self.touched = False
        self.tree = Tree(opts["root"], make=False)
        self.ids = Ids(self.tree, self.check)
        self.machine = machine_id(self.tree)
        self.record = self.read_record()
        self.before = self.record.get("digest", "")
        self.refused = self.record.get("refused", {})

    def read_record(self):
        return without_originals(read_record(self.tree, self.opts["take_over"]), self.opts["without"])

    def run(self):
        guard(self.record, self.bundle, self.opts, self.machine)
        if self.opts["retire"] and not self.record and self.tree.stat(STATE) is None:
            if not self.check:
                self.tree.sync(os.path.dirname(STATE))  # a run may have been cut off before it was sure
            return self
        if not self.check:
            self.tree = Tree(self.opts["root"], make=True)
            self.machine = machine_id(self.tree, write=True)
        with locked(self.tree, write=not self.check):
            self.record = self.read_record()
            guard(self.record, self.bundle, self.opts, self.machine)
            if not self.check:
                settle(self.tree, self.record)
                with telling("clean"):
                    clean_up(self.tree, self.record, self.items)
            self.tree.pins = {}
            with telling("look"):
                self.look_at_all()
            if self.opts["adopt"]:
                self.look.leave(self.untaken())
            self.learned = self.learn()
            self.changed = bool(self.look.changes or self.steps) or self.is_stale()
            if not self.look.changes and not self.steps and self.changed:
                self.look.add("record", RECORD, "update")
            is_nearly_gone = self.opts["retire"] and not self.record  # only the rest of STATE was left
            if self.changed and not self.check and not is_nearly_gone:
                self.carry_out()
            if self.opts["retire"] and not self.check:
                self.give_back()
        return self

    def untaken(self):
        """Paths that differ and were not asked for. Raises Failure for one that is asked for and does not differ."""
        differs = {
            change["path"] for change in self.look.changes if change["kind"] in ("file", "artifact", "folder", "seed")
        }
        take = set(self.opts["take"])
        if "*" in take:
            return set()
        if take - differs:
            raise Failure(
                "adopt",
                sorted(take - differs)[0],
                "does not wait here: nothing of it differs, or it is not in the bundle",
            )
        return differs - take

    def give_back(self):
        """All that the fleet brought is gone: its own state goes too, and the record of that last of all."""
        tree = self.tree
        tree.pins = None
        for name in [name for name in tree.names(STATE) if name not in ("lock", "record.json")] + [
            "record.json",
            "lock",
        ]:
            remove_all(tree, os.path.join(STATE, name))
        tree.rmdir(STATE)
        self.written = {}

    def learn(self):
        return learn(self.tree, self.bundle.get("learn", ()), self.record.get("learned", {}))

    def told(self, partial):
        """What the record tells for others: of K3s's version the one that the node has held as a whole."""
        version = self.record.get("learned", {}).get(K3S) if partial else facts_version(self.manifest)
        return dict(self.learned, **({K3S: version} if version else {}))

    def is_stale(self):
        if self.told(partial=False) != self.record.get("learned", {}):
            return True
        held = (
            self.record.get("digest"),
            self.record.get("fleet"),
            self.record.get("node"),
            self.record.get("machine_id"),
        )
        return held != (self.bundle["digest"], self.opts["fleet"], self.bundle["node"], self.machine)

    def look_at_all(self):
        shows = self.opts["diff"]
        look_items(self.tree, self.items, self.seeds, self.record, self.ids, self.look, shows)
        look_folders(self.tree, self.manifest.get("folders", ()), self.items + self.seeds, self.ids, self.look)
        look_gone(self.tree, self.items + self.seeds, self.record, self.look, shows)
        pending = self.record.get("pending", {})
        self.look.restart.update(pending.get("restart", ()))
        self.look.reload.update(pending.get("reload", ()))
        self.look.daemon_reload = self.look.daemon_reload or bool(pending.get("daemon_reload"))
        self.manager = self.open_manager()
        self.steps = [] if self.opts["adopt"] else self.plan_units()
        add_unit_changes(self.steps, self.look)
        wanted = self.manifest.get("sysctl", {}) if self.tree.real else {}
        self.sysctl, self.refused = look_sysctl(wanted, self.refused, self.check, self.look, self.warnings)

    def open_manager(self):
        return manager_of(self.tree, self.opts["unit_timeout"])

    def plan_units(self):
        units = self.manifest.get("units", ())
        names = {unit["name"] for unit in units} | self.look.restart | self.look.reload
        states = self.manager.states(sorted(names))
        return unit_steps(units, states, self.look.restart, self.look.reload)

    def carry_out(self):
        tree, look, old = self.tree, self.look, self.record
        self.ask_for_snapshot()
        try:
            stage(tree, look, self.ids, self.warnings, self.secrets, self.opts["fetch_timeout"])
            self.save_datastore()
            self.tell_token()
            for path in look.take:
                keep_original(tree, path)
            if old.get("digest") != self.bundle["digest"]:
                keep_generation(tree, old, look)
            made = sorted(set(old.get("folders", ())) | {path for path, _, _ in look.make})
            files = managed([item for item in self.items if item.path not in look.waiting], old, look.take)
            self.log()
            self.touched = True
            if look.changes and look.changes[0]["kind"] != "record":
                self.write_record(partial=True, files=dict(old.get("files", {}), **files), folders=made)
            if not self.opts["adopt"]:
                stop_gone(self.manager, look, old)
            put_in_place(tree, look, self.ids)
            take_away(tree, look, old, self.warnings)
        except BaseException:
            tree.pins = None
            with contextlib.suppress(OSError):  # why it failed matters more, and the next run cleans up, too
                clean_staged(tree)
            raise
        tree.unlink(STAGED)
        folders = drop_folders(tree, made, self.items, self.manifest.get("folders", ()), look)
        self.finish(files, folders)

    def log(self):
        """Whoever counts applications believes this: it is there before anything is touched."""
        line = {"at": time.time(), "digest": self.bundle["digest"], "before": self.before, "epoch": self.opts["epoch"]}
        line.update(commit=self.opts["commit"], controller=self.opts["controller"], changes=len(self.look.changes))
        with telling("write", APPLICATIONS):
            self.tree.append(APPLICATIONS, json.dumps(line, sort_keys=True).encode("utf-8"))

    def save_datastore(self):
        """Before a server's K3s becomes another version: going back is the old binary and a snapshot of before."""
        if self.is_upgrade() and self.bundle["snapshot"]["kind"] != "external":
            with telling("snapshot"):
                how, before = self.bundle["snapshot"], k3s_version(self.record)
                save_snapshot(self.tree, how, before, self.secrets)

    def tell_token(self):
        how = self.bundle.get("token")
        item = next((item for item in self.items if how and item.path == how["path"]), None)
        if item is not None and not self.opts["adopt"]:
            with telling("token"):
                tell_token(self.tree, how, item, self.manager, self.secrets, item in self.look.write)

    def is_upgrade(self):
        before = k3s_version(self.record)
        wanted = self.opts["snapshot"] and self.bundle.get("snapshot")
        return bool(wanted and before and before != facts_version(self.manifest))

    def ask_for_snapshot(self):
        """Only the controller can save a datastore that is elsewhere. It asks again when it has done it."""
        after = facts_version(self.manifest)
        if self.is_upgrade() and self.bundle["snapshot"]["kind"] == "external" and self.opts["snapshot_taken"] != after:
            before = k3s_version(self.record)
            raise Failure("snapshot", after, f"the datastore is to be saved before K3s {before} becomes {after}")

    def finish(self, files, folders):
        """Files are in place: now what reads them, and at last the record."""
        tree = self.tree
        if self.opts["adopt"]:
            return self.finish_adopting(files, folders)
        self.refused.update(set_sysctl(self.sysctl, self.warnings))
        bad = self.units()
        self.learned = self.learn()
        hashes = {item.path: item.sha256 for item in self.items if item.secret}
        if hashes != (tree.read_json(PRIVATE) or {}):
            tree.write_json(PRIVATE, hashes, 0o600)
        self.write_record(partial=bool(bad), files=files, folders=folders, bad=bad)
        self.forget_gone()
        if bad:
            self.fail_units(bad)
        return None

    def forget_gone(self):
        for path in self.look.gone:
            self.tree.unlink(original_path(path))

    def finish_adopting(self, files, folders):
        """The host is as its bundle says only if nothing waits, and nothing of its units and kernel has to be done."""
        private = {item.path: item.sha256 for item in self.items if item.secret and item.path in files}
        self.tree.write_json(PRIVATE, private, 0o600)
        is_whole = not (self.look.waiting or self.sysctl or self.look.daemon_reload or self.plan_units())
        self.write_record(partial=not is_whole, files=files, folders=folders)
        self.forget_gone()

    def units(self):
        """Do what is wanted of units; what has changed decides, seen anew after the files are in place."""
        if self.look.daemon_reload:
            self.manager.daemon_reload()
        self.steps = self.plan_units()
        bad = carry_out_units(self.manager, self.steps)
        if self.manifest.get("units") or self.look.gone:
            sync_links(self.tree)
        self.manager.save()
        return bad

    def fail_units(self, bad):
        name = sorted(bad)[0]
        lines = scrub(self.manager.journal(name), self.secrets)
        others = "; also failed: " + ", ".join(sorted(bad)[1:]) if len(bad) > 1 else ""
        raise Failure("units", name, f"{scrub(bad[name], self.secrets)}{others}\n{lines}".rstrip())

    def write_record(self, partial, files, folders, bad=None):
        """`partial`: files are on their way, or units are not as wanted; no digest is claimed then."""
        opts, old, look = self.opts, self.record, self.look
        record = {"format": "fleet.record/v1", "node": self.bundle["node"], "fleet": opts["fleet"]}
        record.update(machine_id=self.machine, digest="" if partial else self.bundle["digest"], arch=arch())
        record.update(commit=opts["commit"], controller=opts["controller"], epoch=opts["epoch"], at=time.time())
        record.update(manifest=canonical(self.manifest), files=files, folders=folders)
        if partial:
            waiting = (look.restart, look.reload) if bad is None else (set(bad), set())
            record.update(partial=True, wanted=self.bundle["digest"], base=old.get("digest") or old.get("base", ""))
            record["pending"] = {"restart": sorted(waiting[0]), "reload": sorted(waiting[1])}
            record["pending"]["daemon_reload"] = look.daemon_reload and bad is None
        if look.waiting:
            record["waiting"] = sorted(look.waiting)
        if self.bundle.get("learn"):
            record["learn"] = self.bundle["learn"]
        told = self.told(partial)
        if told:
            record["learned"] = told
        if self.refused:
            record["refused"] = self.refused
        if opts["take_over"]:
            record["taken_over"] = {"reason": opts["take_over"], "fleet": old.get("fleet", ""), "digest": self.before}
        self.tree.write_json(RECORD, record)
        self.written = record

    def result(self):
        record = getattr(self, "written", self.record)
        done = dict((verb, names) for verb, names in self.steps)
        out = {"changed": self.changed, "digest": self.bundle["digest"], "before_digest": self.before}
        out.update(machine_id=self.machine, arch=arch(), changes=self.look.changes, warnings=self.warnings)
        out.update(restarted=done.get("restart", []), reloaded=done.get("reload", []), record=public(record, self.tree))
        out.update(waiting=sorted(self.look.waiting), clock=time.time(), learned=record.get("learned", {}))
        if self.opts["diff"]:
            out["diff"] = [
                dict(one, before=scrub(one["before"], self.secrets), after=scrub(one["after"], self.secrets))
                for one in self.look.diff
            ]
        return out


def learn(tree, entries, before):
    """What others may need to know of this node, out of files that programs here write. What cannot be read stays."""
    found = {}
    for entry in entries:
        read = read_first_end if entry.get("folders") else read_pattern
        told = read(tree, entry) or before.get(entry["name"])
        if told:
            found[entry["name"]] = told
    return found


def read_pattern(tree, entry):
    """What a pattern's first group finds in a file; empty where the file is not there, or holds no such thing."""
    with contextlib.suppress(OSError):
        found = re.search(entry["pattern"], tree.read(entry["path"], OUTPUT_BYTES).decode("utf-8", "replace"))
        return found.group(1) if found else ""
    return ""


def read_first_end(tree, entry):
    """The end of that certificate which ends first, of files in some folders whose name is as the pattern says."""
    ends = []
    for folder in entry["folders"]:
        for name in tree.names(folder) if tree.stat(folder) is not None else ():
            if re.search(entry["pattern"], name):
                with contextlib.suppress(OSError, ValueError, IndexError):
                    ends.append(not_after(tree.read(os.path.join(folder, name), OUTPUT_BYTES)))
    return min(ends, default="")


def not_after(pem):
    """When the first certificate of a PEM file ends (RFC 5280, 4.1): `2027-11-29T02:07:05Z`. Raises ValueError."""
    text = pem.split(b"-----BEGIN CERTIFICATE-----", 1)[1].split(b"-----END CERTIFICATE-----", 1)[0]
    parts = children(children(children(base64.b64decode(text))[0][1])[0][1])
    fields = [body for tag, body in parts if tag != 0xA0]  # all but the version: serial, algorithm, issuer, validity
    tag, body = children(fields[3])[1]
    value = body.decode("ascii")
    is_short = tag == 0x17  # UTCTime: two digits of the year, of 1950 to 2049
    at = time.strptime(value, "%y%m%d%H%M%SZ" if is_short else "%Y%m%d%H%M%SZ")
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", at)


def children(data):
    """(tag, body) of each value of a DER sequence."""
    found, at = [], 0
    while at < len(data):
        tag, size = data[at], data[at + 1]
        at += 2
        if size & 0x80:
            count = size & 0x7F
            size = int.from_bytes(data[at : at + count], "big")
            at += count
        found.append((tag, data[at : at + size]))
        at += size
    return found


def public(record, tree):
    """What the controller keeps of a record, with what the last OS updates did."""
    kept = {key: value for key, value in record.items() if key not in ("files", "folders", "learn")}
    with contextlib.suppress(ValueError):
        updates = tree.read_json(UPDATES) if kept else None
        if updates:
            kept["updates"] = updates
    return kept


def arch():
    machine = os.uname().machine
    return ARCH.get(machine, machine)


def observe(opts):
    """The record, and what on disk and of units differs from it. Needs no bundle and no secret."""
    tree = Tree(opts["root"], make=False)
    record = read_record(tree)
    manifest = json.loads(record["manifest"]) if record.get("manifest") else {}
    hashes = tree.read_json(PRIVATE) or {}
    ids, look = Ids(tree, check=True), Look()
    entries = [("file", one) for one in manifest.get("files", ())] + [
        ("artifact", one) for one in manifest.get("artifacts", ())
    ]
    for kind, entry in entries:
        item = Item(entry, kind)
        item.sha256 = item.sha256 or hashes.get(item.path, "")
        what = look_item(tree, item, ids, known=True)
        if what:
            look.add(kind, item.path, action_of(what), what)
    look_folders(tree, manifest.get("folders", ()), (), ids, look)
    units = manifest.get("units", ())
    states = manager_of(tree, OPTIONS["unit_timeout"][1]).states(sorted(unit["name"] for unit in units))
    add_unit_changes(unit_steps(units, states, set(), set()), look)
    out = {"changed": False, "digest": record.get("digest", ""), "before_digest": record.get("digest", "")}
    learned = dict(record.get("learned", {}), **learn(tree, record.get("learn", ()), record.get("learned", {})))
    if learned:
        record["learned"] = learned
    out.update(machine_id=machine_id(tree), arch=arch(), changes=look.changes, record=public(record, tree))
    return dict(out, restarted=[], reloaded=[], warnings=[], learned=learned)


def run(opts):
    """The result, with `failed` where it failed. Never a secret in it."""
    os.umask(0o022)
    work = None
    try:
        if not os.path.isabs(opts["root"]):
            raise Failure("root", opts["root"], "is not an absolute path")
        opts["root"] = os.path.normpath(opts["root"])
        if opts["read"]:
            return observe(opts)
        if opts["root"] == "/" and os.geteuid() != 0:
            raise Failure("root", "/", "only root can bring a bundle onto a node: set ansible_become")
        bundle, blobs = (nothing(opts), {}) if opts["retire"] else read_bundle(opts)
        verify(bundle, opts)
        work = Apply(opts, bundle, blobs)
        return work.run().result()
    except Failure as exc:
        failure = {"failed": True, "msg": str(exc), "step": exc.step, "at": exc.path}
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as exc:
        path = getattr(exc, "filename", None) or ""
        reason = words(exc) if isinstance(exc, OSError) else f"{type(exc).__name__}: {exc}"
        text = scrub(f"{path}: {reason}" if path else reason, opts["secrets"])
        failure = {"failed": True, "msg": "node: " + text, "step": "node", "at": str(path)}
    return dict(work.result(), changed=work.touched, **failure) if work else dict(failure, changed=False)


# ---------------------------------------------------------------------------------------------------------------
# Its two faces

OPTIONS = {
    "project": ("text", ""),
    "node": ("text", ""),
    "after": ("names", []),
    "bundle": ("text", ""),
    "files": ("text", ""),
    "payload": ("text", ""),
    "secrets": ("values", {}),
    "learned": ("values", {}),
    "root": ("text", "/"),
    "read": ("flag", False),
    "adopt": ("flag", False),
    "take": ("names", []),
    "retire": ("flag", False),
    "without": ("names", []),
    "fleet": ("text", ""),
    "expect": ("text", ""),
    "machine_id": ("text", ""),
    "take_over": ("text", ""),
    "snapshot": ("flag", True),
    "snapshot_taken": ("text", ""),
    "commit": ("text", ""),
    "controller": ("text", ""),
    "epoch": ("number", 0),
    "unit_timeout": ("number", 300),
    "fetch_timeout": ("number", 30),
}
# Ansible writes its arguments over this mark. They do not come through module_utils.basic: that would be 110 kB more to
# send, and twice the CPU time on the controller and on the node.
ARGUMENTS = r"""<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>"""


def read_arguments(given):
    """Options as Ansible gives them, in their types. Raises Failure for one that is unknown or of another type."""
    opts = {}
    for name in given:
        if name not in OPTIONS and not name.startswith("_ansible_"):
            raise Failure("arguments", name, "is not an option of fleet_bundle")
    for name, (kind, default) in OPTIONS.items():
        value = given.get(name)
        if value is None:
            opts[name] = default
        elif kind == "number" and re.match(r"[0-9]+\Z", str(value)):
            opts[name] = int(value)
        elif kind == "flag" and str(value).lower() in ("true", "yes", "on", "1", "false", "no", "off", "0"):
            opts[name] = str(value).lower() in ("true", "yes", "on", "1")
        elif (kind, type(value)) in (("text", str), ("names", list), ("values", dict)):
            opts[name] = value
        elif kind == "text" and not isinstance(value, (dict, list)):
            opts[name] = str(value)
        else:
            raise Failure("arguments", name, f"`{type(value).__name__}` is of the wrong type")
    return dict(opts, check=bool(given.get("_ansible_check_mode")), diff=bool(given.get("_ansible_diff")))


def by_ansible():
    try:
        result = run(read_arguments(json.loads(ARGUMENTS)))
    except Failure as exc:
        result = {"failed": True, "msg": str(exc), "step": exc.step, "at": exc.path}
    print(json.dumps(result))
    return 1 if result.get("failed") else 0


def alone(argv):
    """For hands and for seeding a node without a network: secrets come as a JSON object on stdin."""
    parser = argparse.ArgumentParser(description="Bring a bundle onto this node and print the result as JSON.")
    for name, (kind, default) in OPTIONS.items():
        if name in ("project", "after", "payload", "secrets", "learned", "snapshot"):
            continue
        flag = "--" + name.replace("_", "-")
        if kind == "flag":
            parser.add_argument(flag, action="store_true")
        elif kind == "names":
            parser.add_argument(flag, action="append", default=[])
        else:
            parser.add_argument(flag, type=int if kind == "number" else str, default=default)
    for flag in ("--check", "--diff", "--secrets-stdin", "--no-snapshot"):
        parser.add_argument(flag, action="store_true")
    opts = vars(parser.parse_args(argv))
    if not opts["bundle"] and not (opts["read"] or opts["retire"]):
        parser.error("--bundle FILE, --read or --retire is needed")
    opts.update(
        payload="",
        learned={},
        snapshot=not opts.pop("no_snapshot"),
        secrets=json.load(sys.stdin) if opts.pop("secrets_stdin") else {},
    )
    result = run(opts)
    print(json.dumps(result, indent=1, sort_keys=True))
    return 1 if result.get("failed") else 0


if __name__ == "__main__":
    sys.exit(alone(sys.argv[1:]) if ARGUMENTS.startswith("<<") else by_ansible())
