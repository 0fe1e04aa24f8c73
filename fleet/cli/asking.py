"""A request to a rollout, by the process that drives it or by this one: what became of it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleet.cli.face import Face
from fleet.errors import EXIT_DONE

if TYPE_CHECKING:
    from fleet.cli.lines.answers import Asked
    from fleet.ports.engine import Answer


def tell(face: Face, asked: Asked, answer: Answer, *, as_json: bool) -> int:
    from fleet.cli.lines.answers import answer_lines

    if as_json:
        face.print_json("answer", answer)
    else:
        face.out.lines(answer_lines(asked, answer, face.again))
    return EXIT_DONE
