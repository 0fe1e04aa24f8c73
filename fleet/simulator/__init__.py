"""A rollout rehearsed: the true decider and a true journal, pretend nodes, and a clock that jumps to what comes next.

Blind to the engine, to adapters and to operations: the journal comes in through its port.
"""

from fleet.simulator.clock import VirtualClock
from fleet.simulator.rehearsal import Stage, rehearse

__all__ = ["Stage", "VirtualClock", "rehearse"]
