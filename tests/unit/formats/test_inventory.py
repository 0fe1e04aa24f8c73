import json
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.formats import FormatError
from fleet.formats.inventory import (
    Draft,
    Group,
    Mark,
    PassedOverError,
    Unsafe,
    Vaulted,
    list_json,
    read_into,
    read_inventory,
    read_variables,
)

ANSIBLE_INVENTORY = Path(sys.executable).with_name("ansible-inventory")

INI = """\
; comment
alone ansible_host=10.0.0.9   # trailing
[web]
node[01:03].example:2222 rack=7 name="two words" ratio=1.5 flag=True none=None text=yes list="[1, 'a']"
"quoted" q='a=b'
[db]
db-[a:c] size='{"x": (1, 2), "y": {"z"}}'
node01.example zone=eu
[db:vars]
port=5432
quoted="a b"
note=a # b
sum = 1 + 1
[dc:children]
web
db   # comment
[dc:vars]
port=1
dc=paris
[all:vars]
ntp=ntp.example
[web:vars]
ansible_group_priority=10
port=80
[late:children]
later
[later]
[2001:db8::1]:22
"""

YAML = """\
all:
  vars: {ntp: ntp.example, become: yes, mode: 0644}
  hosts:
    alone: {ansible_host: 10.0.0.9}
  children:
    web:
      hosts:
        node[01:03].example:2222: &web {rack: 7, when: 2026-12-15}
        other: {<<: *web, rack: 8}
      vars: {port: 80}
    dc:
      children:
        web:
        db:
          hosts:
            db-[a:c]:
            node01.example: {zone: eu, 80: http}
          vars: {port: 5432}
      vars: {port: 1, dc: paris}
lone: {hosts: single}
empty:
"""


def ansible_list(folder: Path, name: str, text: str) -> dict:
    (folder / name).write_text(text)
    env = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "ANSIBLE_LOCAL_TEMP": str(folder / "tmp")}
    command = [ANSIBLE_INVENTORY, "-i", folder / name, "--list"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    del listed["_meta"]["profile"]
    return listed


def ours(name: str, text: str) -> dict:
    inventory = read_inventory(text.encode(), name)
    # ansible-inventory folds the groups' variables into the hosts'.
    groups = {name: Group(group.hosts, group.children) for name, group in inventory.groups.items()}
    return json.loads(list_json(inventory.effective_vars(), groups))


@pytest.mark.parametrize(
    ("name", "text"),
    [("hosts.ini", INI), ("hosts.yml", YAML), ("hosts", "a\nb x=1\n"), ("hosts.json", '{"all": {"hosts": {"a": {}}}}')],
)
def test_ansible_reads_the_same(tmp_path, name, text):
    assert ours(name, text) == ansible_list(tmp_path, name, text)


def test_ini():
    inventory = read_inventory(INI.encode(), "hosts")
    assert list(inventory.hosts) == [
        "alone", "node01.example", "node02.example", "node03.example", "quoted", "db-a", "db-b", "db-c", "2001:db8::1",
    ]  # fmt: skip
    assert inventory.hosts["node01.example"] == {
        "ansible_port": 2222, "rack": 7, "name": "two words", "ratio": 1.5, "flag": True, "none": None, "text": "yes",
        "list": [1, "a"], "zone": "eu",
    }  # fmt: skip
    assert inventory.lines == {
        "alone": 2, "node01.example": 4, "node02.example": 4, "node03.example": 4, "quoted": 5,
        "db-a": 7, "db-b": 7, "db-c": 7, "2001:db8::1": 28,
    }  # fmt: skip
    assert inventory.groups["dc"] == Group((), ("web", "db"), {"port": 1, "dc": "paris"})
    assert inventory.groups["db"].vars == {"port": 5432, "quoted": "a b", "note": "a # b", "sum": "1 + 1"}
    assert inventory.groups["ungrouped"] == Group(("alone",))
    assert inventory.groups["all"].children == ("ungrouped", "dc", "late")
    assert inventory.effective_vars()["node01.example"]["port"] == 80
    assert inventory.effective_vars()["db-a"] == {
        "ntp": "ntp.example", "dc": "paris", "port": 5432, "quoted": "a b", "note": "a # b", "sum": "1 + 1",
        "size": {"x": [1, 2], "y": ["z"]},
    }  # fmt: skip


def test_yaml():
    inventory = read_inventory(YAML.encode(), "hosts.YML")
    assert inventory.hosts == {
        "alone": {"ansible_host": "10.0.0.9"},
        "node01.example": {"ansible_port": 2222, "rack": 7, "when": "2026-12-15", "zone": "eu", "80": "http"},
        "node02.example": {"ansible_port": 2222, "rack": 7, "when": "2026-12-15"},
        "node03.example": {"ansible_port": 2222, "rack": 7, "when": "2026-12-15"},
        "other": {"rack": 8, "when": "2026-12-15"},
        "db-a": {}, "db-b": {}, "db-c": {}, "single": {},
    }  # fmt: skip
    assert inventory.lines == {
        "alone": 4, "node01.example": 8, "node02.example": 8, "node03.example": 8, "other": 9,
        "db-a": 16, "db-b": 16, "db-c": 16, "single": 20,
    }  # fmt: skip
    assert inventory.groups["all"].vars == {"ntp": "ntp.example", "become": True, "mode": 420}
    assert inventory.groups["empty"] == Group()
    assert inventory.groups["lone"] == Group(("single",))


def test_unsafe_and_encrypted_values_stay_the_text_they_are():
    text = b'all: {vars: {a: !unsafe "{{ x }}", b: !vault "$ANSIBLE_VAULT;1.1;AES256"}}\n'
    assert read_inventory(text, "hosts.yml").groups["all"].vars == {"a": "{{ x }}", "b": "$ANSIBLE_VAULT;1.1;AES256"}


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a[1:3]", ["a1", "a2", "a3"]),
        ("a[:2]", ["a0", "a1", "a2"]),
        ("a[08:10]b", ["a08b", "a09b", "a10b"]),
        ("a[1:9:4]", ["a1", "a5", "a9"]),
        ("[a:c]x", ["ax", "bx", "cx"]),
        ("r[1:2]n[a:b]", ["r1na", "r1nb", "r2na", "r2nb"]),
        ("10.0.[0:1].7", ["10.0.0.7", "10.0.1.7"]),
        ("fe80::1", ["fe80::1"]),
    ],
)
def test_ranges(pattern, names):
    assert list(read_inventory(f"{pattern} x=1\n".encode(), "hosts").hosts) == names


@pytest.mark.parametrize(
    ("text", "line", "column", "problem"),
    [
        ("a\n[web\n", 2, 1, "the range in `[web`: a bracket is not closed"),
        ("[web x]\n", 1, 1, "`[web x]` is not a section"),
        ("[web:hostz]\n", 1, 1, "a section of kind `hostz`"),
        ("a b\n", 1, 1, "`b` is not name=value"),
        ("\n  a x='y\n", 2, 3, "No closing quotation in this line"),
        ("[a:vars]\nx\n", 2, 1, "`x` is not name=value"),
        ("[a:vars]\nx=1\n", 1, 1, "[a:vars] is about a group that has no section"),
        ("[a:children]\nb\n", 2, 1, "[a:children] names `b`, which has no section"),
        ("[a:children]\nb\n[b:children]\na\n", 4, 1, "the group `a` would be inside itself"),
        ("[a:children]\na\n", 2, 1, "the group `a` would be inside itself"),
        ("[a:children]\nb c\n", 2, 1, "`b c` is not a group's name"),
        ("a[1:]\n", 1, 1, "the range in `a[1:]`: it needs begin:end or begin:end:step"),
        ("a[1]\n", 1, 1, "the range in `a[1]`: it needs begin:end or begin:end:step"),
        ("a[3:1]\n", 1, 1, "the range in `a[3:1]`: begin is behind end"),
        ("a[c:a]\n", 1, 1, "the range in `a[c:a]`: begin is behind end"),
        ("a[01:100]\n", 1, 1, "the range in `a[01:100]`: begin and end must have equally many digits"),
        ("a[1:b]\n", 1, 1, "the range in `a[1:b]`: begin and end must be numbers or letters"),
        ("a[1:9:0]\n", 1, 1, "the range in `a[1:9:0]`: the step must be 1 or more"),
        ("a[1:999999]\n", 1, 1, "the range in `a[1:999999]`: it stands for more than 200,000 hosts"),
        ("a[1:999]b[1:999]\n", 1, 1, "the range in `a[1:999]b[1:999]`: it stands for more than 200,000 hosts"),
        ("a[1:999999999999999999]\n", 1, 1, "the range in `a[1:999999999999999999]`: it stands for more than 200,000 hosts"),
        ("a:\n", 1, 1, "`a:` is not a host name"),
    ],
)  # fmt: skip
def test_mistakes_in_ini(text, line, column, problem):
    with pytest.raises(FormatError) as caught:
        read_inventory(text.encode(), "hosts")
    assert (caught.value.line, caught.value.column, caught.value.problem) == (line, column, problem)


@pytest.mark.parametrize(
    ("text", "line", "column", "problem"),
    [
        ("", 1, 1, "an inventory is a mapping of groups"),
        ("- a\n", 1, 1, "an inventory is a mapping of groups"),
        ("plugin: x\n", 1, 1, "this configures an inventory plugin, and is not an inventory"),
        ("all: [a]\n", 1, 6, "the group `all` is not a mapping"),
        ("all:\n  host: {a: }\n", 2, 3, "`host` is not a part of a group"),
        ("all:\n  hosts: [a]\n", 2, 10, "`hosts` of the group `all` is not a mapping"),
        ("all:\n  hosts: {a: [1]}\n", 2, 14, "the variables of `a` are not a mapping"),
        ("all:\n  hosts: {a: , a: }\n", 2, 16, "the key `a` stands here twice"),
        ("all:\n  hosts: {yes: }\n", 2, 11, "a name must be text"),
        ("all:\n  hosts:\n    a[1: \n", 3, 5, "the range in `a[1`: a bracket is not closed"),
        ("all:\n  hosts: {a\n", 2, 12, "did not find expected ',' or '}' (while parsing a flow mapping)"),
        ("all:\n  vars: {x: !!python/name:os.system }\n", 2, 13, "the value `` cannot be read as tag:yaml.org,2002:python/name:os.system"),
        ("a: &a {vars: {x: *a}}\n", 1, 4, "an alias inside its own anchor, or more than 100 levels of nesting"),
        ("a: {vars: {<<: 1}}\n", 1, 12, "`<<` takes a mapping or a list of mappings"),
        ("a: {children: {b: {children: {a: }}}}\n", 1, 16, "the group `b` would be inside itself"),
    ],
)  # fmt: skip
def test_mistakes_in_yaml(text, line, column, problem):
    with pytest.raises(FormatError) as caught:
        read_inventory(text.encode(), "hosts.yml")
    assert (caught.value.line, caught.value.column, caught.value.problem) == (line, column, problem)


def test_bombs_are_refused_fast():
    lines = ["a0: &a0 {x: 1}"] + [f"a{n}: &a{n} {{l: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 12)]
    with pytest.raises(FormatError, match="unfold to more than 1,000,000 nodes"):
        read_inventory("\n".join(lines).encode(), "hosts.yml")
    lines = ["a0: &a0 {x: 1}"] + [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 7)]
    with pytest.raises(FormatError):
        read_inventory("\n".join(lines).encode(), "hosts.yml")


def collected(*files: tuple[str, str | bytes]) -> tuple[Draft, list[FormatError]]:
    found: list[FormatError] = []
    draft = Draft(found.append)
    for name, text in files:
        read_into(draft, text.encode() if isinstance(text, str) else text, name)
    return draft, found


def test_marks_lead_to_each_variable():
    draft, found = collected(
        ("a.ini", "[web]\nnode[1:2]:22  rack=7 q='a b'\n[web:vars]\nport = 80\n"),
        ("b.yml", "web:\n  vars: {port: 81}\n  hosts:\n    node1: {rack: 8}\n"),
    )
    marks = draft.finish().marks
    assert found == []
    assert marks.hosts["node2"] == Mark("a.ini", 2, 1)
    assert marks.groups["web"] == Mark("a.ini", 1, 1)
    assert marks.group_vars["web"] == {"port": Mark("b.yml", 2, 10)}
    assert marks.host_vars["node1"] == {
        "ansible_port": Mark("a.ini", 2, 1), "rack": Mark("b.yml", 4, 13), "q": Mark("a.ini", 2, 22),
    }  # fmt: skip


def test_several_files_make_one_inventory(tmp_path):
    files = {
        "a.ini": "[web]\none x=1\n[db]\n[db:vars]\ny=1\n",
        "b.yml": "db: {hosts: {two: {x: 2}}, vars: {y: 2}}\nall: {hosts: {three: }}\n",
        "c": "[top:children]\ndb\nweb\n[web:vars]\nz=1\n",
        "d": "web: {hosts: {four: }}\n",
    }
    draft, found = collected(*files.items())
    inventory = draft.finish()
    assert found == []
    groups = {name: Group(group.hosts, group.children) for name, group in inventory.groups.items()}
    (tmp_path / "i").mkdir()
    for name, text in files.items():
        (tmp_path / "i" / name).write_text(text)
    env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [ANSIBLE_INVENTORY, "-i", "i", "--list"], cwd=tmp_path, env=env, capture_output=True, check=True
    )
    listed = json.loads(done.stdout)
    del listed["_meta"]["profile"]
    assert json.loads(list_json(inventory.effective_vars(), groups)) == listed


def test_the_port_of_a_pattern_counts_where_the_host_is_new(tmp_path):
    """A later mention, as in another group, does not move a host to another port."""
    text = "[a]\none:22\ntwo\n[b]\none:33 x=1\ntwo:44\n"
    assert ours("hosts", text) == ansible_list(tmp_path, "hosts", text)
    assert read_inventory(text.encode(), "hosts").hosts == {"one": {"ansible_port": 22, "x": 1}, "two": {}}


def test_every_mistake_is_told_and_the_rest_is_read():
    draft, found = collected(
        ("hosts.ini", "one x\n[web y]\ntwo x='\n[a:vars]\nx\n[b:children]\nc\nthree[3:1]\n[d]\nfour\n"),
        ("more.yml", "e:\n  host: {}\n  hosts: {five: [1], six: }\nf: [1]\ng: {hosts: {seven: {x: 1, x: 2}}}\n"),
    )
    assert [(type(error) is PassedOverError, error.line, error.column, error.problem) for error in found] == [
        (False, 1, 1, "`x` is not name=value"),
        (False, 2, 1, "`[web y]` is not a section"),
        (False, 3, 1, "No closing quotation in this line"),
        (False, 5, 1, "`x` is not name=value"),
        (False, 8, 1, "`three[3:1]` is not a group's name"),
        (False, 4, 1, "[a:vars] is about a group that has no section"),
        (False, 7, 1, "[b:children] names `c`, which has no section"),
        (True, 5, 27, "the key `x` stands here twice"),
        (True, 2, 3, "`host` is not a part of a group"),
        (False, 3, 17, "the variables of `five` are not a mapping"),
        (True, 4, 4, "the group `f` is not a mapping"),
    ]
    assert list(draft.finish().hosts) == ["four", "six", "seven"]
    assert draft.finish().hosts["seven"] == {"x": 2}


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a", b"\0\1", "this is no text: it holds a zero byte"),
        ("a", "café".encode("latin-1"), "byte 0xe9 is not UTF-8"),
        ("a.yml", b"all:\n\thosts:\n", "a tab in the indentation"),
        ("a.yml", b"all: {vars: {x: !!binary aGk=}}\n", "a value may not be binary"),
        ("a", b"[a]\n[a:vars]\nansible_group_priority=high\n", "ansible_group_priority must be a whole number"),
    ],
)
def test_texts_that_are_none(name, text, problem):
    assert [error.problem for error in collected((name, text))[1]] == [problem]


@pytest.mark.parametrize("name", ["hosts", "hosts.ini", "web.inventory"])
def test_without_an_ending_a_text_may_be_yaml(name):
    draft, _ = collected((name, "web: {hosts: {one: }}\n"))
    assert list(draft.finish().hosts) == (["one"] if name == "hosts" else [])


def test_json_may_be_indented_by_tabs():
    assert list(collected(("a.json", '{\n\t"web": {"hosts": {"one": {}}}\n}\n'))[0].finish().hosts) == ["one"]


def stop(error: FormatError) -> None:
    raise error


def test_files_of_variables():
    text = (
        b'a: 1\nb: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  3132\nc: !unsafe "{{ x }}"\nd: {__ansible_vault: v}\n8: x\n'
    )
    values, places = read_variables(text, stop)
    assert values == {"a": 1, "b": "$ANSIBLE_VAULT;1.1;AES256\n3132\n", "c": "{{ x }}", "d": "v", "8": "x"}
    assert [type(values[name]) for name in "bcd"] == [Vaulted, Unsafe, Vaulted]
    assert places == {"a": (1, 1), "b": (2, 1), "c": (5, 1), "d": (6, 1), "8": (7, 1)}
    assert read_variables(b"", stop) == read_variables(b"---\n", stop) == ({}, {})


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (b"- a\n", 1, "a file of variables is a mapping"),
        (b"a: 1\nb: {\n", 2, "did not find expected node content (while parsing a flow node)"),
        (b"a: 1\na: 2\n", 2, "the key `a` stands here twice"),
        (b"a: \xe9\n", 1, "byte 0xe9 is not UTF-8"),
        (b"a: 1\n---\nb: 2\n", 2, "but found another document (expected a single document in the stream)"),
    ],
)
def test_mistakes_in_files_of_variables(text, line, problem):
    found: list[FormatError] = []
    read_variables(text, found.append)
    assert [(error.line, error.problem) for error in found] == [(line, problem)]


def test_list_json_leaves_out_what_is_empty_and_keeps_the_order():
    groups = {"site_b": Group(("n2", "n1")), "site_a": Group(), "eu": Group((), ("site_b",), {"x": 1})}
    assert list_json({"n2": {"v": [1]}, "n1": {}}, groups) == (
        b'{"_meta":{"hostvars":{"n2":{"v":[1]}}},"all":{"children":["ungrouped","site_a","eu"]},'
        b'"site_b":{"hosts":["n2","n1"]},"eu":{"children":["site_b"],"vars":{"x":1}}}'
    )


def test_list_json_writes_vaulted_and_unsafe_texts_as_texts():
    assert list_json({"n": {"v": Vaulted("a"), "u": [Unsafe("b")]}}, {}).startswith(
        b'{"_meta":{"hostvars":{"n":{"v":"a","u":["b"]}}}'
    )
    with pytest.raises(TypeError):
        list_json({"n": {"v": object()}}, {})
