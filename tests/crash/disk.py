"""A file system with a page cache: from recorded calls, every state that a power cut may leave on the disk.

The model is what POSIX promises, and no more (fsync(2), open(2), rename(2)); real file systems promise more:

- Data and size of a file, its mode and its owner are sure once the file was synced; fdatasync leaves out the mode.
- A name (create, link, rename, unlink, mkdir, rmdir) is sure once its folder was synced: "calling fsync() does not
  necessarily ensure that the entry in the directory containing the file has also reached disk" (fsync(2)). A file that
  was synced and whose folder was not may be gone; a folder that was synced may name a file without content.
- What was not synced may be on the disk all the same: in any order, each call with or without each other one. So a name
  may be there before the data; the file then is empty, or as long as it should be and zeros, or half.
- One rename is whole or not at all, also over another file; so is every other change of a name. Across two folders it
  is sure when both were synced.
- A sync covers what ended before it began. One that is broken off covers nothing. Contents that are sure do not rot.

"All File Systems Are Not Created Equal" (Pillai et al., OSDI 2014; its tool is called ALICE) found each of these
reorderings in some file system, and renames that are atomic in all of them. ext4 with data=ordered, the default, does
not show most: it writes data before the name that was given by a rename (auto_da_alloc), and one fsync brings the whole
journal along (https://docs.kernel.org/admin-guide/ext4.html). What holds here holds there, and on XFS and btrfs.

What a program may not do, since it is not modelled, is an error: shared writable mappings, sparse files by fallocate,
O_TMPFILE, copies inside of the kernel, names that move into the root or out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace

from tests.crash.processes import Kin, Open, Processes
from tests.crash.store import Named, Op, Sized, Store, Styled, Wrote, selections, stored
from tests.crash.strace import Call, Handle, NotUnderstood, vector
from tests.crash.trees import FILE, FOLDER, LINK, Leaf, Tree

Place = tuple[int, str]
"""A folder's inode, and a name in it."""
REFUSED = ("fallocate", "copy_file_range", "sendfile", "splice", "mknod", "mknodat", "pwritev", "pwritev2", "openat2")
EVERYTHING = ("sync", "syncfs")
SYNCS = ("fsync", "fdatasync", *EVERYTHING)
UNSEEN = (
    "chown", "fchown", "lchown", "fchownat", "utime", "utimes", "futimesat", "utimensat", "setxattr", "lsetxattr",
    "fsetxattr", "removexattr", "lremovexattr", "fremovexattr", "sync_file_range", "execve",
)  # fmt: skip
"""What they change is not in a Leaf."""


@dataclass
class Pending:
    """An operation that is not sure, the call that asked for it, and the inodes that must still be synced."""

    op: Op
    call: Call
    waits: set[int]


@dataclass
class Disk:
    """`live` is what programs see, `sure` what outlives a power cut; `pending` is between them.

    `root` is a real path, and `start` what was below it, on the disk, before the first call; `cwd` is where the first
    process was, and `kin` who made which. `left_out` names files that are not looked at.
    """

    root: str
    start: Tree
    cwd: str = "/"
    kin: dict[int, Kin] = field(default_factory=dict)
    left_out: Callable[[str], bool] = lambda _path: False
    pending: list[Pending] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.live, self.sure = stored(self.start), stored(self.start)
        self.processes = Processes(self.cwd, self.kin)

    def copy(self) -> Disk:
        """As it is now, to go on from in another way."""
        other = replace(self, pending=[replace(one, waits=set(one.waits)) for one in self.pending])
        other.live, other.sure, other.processes = self.live.copy(), self.sure.copy(), deepcopy(self.processes)
        return other

    # ---- calls

    def feed(self, call: Call) -> bool:
        """True if it changed something below the root."""
        before = len(self.pending)
        opened = self.processes.feed(call)
        if call.result < 0 or call.name in UNSEEN:
            return False
        if call.name in SYNCS:
            self._sync(call)
            return False
        if opened is not None:
            self._opened(call, opened)
        elif action := getattr(self, f"_{call.name}", None):
            action(call)
        elif call.name == "mmap":
            self._refuse_mapping(call)
        elif call.name in REFUSED and any(isinstance(arg, Handle) and self._below(arg.path) for arg in call.args):
            raise NotUnderstood(f"not modelled: {call}")
        return len(self.pending) > before

    def _do(self, call: Call, op: Op) -> None:
        self.live.apply(op)
        self.pending.append(Pending(op, call, op.inodes))

    def _below(self, path: str) -> list[str] | None:
        """The parts of a path below the root; None where it is elsewhere, or left out."""
        if path != self.root and not path.startswith(self.root + "/"):
            return None
        parts = [part for part in path[len(self.root) :].split("/") if part not in ("", ".")]
        if ".." in parts:
            raise NotUnderstood(f"a way back in {path}")
        return None if parts and self.left_out("/" + "/".join(parts)) else parts

    def _place(self, call: Call, path: bytes | str | Handle, folder: bytes | str | Handle | None) -> Place | None:
        """Where a path leads, without its last part; None where it is outside of the root."""
        parts = self._below(self.processes.absolute(call.pid, path, folder))
        if not parts:
            return None
        parent = self.live.find(parts[:-1])
        if parent is None:
            raise NotUnderstood(f"no folder of this model: {call}")
        return parent, parts[-1]

    def _inode(self, call: Call, handle: bytes | str | Handle) -> int | None:
        if not isinstance(handle, Handle) or handle.deleted or (parts := self._below(handle.path)) is None:
            return None
        inode = self.live.find(parts)
        if inode is None:
            raise NotUnderstood(f"no file of this model: {call}")
        return inode

    def _born(self, call: Call, kind: str, mode: int, data: bytes, place: Place) -> int:
        """A new inode; that it is there is sure with its name."""
        inode = len(self.live.leaves)
        self.live.leaves[inode] = self.sure.leaves[inode] = Leaf(kind, mode, data)
        self._do(call, Named(((*place, inode),)))
        return inode

    def _opened(self, call: Call, opened: Open) -> None:
        parts = self._below(opened.path)
        if not parts:
            return
        if "O_TMPFILE" in opened.flags:
            raise NotUnderstood(f"not modelled: {call}")
        inode = self.live.find(parts)
        if inode is None:
            parent = self.live.find(parts[:-1])
            if "O_CREAT" not in opened.flags or parent is None:
                raise NotUnderstood(f"no file of this model: {call}")
            mode = opened.mode & ~self.processes.umask(call.pid)
            self._born(call, FILE, mode, b"", (parent, parts[-1]))
        elif "O_TRUNC" in opened.flags and self.live.leaves[inode].data:
            self._do(call, Sized(inode, 0))

    def _write(self, call: Call) -> None:
        data = call.args[1] if call.name != "writev" else vector(str(call.args[1]))
        if (inode := self._inode(call, call.args[0])) is not None:
            opened = self.processes.opened(call)
            offset = len(self.live.leaves[inode].data) if opened.append else opened.offset
            self._do(call, Wrote(inode, offset, data[: call.result]))  # type: ignore[arg-type]
        self.processes.forward(call)

    _writev = _write

    def _pwrite64(self, call: Call) -> None:
        if (inode := self._inode(call, call.args[0])) is not None:
            data = call.args[1]
            assert isinstance(data, bytes)
            self._do(call, Wrote(inode, int(str(call.args[3])), data[: call.result]))

    def _ftruncate(self, call: Call) -> None:
        if (inode := self._inode(call, call.args[0])) is not None:
            self._do(call, Sized(inode, int(str(call.args[1]), 0)))

    def _truncate(self, call: Call) -> None:
        if place := self._place(call, call.args[0], None):
            self._do(call, Sized(self._known(call, place), int(str(call.args[1]), 0)))

    def _fchmod(self, call: Call) -> None:
        if (inode := self._inode(call, call.args[0])) is not None:
            self._do(call, Styled(inode, int(str(call.args[1]), 8)))

    def _chmod(self, call: Call) -> None:
        folder, path, mode = (None, *call.args[:2]) if call.name == "chmod" else call.args[:3]
        if place := self._place(call, path, folder):
            self._do(call, Styled(self._known(call, place), int(str(mode), 8)))

    _fchmodat = _chmod

    def _known(self, call: Call, place: Place) -> int:
        inode = self.live.names.get(place[0], {}).get(place[1])
        if inode is None or self.live.leaves[inode].kind == LINK:
            raise NotUnderstood(f"no file of this model: {call}")
        return inode

    def _mkdir(self, call: Call) -> None:
        folder, path, mode = (None, *call.args) if call.name == "mkdir" else call.args
        if place := self._place(call, path, folder):
            self._born(call, FOLDER, int(str(mode), 8) & ~self.processes.umask(call.pid), b"", place)

    _mkdirat = _mkdir

    def _symlink(self, call: Call) -> None:
        target, folder, path = (call.args[0], None, call.args[1]) if call.name == "symlink" else call.args
        if place := self._place(call, path, folder):
            assert isinstance(target, bytes)
            self._born(call, LINK, 0o777, target, place)

    _symlinkat = _symlink

    def _unlink(self, call: Call) -> None:
        folder, path = (call.args[0], call.args[1]) if call.name == "unlinkat" else (None, call.args[0])
        if place := self._place(call, path, folder):
            self._do(call, Named(((*place, None),)))

    _unlinkat = _rmdir = _unlink

    def _rename(self, call: Call) -> None:
        self._move(call, is_rename=True)

    _renameat = _renameat2 = _rename

    def _link(self, call: Call) -> None:
        self._move(call, is_rename=False)

    _linkat = _link

    def _move(self, call: Call, *, is_rename: bool) -> None:
        short = call.name in ("rename", "link")
        first, second = ((None, call.args[0]), (None, call.args[1])) if short else (call.args[0:2], call.args[2:4])
        old, new = self._place(call, first[1], first[0]), self._place(call, second[1], second[0])
        if old is None and new is None:
            return
        if old is None or new is None or "RENAME_EXCHANGE" in str(call.args[-1]):
            raise NotUnderstood(f"not modelled: {call}")
        inode = self.live.names[old[0]][old[1]]
        if is_rename and self.live.names.get(new[0], {}).get(new[1]) == inode:
            return  # two names of one file: rename(2) does nothing
        gone = ((*old, None),) if is_rename else ()
        self._do(call, Named((*gone, (*new, inode))))

    def _refuse_mapping(self, call: Call) -> None:
        handle = call.args[4]
        is_shared = "MAP_SHARED" in str(call.args[3]) and "PROT_WRITE" in str(call.args[2])
        if is_shared and isinstance(handle, Handle) and self._below(handle.path) is not None:
            raise NotUnderstood(f"not modelled: {call}")

    # ---- syncs

    def synced(self, call: Call) -> int | None:
        """The inode that a call syncs; None for one elsewhere, and for all of them at once."""
        return None if call.name in EVERYTHING else self._inode(call, call.args[0])

    def _sync(self, call: Call) -> None:
        everything, inode = call.name in EVERYTHING, self.synced(call)
        if inode is None and not everything:
            return
        kept = []
        for one in self.pending:
            covered = one.call.ended < call.began and (everything or inode in one.waits)
            if covered and not (call.name == "fdatasync" and isinstance(one.op, Styled)):
                one.waits = set() if everything else one.waits - {inode}  # type: ignore[arg-type]
            if one.waits:
                kept.append(one)
            else:
                self.sure.apply(one.op)
        self.pending = kept

    # ---- power cuts

    def cut(self, about: Callable[[Op], bool] = lambda _op: True) -> Iterator[Store]:
        """Every state that may be on the disk if the power goes now. Only pending operations `about` are looked at."""
        ops = [one.op for one in self.pending if about(one.op)]
        for selection in selections(len(ops)):
            yield self._with(ops[at] for at in selection)
        for at, op in enumerate(ops):
            if isinstance(op, Wrote) and len(op.data) > 1:
                for data in (b"\0" * len(op.data), op.data[: len(op.data) // 2]):
                    torn = Wrote(op.inode, op.offset, data)
                    yield self._with([*ops[:at], torn, *ops[at + 1 :]])

    def _with(self, ops: Iterator[Op] | Sequence[Op]) -> Store:
        store = self.sure.copy()
        for op in ops:
            store.apply(op)
        return store
