"""In-memory stand-ins, one for each port, for tests of `fleet` and of what is built on it.

`fleet.testing.contracts` holds a suite for each port (it needs pytest): a stand-in and its real adapter pass the same.
"""

from fleet.testing.applier import MemoryApplier
from fleet.testing.clock import MemoryClock
from fleet.testing.cluster import MemoryCluster
from fleet.testing.folder import FolderApplier
from fleet.testing.gates import MemoryCommands, MemoryGates, MemoryMetrics, MemoryWeb
from fleet.testing.hand import MemoryHand
from fleet.testing.host_keys import MemoryHostKeys
from fleet.testing.journal import MemoryJournal
from fleet.testing.observer import MemoryObserver
from fleet.testing.outputs import MemoryOutputs
from fleet.testing.records import MemoryRecords
from fleet.testing.secrets import MemorySecrets

__all__ = [
    "FolderApplier",
    "MemoryApplier",
    "MemoryClock",
    "MemoryCluster",
    "MemoryCommands",
    "MemoryGates",
    "MemoryHand",
    "MemoryHostKeys",
    "MemoryJournal",
    "MemoryMetrics",
    "MemoryObserver",
    "MemoryOutputs",
    "MemoryRecords",
    "MemorySecrets",
    "MemoryWeb",
]
