"""What somebody changed on a host, and what somebody changed in git: exactly that is put right, and nothing else."""

from tests.hosts.ground import SOUTH, Ground

CONF = "/etc/acme/acme.conf"
STATE = {"/var/lib/fleet", "/var/lib/fleet/record.json", "/var/lib/fleet/applications.jsonl"}


def test_one_tampered_byte_is_one_change_on_that_host(ground: Ground) -> None:
    host = ground.hosts["north-b"]
    inode = host.stat(CONF).inode
    text = host.read(CONF)
    host.write(CONF, text.replace("greeting=w", "greeting=W"))
    before, starts = ground.moments(), ground.starts_of("acme.service")

    assert ground.checkout.plan()["changing"] == 0, "a plan without a look goes by what nodes last told"
    report = ground.checkout.plan("--refresh")
    assert [node["node"] for node in report["nodes"]] == ["north-b"]
    (group,) = report["groups"]
    assert (group["change"]["kind"], group["change"]["action"], group["change"]["subject"]) == ("file", "edit", CONF)
    assert group["change"]["before"] == "changed on the node"
    said = ground.checkout.fleet("plan", code=3)
    assert f"~ {CONF}: changed on the node -> as in git  1 node, 1 site, restarts acme.service" in said.out

    said = ground.checkout.fleet("apply", "--yes", "--json")
    (applied,) = said.events("NodeApplied")
    assert (applied["node"], applied["changed"], applied["restarted"]) == ("north-b", 1, ["acme.service"])
    assert host.read(CONF) == text
    assert host.stat(CONF).inode != inode, "it is written beside and renamed, never in place"
    assert ground.touched_since(before) == {"north-b": {CONF, "/etc/acme", "acme.service"} | STATE}
    assert ground.starts_of("acme.service") == starts | {"north-b": starts["north-b"] + 1}
    assert ground.checkout.plan("--refresh")["changing"] == 0


def test_a_mode_that_somebody_changed_is_put_right_and_restarts_nothing(ground: Ground) -> None:
    host = ground.hosts["south-a"]
    host.run(["chmod", "0666", "/etc/motd"])
    before = ground.moments()
    assert [node["node"] for node in ground.checkout.plan("--refresh")["nodes"]] == ["south-a"]
    said = ground.checkout.fleet("apply", "--yes", "--json")
    assert [(event["node"], event["changed"]) for event in said.events("NodeApplied")] == [("south-a", 1)]
    assert host.stat("/etc/motd").mode == 0o644
    assert ground.touched_since(before) == {"south-a": {"/etc/motd"} | STATE}


def test_a_deleted_file_comes_back(ground: Ground) -> None:
    host = ground.hosts["south-till-001"]
    text = host.read("/etc/motd")
    host.run(["rm", "/etc/motd"])
    assert [node["node"] for node in ground.checkout.plan("--refresh")["nodes"]] == ["south-till-001"]
    ground.checkout.fleet("apply", "--yes")
    assert host.read("/etc/motd") == text


def test_a_change_in_git_reaches_exactly_its_hosts(ground: Ground) -> None:
    """The greeting of site south: two files on two hosts, and the one unit that reads one of them, once."""
    ground.greet("south-a", "good evening")
    before, starts = ground.moments(), ground.starts_of("acme.service")
    report = ground.checkout.plan()
    assert sorted(node["node"] for node in report["nodes"]) == sorted(SOUTH)
    assert report["radius"]["restarts"] == {"acme.service": 2}

    said = ground.checkout.fleet("apply", "--yes", "--json")
    assert [event["node"] for event in said.events("NodeApplied")] == ["south-a", "south-till-001"]
    touched = {"/etc/motd", CONF, "/etc", "/etc/acme", "acme.service"} | STATE
    generations = {"/var/lib/fleet/generations"}
    for name, paths in ground.touched_since(before).items():
        assert name in SOUTH
        assert {path for path in paths if not path.startswith("/var/lib/fleet/generations/")} == touched | generations
    assert ground.hosts["south-a"].read(CONF) == "greeting=good evening\nnode=south-a\n"
    assert ground.starts_of("acme.service") == starts | {name: starts[name] + 1 for name in SOUTH}


def test_a_file_that_fails_its_own_check_changes_nothing(ground: Ground) -> None:
    """`validate` runs on the host with the new content, before any file of the bundle takes its place."""
    ground.checkout.edit("templates/acme.conf.j2", "greeting=", "greetings=")
    ground.checkout.commit("Misspell the key that the check looks for")
    before = ground.moments()
    said = ground.checkout.fleet("apply", "--yes", "--json", "--site", "south", code=4)
    (failed,) = said.events("NodeFailed")
    assert failed["node"] == "south-a"
    assert "grep -q ^greeting= {file}" in failed["reason"]
    assert [event["by"] for event in said.events("NodeBlocked")] == ["south-a"]
    assert ground.touched_since(before) == {"south-a": {"/var/lib/fleet"}}, "the check had a folder there for a moment"


def test_a_unit_that_does_not_start_is_mended_by_the_next_commit(ground: Ground) -> None:
    """The host holds half of a bundle then. It was never whole, so the mended one goes over what was before it."""
    ground.checkout.edit("files/acme.service", "/bin/sleep infinity", "/bin/false")
    ground.checkout.commit("Break the unit")
    said = ground.checkout.fleet("apply", "--yes", "--json", "--site", "south", code=4)
    (failed,) = said.events("NodeFailed")
    assert failed["node"] == "south-a"
    assert failed["reason"].startswith("acme.service did not start")
    ground.checkout.edit("files/acme.service", "/bin/false", "/bin/sleep infinity")
    ground.checkout.edit("files/acme.service", "once\n", "once, and stays\n")
    ground.checkout.commit("Mend the unit")
    said = ground.checkout.fleet("apply", "--yes", "--json", "--site", "south")
    assert [event["node"] for event in said.events("NodeApplied")] == ["south-a", "south-till-001"]
    assert ground.hosts["south-a"].unit_show("acme.service", "ActiveState") == {"ActiveState": "active"}
