"""The engine that drives what a workspace has under way, and the wish to stop it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.errors import FleetError

if TYPE_CHECKING:
    from fleet.operations.intent import Intent
    from fleet.ports.engine import Engine
    from fleet.wiring import Wiring


class Driving:
    """`is_stopping`: somebody has asked to stop, before or while something ran."""

    def __init__(self, wiring: Wiring) -> None:
        self.is_stopping = False
        self._wiring = wiring
        self._engine: Engine | None = None

    def engine(
        self, intent: Intent, forks: int, verbosity: int = 0, *, cluster: bool, is_resumed: bool = False
    ) -> Engine:
        """The one that `stop` reaches from here on."""
        from fleet.operations.preparing import project_writer
        from fleet.workspace.clusters import with_clusters
        from fleet.workspace.gates import gates_of

        wiring = self._wiring
        around = with_clusters(wiring, intent, is_resumed=is_resumed) if cluster else None
        writer = project_writer(intent, wiring.folder, wiring.shipped, wiring.records)
        gates = partial(gates_of, wiring, intent, forks, cluster=cluster)
        self._engine = wiring.engine(writer, forks, verbosity, around, gates, wiring.silent(intent.fleet.nodes))
        return self._engine

    def closing(self, intent: Intent | None, forks: int) -> Engine:
        """One that begins no batch and needs no project. With an intent, servers that came through take pods again."""
        from fleet.workspace.clusters import uncordoning

        around = uncordoning(self._wiring, intent) if intent else None
        self._engine = self._wiring.engine(_no_project, forks, 0, around)
        return self._engine

    def stop(self) -> None:
        self.is_stopping = True
        if self._engine is not None:
            self._engine.stop()


def _no_project(_path: Path, names: Sequence[str]) -> None:
    raise FleetError(f"a batch of {len(names)} nodes was to begin, and its rollout is ending")
