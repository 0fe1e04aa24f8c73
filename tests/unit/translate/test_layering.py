"""Where variables stand, so that layers give every node what Ansible gives it."""

from __future__ import annotations

import pytest

from tests.unit.translate.inventories import documents, made, nodes, spec, told


def uses(text: str, **more: object) -> list[tuple[str, str]]:
    """The fleet's profiles in their order: name, and the label that they are for."""
    found = spec(made(text, **more)).get("profiles", [])
    return [(use["name"], next(iter(use["selector"]["matchLabels"]))) for use in found]


def test_groups_in_the_order_of_ansible():
    """Outer before inner, then by priority, then by name."""
    text = """\
all:
  vars: {x: 0}
  children:
    z: {vars: {x: 1}, children: {inner: {vars: {x: 3}, hosts: {a: }}}}
    m: {vars: {x: 2, ansible_group_priority: 5}, hosts: {a: }}
    b: {vars: {x: 4}, hosts: {a: }}
"""
    assert uses(text) == [("b", "b"), ("z", "z"), ("m", "m"), ("inner", "inner")]
    assert spec(made(text))["vars"] == {"x": 0}


def test_files_of_a_group_and_its_variables_in_the_inventory_are_one_profile():
    text = "all: {children: {web: {vars: {a: 1, b: 1}, hosts: {x: }}}}\n"
    found = made(text, group_vars={"web": "b: 2\nc: 2\n"})
    assert spec(found, "profiles/web.yaml") == {"vars": {"a": 1, "b": 2, "c": 2}}
    assert told(found) == ["1:37 note b: never in force: group_vars/web.yml:1 stands above it"]


def test_a_file_of_all_stands_above_what_groups_say_in_the_inventory():
    text = "all: {children: {web: {vars: {a: 1, b: 1}, hosts: {x: }}}}\n"
    found = made(text, group_vars={"all": "a: 0\n"})
    assert spec(found)["vars"] == {"a": 0}
    assert spec(found, "profiles/web.yaml") == {"vars": {"b": 1}}
    assert told(found) == ["1:31 note a: never in force: group_vars/all.yml:1 stands above it"]


def test_a_file_of_an_outer_group_stands_above_an_inner_group_in_the_inventory():
    """Only where hosts are in both does the order matter, and then there is an early profile."""
    text = "outer: {children: {inner: {vars: {a: 1, b: 1}, hosts: {x: }}}}\n"
    assert uses(text, group_vars={"outer": "a: 2\n"}) == [
        ("inner-inventory", "inner"),
        ("outer", "outer"),
        ("inner", "inner"),
    ]
    apart = "one: {vars: {a: 1}, hosts: {x: }}\ntwo: {hosts: {y: }}\n"
    assert uses(apart, group_vars={"two": "a: 2\n"}) == [("one", "one"), ("two", "two")]


@pytest.mark.parametrize(
    ("weaker", "stronger", "is_anew"),
    [
        ("{a: 1}", "{a: 2}", False),
        ("{a: 1}", "{a: 2, b: 3}", False),
        ("{a: 1, b: 2}", "{a: 2}", True),
        ("{a: {x: 1}}", "{a: {y: 1}}", True),
        ("{a: {x: 1}}", "{a: {x: 2, y: 1}}", False),
        ("{a: 1}", "{}", True),
        ("{}", "{a: 1}", False),
        ("{a: 1}", "text", False),
        ("text", "{a: 1}", False),
        ("[1, 2]", "[3]", False),
        ("[{name: a}]", "[{name: b}]", True),
        ("[{name: a, x: 1}]", "[{name: a, y: 1}]", True),
        ("[{name: a}]", "[{name: a}]", False),
        ("[{name: a}]", "[]", False),
        ("[{name: a}]", "[{path: b}]", False),
        ("[{path: a}]", "[{path: b}]", True),
        ("[{name: a}]", "[{name: a}, {x: 1}]", False),
        ("{l: [{name: a}]}", "{l: [{name: b}]}", True),
        ("{l: 1}", "{l: [{name: b}, {name: b}]}", True),
        ("null", "{a: 1}", False),
    ],
)
def test_where_a_value_is_removed_before_it_is_said_anew(weaker, stronger, is_anew):
    group = made(f"all: {{vars: {{x: {weaker}}}, children: {{web: {{vars: {{x: {stronger}}}, hosts: {{h: }}}}}}}}\n")
    names = [use["name"] for use in spec(group)["profiles"]]
    assert names == (["without-x", "web"] if is_anew else ["web"])
    host = made(f"all: {{vars: {{x: {weaker}}}, hosts: {{h: {{x: {stronger}}}}}}}\n")
    assert nodes(host)["h"].get("profiles") == (["without-x"] if is_anew else None)


def test_one_profile_removes_a_value_wherever_that_is_needed():
    text = """\
all:
  vars: {"my users": [{name: a}]}
  children:
    one: {vars: {"my users": [{name: b}]}, hosts: {x: }}
    two: {vars: {"my users": [{name: c}]}, hosts: {y: , z: {"my users": [{name: d}]}}}
"""
    found = documents(made(text))
    assert [use["name"] for use in found["fleet.yaml"]["spec"]["profiles"]] == [
        "without-my-users", "one", "without-my-users", "two",
    ]  # fmt: skip
    assert found["profiles/without-my-users.yaml"]["spec"] == {"vars": {"my users": None}}
    assert nodes(made(text))["z"]["profiles"] == ["without-my-users"]


def test_names_of_profiles_do_not_clash():
    text = """\
all:
  vars: {x: {a: 1}}
  children:
    without-x: {vars: {x: {b: 1}}, hosts: {h: }}
    without_x: {vars: {y: 1}, hosts: {h: }}
    k3s-server: {vars: {z: 1}, hosts: {h: }}
"""
    names = [name for name, _ in uses(text)]
    assert len(set(names)) == 4
    assert set(names) == {
        f"{path.removeprefix('profiles/').removesuffix('.yaml')}"
        for path in documents(made(text))
        if path.startswith("profiles/")
    }


def test_a_null_that_removes_nothing_is_not_written():
    text = "all: {children: {web: {vars: {a: null, b: 1}, hosts: {h: {c: null, b: null}}}}}\n"
    found = made(text)
    assert spec(found, "profiles/web.yaml") == {"vars": {"b": 1}}
    assert nodes(found)["h"]["vars"] == {"b": None}


def test_a_group_without_hosts_keeps_its_profile():
    assert uses("all: {hosts: {h: }, children: {later: {vars: {a: 1}}}}\n") == [("later", "later")]


def test_a_renamed_host_keeps_its_old_name():
    found = made("all: {hosts: {WEB: {a: 1}}}\n")
    assert nodes(found) == {
        "web": {
            "name": "web",
            "role": "none",
            "connection": {"address": "WEB"},
            "vars": {"a": 1, "inventory_hostname": "WEB"},
        }
    }
