"""The lab by hand: `python -m tests.lab up 3`, then `status`, `shell HOST`, `exec HOST -- COMMAND`, `down`."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.k3s_layer import k3s_layer
from tests.lab.lab import Lab
from tests.lab.prerequisites import cache_directory
from tests.lab.record import LabRecord, all_labs, sweep, take_down

DESCRIPTION = "Real systemd hosts in namespaces of this machine. `up` keeps its lab until `down`."


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit with 1 and a message on stderr when the lab cannot do it."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="boot hosts until there are COUNT")
    up.add_argument("count", type=int)
    up.add_argument("--full-k3s", action="store_true", help="new hosts run K3s's stand-in with etcd and an API server")
    down = commands.add_parser(
        "down", help="take down the kept labs and what dead processes left, or one lab by its id"
    )
    down.add_argument("id", nargs="?")
    commands.add_parser("status", help="show all labs and their hosts")
    shell = commands.add_parser("shell", help="a root shell on a host, or in the controller's network")
    shell.add_argument("name", metavar="HOST|controller")
    execute = commands.add_parser("exec", help="run a command as root on a host, or in the controller's network")
    execute.add_argument("name", metavar="HOST|controller")
    execute.add_argument("argv", metavar="COMMAND", nargs="+")
    options = parser.parse_args(arguments)
    try:
        sys.exit(carry_out(options))
    except LabError as error:
        sys.exit(f"lab: {error}")


def carry_out(options: argparse.Namespace) -> int:
    if options.command == "up":
        up(options.count, k3s_layer() if options.full_k3s else None)
    elif options.command == "down":
        take_down_labs(options.id)
    elif options.command == "status":
        show_status()
    else:
        argv = ["/bin/bash", "-l"] if options.command == "shell" else options.argv
        return subprocess.run(command_on(options.name, argv), check=False).returncode
    return 0


def kept_labs() -> list[LabRecord]:
    return [record for record in all_labs(cache_directory()) if record.owner is None]


def up(count: int, layer: Path | None) -> None:
    kept = kept_labs()
    lab = Lab.attach(kept[0]) if kept else Lab.create(kept=True)
    lab.grow(count, layer)
    show_status()
    reach = " ".join(lab.controller_command(lab.ssh_command(lab.hosts[0])))
    sys.stdout.write(f"\nBy ssh, from the controller's network:\n  {reach}\n")


def take_down_labs(lab_id: str | None) -> None:
    ended = sweep(cache_directory()) if lab_id is None else []
    for record in all_labs(cache_directory()):
        if record.id == lab_id or (lab_id is None and record.owner is None):
            take_down(record)
            ended.append(record.id)
    sys.stdout.write("".join(f"lab {ended_id} is down\n" for ended_id in ended))


def show_status() -> None:
    for record in all_labs(cache_directory()):
        owner = "kept" if record.owner is None else f"of process {record.owner.pid}"
        sys.stdout.write(f"lab {record.id} ({owner}) {record.directory}\n")
        for host in Lab.attach(record).hosts:
            state = "on" if host.is_running else "off"
            sys.stdout.write(f"  {host.name:<8} {state:<4} {host.address:<13} {host.address6}\n")


def command_on(name: str, argv: list[str]) -> list[str]:
    """The command that runs `argv` on the named host of the kept lab, or in its controller's network."""
    kept = kept_labs()
    if not kept:
        raise LabError("no lab is kept: `python -m tests.lab up 3` makes one")
    lab = Lab.attach(kept[0])
    if name == "controller":
        return lab.controller_command(argv)
    for host in lab.hosts:
        if host.name == name:
            return host.command(["env", f"TERM={os.environ.get('TERM', 'dumb')}", *argv])
    raise LabError(f"no host is called {name!r}: there are controller, {', '.join(host.name for host in lab.hosts)}")
