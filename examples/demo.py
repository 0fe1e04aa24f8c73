"""The main job, from nothing to an upgrade and a rollout in waves, on folders that play the nodes: `make demo`.

    python examples/demo.py [FOLDER]

Each step is a command as a user types it, with what it prints. No servers, no hosts, no root: every node of the
example two-sites is a folder below FOLDER/nodes (.work/demo/nodes), and Ansible brings it to what git says.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORK = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else ROOT / ".work" / "demo"
REPOSITORY = WORK / "two-sites"
FLEET = Path(sys.executable).parent / "fleet"
NODES = "../nodes"
VAULT = "../vault-password"


POLICY = """\
apiVersion: fleet/v1alpha1
kind: RolloutPolicy
metadata:
  name: careful
spec:
  waves:
    - name: pilot
      selector: {matchLabels: {ring: pilot}}
      successThreshold: 100%
    - name: everyone
  disruptionBudget: {groupBy: [site], maxUnavailable: 1}
  minSuccessTime: 3s
"""


class Demo:
    def __init__(self) -> None:
        self.folder = WORK
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "NO_COLOR": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_AUTHOR_NAME": "Demo",
            "GIT_AUTHOR_EMAIL": "demo@acme.example",
            "GIT_COMMITTER_NAME": "Demo",
            "GIT_COMMITTER_EMAIL": "demo@acme.example",
        }

    def say(self, text: str) -> None:
        print(f"\n# {text}", flush=True)

    def run(self, command: str, expect: int = 0) -> None:
        """Runs a command as it is printed; an exit code that is not the expected one ends the demo."""
        print(f"$ {command}", flush=True)
        done = subprocess.run(command, shell=True, cwd=self.folder, env=self.environment, check=False)
        if done.returncode != expect:
            sys.exit(f"the demo failed: exit {done.returncode}, expected {expect}: {command}")

    def kill(self, command: str, once: str) -> str:
        """Runs a rollout until it prints a line that begins with `once`, and ends it with kill -9. Returns its id."""
        print(f"$ {command}", flush=True)
        running = subprocess.Popen(
            shlex.split(command), cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, text=True
        )
        rollout_id = ""
        for line in running.stdout or ():
            print(line, end="", flush=True)
            if begun := re.match(r"rollout (\w+) of ", line):
                rollout_id = begun[1]
            if line.startswith(once):
                break
        running.kill()
        running.wait()
        print("Killed", flush=True)
        return rollout_id

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        if old not in text:
            sys.exit(f"the demo failed: {name} does not hold {old!r}")
        path.write_text(text.replace(old, new))


def main() -> None:
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    (WORK / "vault-password").write_text("only for this demo\n")
    (WORK / "vault-password").chmod(0o600)
    demo = Demo()

    demo.say("A fleet is a folder in git: two sites, six nodes.")
    demo.run("fleet init two-sites --example two-sites")
    demo.folder = REPOSITORY
    demo.run("git init -q -b main")
    demo.run("fleet lock")
    demo.run(f"fleet secret generate --vault-password-file {VAULT}")
    demo.run("git add -A && git commit -q -m 'Two sites'")
    demo.run("fleet validate")

    demo.say("What would change? Exit code 3 says: something.")
    demo.run(f"fleet plan --sandbox {NODES}", expect=3)
    demo.run(f"fleet apply --yes --sandbox {NODES} --vault-password-file {VAULT}")
    demo.run(f"fleet plan --sandbox {NODES}")

    demo.say("A commit that changes one file, and K3s by one minor version.")
    demo.edit("templates/timesyncd.conf.j2", "NTP={{ vars.ntp }}", "NTP={{ vars.ntp }} time.acme.example")
    demo.edit("fleet.yaml", "v1.36.3+k3s1", "v1.37.1+k3s1")
    demo.run("fleet lock")
    demo.run("git commit -q -a -m 'K3s v1.37 and a second time server'")
    demo.run(f"fleet plan --sandbox {NODES}", expect=3)
    demo.run(f"fleet apply --yes --sandbox {NODES} --vault-password-file {VAULT}")
    demo.run(f"fleet status --sandbox {NODES}")

    in_waves(demo)

    demo.say(f"The nodes are folders: look around in {shown(WORK / 'nodes')}, or change a file there and ask again:")
    fleet = os.path.relpath(FLEET, REPOSITORY)
    print(f"  cd {shown(REPOSITORY)} && {fleet} plan --refresh --sandbox {NODES}")


def in_waves(demo: Demo) -> None:
    demo.say("Waves: Lyon first. A typo in a template, which the nodes' own check refuses, ends there.")
    demo.write("rollout.yaml", POLICY)
    demo.edit("fleet.yaml", "  connection:", "  rolloutPolicy: careful\n  connection:")
    demo.edit(
        "profiles.yaml",
        "restart: [systemd-timesyncd.service]",
        "restart: [systemd-timesyncd.service]\n        validate: grep -q ^NTP= {file}",
    )
    demo.edit("templates/timesyncd.conf.j2", "NTP=", "NPT=")
    demo.run("git add -A && git commit -q -m 'A policy, a check, and a typo'")
    demo.run(f"fleet plan --sandbox {NODES}", expect=3)
    demo.run(f"fleet apply --yes --sandbox {NODES} --vault-password-file {VAULT}", expect=4)

    demo.say("The typo mended. The controller is killed in the middle; whoever resumes goes on where it was.")
    demo.edit("templates/timesyncd.conf.j2", "NPT=", "NTP=")
    demo.run("git commit -q -a -m 'No typo'")
    command = f"fleet apply --yes --sandbox {NODES} --vault-password-file {VAULT}"
    rollout = demo.kill(command, once="started 1 node (lyon-1-c)")
    demo.run(f"fleet rollout list --sandbox {NODES}")
    demo.run(f"fleet rollout resume {rollout} --sandbox {NODES} --vault-password-file {VAULT}")
    demo.run(f"fleet plan --sandbox {NODES}")


def shown(path: Path) -> str:
    """As short as it can be typed in the checkout, where `make demo` is."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


if __name__ == "__main__":
    main()
