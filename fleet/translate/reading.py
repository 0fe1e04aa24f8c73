"""The source's texts become facts, or every mistake in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from fleet.errors import SpecError
from fleet.formats import FormatError, vault
from fleet.formats.inventory import Draft, Inventory, Mark, PassedOverError, read_into, read_variables
from fleet.model.problem import Problem
from fleet.model.translation import InventorySource, SourceFile
from fleet.translate.facts import Definition, Facts, Stage, facts_of
from fleet.translate.notes import Notes

_SAVE = "ansible-inventory -i {} --list --yaml --export > hosts.yml, and import hosts.yml"
_NO_INVENTORY = (".toml",)


class Reading:
    """Reads one source. `problems` fills; `sealed` has vaults that are whole files, which nobody looked into yet."""

    def __init__(self, source: InventorySource, notes: Notes) -> None:
        self._source = source
        self._notes = notes
        self.problems: list[Problem] = []

    def facts(self, opened: Callable[[SourceFile], Mapping[str, Any] | None]) -> Facts:
        """`opened` gives the variables of a vault that is a whole file, None where it stays shut.

        Raises SpecError with every mistake of every file.
        """
        inventory = self._inventory()
        self._say_passed_over()
        by_group = self._variables(self._source.group_vars, inventory.groups, "group", opened)
        by_host = self._variables(self._source.host_vars, inventory.hosts, "host", opened)
        self._say_shadowed(inventory, by_host)
        if not inventory.hosts and not self.problems:
            self._problem(self._source.path, FormatError("there are no hosts in it", "Is it an inventory?", 1, 1))
        if self.problems:
            raise SpecError(sorted(set(self.problems)), len(self._files()))
        return facts_of(inventory, by_group, by_host)

    def _files(self) -> list[SourceFile]:
        return [*self._source.hosts, *self._source.group_vars, *self._source.host_vars]

    def _inventory(self) -> Inventory:
        draft = Draft()
        for file in self._source.hosts:
            draft.tell = self._listener(file.file)
            if self._is_readable(file):
                read_into(draft, file.data, file.file)
        return draft.finish()

    def _is_readable(self, file: SourceFile) -> bool:
        """Whether it is a text of an inventory; if not, a problem says what it is."""
        fault = hint = ""
        if file.trouble:
            fault = file.trouble
        elif file.data.startswith(b"#!"):
            fault, hint = "this is a program, and programs are not run here", f"Save what it says: {self._save(file)}"
        elif file.file.endswith(_NO_INVENTORY):
            fault, hint = "inventories in TOML are not read", f"Save it as YAML: {self._save(file)}"
        elif vault.is_vault(file.data):
            fault, hint = "an inventory that is encrypted as a whole is not read", "ansible-vault decrypt, then import"
        if fault:
            self._problem(file.file, FormatError(fault, hint, 1, 1))
        return not fault

    def _save(self, file: SourceFile) -> str:
        return _SAVE.format(file.file)

    def _variables(
        self,
        files: Iterable[SourceFile],
        known: Iterable[str],
        kind: str,
        opened: Callable[[SourceFile], Mapping[str, Any] | None],
    ) -> dict[str, dict[str, Definition]]:
        names = frozenset(known)
        found: dict[str, dict[str, Definition]] = {}
        for file in files:
            if file.trouble:
                self._problem(file.file, FormatError(file.trouble, "", 1, 1))
                continue
            if file.owner not in names:
                near = get_close_matches(file.owner, names, n=1)
                hint = f"Did you mean `{near[0]}`?" if near else ""
                message = f"the inventory has no {kind} `{file.owner}`: not carried over"
                self._notes.warn(Mark(file.file, 1, 1), f"{kind}_vars", message, hint)
                continue
            of_owner = found.setdefault(file.owner, {})
            for definition in self._defined(file, kind, opened):
                self._say_set_again(of_owner.get(definition.name), definition)
                of_owner[definition.name] = definition
        return found

    def _defined(
        self, file: SourceFile, kind: str, opened: Callable[[SourceFile], Mapping[str, Any] | None]
    ) -> list[Definition]:
        places: Mapping[str, tuple[int, int]] = {}
        values: Mapping[str, Any]
        if vault.is_vault(file.data):
            values = opened(file) or {}
        else:
            values, places = read_variables(file.data, self._listener(file.file))
        stage: Stage = "file"
        group, host = (file.owner, "") if kind == "group" else ("", file.owner)
        return [
            Definition(name, value, Mark(file.file, *places.get(name, (1, 1))), stage, group, host)
            for name, value in values.items()
        ]

    def _say_set_again(self, before: Definition | None, now: Definition) -> None:
        if before is not None:
            place = f"{now.mark.file}:{now.mark.line}"
            self._notes.note(before.mark, before.name, f"never in force: {place} sets it again")

    def _say_shadowed(self, inventory: Inventory, by_host: Mapping[str, Mapping[str, Definition]]) -> None:
        for host, named in by_host.items():
            for name in named.keys() & inventory.hosts[host].keys():
                by, mark = named[name].mark, inventory.marks.host_vars[host][name]
                self._notes.note(mark, name, f"never in force: {by.file}:{by.line} stands above it")

    def _say_passed_over(self) -> None:
        for each in self._source.passed_over:
            message = f"not read by Ansible, for {each.by} stands before it: not carried over"
            self._notes.warn(Mark(each.file, 1, 1), "variables", message, "Put its content there, or remove it")

    def _listener(self, file: str) -> Callable[[FormatError], None]:
        """What Ansible only warns of is told; anything else is a problem."""

        def tell(error: FormatError) -> None:
            if isinstance(error, PassedOverError):
                message = f"{error.problem}: Ansible warns of it and goes on, and so did this"
                self._notes.warn(Mark(file, error.line, error.column), "inventory", message, error.hint)
            else:
                self._problem(file, error)

        return tell

    def _problem(self, file: str, error: FormatError) -> None:
        self.problems.append(Problem(file, error.line, error.column, "", error.problem, error.hint))
