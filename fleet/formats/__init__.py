"""Texts that others defined: YAML, CSV, Ansible Vault, Ansible inventories. Knows no noun of ours.

Every reader takes bytes and either gives plain Python values or raises `FormatError` with a place in the text.
"""


class FormatError(ValueError):
    """One mistake in a text: what is wrong, how to mend it, and where (line and column count from 1)."""

    def __init__(self, problem: str, hint: str, line: int, column: int) -> None:
        super().__init__(problem, hint, line, column)
        self.problem = problem
        self.hint = hint
        self.line = line
        self.column = column

    def __str__(self) -> str:
        text = f"{self.line}:{self.column}: {self.problem}"
        return f"{text}. {self.hint}" if self.hint else text
