"""The other end of `--detach`: the same verb, with the passwords of the process that started it."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from fleet.cli.face import Face
from fleet.cli.main import leave, main
from fleet.cli.passwords import Passwords


def run() -> NoReturn:
    """`PAPERS TELLS AGREED ID ARGUMENTS`: the pipes to read passwords from and to tell the rollout's id on, the fingerprint
    of the plan that was shown, and the id that its rollout is to have (both may be empty).
    """
    papers, tells, agreed, rollout_id, *arguments = sys.argv[1:]
    face = Face()
    face.is_detached, face.agreed, face.rollout_id = True, agreed, rollout_id
    with os.fdopen(int(papers), "rb") as pipe:
        face.passwords = Passwords.unsealed(pipe.read())
    face.began = _Telling(int(tells))
    leave(main(arguments, face))


class _Telling:
    """Tells the first rollout that began; whoever reads goes away then."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        os.set_inheritable(descriptor, False)

    def __call__(self, rollout_id: str) -> None:
        if self._descriptor < 0:
            return
        descriptor, self._descriptor = self._descriptor, -1
        try:
            os.write(descriptor, f"{rollout_id}\n".encode())
        except BrokenPipeError:
            pass  # it did not wait: the rollout goes on
        finally:
            os.close(descriptor)
