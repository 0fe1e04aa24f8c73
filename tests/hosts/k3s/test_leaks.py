"""A secret's value is nowhere but in the vault and in files that root alone may read, through the whole life of a cluster
on hosts: formed at -vvv, a change that its check refuses, a controller that is killed with -9 while secrets are on their way.

Each search also finds DECOY, a value that is no secret and goes the same ways.
"""

import base64
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.hosts.k3s.secretive import AGENT, COMMON, GOES_ON, SERVER, TOKENS, WAITS, Secretive, is_private
from tests.lab.k3s_layer import k3s_layer
from tests.lab.lab import Lab
from tests.leaks import Leak, Watcher

pytestmark = pytest.mark.timeout(900)
LOOKS_A_SECOND = 1
"""At least, however busy the machine is."""
REFUSES = "sh -c 'echo the check says:; cat $0; cat $0 >&2; exit 3' {file}"
HOLDS_UP = f"sh -c 'touch {WAITS}; until test -e {GOES_ON}; do sleep 0.1; done' {{file}}"


@dataclass
class Run:
    """What was seen meanwhile. `found` are places of the controller, by the moment."""

    shop: Secretive
    watchers: dict[str, Watcher] = field(default_factory=dict)
    seconds: float = 0.0
    found: dict[str, dict[str, set[Leak]]] = field(default_factory=dict)
    on_its_way: set[Leak] = field(default_factory=set)
    ended: int = 0


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secretive]:
    """A lab of its own: the clusters of the other tests stay as they are."""
    lab = Lab.create()
    try:
        lab.grow(2, k3s_layer())
        yield Secretive(lab, tmp_path_factory.mktemp("shop"))
    finally:
        lab.down()


@pytest.fixture(scope="module")
def run(shop: Secretive) -> Iterator[Run]:
    run = Run(shop)
    planted = plant(shop)
    try:
        began = time.monotonic()
        with shop.watched() as run.watchers:
            form(shop)
            refused_by_its_check(shop)
            killed_in_the_middle(run)
            run.seconds = time.monotonic() - began
        power_cut(run)
        yield run
    finally:
        for path in planted:
            path.unlink(missing_ok=True)


def plant(shop: Secretive) -> list[Path]:
    """DECOY in places to which nothing brings it, in base64 among other text."""
    text = base64.b64encode(f"it is {shop.decoy}".encode()).decode()
    places = [shop.checkout.home / ".ansible/tmp", shop.folder / "tmp", shop.lab.directory / "ssh", shop.runs]
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
    planted = [Path(place) / f"{shop.decoy[:12]}.txt" for place in (*places, *COMMON)]
    for path in planted:
        path.write_text(f"before {text} after")
    return planted


def form(shop: Secretive) -> None:
    shop.fleet("doctor")
    shop.fleet("plan", "--detail", code=3)
    said = shop.fleet("apply", "--yes", "-vvv")
    assert "2 applied" in said.out
    assert "done" in said.err, "-vv says how long each stage took"
    shop.fleet("plan", "--refresh", "--detail", "-vvv")


def refused_by_its_check(shop: Secretive) -> None:
    """The check prints the file that it was given: with another value of the secret, and DECOY."""
    shop.check_with(REFUSES)
    shop.store_own()
    shop.checkout.edit("fleet.yaml", f"decoy: {shop.decoy}", f"decoy: {shop.decoy}-again")
    shop.checkout.commit("A check that prints")
    shop.fleet("plan", "--detail", code=3)
    said = shop.fleet("apply", "--yes", "--json", "-vvv", code=4)
    (failed,) = said.events("NodeFailed")
    assert "the check says" in failed["reason"]
    (rollout,) = said.events("RolloutStarted")
    for argv in (("rollout", "show", rollout["rollout_id"]), ("rollout", "list"), ("node", "log", SERVER, "--output")):
        shop.fleet(*argv)
        shop.fleet(*argv, "--json")


def killed_in_the_middle(run: Run) -> None:
    """-9 to the controller, and then to its child and Ansible, while a file with the secret is checked on the server."""
    shop, host = run.shop, run.shop.hosts[SERVER]
    shop.check_with(HOLDS_UP)
    shop.checkout.commit("A check that waits")
    controller = shop.start("apply", "--yes", "-vvv")
    until(lambda: host.run(["sh", "-c", f"test -e {WAITS}; echo $?"]) == "0\n")
    run.found["during"] = shop.on_controller()
    controller.kill()
    assert controller.wait() == -signal.SIGKILL, "it was in the middle"
    run.found["between"] = shop.on_controller()
    run.ended = shop.end_run()
    run.found["after"] = shop.on_controller()
    run.on_its_way = shop.on_host(SERVER)


def power_cut(run: Run) -> None:
    """The host's own half of that run ends, too; then all goes on to its end, and is looked at in every way."""
    shop, host = run.shop, run.shop.hosts[SERVER]
    host.kill()
    host.start()
    host.wait_running(timeout=180)
    shop.check_with("grep -q ^decoy= {file}")
    shop.checkout.commit("The check is as it was")
    shop.fleet("apply", "--yes", "-vvv")
    assert shop.checkout.plan("--refresh")["changing"] == 0
    shop.fleet("render", str(shop.rendered))
    for argv in (("status",), ("secret", "list"), ("node", "show", AGENT, "--origin"), ("node", "list"), ("validate",)):
        shop.fleet("-vvv", *argv)
    run.found["in the end"] = shop.on_controller()


def until(is_so: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.1)


def secret(leaks: set[Leak]) -> set[Leak]:
    return {leak for leak in leaks if leak.secret != "decoy"}


def test_no_process_shows_one_neither_here_nor_on_the_hosts(
    run: Run, record_property: Callable[[str, object], None]
) -> None:
    for where, watcher in run.watchers.items():
        assert secret(watcher.leaks) == set(), where
        shown = {part for leak in watcher.leaks for part in ("cmdline", "environ") if f"/{part} of " in leak.where}
        assert shown == {"cmdline", "environ"}, f"{where}: the search sees what is shown"
        assert watcher.rounds > LOOKS_A_SECOND * run.seconds, f"{where}: {watcher.rounds} looks in {run.seconds} s"
        assert watcher.longest < 5, where
        record_property(f"looks at processes, {where}", watcher.rounds)


@pytest.mark.parametrize("moment", ["during", "between", "after", "in the end"])
def test_none_is_on_the_controller(run: Run, moment: str) -> None:
    found = run.found[moment]
    assert {place: secret(leaks) for place, leaks in found.items() if secret(leaks)} == {}
    empty = {place for place, leaks in found.items() if not leaks}
    assert empty == (set() if moment == "in the end" else {"the rendered project"}), "the search finds DECOY"
    assert run.ended > 1, "there were a child and its Ansible to kill"


def test_none_is_in_git(run: Run) -> None:
    """Packed objects are looked at, as git sees them."""
    git = run.shop.checkout.git
    told = git("log", "--all", "--patch", "--no-textconv", "--text", "--format=fuller")
    assert {leak.secret for leak in run.shop.search.in_bytes(told.encode(), "git")} == {"decoy"}


def test_none_is_printed(run: Run) -> None:
    found = run.shop.in_outputs()
    assert secret(found) == set()
    assert any(leak.where.endswith("fleet plan --detail") for leak in found), "a diff shows what is no secret"


@pytest.mark.parametrize("name", [SERVER, AGENT])
def test_on_a_host_they_are_in_files_that_root_alone_may_read(run: Run, name: str) -> None:
    shop = run.shop
    found = shop.on_host(name)
    if name == SERVER:
        found |= {leak for leak in run.on_its_way if shop.is_there(name, leak.where)}
    places = {leak.where for leak in secret(found)}
    assert {path for path in places if not is_private(shop.hosts[name], path)} == set()
    assert {path for path in places if not path.startswith(ALLOWED)} == set()
    newest = {"registry-password", "own 1", *(TOKENS if name == SERVER else TOKENS[1:])}
    assert {leak.secret for leak in secret(found)} >= newest, "the search finds them where they have to be"
    if name == AGENT:
        assert TOKENS[0] not in {leak.secret for leak in found}
    assert {"/etc/acme/open.conf", "/etc/acme/own.conf"} <= {leak.where for leak in found - secret(found)}


ALLOWED = ("/etc/rancher/k3s/", "/etc/acme/own.conf", "/var/lib/rancher/k3s/", "/var/lib/fleet/")


@pytest.mark.parametrize("name", [SERVER, AGENT])
def test_none_is_in_the_journal_of_a_host(run: Run, name: str) -> None:
    assert {leak.secret for leak in run.shop.in_journal(name)} == {"decoy"}
