"""Starts the child of one run: its project, its papers, its environment, its vault password in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from fleet.adapters.ansible.environment import environment
from fleet.adapters.ansible.memory import watch
from fleet.adapters.ansible.workdir import Job, Workdir
from fleet.adapters.disk import cannot, write_atomic
from fleet.errors import UnavailableError
from fleet.ports.applier import ProjectWriter


class Settings(msgspec.Struct, frozen=True):
    """`run_dir` holds a folder per batch (0700, made when absent). `forks` is how many nodes Ansible works on at once.

    `controller` is who applies, for the nodes' records. `verbosity` is Ansible's -v, 0 to 4.
    Host keys are those in the project's known_hosts; `private_key` is for nodes whose spec names none. What Ansible prints of
    the newest `kept_rollouts` rollouts is kept in `output_dir`; without, it goes with the folder of its batch.
    """

    run_dir: Path
    forks: int = 10
    controller: str = ""
    verbosity: int = 0
    private_key: Path | None = None
    output_dir: Path | None = None
    kept_rollouts: int = 0


Password = Callable[[], bytes]


class Launcher:
    """Knows how runs are made; each one gets a child of its own."""

    def __init__(
        self,
        settings: Settings,
        write_project: ProjectWriter,
        password: Password | None,
        become: Password | None = None,
    ) -> None:
        """`password` opens vaults; `become` is what sudo asks for where the spec names no secret."""
        self.settings = settings
        self._write_project = write_project
        self._password = password
        self._become = become
        self._watching: dict[Path, int] = {}

    def start(
        self, workdir: Workdir, job: Job, variables: Mapping[str, str], known: Sequence[msgspec.Struct] = ()
    ) -> subprocess.Popen[bytes]:
        """Writes the project into memory and starts the child, in a session of its own with stdin closed. `release` follows.

        `variables` are YAML by name, passed to Ansible as extra variables; `known` are answers that need no run, and come
        before its own. The password is asked for only when the
        project holds a vault file.
        """
        workdir.make()
        for answer in known:
            workdir.append(answer)
        self._write_project(workdir.project, job.nodes)
        text = "".join(f"{name}: {value}\n" for name, value in variables.items()) or "{}\n"
        write_atomic(workdir.memory / "vars.yml", text.encode())
        held: dict[str, int] = {}
        try:
            self._watch(workdir)
            if self._password is not None and _has_vault(workdir.project):
                held["vault_fd"] = _held_in_memory(self._password())
            if self._become is not None:
                held["become_fd"] = _held_in_memory(self._become())
            where, kept = self.settings.output_dir, self.settings.kept_rollouts
            workdir.order_job(
                msgspec.structs.replace(job, **held, output_dir=str(where) if where else "", kept_rollouts=kept)
            )
            return self._spawn(
                workdir, environment(workdir, self.settings.private_key), [*held.values(), self._watching[workdir.path]]
            )
        except OSError as error:
            raise cannot("start Ansible in", workdir.path, error) from None
        finally:
            for descriptor in held.values():
                os.close(descriptor)

    def release(self, workdir: Workdir) -> None:
        """This process needs the run no more: once its child is gone too, what is in memory goes."""
        if (held := self._watching.pop(workdir.path, None)) is not None:
            os.close(held)

    def _watch(self, workdir: Workdir) -> None:
        """What is in memory goes when this process and the child are gone."""
        self._watching[workdir.path] = watch(workdir.memory)

    def _spawn(self, workdir: Workdir, env: Mapping[str, str], kept: Sequence[int]) -> subprocess.Popen[bytes]:
        # The child imports this very fleet, wherever it lies; Ansible and what it runs do not see it.
        code = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[3])!r})"
        code += "; from fleet.adapters.ansible.child import main; sys.exit(main(sys.argv[1]))"
        with os.fdopen(os.open(workdir.log, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-c", code, str(workdir.path)],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=kept,
                start_new_session=True,
                umask=0o077,
                cwd=workdir.path,
            )


def expected(expect: Mapping[str, str]) -> str:
    """`BatchOrder.expect` as the variable that fleet_bundle goes by: a digest that may not be there is `none`."""
    return unsafe({node: ",".join(one or "none" for one in digests.split(",")) for node, digests in expect.items()})


def unsafe(value: object) -> str:
    """A value as YAML (JSON is YAML) of which Ansible takes no text for a template, however deep it lies.

    What cannot be one goes without the tag: Ansible takes `!unsafe "*"` and `!unsafe "1"` for texts without quotes.
    """
    if isinstance(value, str):
        return f"!unsafe {plain(value)}" if "{" in value or value.startswith("#") else plain(value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{plain(key)}: {unsafe(each)}' for key, each in value.items())}}}"
    if isinstance(value, Sequence):
        return f"[{', '.join(unsafe(each) for each in value)}]"
    return plain(value)


def plain(value: object) -> str:
    """A value as YAML; JSON is YAML where every string is quoted."""
    return msgspec.json.encode(value).decode()


def _has_vault(project: Path) -> bool:
    return any(path.suffix in {".yaml", ".yml"} for path in (project / "secrets").rglob("*"))


def _held_in_memory(password: bytes) -> int:
    try:
        handle = os.memfd_create("fleet-password", os.MFD_CLOEXEC)
    except OSError as error:
        raise UnavailableError(f"this system keeps no file in memory: {error.strerror}") from None
    os.fchmod(handle, 0o600)  # one that may be executed would be run
    os.write(handle, password)
    return handle
