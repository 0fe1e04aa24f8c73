"""The library's face: one fleet folder, and what can be done with it.

    Workspace.open(path).validate() | plan() | render(folder) | apply(plan) | status() | nodes() | node(name)
    Workspace.open(path).rollouts().list() | watch() | pause() | approve() | resume() | cancel()
    Workspace.open(path).simulate(rehearsal)
    Workspace.open(path).hosts().keys() | pin() | seed() | adopt() | retire() | replace()
    Workspace.open(path).secrets().generate() | store() | value() | rows() | rotate() | rekey()

Errors are `FleetError`s (`fleet.errors`); found changes and a halted rollout are results.
"""

from fleet.model.plan import EVERYTHING
from fleet.model.validation import Validation
from fleet.workspace.workspace import Workspace

__all__ = ["EVERYTHING", "Validation", "Workspace"]
