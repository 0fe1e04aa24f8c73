"""Hosts that are away, or that cannot be trusted: shown with their real reason, and nothing is written there."""

from tests.hosts.ground import NORTH, SOUTH, Ground


def test_a_server_that_is_away_holds_up_its_agent_alone_and_comes_through_later(ground: Ground) -> None:
    ground.greet("south-a", "bonjour")
    ground.greet("north-till-001", "bonjour")
    south = {name: ground.moment(name) for name in SOUTH}
    ground.hosts["south-a"].link_down()

    said = ground.checkout.fleet("apply", "--yes", "--json", code=4)
    assert [event["node"] for event in said.events("NodeApplied")] == ["north-till-001"]
    (away,) = said.events("NodeUnreachable")
    assert away["node"] == "south-a"
    assert "No route to host" in away["reason"] or away["reason"].startswith("no answer on ")
    (blocked,) = said.events("NodeBlocked")
    assert (blocked["node"], blocked["by"]) == ("south-till-001", "south-a")
    assert "could not be reached" in blocked["reason"]
    assert ground.touched_since(south) == {}

    ground.hosts["south-a"].link_up()
    before = {name: ground.moment(name) for name in NORTH}
    said = ground.checkout.fleet("apply", "--yes", "--json")
    assert [event["node"] for event in said.events("NodeApplied")] == list(SOUTH)
    assert ground.hosts["south-till-001"].read("/etc/motd") == "bonjour to south-till-001 at south\n"
    assert ground.touched_since(before) == {}


def test_an_agent_that_is_away_is_told_and_stops_nothing(ground: Ground) -> None:
    ground.greet("south-a", "salut")
    ground.hosts["south-till-001"].link_down()
    said = ground.checkout.fleet("apply", "--yes", code=4)
    assert "unreachable south-till-001: " in said.out
    assert ground.hosts["south-a"].read("/etc/motd") == "salut to south-a at south\n"
    ground.hosts["south-till-001"].link_up()
    said = ground.checkout.fleet("plan", code=3)
    assert "1 node changes, 5 stay" in said.out
    ground.checkout.fleet("apply", "--yes")
    assert ground.hosts["south-till-001"].read("/etc/motd") == "salut to south-till-001 at south\n"


POLICY = """\
apiVersion: fleet/v1alpha1
kind: RolloutPolicy
metadata: {name: standard}
spec:
  waves: [{name: south, selector: {matchLabels: {site: south}}}]
  disruptionBudget: {groupBy: [site], maxUnavailable: 2}
"""


def test_under_a_policy_who_is_away_is_deferred_and_caught_up(ground: Ground) -> None:
    """Its rollout is done without it. A catch-up takes it alone, as soon as it is there."""
    ground.checkout.write("policy.yaml", POLICY)
    ground.checkout.edit("fleet.yaml", "spec:", "spec:\n  rolloutPolicy: standard")
    ground.greet("south-a", "bom dia")
    ground.greet("north-till-001", "bom dia")
    ground.hosts["south-till-001"].link_down()
    said = ground.checkout.fleet("apply", "--yes", "--json")
    assert [event["node"] for event in said.events("NodeUnreachable")] == ["south-till-001"]
    assert [event["wave"] for event in said.events("WaveFinished")] == ["south", "everyone"]
    assert len(said.events("RolloutFinished")) == 1

    said = ground.checkout.fleet("rollout", "catch-up", "--yes", "--json")
    assert [event["node"] for event in said.events("NodeUnreachable")] == ["south-till-001"]
    ground.hosts["south-till-001"].link_up()
    ground.greet("north-till-001", "boa tarde")
    said = ground.checkout.fleet("rollout", "catch-up", "--yes", "--json")
    assert [event["node"] for event in said.events("NodeApplied")] == ["south-till-001"]
    assert ground.hosts["south-till-001"].read("/etc/motd") == "bom dia to south-till-001 at south\n"
    assert ground.hosts["north-till-001"].read("/etc/motd") == "bom dia to north-till-001 at north\n"
    ground.checkout.fleet("apply", "--yes")


def test_a_host_whose_key_is_not_in_git_is_not_spoken_to(ground: Ground) -> None:
    lines = (ground.checkout.folder / "known_hosts").read_text().splitlines()
    address = ground.hosts["south-till-001"].address
    ground.checkout.write("known_hosts", "".join(f"{line}\n" for line in lines if f",{address}," not in line))
    ground.greet("south-a", "hola")
    refuses(ground, "no host key is pinned for 10.77.1.16")


def test_a_host_with_another_key_is_not_spoken_to(ground: Ground) -> None:
    text = (ground.checkout.folder / "known_hosts").read_text()
    key = ground.hosts["south-till-001"].known_host.split(" ", 1)[1]
    other = ground.hosts["north-a"].known_host.split(" ", 1)[1]
    ground.checkout.write("known_hosts", text.replace(key, other))
    ground.greet("south-a", "servus")
    refuses(ground, "its host key is not the pinned one")


def refuses(ground: Ground, reason: str) -> None:
    """The agent of site south is unreachable for this reason, and is left as it is."""
    before = {"south-till-001": ground.moment("south-till-001")}
    said = ground.checkout.fleet("apply", "--yes", "--json", code=4)
    assert [event["node"] for event in said.events("NodeApplied")] == ["south-a"]
    (away,) = said.events("NodeUnreachable")
    assert away["node"] == "south-till-001"
    assert reason in away["reason"]
    assert ground.touched_since(before) == {}


def test_another_machine_at_the_same_address_is_never_written_to(ground: Ground) -> None:
    """Its disk was cloned, record and all, or it was installed anew: its machine-id is not the one that is enrolled."""
    host = ground.hosts["south-till-001"]
    ground.greet("south-a", "ahoj")
    other = "0123456789abcdef0123456789abcdef"
    host.write("/etc/machine-id", f"{other}\n")
    try:
        before = {"south-till-001": ground.moment("south-till-001")}
        said = ground.checkout.fleet("apply", "--yes", "--json", code=4)
        (failed,) = said.events("NodeFailed")
        assert failed["node"] == "south-till-001"
        assert f"enrolled is {host.machine_id}, this machine has {other}" in failed["reason"]
        said = ground.checkout.fleet("apply", "--yes", "--json", code=4)
        assert [event["node"] for event in said.events("NodeFailed")] == ["south-till-001"], "and again"
        assert ground.touched_since(before) == {}
    finally:
        host.write("/etc/machine-id", f"{host.machine_id}\n")
    ground.checkout.fleet("apply", "--yes")
    assert host.read("/etc/motd") == "ahoj to south-till-001 at south\n"
