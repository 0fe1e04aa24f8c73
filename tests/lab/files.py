"""What a file on a host is, in enough detail to see that nothing touched it."""

from dataclasses import dataclass

# find -printf: inode, kind, mode, owner, group, size, mtime and ctime in nanoseconds, link target, path; NUL ends a record.
FILE_FORMAT = r"%i\t%y\t%m\t%u\t%g\t%s\t%T@\t%C@\t%l\t%p\0"


@dataclass(frozen=True)
class FileState:
    """`kind` is find's letter (f file, d directory, l link, ...), `mode` octal as an int (0o644), times in ns."""

    inode: int
    kind: str
    mode: int
    owner: str
    group: str
    size: int
    mtime_ns: int
    ctime_ns: int
    target: str


def parse_file_state(text: str) -> dict[str, FileState]:
    """Read the output of `find -printf FILE_FORMAT` into states by path."""
    return dict(parse_record(record) for record in text.split("\0") if record)


def parse_record(record: str) -> tuple[str, FileState]:
    inode, kind, mode, owner, group, size, mtime, ctime, target, path = record.split("\t", 9)
    state = FileState(
        inode=int(inode),
        kind=kind,
        mode=int(mode, 8),
        owner=owner,
        group=group,
        size=int(size),
        mtime_ns=nanoseconds(mtime),
        ctime_ns=nanoseconds(ctime),
        target=target,
    )
    return path, state


def nanoseconds(stamp: str) -> int:
    """Find prints `seconds.fraction` with ten digits; a float would lose the last ones."""
    seconds, _, fraction = stamp.partition(".")
    return int(seconds) * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))
