"""import: an Ansible inventory becomes a spec in a folder, and a report says what is not as it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from fleet.errors import MistakesError, SpecError, UsageError
from fleet.formats import vault
from fleet.load import json_schema, load, to_problems
from fleet.model.learned import Learned
from fleet.model.problem import Problem
from fleet.model.translation import (
    ImportNote,
    ImportOptions,
    ImportReport,
    InventorySource,
    NewFile,
    Translation,
)
from fleet.model.tree import Tree
from fleet.ports.additions import Additions
from fleet.ports.inventories import Inventories
from fleet.resolve import resolve
from fleet.translate import translate

Password = Callable[[], bytes]
_IGNORED = NewFile(".gitignore", b".fleet/\n")
_SCHEMA = ".fleet/schema.json"


class Importing(msgspec.Struct, frozen=True):
    """Where from and where to. `out` is the folder as users named it, `folder` the same as a path."""

    inventories: Inventories
    additions: Additions
    hosts: str
    folder: Path
    out: str


def import_ansible(
    task: Importing, options: ImportOptions, password: Password | None = None, *, dry_run: bool = False
) -> ImportReport:
    """Writes all files or none. What `fleet validate` would say of them is among the notes.

    `password` is asked only where a vault that is a whole file is to be opened. Raises SpecError with every mistake of
    an inventory that cannot be read, UsageError that names every file which is there already.
    """
    source = task.inventories.read(Path(task.hosts), task.hosts)
    if password is not None and _has_sealed(source):
        options = msgspec.structs.replace(options, vault_password=password())
    made = translate(source, options)
    files = (*_beside(task), *made.files)
    if taken := task.additions.clashes(task.folder, files):
        raise _clash(task.folder, taken)
    if not dry_run:
        task.additions.add(task.folder, files)
    notes = (*made.notes, *(_note(problem) for problem in _problems(made.files)))
    return _report(made, notes, files, task.out, is_written=not dry_run)


def _has_sealed(source: InventorySource) -> bool:
    return any(vault.is_vault(file.data) for file in (*source.group_vars, *source.host_vars))


def _beside(task: Importing) -> list[NewFile]:
    """What `fleet init` writes, too, where it is not there: for git, and for editors."""
    schema = NewFile(_SCHEMA, json.dumps(json_schema(), indent=1).encode() + b"\n")
    wanted = [_IGNORED, schema]
    there = frozenset(task.additions.clashes(task.folder, wanted))
    return [file for file in wanted if file.path not in there]


def _clash(folder: Path, taken: Sequence[str]) -> UsageError:
    listed = "\n".join(f"  {folder / path}" for path in taken)
    number = "1 file is" if len(taken) == 1 else f"{len(taken):,} files are"
    return UsageError(
        f"{number} there already, and an import never overwrites:\n{listed}", "choose an empty folder: --out DIR"
    )


def _problems(files: Sequence[NewFile]) -> Sequence[Problem]:
    """What is wrong with the spec by itself: K3s refuses more than Ansible does."""
    tree = Tree({file.path: file.data for file in files})
    try:
        spec = load(tree)
        fleet = resolve(spec, Learned())
    except SpecError as error:
        return error.problems
    except MistakesError as error:
        return to_problems(error.mistakes, tree.files)
    return to_problems((*spec.warnings, *fleet.warnings), tree.files)


def _note(problem: Problem) -> ImportNote:
    """A problem of what was written, at its place there."""
    what = f"{problem.path}: {problem.message}" if problem.path else problem.message
    return ImportNote(problem.file, problem.line, problem.column, "validate", what, problem.hint)


def _report(
    made: Translation, notes: tuple[ImportNote, ...], files: Sequence[NewFile], out: str, *, is_written: bool
) -> ImportReport:
    return ImportReport(
        fleet=made.fleet,
        source=made.source,
        out=out,
        is_written=is_written,
        sites=made.sites,
        variables=made.variables,
        secrets=made.secrets,
        hosts=made.hosts,
        groups=made.groups,
        files=tuple(file.path for file in files),
        notes=notes,
    )
