"""A Verdict: what one rule says of a plan."""

from __future__ import annotations

from typing import Literal

import msgspec

from fleet.model.problem import Place


class Verdict(msgspec.Struct, frozen=True):
    """`rule` is the stable name and the page docs/rules/RULE.md. A `refused` verdict stops apply; a `warning` does not.

    `subject` is the node, cluster or site; `message` what is wrong; `hint` what to do.
    """

    rule: str
    outcome: Literal["refused", "warning"]
    subject: str
    message: str
    hint: str = ""
    place: Place | None = None
    where: str = ""
    """`file:line:col`, filled in when the verdict is shown."""
    key: str = ""
    """The key of k3s.config that it is about, at the node of `place`: where that is written is where it points."""
