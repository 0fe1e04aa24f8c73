"""The model of a disk under a page cache: what a power cut may leave, said call by call."""

from __future__ import annotations

import pytest

from tests.crash.disk import Disk
from tests.crash.lines import calls
from tests.crash.processes import kin
from tests.crash.store import selections
from tests.crash.strace import NotUnderstood
from tests.crash.trees import Leaf, Tree, file, folder

OLD = {"/d": folder(), "/d/x": file(b"old"), "/e": folder()}
OPEN = 'openat(AT_FDCWD</>, "/r/d/new", O_WRONLY|O_CREAT|O_EXCL, 0600) = 3</r/d/new>\n'
WRITE = 'write(3</r/d/new>, "data", 4) = 4\n'
RENAME = 'rename("/r/d/new", "/r/d/x") = 0\n'
SYNC = "fsync(3</r/d/new>) = 0\n"
SYNC_FOLDER = "fsync(4</r/d>) = 0\n"


def disk(text: str, start: Tree | None = None) -> Disk:
    seen = calls(text)
    made = Disk("/r", OLD if start is None else start, "/", kin(seen))
    for call in seen:
        made.feed(call)
    return made


def at(path: str, text: str, start: Tree | None = None) -> set[bytes | None]:
    """What a power cut after these calls may leave at a path: contents, None for nothing, and the mode where it matters."""
    trees = [store.tree() for store in disk(text, start).cut()]
    return {tree[path].data if path in tree else None for tree in trees}


def modes(path: str, text: str) -> set[int | None]:
    trees = [store.tree() for store in disk(text).cut()]
    return {tree[path].mode if path in tree else None for tree in trees}


def test_without_any_sync_the_new_name_may_come_before_the_data() -> None:
    assert at("/d/x", OPEN + WRITE + RENAME) == {b"old", b"", b"da", b"\0\0\0\0", b"data"}


def test_with_the_data_synced_it_is_old_or_new() -> None:
    assert at("/d/x", OPEN + WRITE + SYNC + RENAME) == {b"old", b"data"}


def test_with_the_folder_synced_as_well_it_is_new() -> None:
    assert at("/d/x", OPEN + WRITE + SYNC + RENAME + SYNC_FOLDER) == {b"data"}


def test_a_folder_that_is_synced_does_not_bring_the_data_along() -> None:
    assert at("/d/x", OPEN + WRITE + RENAME + SYNC_FOLDER) == {b"", b"da", b"\0\0\0\0", b"data"}


def test_a_file_that_is_synced_does_not_bring_its_name_along() -> None:
    assert at("/d/new", OPEN + WRITE + SYNC) == {None, b"data"}


def test_what_is_written_in_place_may_be_anything() -> None:
    text = 'openat(AT_FDCWD</>, "/r/d/x", O_WRONLY|O_TRUNC) = 3</r/d/x>\nwrite(3</r/d/x>, "new!", 4) = 4\n'
    assert at("/d/x", text) == {b"old", b"", b"ne", b"\0\0\0\0", b"new!"}


def test_a_mode_needs_a_sync_and_fdatasync_is_none() -> None:
    text = 'openat(AT_FDCWD</>, "/r/d/x", O_RDWR) = 3</r/d/x>\nfchmod(3</r/d/x>, 0600) = 0\n'
    assert modes("/d/x", text) == {0o644, 0o600}
    assert modes("/d/x", text + "fdatasync(3</r/d/x>) = 0\n") == {0o644, 0o600}
    assert modes("/d/x", text + "fsync(3</r/d/x>) = 0\n") == {0o600}
    assert modes("/d/x", 'chmod("/r/d/x", 0600) = 0\nsync() = 0\n') == {0o600}


def test_fdatasync_makes_data_and_size_sure() -> None:
    assert at("/d/x", OPEN + WRITE + "fdatasync(3</r/d/new>) = 0\n" + RENAME) == {b"old", b"data"}


def test_what_was_removed_may_come_back_until_its_folder_is_synced() -> None:
    assert at("/d/x", 'unlink("/r/d/x") = 0\n') == {b"old", None}
    assert at("/d/x", 'unlinkat(4</r/d>, "x", 0) = 0\n' + SYNC_FOLDER) == {None}


def test_a_folder_that_is_not_sure_takes_all_that_is_in_it_along() -> None:
    text = (
        'mkdir("/r/d/sub", 0755) = 0\n'
        'openat(AT_FDCWD</>, "/r/d/sub/f", O_WRONLY|O_CREAT, 0644) = 3</r/d/sub/f>\n'
        'write(3</r/d/sub/f>, "f", 1) = 1\nfsync(3</r/d/sub/f>) = 0\nfsync(5</r/d/sub>) = 0\n'
    )
    assert at("/d/sub/f", text) == {None, b"f"}
    assert at("/d/sub/f", text + SYNC_FOLDER) == {b"f"}


def test_a_rename_into_another_folder_wants_both_synced() -> None:
    text = 'renameat(4</r/d>, "x", 5</r/e>, "y") = 0\n'
    for more, there in (
        ("", {None, b"old"}),
        (SYNC_FOLDER, {None, b"old"}),
        (SYNC_FOLDER + "fsync(5</r/e>) = 0\n", {b"old"}),
    ):
        assert at("/e/y", text + more) == there
    both = [(tree.get("/d/x"), tree.get("/e/y")) for tree in (store.tree() for store in disk(text).cut())]
    assert all((one is None) != (other is None) for one, other in both), "it is whole or not at all"


def test_two_names_of_one_file() -> None:
    text = (
        'linkat(4</r/d>, "x", 5</r/e>, "kept", 0) = 0\nfsync(5</r/e>) = 0\nunlink("/r/d/x") = 0\nfsync(4</r/d>) = 0\n'
    )
    assert at("/e/kept", text) == {b"old"}


def test_a_rename_from_one_name_to_another_of_the_same_file_does_nothing() -> None:
    text = 'linkat(4</r/d>, "x", 4</r/d>, "y", 0) = 0\nfsync(4</r/d>) = 0\nrename("/r/d/x", "/r/d/y") = 0\n'
    assert at("/d/x", text) == at("/d/y", text) == {b"old"}


def test_a_link_is_there_or_not() -> None:
    trees = [store.tree() for store in disk('symlinkat("/to", 4</r/d>, "l") = 0\n').cut()]
    assert [tree.get("/d/l") for tree in trees] == [None, Leaf("link", 0o777, b"/to")]


def test_everything_in_any_order() -> None:
    """Of three changes in three folders any may be on the disk without any other one."""
    text = "".join(f'mkdir("/r/{name}", 0755) = 0\n' for name in "abc")
    seen = {tuple(path in store.tree() for path in ("/a", "/b", "/c")) for store in disk(text).cut()}
    assert len(seen) == 8


def test_of_many_changes_those_most_unlike_each_other() -> None:
    assert len(list(selections(5))) == 32
    chosen = list(selections(9))
    assert len(chosen) == len(set(chosen))
    assert {(), (4,), (0, 1, 2), tuple(range(9)), (0, 1, 2, 3, 5, 6, 7, 8)} <= set(chosen)


def test_a_sync_that_began_before_a_write_ended_does_not_cover_it() -> None:
    text = f"""
    7 clone(flags=CLONE_FILES|CLONE_THREAD) = 8
    7 {OPEN}
    7 fsync(3</r/d/new> <unfinished ...>
    8 {WRITE}
    7 <... fsync resumed>) = 0
    """
    assert [type(one.op).__name__ for one in disk(text).pending] == ["Named", "Wrote"]


def test_a_sync_that_failed_makes_nothing_sure() -> None:
    assert at("/d/x", OPEN + WRITE + "fsync(3</r/d/new>) = -1 EIO (Input/output error)\n" + RENAME + SYNC_FOLDER) > {
        b"data"
    }


# ---- where in a file


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ('openat(AT_FDCWD</>, "/r/d/x", O_WRONLY|O_APPEND) = 3</r/d/x>\nwrite(3</r/d/x>, "er", 2) = 2\n', b"older"),
        ('openat(AT_FDCWD</>, "/r/d/x", O_RDWR) = 3</r/d/x>\nwrite(3</r/d/x>, "c", 1) = 1\nwrite(3</r/d/x>, "a", 1) = 1\n', b"cad"),
        ('openat(AT_FDCWD</>, "/r/d/x", O_RDWR) = 3</r/d/x>\nread(3</r/d/x>, "ol", 2) = 2\nwrite(3</r/d/x>, "t", 1) = 1\n', b"olt"),
        ('openat(AT_FDCWD</>, "/r/d/x", O_RDWR) = 3</r/d/x>\nlseek(3</r/d/x>, 5, SEEK_SET) = 5\nwrite(3</r/d/x>, "!", 1) = 1\n', b"old\0\0!"),
        ('openat(AT_FDCWD</>, "/r/d/x", O_RDWR) = 3</r/d/x>\npwrite64(3</r/d/x>, "b", 1, 1) = 1\nwrite(3</r/d/x>, "m", 1) = 1\n', b"mbd"),
        ('openat(AT_FDCWD</>, "/r/d/x", O_RDWR) = 3</r/d/x>\ndup(3</r/d/x>) = 4</r/d/x>\nwrite(4</r/d/x>, "a", 1) = 1\nwrite(3</r/d/x>, "b", 1) = 1\n', b"abd"),
        ('openat(AT_FDCWD</>, "/r/d/x", O_RDWR) = 3</r/d/x>\nclone(flags=SIGCHLD) = 8\n8 write(3</r/d/x>, "a", 1) = 1\nwrite(3</r/d/x>, "b", 1) = 1\n', b"abd"),
        ('openat(AT_FDCWD</>, "/r/d/x", O_RDWR) = 3</r/d/x>\nwritev(3</r/d/x>, [{iov_base="n", iov_len=1}, {iov_base="ew", iov_len=2}], 2) = 3\n', b"new"),
        ('openat(AT_FDCWD</>, "/r/d/x", O_RDWR) = 3</r/d/x>\nwrite(3</r/d/x>, "n", 1) = 1\nwrite(3</r/d/x>, "ew", 2) = 1\n', b"ned"),
        ('openat(AT_FDCWD</>, "/r/d/x", O_RDWR) = 3</r/d/x>\nftruncate(3</r/d/x>, 1) = 0\n', b"o"),
        ('truncate("/r/d/x", 2) = 0\n', b"ol"),
        ('openat(AT_FDCWD</>, "/r/d/x", O_WRONLY|O_CREAT|O_TRUNC, 0600) = 3</r/d/x>\n', b""),
        ('creat("/r/d/x", 0600) = 3</r/d/x>\n', b""),
    ],
)  # fmt: skip
def test_where_a_write_goes(text: str, content: bytes) -> None:
    assert disk(text).live.tree()["/d/x"].data == content


def test_whose_folder_a_path_is_in_and_whose_umask() -> None:
    text = """
    chdir("/r") = 0
    umask(077) = 022
    vfork( <unfinished ...>
    8 chdir("d") = 0
    8 mkdir("deep", 0777) = 0
    7 <... vfork resumed>) = 8
    mkdir("flat", 0777) = 0
    """
    tree = disk(text).live.tree()
    assert (tree["/d/deep"], tree["/flat"]) == (folder(0o700), folder(0o700))


# ---- what is not modelled


@pytest.mark.parametrize(
    "text",
    [
        'openat(AT_FDCWD</>, "/r/d/y", O_RDWR) = 3</r/d/y>',
        'openat(AT_FDCWD</>, "/r/d", O_RDWR|O_TMPFILE, 0600) = 3</r/d/#7>(deleted)',
        'write(3</r/d/x>, "a", 1) = 1',
        'rename("/r/d/x", "/elsewhere") = 0',
        'rename("/elsewhere", "/r/d/x") = 0',
        'renameat2(4</r/d>, "x", 5</r/e>, "y", RENAME_EXCHANGE) = 0',
        "mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 3</r/d/x>, 0) = 0x7f0000000000",
        "fallocate(3</r/d/x>, 0, 0, 4096) = 0",
        "sendfile(3</r/d/x>, 5</elsewhere>, NULL, 4096) = 4096",
        "copy_file_range(5</elsewhere>, NULL, 3</r/d/x>, NULL, 4096, 0) = 4096",
        'mkdir("/r/nowhere/sub", 0755) = 0',
    ],
)
def test_what_is_not_modelled_is_an_error(text: str) -> None:
    with pytest.raises(NotUnderstood):
        disk(text)


@pytest.mark.parametrize(
    "text",
    [
        'rename("/tmp/a", "/tmp/b") = 0',
        'openat(AT_FDCWD</>, "/rather", O_RDWR|O_CREAT, 0600) = 3</rather>\nwrite(3</rather>, "a", 1) = 1',
        "mmap(NULL, 4096, PROT_READ, MAP_SHARED, 3</r/d/x>, 0) = 0x7f0000000000",
        'write(3</r/d/x>(deleted), "a", 1) = 1',
        "fchown(3</r/d/x>, 0, 0) = 0",
        'write(1<pipe:[7]>, "a", 1) = 1',
    ],
)
def test_what_is_elsewhere_is_not_looked_at(text: str) -> None:
    assert disk(text).pending == []
