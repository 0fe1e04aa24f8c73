#!/usr/bin/python
# Copyright the fleet authors
# SPDX-License-Identifier: Apache-2.0
"""Bring one bundle onto this node. Python 3.8 or later, nothing but the standard library.

Run by Ansible, or alone: python3 fleet_bundle.py --bundle FILE [--root DIR] [--check] [--diff]

In order: refuse, lock, look, fetch, validate, write beside, say what is meant (record), rename, remove, units, record.
A change of the way by which the node is reached is on probation: confirmed over a new connection, or put back.
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
  confirm:
    description:
      - Digest of a bundle that came in on probation. Only now the record claims it, and nothing is put back any more.
      - Refused over the connection by which the bundle came. The action plugin does this by itself.
      - V(users) where the users of a bundle are on probation; the action plugin knows the digest.
    type: str
    default: ""
  undo:
    description:
      - Digest of a bundle that the node held as a whole before, of one of its last generations. It is brought to that again,
        with what it kept itself.
      - Refused where K3s's version, datastore or token, or packages, were others.
    type: str
    default: ""
  way_in:
    description: With O(undo), what a change of has to be confirmed, as in a bundle. The action plugin sets it.
    type: dict
    default: {}
  users:
    description:
      - Users as the role C(users) is about to make them. Where that changes one, what it is now is kept, and they are on
        probation. Nothing else is done.
    type: list
    elements: dict
    default: []
  wanted:
    description: With O(users), the digest of the bundle that they belong to. The action plugin sets it.
    type: str
    default: ""
  program:
    description: Text of this module, which puts back what is not confirmed. The action plugin sets it where it is asked for.
    type: str
    default: ""
  probation:
    description: V(false) brings in at once, and for good, what would have to be confirmed.
    type: bool
    default: true
  put_back:
    description: How the node itself calls this, V(deadline) or V(boot).
    type: str
    default: ""
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
unconfirmed:
  description: Of a bundle that is on probation its C(digest), and the C(seconds) in which O(confirm) must come.
  type: dict
  returned: where it has to be confirmed
clock: {description: "The node's own time, in seconds since 1970.", type: float, returned: always}
step: {description: Where it failed., type: str, returned: failure}
at: {description: "What it failed on: a path, a unit, or empty.", type: str, returned: failure}
"""

import argparse
import base64
import contextlib
import errno
import fcntl
import fnmatch
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
USERS = "users.json"  # in a generation: what those were that the next bundle changed, their keys beside it
KEPT_USERS = STATE + "/users"  # the same, until the bundle under which they were that is a generation
PROBATION = STATE + "/probation"  # while a change is not confirmed: what was there before, and what puts it back
PLAN = PROBATION + "/plan.json"  # written last, removed first
PROGRAM = PROBATION + "/fleet_bundle.py"
UNDONE = STATE + "/undone.json"  # which bundle was put back last, why, and whether somebody was told
UNDO = "fleet-undo"  # the unit at boot; timers are called UNDO-NUMBER
UNDO_UNIT = "/etc/systemd/system/%s.service" % UNDO
UNDO_LINK = "/etc/systemd/system/sysinit.target.wants/%s.service" % UNDO
K3S = "k3s_version"
KEPT_GENERATIONS = KEPT_SNAPSHOTS = 3
TEMP = re.compile(r"\.fleet-[0-9a-f]{16}\.new")
UNIT_FOLDERS = ("/etc/systemd/system/", "/usr/lib/systemd/system/", "/lib/systemd/system/", "/run/systemd/system/")
LINKS = "/etc/systemd/system"
FORBIDDEN = ("/proc/", "/sys/", "/dev/", STATE + "/")
ARCH = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "armv8l": "arm"}
VALIDATE_SECONDS = 60
SNAPSHOT_SECONDS = 600
UNDO_SECONDS = 60  # so long may units take that are put back
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
        self.reason = reason


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
    if entry["path"] in blobs:  # what the node kept itself, with its secrets in it
        return blobs[entry["path"]]
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
    if tree.stat(PROBATION) is not None and tree.stat(PLAN) is None:
        drop_probation(tree, manager_of(tree, UNDO_SECONDS))
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
    take_users(tree, record["digest"], folder)
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
# Going back to a generation, by order: its manifest as a bundle, with contents that only the node has


def earlier_bundle(opts):
    """(bundle, contents by sha256, or by path where they hold secrets). Raises Failure, with all that is in the way."""
    tree, digest = Tree(opts["root"], make=False), opts["undo"]
    record, names = read_record(tree), tree.names(GENERATIONS) if tree.base is not None else []
    held = [(name, tree.read_json(os.path.join(GENERATIONS, name, MANIFEST)) or {}) for name in names]
    known = [at for at, (_name, kept) in enumerate(held) if kept.get("digest") == digest]
    if record.get("digest") == digest:
        kept, later = record, []
    elif known:
        kept, later = held[known[-1]][1], [name for name, _kept in held[known[-1] :]]
    else:
        found = ", ".join(str(kept.get("digest")) for _name, kept in held) or "none"
        raise Failure("undo", "", f"{digest} is not kept here: found {found}")
    manifest = json.loads(kept["manifest"])
    now = json.loads(record.get("manifest") or "{}")
    stays = what_stays(now, manifest)
    users = []
    if now.get("users", []) != manifest.get("users", []):
        users = users_of(tree, later[0]) if len(later) == 1 else None
        stays += ["users, of which this node kept nothing"] if users is None else []
    if stays:
        raise Failure("undo", "", "never goes back by itself: " + ", ".join(stays) + "; apply what git is to say")
    blobs, lost = earlier_contents(tree, manifest, later)
    if lost:
        raise Failure("undo", lost[0], "what it held is not on the node any more: " + ", ".join(lost))
    opts["commit"] = kept.get("commit") or ""
    bundle = {"format": "fleet.bundle/v1", "node": record.get("node"), "fleet": record.get("fleet"), "digest": digest}
    return dict(bundle, manifest=manifest, learn=record.get("learn", []), users_before=users), blobs


def users_of(tree, generation):
    """What users were under that bundle, as far as the next one changed them; None where that is not kept."""
    kept = tree.read_json(os.path.join(GENERATIONS, generation, USERS))
    return None if kept is None else kept["users"]


def earlier_contents(tree, manifest, later):
    """(contents, paths of which there is none). What a generation did not keep was the same in the one behind it."""
    blobs, lost, private = {}, [], tree.read_json(PRIVATE) or {}
    for entry in manifest.get("files", ()):
        path = check_path(entry["path"])
        kept = [os.path.join(GENERATIONS, name, "files", os.path.basename(original_path(path))) for name in later]
        kept = [one for one in kept if tree.stat(one) is not None]
        where = kept[0] if kept else path
        found = tree.stat(where)
        data = tree.read(where) if found is not None and stat.S_ISREG(found.st_mode) else None
        wanted = entry.get("sha256") or (sha256(data or b"") if kept else private.get(path))
        if data is None or (wanted and sha256(data) != wanted):
            lost.append(path)
        elif entry.get("sha256"):
            blobs[wanted] = data
        else:
            blobs[path] = data
    for entry in manifest.get("artifacts", ()):
        path = check_path(entry["path"])
        found = tree.stat(path)
        if found is None or not stat.S_ISREG(found.st_mode) or tree.digest(path) != entry["sha256"]:
            lost.append(path)
    return blobs, lost


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

    def call(self, verb, names, waits=True):
        """The output where it failed, else ""."""
        if verb in ("start", "restart"):  # or a unit that failed often is refused for a while
            run_command(["systemctl", "--no-pager", "reset-failed", "--"] + names, 60)
        options = ["--no-pager"] if waits else ["--no-pager", "--no-block"]
        code, output = run_command(["systemctl", *options, verb, "--"] + names, self.left())
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

    def can_undo(self):
        return shutil.which("systemd-run") is not None and os.path.isdir("/run/systemd/system")

    def arm(self, seconds):
        """Call PROGRAM so many seconds from now, by monotonic time; and again if it is killed, until it has done its work."""
        name = "%s-%d" % (UNDO, time.monotonic() * 1000)
        when = ["--on-active=%ds" % seconds, "--timer-property=AccuracySec=500ms"]
        again = ["--property=Restart=on-failure", "--property=RestartSec=5"]
        command = ["systemd-run", "--quiet", "--collect", "--unit=" + name, *when, *again, "--"]
        code, output = run_command(command + [sys.executable, PROGRAM, "--put-back", "deadline"], 60)
        if code != 0:
            raise Failure("probation", "", f"systemd-run: {output.strip() or code}")

    def disarm(self):
        run_command(["systemctl", "--no-pager", "stop", UNDO + "-*.timer"], 60)


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

    def call(self, verb, names, waits=True):
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

    def can_undo(self):
        return True

    def arm(self, seconds):
        """A sandbox has no clock of its own: what is not confirmed in time is put back when the next run comes."""

    def disarm(self):
        """Nothing was armed."""


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
# Probation: a change of the way by which the node is reached is confirmed over a new connection, or put back
#
# Kept before anything changes, in this order: what was there, this program, a unit that runs it at boot, a timer, the plan.
# From the plan on everything is put back, wherever the run is cut off: until the record claims the new digest. That is
# what a confirmation writes, and the only thing that ends a probation well.

LATE = "nobody confirmed it over a new connection within %d s"
BACK = "what was there before is back"
BOOTED = "the node was rebooted before it was confirmed"
K3S_UNITS = ("k3s.service", "k3s-agent.service")
K3S_PLACES = ("/usr/local/bin/k3s", "/etc/rancher", "/var/lib/rancher", "/etc/systemd/system/k3s*")
UNIT_AT_BOOT = """\
[Unit]
Description=Put back what fleet changed and nobody confirmed
DefaultDependencies=no
RequiresMountsFor=/var/lib/fleet
ConditionPathExists=/var/lib/fleet/probation/plan.json
After=local-fs.target systemd-remount-fs.service
Before=sysinit.target network-pre.target nftables.service iptables.service netfilter-persistent.service ufw.service
Before=firewalld.service networking.service systemd-networkd.service NetworkManager.service ssh.service ssh.socket
Before=sshd.service sshd.socket shutdown.target
Conflicts=shutdown.target
[Service]
Type=oneshot
ExecStart=%s %s --put-back boot
TimeoutStartSec=300
[Install]
WantedBy=sysinit.target
"""


def way_in(how, look, steps, sysctl):
    """Which paths, units and kernel parameters of a change are of the way by which the node is reached."""
    kinds = ("file", "artifact", "folder", "seed")
    paths = [one["path"] for one in look.changes if one["kind"] in kinds]
    units = {name for _verb, names in steps for name in names} | look.restart | look.reload
    found = [path for path in paths if matches(path, how["paths"]) or matches(unit_of(path), how["units"])]
    found += [name for name in sorted(units) if matches(name, how["units"])]
    return found + [key for key in sorted(sysctl) if matches(key, how["sysctl"])]


def matches(name, patterns):
    return any(fnmatch.fnmatchcase(name, one) for one in patterns)


def unit_of(path):
    """The unit that a file of systemd's folders is, or is a drop-in of; empty for another one."""
    for folder in UNIT_FOLDERS:
        if path.startswith(folder):
            name, _, rest = path[len(folder) :].partition("/")
            return name[: -len(".d")] if rest and name.endswith(".d") else name
    return ""


def boot_id():
    with contextlib.suppress(OSError):
        with open("/proc/sys/kernel/random/boot_id") as handle:
            return handle.read().strip()
    return ""


def connection():
    """By which connection this run came: its sshd and when that began; empty without one, as by hand or in a sandbox."""
    pid = os.getpid()
    while pid > 1:
        try:
            with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as handle:
                head, _, rest = handle.read().rpartition(")")
        except OSError:
            return ""
        fields = rest.split()
        if head.partition("(")[2].startswith("sshd"):
            return "%d %s" % (pid, fields[19])
        pid = int(fields[1])
    return ""


def claims(record, digest):
    return record.get("digest") == digest and not record.get("partial")


def read_plan(tree):
    try:
        return tree.read_json(PLAN)
    except ValueError as exc:
        raise Failure("probation", PLAN, f"cannot be read: {exc}")


def is_due(plan):
    """Also after a reboot: monotonic time begins anew then."""
    return plan["boot"] != boot_id() or time.monotonic() >= plan["ends"]


def kept_path(path):
    return os.path.join(PROBATION, "files", os.path.basename(original_path(path)))


def styled(tree, path):
    found = tree.stat(path)
    ids = (found.st_uid, found.st_gid) if tree.real else (-1, -1)
    return {"path": path, "mode": stat.S_IMODE(found.st_mode), "ids": ids}


def begin_probation(work, made):
    """Keep what is about to change, and arm what puts it back. Returns the plan; without it on the disk nothing is."""
    tree, look, old, manager = work.tree, work.look, work.record, work.manager
    how = work.bundle.get("confirm") or work.opts["way_in"]
    before = json.loads(old.get("manifest") or "{}")
    plan = blank_plan(tree, work.bundle["digest"], how["seconds"], old)
    plan.update(stays=what_stays(before, work.manifest), places=k3s_places(work.bundle))
    make_folders(tree, [(PROBATION, 0o700, (-1, -1)), (PROBATION + "/files", 0o700, (-1, -1))])
    plan["users"] = [user_kept(tree, one["name"]) for one in work.bundle.get("users_before") or ()]
    plan.update(restart=sorted(look.restart), reload=sorted(look.reload), daemon_reload=look.daemon_reload)
    plan["sysctl"] = {key: read_sysctl(key) for key in work.sysctl}
    names = {unit["name"] for one in (before, work.manifest) for unit in one.get("units", ())}
    names |= look.restart | look.reload | {os.path.basename(path) for path in look.gone if is_unit(path)}
    plan["units"] = {name: state_kept(state) for name, state in manager.states(sorted(names)).items()}
    plan["files"] = [keep_for_undo(tree, path) for path in [item.path for item in look.write] + look.gone]
    plan["style"] = [styled(tree, item.path) for item in look.style]
    plan["made"] = [path for path, _mode, _ids in look.make]
    plan["folders"] = [styled(tree, path) for path in old.get("folders", ()) if tree.stat(path) is not None]
    plan["partial"] = work.record_of(partial=True, files=managed(work.items, old, look.take), folders=made)
    plan["manifest"] = work.manifest
    arm(tree, manager, plan, work.opts["program"])
    return plan


def blank_plan(tree, wanted, seconds, record):
    """Of a probation that begins now, and has nothing yet to put back."""
    plan = {"wanted": wanted, "phase": "begun", "seconds": seconds, "connection": connection(), "boot": boot_id()}
    plan.update(ends=time.monotonic() + seconds, before=record or None, private=tree.read_json(PRIVATE))
    plan.update(stays=[], places=[], users=[], files=[], style=[], made=[], folders=[])
    plan.update(sysctl={}, units={}, restart=[], reload=[], daemon_reload=False)
    return plan


def arm(tree, manager, plan, program):
    """The plan last of all. One that is there already holds until then, and is not taken away by a failure."""
    try:
        tree.beside(PROGRAM, [program.encode("utf-8")], 0o700, (-1, -1))
        tree.place(PROGRAM)
        arm_at_boot(tree)
        manager.arm(plan["seconds"])
        tree.write_json(PLAN, plan, 0o600)
    except (OSError, Failure):
        if tree.stat(PLAN) is None:
            drop_probation(tree, manager)
        raise


def open_probation(tree, wanted, is_retired=False, phase="applied"):
    """The plan of a probation of this very bundle in that phase, which has time left; None where none is open any more.

    Any other is put back first. Who comes with a bundle that the node put back by itself is told, once: Failure.
    """
    plan = read_plan(tree)
    if plan is not None:
        is_same = plan["wanted"] == wanted and plan["phase"] == phase and not is_due(plan)
        if is_same and not is_retired and not is_confirmed(tree, plan):
            return plan
        why = LATE if is_due(plan) else "another run came before it was confirmed"
        end_probation(tree, manager_of(tree, UNDO_SECONDS), plan, why)
    undone = tree.read_json(UNDONE) or {}
    if undone.get("digest") == wanted and not undone["told"]:
        tell_undone(tree, undone)
    return None


def is_confirmed(tree, plan):
    """The record says it. While users are on probation it is still the one of before, which may claim the very same digest."""
    return claims(read_record(tree, "whatever it is"), plan["wanted"]) and plan["phase"] != "users"


# ---- users: a role makes them, before the bundle comes; what they were is kept before that


def keep_users(opts):
    """Begin the probation where the role will change one of them."""
    tree, how = Tree(opts["root"], make=False), opts["way_in"]
    out, bundle = {"changed": False, "kept": []}, {"node": opts["node"], "digest": opts["wanted"]}
    manager = manager_of(tree, UNDO_SECONDS)
    differs = [user for user in opts["users"] if is_other_user(tree, user)]
    guard(read_record(tree), bundle, opts, machine_id(tree))
    if not differs or not how or opts["check"] or not tree.real or not manager.can_undo():
        return out
    if not opts["program"]:
        raise Failure("program", differs[0]["name"], "it has to be confirmed: what puts it back was not sent along")
    with locked(tree, write=True):
        if open_probation(tree, opts["wanted"], phase="users") is None:
            drop_probation(tree, manager)
            plan = blank_plan(tree, opts["wanted"], how["seconds"], read_record(tree))
            make_folders(tree, [(PROBATION, 0o700, (-1, -1)), (PROBATION + "/files", 0o700, (-1, -1))])
            plan.update(phase="users", users=[user_kept(tree, user["name"]) for user in differs])
            arm(tree, manager, plan, opts["program"])
    return dict(out, kept=[user["name"] for user in differs])


def found_user(name):
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def groups_of(name):
    """Those that it is in besides its own."""
    return sorted(one.gr_name for one in grp.getgrall() if name in one.gr_mem)


def keys_of(home):
    return os.path.join(home, ".ssh/authorized_keys")


def is_other_user(tree, user):
    """Whether the role has something to do for it: as ansible.builtin.user and blockinfile see that."""
    found = found_user(user["name"])
    if found is None or user.get("shell", "") not in ("", found.pw_shell):
        return True
    if set(user.get("groups", ())) - set(groups_of(user["name"])):
        return True
    if "authorized_keys" not in user:
        return False
    block = ["# BEGIN kept by fleet", *user["authorized_keys"], "# END kept by fleet"]
    path = keys_of(found.pw_dir)
    with telling("keep", path):
        held = tree.read(path).decode("utf-8", "replace") if tree.stat(path) is not None else ""
    return "\n".join(block) + "\n" not in held + "\n"


def user_kept(tree, name):
    """What it is now; `was` is None for one that is to be made."""
    found = found_user(name)
    if found is None:
        return {"name": name, "was": None, "has_home": tree.stat("/home/" + name) is not None}
    path = keys_of(found.pw_dir)
    with telling("keep", path):
        has_keys = tree.stat(path) is not None
        if has_keys:
            tree.copy(path, keys_kept(name))
    return {
        "name": name,
        "was": {"shell": found.pw_shell, "groups": groups_of(name), "keys": path},
        "has_keys": has_keys,
    }


def keys_kept(name, folder=PROBATION):
    return os.path.join(folder, "files", "keys-of-" + name)


def put_back_users(tree, users, folder=PROBATION):
    """name -> what was said of a failure. One that was made goes, with its home if that was made just now, too."""
    bad = {}
    for one in users:
        name, was, found = one["name"], one["was"], found_user(one["name"])
        commands = []
        if found is not None and was is None:
            stays = one["has_home"] or folder != PROBATION
            commands.append(["userdel", "--force", *(() if stays else ("--remove",)), name])
        elif found is not None:
            if found.pw_shell != was["shell"]:
                commands.append(["usermod", "--shell", was["shell"], name])
            commands += [
                ["gpasswd", "--delete", name, group] for group in groups_of(name) if group not in was["groups"]
            ]
            if one["has_keys"]:
                tree.copy(keys_kept(name, folder), was["keys"])
            else:
                tree.unlink(was["keys"])
        for command in commands:
            code, output = run_command(command, UNDO_SECONDS)
            if code not in (0, 12):  # userdel: its mail or home could not be removed
                bad[name] = f"{command[0]}: {output.strip() or code}"
    return bad


def is_unit(path):
    return os.path.dirname(path) + "/" in UNIT_FOLDERS and "." in os.path.basename(path)


def state_kept(state):
    return {"enabled": state["enabled"], "plain": state["plain"], "active": state["active"] or state["starting"]}


def keep_for_undo(tree, path):
    """A second name for what is there: it comes back as the very same file."""
    found = tree.stat(path)
    if found is None or stat.S_ISDIR(found.st_mode):
        return {"path": path, "was": "absent" if found is None else "folder"}
    with telling("keep", path):
        tree.link(path, kept_path(path))
    return {"path": path, "was": "file"}


def arm_at_boot(tree):
    folders = [os.path.dirname(UNDO_LINK)]
    make_folders(tree, [(one, 0o755, (-1, -1)) for path in (UNDO_UNIT, UNDO_LINK) for one in tree.missing(path)])
    tree.beside(UNDO_UNIT, [(UNIT_AT_BOOT % (sys.executable, PROGRAM)).encode("utf-8")], 0o644, (-1, -1))
    tree.place(UNDO_UNIT)
    with tree.folder(folders[0]) as folder:
        with contextlib.suppress(FileExistsError):
            os.symlink(UNDO_UNIT, os.path.basename(UNDO_LINK), dir_fd=folder)
        os.fsync(folder)


def what_stays(before, after):
    """What of a change never goes back by itself, in words: going back would lose what came of it."""
    stays = []
    for key, name in ((K3S, "K3s"), ("datastore", "the datastore")):
        was, now = before.get("facts", {}).get(key, ""), after.get("facts", {}).get(key, "")
        if was != now:
            stays.append(f"{name} {was or 'none'} -> {now or 'none'}")
    if tokens_of(before) != tokens_of(after):
        stays.append("the token of K3s")
    if stays:
        stays.append("K3s's configuration")
    if any(before.get(key) != after.get(key) for key in ("packages", "updates")):
        stays.append("packages")
    return stays


def tokens_of(manifest):
    parts = [
        part for entry in manifest.get("files", ()) for part in entry.get("segments", ()) if isinstance(part, dict)
    ]
    return sorted(json.dumps(part, sort_keys=True) for part in parts if part.get("encoding") in TOKENS)


def k3s_places(bundle):
    own = {how["data_dir"] for how in (bundle.get("snapshot"), bundle.get("token")) if how}
    return sorted(own | set(K3S_PLACES))


def is_k3s(path, plan):
    return matches(path, plan["places"] + [one + "/*" for one in plan["places"]])


def wait_for_confirmation(tree, manager, plan):
    """The time begins now, or anew. A timer that is due earlier finds that it is not."""
    plan.update(phase="applied", boot=boot_id(), ends=time.monotonic() + plan["seconds"], connection=connection())
    manager.arm(plan["seconds"])
    tree.write_json(PLAN, plan, 0o600)


def confirm(opts):
    """The record claims the digest from here on: what kept and armed was, goes. Said twice it is as said once."""
    tree = Tree(opts["root"], make=False)
    manager, digest = manager_of(tree, UNDO_SECONDS), opts["confirm"]
    with locked(tree, write=tree.stat(STATE) is not None):
        plan, record = read_plan(tree) if tree.base is not None else None, read_record(tree)
        if plan is not None and plan["wanted"] == digest and not is_confirmed(tree, plan):
            if plan["phase"] == "begun" or is_due(plan):
                why = "the run that brought it in did not come to its end" if plan["phase"] == "begun" else LATE
                end_probation(tree, manager, plan, why)
                record = {}
            elif plan["connection"] and plan["connection"] == connection():
                raise Failure("confirm", "", "this is the connection by which it came: a new one is needed")
            elif plan["phase"] == "users":
                save_users(tree, plan, KEPT_USERS)
                drop_probation(tree, manager)
                return {"changed": False, "confirmed": sorted(one["name"] for one in plan["users"])}
            else:
                record = dict(plan["record"], at=time.time())
                tree.write_json(RECORD, record)
        if not claims(record, digest):
            undone = tree.read_json(UNDONE) or {}
            if undone.get("digest") == digest:
                tell_undone(tree, undone)
            raise Failure("confirm", "", f"{digest} does not wait to be confirmed here")
        tree.unlink(UNDONE)
        if plan is not None:
            end_well(tree, manager, plan)
        out = {"changed": True, "digest": digest, "before_digest": digest, "arch": arch(), "clock": time.time()}
        out.update(machine_id=machine_id(tree), record=public(record, tree), learned=record.get("learned", {}))
        return out


def put_back_late(opts):
    """As the node itself calls it. A run that is still at work is waited for: it ends, and has armed anew or died."""
    tree, at_boot = Tree(opts["root"], make=False), opts["put_back"] == "boot"
    out = {"changed": False, "digest": "", "before_digest": ""}
    while tree.stat(PROBATION) is not None:
        try:
            with locked(tree, write=True):
                plan, manager = read_plan(tree), manager_of(tree, UNDO_SECONDS)
                if plan is None:
                    drop_probation(tree, manager)
                elif at_boot or is_due(plan):
                    out["changed"] = end_probation(tree, manager, plan, BOOTED if at_boot else LATE, at_boot)
                return out
        except Failure as exc:
            if exc.step != "lock":
                raise
            time.sleep(1)
    return out


def end_probation(tree, manager, plan, why, at_boot=False):
    """Put back what was not confirmed, and say so; True if there was something. Cut off anywhere, the next call does it all."""
    if is_confirmed(tree, plan):  # and the run that did it was cut off
        end_well(tree, manager, plan)
        return False
    put_back(tree, manager, plan, why % plan["seconds"] if "%d" in why else why, at_boot)
    drop_probation(tree, manager)
    return True


def told_now(opts):
    """What the node holds after it was not confirmed."""
    tree = Tree(opts["root"], make=False)
    with contextlib.suppress(Failure, OSError):
        return {"record": public(read_record(tree), tree), "machine_id": machine_id(tree), "arch": arch()}
    return {}


def end_well(tree, manager, plan):
    """What came back to the node for good is not kept any more, nor is what the change replaced, but for users."""
    keep_users_of_before(tree, plan)
    for path in plan.get("forget", ()):
        tree.unlink(original_path(path))
    drop_probation(tree, manager)


def keep_users_of_before(tree, plan):
    """With the generation that the change replaced: the node may be ordered back to it."""
    before = (plan["before"] or {}).get("digest", "")
    names = [name for name in tree.names(GENERATIONS) if name.endswith("-" + before.split(":")[-1][:16])]
    if plan["users"] and before and names:
        save_users(tree, plan, os.path.join(GENERATIONS, names[-1]))


def save_users(tree, plan, folder):
    """What they were under the bundle of before, with their keys. Written last, so that it is whole."""
    before = (plan["before"] or {}).get("digest", "")
    make_folders(tree, [(folder, 0o700, (-1, -1)), (folder + "/files", 0o700, (-1, -1))])
    tree.unlink(os.path.join(folder, USERS))
    for one in plan["users"]:
        if one.get("has_keys"):
            tree.copy(keys_kept(one["name"]), keys_kept(one["name"], folder))
    tree.write_json(os.path.join(folder, USERS), {"digest": before, "users": plan["users"]}, 0o600)


def take_users(tree, digest, folder):
    """Into the generation of the bundle under which they were that, once it is kept."""
    kept = tree.read_json(os.path.join(KEPT_USERS, USERS))
    if kept is not None and kept["digest"] == digest:
        for one in kept["users"]:
            if one.get("has_keys"):
                tree.copy(keys_kept(one["name"], KEPT_USERS), keys_kept(one["name"], folder))
        tree.write_json(os.path.join(folder, USERS), kept, 0o600)


def put_back(tree, manager, plan, why="", at_boot=False):
    """All that was there before; the record last. Returns that. `why` is told to whoever asks for this bundle next."""
    clean_staged(tree)
    stays = [one["path"] for one in plan["files"] if is_k3s(one["path"], plan)] if k3s_stays(plan) else []
    units = {name: was for name, was in plan["units"].items() if not (k3s_stays(plan) and name in K3S_UNITS)}
    bad = stop_new_units(manager, units, at_boot)
    for one in plan["folders"]:
        make_folders(tree, [(one["path"], one["mode"], tuple(one["ids"]))])
    for one in plan["files"]:
        if one["path"] not in stays:
            put_back_file(tree, one)
    for one in plan["style"] + plan["folders"]:
        if tree.stat(one["path"]) is not None:
            tree.restyle(one["path"], one["mode"], tuple(one["ids"]))
    for path in reversed(plan["made"]):
        tree.rmdir(path)
    for key, value in plan["sysctl"].items() if tree.real else ():
        if value is not None:
            try_sysctl(key, value)
    bad.update(put_back_users(tree, plan["users"]))
    bad.update(put_back_units(manager, units, plan, at_boot))
    sync_links(tree)
    manager.save()
    restore_json(tree, PRIVATE, private_before(tree, plan), 0o600)
    record = record_before(plan, stays)
    if why:
        reason = undone_words(plan, why, bad)
        tree.write_json(UNDONE, {"digest": plan["wanted"], "reason": reason, "told": False, "at": time.time()})
        log(f"undone: {plan['wanted']}: {reason}")
    restore_json(tree, RECORD, record, 0o644)
    return record or {}


def private_before(tree, plan):
    if not k3s_stays(plan):
        return plan["private"]
    kept = {path: found for path, found in (tree.read_json(PRIVATE) or {}).items() if is_k3s(path, plan)}
    return dict({path: found for path, found in (plan["private"] or {}).items() if not is_k3s(path, plan)}, **kept)


def restore_json(tree, path, value, mode):
    if value is None:
        tree.unlink(path)
    else:
        tree.write_json(path, value, mode)


def k3s_stays(plan):
    return any(one != "packages" for one in plan["stays"])


def put_back_file(tree, one):
    if one["was"] == "file":
        make_folders(tree, [(path, 0o755, (-1, -1)) for path in tree.missing(one["path"])])
        tree.link(kept_path(one["path"]), one["path"])
    elif one["was"] == "absent":
        tree.unlink(one["path"])


def stop_new_units(manager, units, at_boot):
    """While systemd still knows them: what did not run and was not enabled. unit -> what it said of a failure."""
    bad, now = {}, manager.states(sorted(units))
    for name, was in units.items():
        if not was["active"] and (now[name]["active"] or now[name]["starting"] or (at_boot and now[name]["plain"])):
            bad[name] = call(manager, "stop", name, at_boot)
        if not was["enabled"] and now[name]["plain"]:
            bad[name] = call(manager, "disable", name, at_boot) or bad.get(name, "")
    return {name: said for name, said in bad.items() if said}


def put_back_units(manager, units, plan, at_boot):
    """Enabled and running as before, and what reads files that came back reads them. At boot nothing has read them yet."""
    if plan["daemon_reload"]:
        manager.daemon_reload()
    bad, now = {}, manager.states(sorted(units))
    for name, was in units.items():
        said = call(manager, "enable", name, at_boot) if was["enabled"] and not now[name]["enabled"] else ""
        if was["active"] and not (now[name]["active"] or now[name]["starting"]):
            said = call(manager, "start", name, at_boot) or said
        elif was["active"] and not at_boot and name in plan["restart"]:
            said = call(manager, "restart", name, at_boot) or said
        elif was["active"] and not at_boot and name in plan["reload"]:
            said = call(manager, "reload-or-restart", name, at_boot) or said
        if said:
            bad[name] = said
    return bad


def call(manager, verb, name, at_boot):
    """At boot nothing is waited for: the boot itself waits for this program."""
    return manager.call(verb, [name], waits=not at_boot or verb in ("enable", "disable"))


def record_before(plan, stays):
    """The record of before; None where there was none. Where something stays it claims no digest, and knows what stayed."""
    before = plan["before"]
    if not plan["stays"]:
        return before
    old, new = json.loads((before or {}).get("manifest") or "{}"), plan["manifest"]
    mixed = dict(old, packages=new.get("packages", []), updates=new.get("updates"))
    mixed = {key: value for key, value in mixed.items() if value is not None}
    record = dict(plan["partial"], pending={"restart": [], "reload": [], "daemon_reload": False})
    files = dict((before or {}).get("files", {}))
    if k3s_stays(plan):
        mixed["facts"] = new.get("facts", {})
        for kind in ("files", "artifacts", "folders", "units"):
            own = [one for one in new.get(kind, ()) if is_part_of_k3s(one, plan)]
            mixed[kind] = [one for one in old.get(kind, ()) if not is_part_of_k3s(one, plan)] + own
        files = {path: one for path, one in files.items() if not is_k3s(path, plan)}
        files.update({path: one for path, one in plan["partial"]["files"].items() if is_k3s(path, plan)})
    folders = set(plan["partial"]["folders"]) if stays else set((before or {}).get("folders", ()))
    return dict(record, manifest=canonical(mixed), files=files, folders=sorted(folders))


def is_part_of_k3s(entry, plan):
    return is_k3s(entry["path"], plan) if "path" in entry else entry["name"] in K3S_UNITS


def undone_words(plan, why, bad):
    words = why + ": " + BACK
    if plan["stays"]:
        words += ", but for " + ", ".join(plan["stays"]) + ", which never go back by themselves"
    return words + "".join(f"; {name}: {said}" for name, said in sorted(bad.items()))


def tell_undone(tree, undone):
    """Once: who is told may try it again."""
    tree.write_json(UNDONE, dict(undone, told=True))
    raise Failure("undone", "", undone["reason"])


def log(text):
    import syslog

    syslog.openlog("fleet")
    syslog.syslog(syslog.LOG_WARNING, text)


def drop_probation(tree, manager):
    """The plan first: from then on nothing is put back. The folder last: it is by that that leftovers are known."""
    tree.unlink(PLAN)
    manager.disarm()
    tree.unlink(UNDO_LINK)
    tree.rmdir(os.path.dirname(UNDO_LINK))
    tree.unlink(UNDO_UNIT)
    remove_all(tree, PROBATION)


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
        self.plan = None  # of a probation
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
            if not self.check and self.goes_on():
                return self
            self.record = self.read_record()
            self.before = self.record.get("digest", "")
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

    def goes_on(self):
        """True where this very bundle waits to be confirmed: it has time anew. What else waits is put back first.

        A run that was told of what the node put back by itself tries it once more.
        """
        try:
            plan = open_probation(self.tree, self.bundle["digest"], self.opts["retire"])
        finally:
            self.record = self.read_record()
        if plan is None:
            return False
        self.plan, self.changed = plan, True
        wait_for_confirmation(self.tree, manager_of(self.tree, UNDO_SECONDS), plan)
        return True

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
        """On probation, what fails is put back at once."""
        self.ask_for_snapshot()
        risky = self.way_in()
        try:
            self.bring_in(risky)
        except BaseException as exc:
            if self.plan is None:
                raise
            self.tree.pins = None
            try:
                self.written = put_back(self.tree, manager_of(self.tree, UNDO_SECONDS), self.plan)
                drop_probation(self.tree, self.manager)
                said = BACK
            except (OSError, Failure) as again:  # the timer goes on with it
                said = f"what was there before comes back within {self.plan['seconds']} s: {again}"
            if not isinstance(exc, Failure):
                raise
            first, _, rest = exc.reason.partition("\n")
            raise Failure(exc.step, exc.path, f"{first}; {said}\n{rest}".rstrip())

    def bring_in(self, risky):
        tree, look, old = self.tree, self.look, self.record
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
            if risky:
                self.plan = begin_probation(self, made)
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
        self.bring_users_back()
        bad = self.units()
        self.learned = self.learn()
        hashes = {item.path: item.sha256 for item in self.items if item.secret}
        if hashes != (tree.read_json(PRIVATE) or {}):
            tree.write_json(PRIVATE, hashes, 0o600)
        if self.plan is not None and not bad:
            self.plan.update(record=self.record_of(partial=False, files=files, folders=folders), forget=self.look.gone)
            wait_for_confirmation(tree, self.manager, self.plan)
            return None
        self.write_record(partial=bool(bad), files=files, folders=folders, bad=bad)
        self.forget_gone()
        if bad:
            self.fail_units(bad)
        return None

    def way_in(self):
        """What this changes of the way by which the node is reached, where that is to be confirmed; else nothing.

        Raises Failure where the program that puts it back is not here: the action plugin brings it then.
        """
        opts, how = self.opts, self.bundle.get("confirm") or self.opts["way_in"]
        if not how or not opts["probation"] or opts["adopt"] or opts["retire"]:
            return []
        found = [one["name"] for one in self.bundle.get("users_before") or ()]
        found += way_in(how, self.look, self.steps, self.sysctl)
        if found and not self.manager.can_undo():
            self.warnings.append(f"{found[0]}: there is no systemd-run here: it is not confirmed, and never put back")
            return []
        if found and not opts["program"]:
            raise Failure("program", found[0], "it has to be confirmed: what puts it back was not sent along")
        return found

    def bring_users_back(self):
        """By order, to what they were under the bundle of before. Where that is kept, the node has its own users."""
        users = self.bundle.get("users_before")
        if users and self.tree.real:
            mark = "-" + self.bundle["digest"].split(":")[-1][:16]
            folders = [name for name in self.tree.names(GENERATIONS) if name.endswith(mark)]
            for name, said in put_back_users(self.tree, users, os.path.join(GENERATIONS, folders[-1])).items():
                raise Failure("users", name, said)

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
        self.written = self.record_of(partial, files, folders, bad)
        self.tree.write_json(RECORD, self.written)
        if not partial:
            self.tree.unlink(UNDONE)

    def record_of(self, partial, files, folders, bad=None):
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
        return record

    def result(self):
        record = getattr(self, "written", self.record)
        done = dict((verb, names) for verb, names in self.steps)
        out = {"changed": self.changed, "digest": self.bundle["digest"], "before_digest": self.before}
        out.update(machine_id=self.machine, arch=arch(), changes=self.look.changes, warnings=self.warnings)
        out.update(restarted=done.get("restart", []), reloaded=done.get("reload", []), record=public(record, self.tree))
        out.update(waiting=sorted(self.look.waiting), clock=time.time(), learned=record.get("learned", {}))
        if self.plan is not None and self.plan["phase"] == "applied":
            out["unconfirmed"] = {"digest": self.plan["wanted"], "seconds": self.plan["seconds"]}
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
        undone = tree.read_json(UNDONE) if kept else None
        if undone:
            kept["undone"] = {"digest": undone["digest"], "reason": undone["reason"]}
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
        if opts["put_back"]:
            return put_back_late(opts)
        if opts["confirm"]:
            return confirm(opts)
        if opts["users"]:
            return keep_users(opts)
        if opts["undo"]:
            bundle, blobs = earlier_bundle(opts)
        else:
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
    if opts["confirm"]:
        failure.update(told_now(opts))
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
    "confirm": ("text", ""),
    "undo": ("text", ""),
    "way_in": ("values", {}),
    "users": ("names", []),
    "wanted": ("text", ""),
    "program": ("text", ""),
    "probation": ("flag", True),
    "put_back": ("text", ""),
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
        if name in (
            "project",
            "after",
            "payload",
            "secrets",
            "learned",
            "snapshot",
            "way_in",
            "program",
            "users",
            "wanted",
        ):
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
    if not any(opts[name] for name in ("bundle", "read", "retire", "undo", "confirm", "put_back")):
        parser.error("--bundle FILE, --read, --retire, --undo DIGEST or --confirm DIGEST is needed")
    if opts["probation"]:
        with open(__file__, encoding="utf-8") as handle:
            opts["program"] = handle.read()
    opts.update(
        payload="",
        way_in={},
        users=[],
        wanted="",
        learned={},
        snapshot=not opts.pop("no_snapshot"),
        secrets=json.load(sys.stdin) if opts.pop("secrets_stdin") else {},
    )
    result = run(opts)
    print(json.dumps(result, indent=1, sort_keys=True))
    return 1 if result.get("failed") else 0


if __name__ == "__main__":
    sys.exit(alone(sys.argv[1:]) if ARGUMENTS.startswith("<<") else by_ansible())
