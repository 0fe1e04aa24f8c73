"""The lab itself: hosts that boot, answer by ssh, forget, reboot and go away without a trace."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab.cgroups import hierarchies
from tests.lab.errors import LabError
from tests.lab.fixtures import LabPool
from tests.lab.lab import REPOSITORY, Lab
from tests.lab.prerequisites import cache_directory


def traces(lab_id: str) -> list[str]:
    """Whatever on this machine still carries a lab's id."""
    cgroups = [str(path) for root in hierarchies() for path in root.glob(f"*{lab_id}*")]
    namespaces = [path.name for path in Path("/run/netns").glob(f"*{lab_id}*")]
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if lab_id in line]
    files = [str(path) for path in (cache_directory() / "labs").glob(f"{lab_id}*")]
    machines = [str(path) for path in Path("/run/systemd/nspawn").glob(f"*/*{lab_id}*")]
    return cgroups + namespaces + mounts + files + machines + processes(lab_id)


def processes(word: str) -> list[str]:
    """The command lines with a word in them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in line:
            found.append(f"{path.parent.name} {line}")
    return found


def eventually(condition, seconds: float = 20) -> bool:
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.05)
    return True


def test_three_hosts_boot_with_their_own_names_keys_and_ids(lab_pool: LabPool) -> None:
    hosts = lab_pool.lease(3)

    assert [(host.name, host.address, host.address6) for host in hosts] == [
        ("host1", "10.77.1.11", "fd77::1:1"),
        ("host2", "10.77.1.12", "fd77::1:2"),
        ("host3", "10.77.1.13", "fd77::1:3"),
    ]
    assert [host.run(["systemctl", "is-system-running"]) for host in hosts] == ["running\n"] * 3
    assert [host.run(["hostname"]) for host in hosts] == ["host1\n", "host2\n", "host3\n"]
    assert [host.read("/etc/machine-id") for host in hosts] == [f"{host.machine_id}\n" for host in hosts]
    assert len({host.machine_id for host in hosts}) == 3
    assert len({host.read("/etc/ssh/ssh_host_ed25519_key.pub") for host in hosts}) == 3


def test_ssh_from_the_controller_with_pinned_keys(lab_pool: LabPool) -> None:
    first, second = lab_pool.lease(2)
    lab = lab_pool.lab

    assert lab.ssh(first, "hostname").stdout == "host1\n"
    assert lab.ssh(second, "sudo", "-n", "id", "-un").stdout == "root\n"
    lines = lab.known_hosts.read_text().splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["host1,10.77.1.11,fd77::1:1", "host2,10.77.1.12,fd77::1:2"]


def test_another_host_key_is_refused(lab_pool: LabPool, tmp_path: Path) -> None:
    first, second = lab_pool.lease(2)
    wrong = tmp_path / "known_hosts"
    wrong.write_text(second.known_host.replace(second.address, first.address) + "\n")
    command = [
        str(wrong).join(word.split(str(lab_pool.lab.known_hosts))) for word in lab_pool.lab.ssh_command(first, "true")
    ]

    said = lab_pool.lab.in_controller(command, check=False)

    assert said.returncode == 255
    assert "Host key verification failed" in said.stderr


def test_hosts_reach_each_other_by_both_families_but_nothing_else(lab_pool: LabPool) -> None:
    first, second = lab_pool.lease(2)

    first.run(["ping", "-c1", "-W2", second.address])
    first.run(["ping", "-c1", "-W2", second.address6])
    assert first.run(["ip", "route", "show", "default"]) == ""
    assert first.run(["ip", "-6", "route", "show", "default"]) == ""
    assert lab_pool.lab.in_controller(["ip", "route", "show", "default"]).stdout == ""


def test_a_reset_host_is_a_new_one_with_the_same_identity(lab_pool: LabPool) -> None:
    (host,) = lab_pool.lease(1)
    key, identity = host.known_host, host.read("/etc/machine-id")
    fresh = set(host.tree("/etc", "/var/lib", "/usr/local", "/opt"))
    host.run(["sh", "-c", "echo x >/etc/left-behind; mkdir /opt/left-behind; rm /etc/debian_version; useradd left"])

    host.reset()

    assert set(host.tree("/etc", "/var/lib", "/usr/local", "/opt")) == fresh
    assert (host.known_host, host.read("/etc/machine-id")) == (key, identity)
    assert lab_pool.lab.ssh(host, "true").returncode == 0


def test_the_pool_hands_out_clean_hosts(lab_pool: LabPool) -> None:
    (host,) = lab_pool.lease(1)
    host.run(["touch", "/etc/left-behind"])
    host.link_down()
    lab_pool.lab.mirror.stop()

    (again,) = lab_pool.lease(1)

    assert again is host
    assert host.tree("/etc/left-behind") == {}
    assert host.run(["curl", "-sSf", lab_pool.lab.mirror.channels_url]).startswith('{"type": "collection"')


def test_a_lost_link_and_its_return(lab_pool: LabPool) -> None:
    first, second = lab_pool.lease(2)
    first.link_down()

    assert lab_pool.lab.ssh(first, "true", check=False).returncode == 255
    assert lab_pool.lab.ssh(second, "true", check=False).returncode == 0
    assert first.run(["hostname"]) == "host1\n"
    first.link_up()
    assert eventually(lambda: lab_pool.lab.ssh(first, "true", check=False).returncode == 0)


def test_a_reboot_keeps_files_and_a_reboot_by_ssh_too(lab_pool: LabPool) -> None:
    (host,) = lab_pool.lease(1)
    host.run(["sh", "-c", "echo kept >/etc/kept; echo lost >/run/lost"])
    boot = host.run(["cat", "/proc/sys/kernel/random/boot_id"])

    host.reboot()

    assert host.read("/etc/kept") == "kept\n"
    assert host.tree("/run/lost") == {}
    assert host.run(["cat", "/proc/sys/kernel/random/boot_id"]) != boot

    leader = host.leader()
    lab_pool.lab.ssh(host, "sudo", "systemctl", "reboot", check=False)
    host.wait_running(after=leader)
    assert lab_pool.lab.ssh(host, "cat", "/etc/kept").stdout == "kept\n"


def test_power_off_pulled_plug_and_start(lab_pool: LabPool) -> None:
    (host,) = lab_pool.lease(1)
    host.run(["sh", "-c", "echo kept >/etc/kept"])

    for switch_off in (host.stop, host.kill):
        switch_off()
        assert not host.is_running
        assert (host.root / "etc/kept").read_text() == "kept\n"
        with pytest.raises(LabError, match="host1 is not running"):
            host.run(["true"])
        host.start()
        host.wait_running()
        assert host.read("/etc/kept") == "kept\n"


def test_what_a_file_and_a_unit_are(lab_pool: LabPool) -> None:
    (host,) = lab_pool.lease(1)
    host.run(["sh", "-c", "umask 077; printf 'a b' >'/etc/a b'; ln -s '/etc/a b' /etc/link"])

    state, link = host.stat("/etc/a b"), host.stat("/etc/link")

    assert (state.kind, state.mode, state.owner, state.group, state.size) == ("f", 0o600, "root", "root", 3)
    assert (link.kind, link.target) == ("l", "/etc/a b")
    assert abs(state.mtime_ns - time.time_ns()) < 60_000_000_000
    assert host.tree("/etc/a b") == {"/etc/a b": state}
    host.run(["sh", "-c", "printf 'a b' >'/etc/a b'"])
    assert host.stat("/etc/a b") != state
    assert host.unit_show("ssh.service", "ActiveState", "Type") == {"ActiveState": "active", "Type": "notify"}
    with pytest.raises(LabError, match=r"cat -- /etc/nothing"):
        host.read("/etc/nothing")


def test_a_unit_that_fails_is_said_when_it_boots(lab_pool: LabPool) -> None:
    (host,) = lab_pool.lease(1)
    unit = "[Service]\nType=oneshot\nExecStart=/bin/false\n[Install]\nWantedBy=multi-user.target\n"
    host.write("/etc/systemd/system/broken.service", unit)
    host.run(["systemctl", "enable", "broken.service"])

    with pytest.raises(LabError, match=r"host1 booted, but is degraded:\nbroken\.service"):
        host.reboot()


def test_firewall_and_wireguard_work_inside(lab_pool: LabPool) -> None:
    (host,) = lab_pool.lease(1)
    host.run(["nft", "-f", "-"], stdin="table inet t { chain c { type filter hook input priority 0; }; }\n")
    host.run(["wireguard-go", "wg0"])

    assert "chain c" in host.run(["nft", "list", "ruleset"])
    assert host.run(["wg", "show", "interfaces"]) == "wg0\n"


def test_the_mirror_serves_hosts_and_controller(lab_pool: LabPool) -> None:
    (host,) = lab_pool.lease(1)
    mirror = lab_pool.lab.mirror
    mirror.forget_requests()
    url = f"{mirror.url}/v1.35.4%2Bk3s1/k3s"

    assert mirror.url == "http://10.77.0.1/k3s"
    assert lab_pool.lab.ssh(host, f"curl -sSf {url} | sha256sum").stdout.split()[0] == mirror.sha256(
        "v1.35.4+k3s1", "amd64"
    )
    lab_pool.lab.in_controller(["curl", "-sSf", "-o", "/dev/null", mirror.channels_url])
    host.run(["curl", "-sSf", "-o", "/dev/null", "http://[fd77::1]/k3s/v1.35.4+k3s1/sha256sum-arm64.txt"])
    assert [(asked.client, asked.path) for asked in mirror.requests()] == [
        ("10.77.1.11", "/k3s/v1.35.4+k3s1/k3s"),
        ("10.77.0.1", "/v1-release/channels"),
        ("fd77::1:1", "/k3s/v1.35.4+k3s1/sha256sum-arm64.txt"),
    ]


def test_packages_in_two_versions(lab_pool: LabPool) -> None:
    (host,) = lab_pool.lease(1)
    install = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q"]
    host.run(["apt-get", "update", "-q"])
    host.run([*install, "fleet-lab-tool=1.0-1", "fleet-lab-service=1.0-1"])

    assert host.run(["fleet-lab-tool"]) == "fleet-lab-tool 1.0-1\n"
    assert host.unit_show("fleet-lab-service", "ActiveState", "UnitFileState") == {
        "ActiveState": "active",
        "UnitFileState": "enabled",
    }
    host.write("/etc/fleet-lab-service.conf", "FLEET_LAB_LEVEL=9\n")
    host.run([*install, "-o", "Dpkg::Options::=--force-confold", "fleet-lab-tool", "fleet-lab-service"])

    assert host.run(["fleet-lab-tool"]) == "fleet-lab-tool 1.1-1\n"
    assert host.read("/etc/fleet-lab-service.conf") == "FLEET_LAB_LEVEL=9\n"
    assert "1.1-1" in host.read("/etc/fleet-lab-service.conf.dpkg-dist")
    host.run(["apt-get", "remove", "-y", "-q", "fleet-lab-service"])
    assert host.unit_show("fleet-lab-service", "ActiveState") == {"ActiveState": "inactive"}


def test_two_labs_at_once_do_not_meet(lab_pool: LabPool) -> None:
    (ours,) = lab_pool.lease(1)
    other = Lab.create()
    try:
        (theirs,) = other.grow(1)
        assert (ours.name, ours.address) == (theirs.name, theirs.address)
        assert ours.machine_id != theirs.machine_id
        theirs.run(["touch", "/etc/theirs"])
        assert ours.tree("/etc/theirs") == {}
        assert other.ssh(theirs, "ls", "/etc/theirs").stdout == "/etc/theirs\n"
        # Ansible finds its open connections by the host's address, which is the same in both.
        folders = [
            lab.in_controller(["printenv", "ANSIBLE_SSH_CONTROL_PATH_DIR"]).stdout for lab in (lab_pool.lab, other)
        ]
        assert folders[0] != folders[1]
    finally:
        other.down()
    assert traces(other.id) == []
    assert lab_pool.lab.ssh(ours, "hostname").stdout == "host1\n"


def test_down_leaves_nothing_not_even_what_outlives_its_parent() -> None:
    lab = Lab.create()
    lab.grow(2)
    child = subprocess.Popen(lab.controller_command(["sleep", "600"]), start_new_session=True)
    assert traces(lab.id)

    lab.down()

    assert child.wait(5) == -signal.SIGKILL
    assert traces(lab.id) == []
    lab.down()
    assert traces(lab.id) == []


BOOT_AND_WAIT = """
import sys, time
from tests.lab.lab import Lab
lab = Lab.create()
lab.grow(2)
print(lab.id, lab._watcher.pid, flush=True)
time.sleep(600)
"""


def killed_lab() -> tuple[subprocess.Popen[str], str, int]:
    """A process that holds a lab with two hosts: it, the lab's id, and the pid of the lab's watcher."""
    owner = subprocess.Popen([sys.executable, "-c", BOOT_AND_WAIT], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    with owner.stdout as output:
        lab_id, watcher = output.readline().split()
    return owner, lab_id, int(watcher)


def test_a_killed_run_is_cleaned_up_by_its_watcher() -> None:
    owner, lab_id, _ = killed_lab()
    assert traces(lab_id)

    owner.kill()
    owner.wait()

    assert eventually(lambda: traces(lab_id) == []), traces(lab_id)


def test_what_a_killed_run_and_its_watcher_left_goes_with_the_next_lab() -> None:
    owner, lab_id, watcher = killed_lab()
    os.kill(watcher, signal.SIGKILL)
    owner.kill()
    owner.wait()
    assert traces(lab_id)

    Lab.create().down()

    assert traces(lab_id) == []


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images").symlink_to(cache_directory() / "images")
    monkeypatch.setenv("FLEET_LAB_DIR", str(tmp_path))

    def lab(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tests.lab", *words]
        return subprocess.run(command, cwd=REPOSITORY, text=True, capture_output=True, check=False, timeout=60)

    assert lab("exec", "host1", "--", "true").stderr.startswith("lab: no lab is kept")
    up = lab("up", "2")
    assert up.returncode == 0, up.stderr
    assert "host2    on   10.77.1.12    fd77::1:2" in up.stdout
    assert lab("exec", "host2", "--", "cat", "/etc/hostname").stdout == "host2\n"
    assert lab("exec", "host1", "--", "sh", "-c", "exit 7").returncode == 7
    assert "10.77.0.1/16" in lab("exec", "controller", "--", "ip", "-br", "addr").stdout
    assert "lab: no host is called 'host9'" in lab("exec", "host9", "--", "true").stderr
    assert "host3" in lab("up", "3").stdout
    assert "host3" in lab("status").stdout
    lab_id = lab("status").stdout.split()[1]
    assert lab("down").stdout == f"lab {lab_id} is down\n"
    assert traces(lab_id) == []
    assert lab("status").stdout == ""


def test_the_lab_knows_nothing_of_the_product() -> None:
    script = (
        "import sys, tests.lab.cli, tests.lab.fixtures;"
        "print([name for name in sys.modules if name.split('.')[0] in ('fleet', 'ansible', 'ansible_runner')])"
    )
    said = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, text=True, capture_output=True, check=True)

    assert json.loads(said.stdout.replace("'", '"')) == []
