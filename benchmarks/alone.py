"""The same batches by ansible-runner alone: `alone.py FORKS PROJECT...`, one run for each Ansible project, in this one process.

As spare as ansible-runner can be driven: no file for each event, no facts kept, nothing printed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import ansible_runner.interface


def run(project: Path, forks: int, folder: str) -> None:
    done = ansible_runner.interface.run(
        private_data_dir=folder,
        project_dir=str(project),
        playbook="site.yml",
        inventory=str(project / "inventory/hosts.yml"),
        ident=project.name,
        forks=forks,
        event_handler=lambda _: False,
        fact_cache_type="memory",
        quiet=True,
    )
    if done.status != "successful":
        raise SystemExit(f"{project}: {done.status}")


def main(forks: str, *projects: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for project in projects:
            run(Path(project).absolute(), int(forks), folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
