"""A verb that goes on in a process of its own (`--detach`): this one leaves once the rollout is in the journal.

The other process is called with the same words, in a session of its own: no terminal, no ^C, no hang-up reaches it. Two
pipes join the two: passwords that were asked for here go one way, the rollout's id comes back.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from fleet.cli.face import Face
from fleet.errors import EXIT_BUG, EXIT_DONE, RefusedError

if TYPE_CHECKING:
    from fleet.model.plan import Plan

_FOLDER = "detached"
_KEPT_SECONDS = 7 * 86400
_LAST_WORDS = 20
_ROOT = Path(__file__).parents[2]


class Detached(msgspec.Struct, frozen=True):
    """A rollout that goes on by itself: `pid` drives it, and `log` holds what it prints."""

    rollout_id: str
    pid: int
    log: str


def detach(face: Face, state: Path, agreed: str = "", rollout_id: str = "", *, as_json: bool) -> int:
    """Calls this very verb again, and returns when its rollout's first event is in the journal; what it prints goes to a
    file below `state` (0600). Where it ends before, its last words are shown, and its exit code is the answer.

    `agreed` is the fingerprint of the plan that was shown: no other one is carried out. `rollout_id` is the rollout's, where
    somebody was told of it.
    """
    if face.become is not None:
        face.become()  # nobody can be asked any more over there
    log = _new_log(state / _FOLDER)
    told, child = _start(face, log, agreed, rollout_id)
    try:
        with os.fdopen(told) as pipe:
            rollout_id = pipe.readline().strip()
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        raise
    if not rollout_id:
        return _ended(face, child.wait(), log)
    found = Detached(rollout_id, child.pid, str(_named(log, rollout_id)))
    if as_json:
        face.print_json("detached", found)
    else:
        _tell(face, found)
    return EXIT_DONE


def fingerprint(plan: Plan) -> str:
    """Of what a plan would do: two plans with the same one do the same."""
    import hashlib

    nodes = [(change.node, change.base, change.wanted) for change in plan.nodes]
    waves = [(wave.name, wave.nodes) for wave in plan.waves]
    text = msgspec.json.encode([plan.revision.commit, plan.tree_digest, plan.policy, nodes, waves])
    return hashlib.sha256(text).hexdigest()


def check_agreed(face: Face, plan: Plan) -> None:
    """Raises RefusedError in a detached process for another plan than the one that was shown."""
    if face.agreed and face.agreed != fingerprint(plan):
        raise RefusedError("git or what the nodes hold changed since the plan was made", "Run it again: fleet apply")


def _start(face: Face, log: Path, agreed: str, rollout_id: str) -> tuple[int, subprocess.Popen[bytes]]:
    """The end of the pipe from which the rollout's id is read, and the process."""
    told, tells = os.pipe()
    papers, hands_over = os.pipe()
    try:
        # It imports this very fleet, wherever that lies, and nothing from the folder in which it runs.
        code = f"import sys; sys.path.insert(0, {str(_ROOT)!r}); from fleet.cli.detached import run; run()"
        with log.open("ab") as output:
            child = subprocess.Popen(
                [sys.executable, "-P", "-c", code, str(papers), str(tells), agreed, rollout_id, *face.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(papers, tells),
                start_new_session=True,
            )
    finally:
        os.close(tells)
        os.close(papers)
    with contextlib.suppress(BrokenPipeError), os.fdopen(hands_over, "wb") as pipe:  # it may have died: seen below
        pipe.write(face.passwords.sealed())
    return told, child


def _new_log(folder: Path) -> Path:
    from fleet.adapters.disk import cannot, make_private_folder

    make_private_folder(folder.parent)
    make_private_folder(folder)
    path = folder / f"starting-{secrets.token_hex(4)}.log"
    try:
        for old in folder.glob("*.log"):
            if time.time() - old.stat().st_mtime > _KEPT_SECONDS:
                old.unlink()
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise cannot("write", path, error) from None
    return path


def _named(log: Path, rollout_id: str) -> Path:
    """The log under its rollout's name; one that was resumed has several."""
    number, path = 1, log.with_name(f"{rollout_id}.log")
    while path.exists():
        number += 1
        path = log.with_name(f"{rollout_id}-{number}.log")
    return log.rename(path)


def _tell(face: Face, found: Detached) -> None:
    name = found.rollout_id
    face.out.line(f"rollout {name} goes on by itself (process {found.pid}), and writes to {found.log}", "answer")
    watch, pause = face.again(f"rollout watch {name}"), face.again(f"rollout pause {name}")
    face.out.line(f"{watch} follows it; {pause} stops it", "next")


def _ended(face: Face, code: int, log: Path) -> int:
    """What it printed is all there is to say, and it is said here."""
    from fleet.report import Line, clean

    words = log.read_text(errors="replace").splitlines()[-_LAST_WORDS:]
    log.unlink()
    face.err.lines(Line(clean(text)) for text in words)
    if code < 0:
        face.err.line(f"error: the detached process was killed by signal {-code} before its rollout began", "refused")
        return EXIT_BUG
    return code
