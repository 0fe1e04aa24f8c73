"""What the global options said, and the workspace that they lead to."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fleet.cli import streams
from fleet.cli.streams import Stream

if TYPE_CHECKING:
    from fleet.cli.diagnostics import Diagnostics
    from fleet.cli.passwords import Passwords
    from fleet.wiring import PasswordSource
    from fleet.workspace import Workspace


class Face:
    """One call of the command. Options before and after the verb fill it in; a verb reads it."""

    def __init__(self) -> None:
        self.directory = "."
        self.verbosity = 0
        self.log_format = "text"
        self.allow_colour = True
        self.sandbox = ""
        self.arguments: Sequence[str] = ()
        self.is_detached = False
        self.agreed = ""
        self.rollout_id = ""
        self.become: PasswordSource | None = None
        self.began: Callable[[str], None] = lambda _rollout_id: None
        """Called with the id of a rollout once its first event is in the journal."""

    @cached_property
    def passwords(self) -> Passwords:
        from fleet.cli.passwords import Passwords

        return Passwords()

    @cached_property
    def out(self) -> Stream:
        return streams.stdout(allow_colour=self.allow_colour)

    @cached_property
    def err(self) -> Stream:
        return streams.stderr(allow_colour=self.allow_colour)

    @cached_property
    def diagnostics(self) -> Diagnostics:
        from fleet.cli.diagnostics import Diagnostics

        return Diagnostics(self.verbosity, self.log_format)

    def workspace(
        self,
        sandbox: str = "",
        vault_password_file: str = "",
        become_password_file: str = "",
        *,
        asks_become: bool = False,
        may_ask: bool = True,
    ) -> Workspace:
        """`may_ask`: without it there is a vault password only where one is given."""
        from fleet.cli.passwords import become_source, given_password, password_source
        from fleet.workspace import Workspace

        self.sandbox = sandbox
        become = become_source(become_password_file, asks=asks_become)
        self.become = become = self.passwords.become(become) if become else None
        with self.diagnostics.stage("open", directory=self.directory):
            password = password_source(vault_password_file) if may_ask else given_password(vault_password_file)
            password = self.passwords.vault(password) if password else None
            # Kept until the process ends, see main.run.
            self.opened = Workspace.open(
                self.directory, sandbox=sandbox, vault_password=password, become_password=become
            )
        return self.opened

    def again(self, words: str) -> str:
        """The next command to type, for the same folder and sandbox: `rollout resume 7f3c` with all it needs."""
        where = [] if self.directory == "." else ["-C", self.directory]
        nodes = ["--sandbox", self.sandbox] if self.sandbox else []
        return shlex.join(["fleet", *where, *words.split(), *nodes])

    def print_json(self, output: str, value: Any) -> None:
        """The document that `fleet schema --output OUTPUT` describes, on stdout."""
        from fleet.cli.documents import output_named

        self.out.text(output_named(output).document(value))

    def print_json_line(self, output: str, value: Any) -> None:
        """The same in one line: streams are JSON lines."""
        from fleet.cli.documents import output_named

        self.out.text(output_named(output).line(value))
