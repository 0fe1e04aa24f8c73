"""Line diffs without context."""

from fleet.diff.lines import diff_lines, printable


def test_equal_contents_have_no_diff():
    assert diff_lines(b"a\nb\n", b"a\nb\n") == ()


def test_one_line_replaced():
    before = b"driftfile /var/lib/drift\nserver ntp1 iburst\nrtcsync\n"
    after = b"driftfile /var/lib/drift\nserver ntp2 iburst\nrtcsync\n"
    assert diff_lines(before, after) == ("- server ntp1 iburst", "+ server ntp2 iburst")


def test_a_line_added_and_one_removed_far_apart():
    before = b"one\ntwo\nthree\nfour\nfive\n"
    after = b"one\ntwo\nnew\nthree\nfour\n"
    assert diff_lines(before, after) == ("+ new", "- five")


def test_two_edits_around_a_line_of_the_nodes_own():
    def config(name: str, dns: str, level: str) -> bytes:
        return f"cluster-dns: {dns}\nnode-name: {name}\nv: {level}\n".encode()

    expected = ("- cluster-dns: 1", "+ cluster-dns: 2", "- v: 3", "+ v: 4")
    assert diff_lines(config("a", "1", "3"), config("a", "2", "4")) == expected
    assert diff_lines(config("b", "1", "3"), config("b", "2", "4")) == expected


def test_the_nearer_place_where_both_meet_again_is_taken():
    before, after = "\n".join("abcdz"), "\n".join("daq")
    assert diff_lines(before.encode(), after.encode()) == ("+ d", "- b", "- c", "- d", "- z", "+ q")
    assert diff_lines(after.encode(), before.encode()) == ("- d", "- q", "+ b", "+ c", "+ d", "+ z")


def test_an_item_of_a_list_stands_below_its_key():
    before = b'disable:\n  - "traefik"\nkubelet-arg:\n  - "a=1"\n  - "b=2"\nv: 1\n'
    after = b'disable:\n  - "traefik"\n  - "servicelb"\nkubelet-arg:\n  - "b=2"\n  - "c=3"\nv: 2\n'
    assert diff_lines(before, after) == (
        "  disable:",
        '+   - "servicelb"',
        "  kubelet-arg:",
        '-   - "a=1"',
        "- v: 1",
        '+   - "c=3"',
        "+ v: 2",
    )


def test_an_indented_line_without_an_owner_stands_alone():
    assert diff_lines(b"  a\n", b"  b\n") == ("-   a", "+   b")


def test_a_line_that_comes_at_the_end():
    assert diff_lines(b"a:\n  - 1\n", b"a:\n  - 1\n  - 2\n") == ("  a:", "+   - 2")
    assert diff_lines(b"a\n", b"") == ("- a",)
    assert diff_lines(b"", b"a\n") == ("+ a",)


def test_everything_replaced():
    assert diff_lines(b"a\nb", b"c\nd\ne") == ("- a", "- b", "+ c", "+ d", "+ e")


def test_every_line_of_both_sides_is_accounted_for():
    before, after = list("abacada"), list("adbaace")
    lines = diff_lines("\n".join(before).encode(), "\n".join(after).encode())
    removed = [line[2:] for line in lines if line[0] == "-"]
    added = [line[2:] for line in lines if line[0] == "+"]
    assert sorted(before + added) == sorted(after + removed)


def test_bytes_that_are_no_text_say_their_sizes():
    assert diff_lines(b"\xff" * 1204, b"\x00" * 1310) == ("  1,204 bytes -> 1,310 bytes, not shown",)


def test_large_contents_say_their_sizes():
    assert diff_lines(b"a" * (1024 * 1024 + 1), b"b") == ("  1,048,577 bytes -> 1 bytes, not shown",)


def test_what_a_terminal_would_obey_is_escaped():
    assert printable(("- \x1b[2Jhi\u202e",)) == ("- \\x1b[2Jhi\\u202e",)


def test_long_lines_and_long_diffs_are_cut_with_a_word_on_it():
    lines = printable(("+ " + "x" * 300, *("+ y",) * 30))
    assert lines[0] == "+ " + "x" * 157 + "…"
    assert len(lines) == 21
    assert lines[-1] == "  … 11 more lines"
