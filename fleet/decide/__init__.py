"""The decision core of a rollout, pure: no I/O, no clock. Every engine drives this one.

    decide(state, signal) -> Decision(events, effects)      what happens now
    evolve(state, event)  -> state                           what is true after it
    initial(order)        -> state                           before anything happened
    supersedes(order, state), after(order, …)                what becomes of an older rollout, and of the newer one's order
    undoing(state, id) -> order                              the rollout that rolls another one back

The rules (k3s-contract, 1 and 13): servers of a cluster one after the other, by rank, then its agents;
at most 50 joining agents of a cluster at once; plain hosts at any time; at most `forks` nodes in flight, in batches
of at most `batch_size`. A server that fails or is away blocks what comes after it in its own cluster, nothing else.

What a policy adds: a wave comes when the one before it has passed (`wave`) and has soaked, and when somebody approved of it;
of a group with a budget at most so many nodes are away at once (`budget`); nodes begin in their windows (`windows`) and no
faster than a rate (`waiting`); and a wave that fails, or too many failures in all, pause the rollout, or end it to be rolled
back. `gating` asks gates before each wave and after it (`checked`: what is true then), and nodes that one is against go back
meanwhile (`way_back`). `forecast` tells how long all that takes.
"""

from fleet.decide.decision import decide
from fleet.decide.evolution import evolve, evolve_all
from fleet.decide.layout import MAX_JOINING, initial
from fleet.decide.snapshot import decode_snapshot, encode_snapshot, restore, snapshot
from fleet.decide.succession import after, supersedes
from fleet.decide.undoing import undoing

__all__ = [
    "MAX_JOINING",
    "after",
    "decide",
    "decode_snapshot",
    "encode_snapshot",
    "evolve",
    "evolve_all",
    "initial",
    "restore",
    "snapshot",
    "supersedes",
    "undoing",
]
