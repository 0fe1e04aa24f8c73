"""The decision core of a rollout, pure: no I/O, no clock. Every engine drives this one.

    decide(state, signal) -> Decision(events, effects)      what happens now
    evolve(state, event)  -> state                           what is true after it
    initial(order)        -> state                           before anything happened
    after(order, …)       -> order                           of a rollout that supersedes another one

The rules (issue 3, 8; k3s-contract 1 and 13): servers of a cluster one after the other, by rank, then its agents;
at most 50 joining agents of a cluster at once; plain hosts at any time; at most `forks` nodes in flight, in batches
of at most `batch_size`. A server that fails or is away blocks what comes after it in its own cluster, nothing else.

What a policy adds (issue 6): a wave comes when the one before it has passed (`wave`), of a group with a budget at most
so many nodes are away at once (`budget`), and a wave that fails, or too many failures in all, pause the rollout.
"""

from fleet.decide.decision import decide
from fleet.decide.evolution import evolve, evolve_all
from fleet.decide.layout import MAX_JOINING, after, initial
from fleet.decide.snapshot import decode_snapshot, encode_snapshot, restore, snapshot

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
]
