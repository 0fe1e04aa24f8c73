"""What a gate asks outside of the fleet, and what came back."""

from __future__ import annotations

from typing import Literal

import msgspec

Trouble = Literal["", "unreachable", "late", "broken", "unresolved", "untrusted", "redirect", "unusable", "stopped"]
"""Why there is no whole answer: nobody takes the connection, the time was over, it is cut off or no HTTP, its name does not
resolve, its certificate is not believed, it leads elsewhere, the URL cannot be used, or `stop_now`."""


class Reply(msgspec.Struct, frozen=True):
    """What a URL answered. `status` is 0 where there is `trouble`, told in `reason`: one line, without a secret. `body` is
    its beginning. `seconds` is how long it took, `proxy` the host and port of the proxy that was asked, empty for none.
    """

    status: int = 0
    seconds: float = 0.0
    body: bytes = b""
    trouble: Trouble = ""
    reason: str = ""
    proxy: str = ""


class Sample(msgspec.Struct, frozen=True):
    """The one number that a query gave; None where it gave none, or more than one, told in `reason`. `warning` is what the
    server said beside it. `trouble` as in `Reply`, where no answer came.
    """

    value: float | None = None
    reason: str = ""
    warning: str = ""
    trouble: Trouble = ""


class CommandOrder(msgspec.Struct, frozen=True):
    """A program without a shell, in the fleet's folder. `stdin` is all that it can read; it is ended after `seconds`. What it
    writes is kept under the name `log`.
    """

    command: tuple[str, ...]
    stdin: bytes
    seconds: float
    log: str


class CommandEnd(msgspec.Struct, frozen=True):
    """`code` is what it exited with, negative for the signal that ended it; None where it was not run, did not end in time
    (`is_late`) or was stopped, told in `reason`. `tail` is the end of what it wrote, `log` the file that holds more of it,
    empty where it wrote nothing.
    """

    code: int | None = None
    seconds: float = 0.0
    tail: str = ""
    log: str = ""
    reason: str = ""
    is_late: bool = False
