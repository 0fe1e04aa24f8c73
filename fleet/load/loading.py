"""The verb itself: a Tree becomes a Spec."""

from __future__ import annotations

from fleet.errors import SpecError
from fleet.load.judging import Judge
from fleet.load.locks import read_lock, read_secrets_lock
from fleet.load.mistakes import MistakeList
from fleet.load.reading import Reader
from fleet.load.schema import to_problems
from fleet.load.shelves import Shelves
from fleet.model.problem import Problem
from fleet.model.spec.document import Spec
from fleet.model.tree import Tree

KNOWN_HOSTS_FILE = "known_hosts"


def load(tree: Tree) -> Spec:
    """Everything that people wrote in `tree`. Raises SpecError with every mistake, placed at file, line and column."""
    mistakes = MistakeList()
    reader = Reader(tree.files, mistakes)
    lock = read_lock(reader, mistakes)
    secrets_lock = read_secrets_lock(reader, mistakes)
    shelves = Shelves(tree.files, reader, mistakes)
    for raw in reader.documents():
        shelves.put(raw)
    shelves.fill_site_sets()
    Judge(shelves, lock, tree.files, mistakes).judge()
    fleet = shelves.fleet
    if not shelves.has_fleet and not mistakes.problems:
        mistakes.problems.append(_no_fleet(shelves.count, reader.others))
    if mistakes or fleet is None:
        problems = {*mistakes.problems, *to_problems(mistakes.mistakes, tree.files)}
        raise SpecError(sorted(problems), shelves.count)
    return Spec(
        fleet=fleet,
        profiles=shelves.profiles,
        sites=shelves.sites,
        segmentation=shelves.segmentation,
        policies=shelves.policies,
        lock=lock,
        secrets_lock=secrets_lock,
        known_hosts=reader.read(KNOWN_HOSTS_FILE) or b"",
        files=tree.files,
        documents=shelves.count,
        others=reader.others,
        digest=reader.digest,
        warnings=tuple(mistakes.warnings),
    )


def _no_fleet(ours: int, others: int) -> Problem:
    found = f"found none among {ours} documents of fleet/v1alpha1" if ours else f"found none ({others} of other tools)"
    return Problem(".", 1, 1, "", f"expected one document of kind Fleet, {found}", "`fleet init` writes one.")
