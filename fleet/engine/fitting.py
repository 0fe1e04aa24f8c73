"""Whether a request fits a rollout as it is: `decide` says so, and a person is told what is possible instead."""

from __future__ import annotations

from fleet.decide import decide, evolve_all
from fleet.errors import UsageError
from fleet.model.rollout import RolloutState
from fleet.model.signal import Approve, Cancel, Pause, Request, Resume, Supersede, Tick

_DONE = {
    Pause: "paused",
    Resume: "resumed",
    Cancel: "cancelled",
    Approve: "approved",
    Supersede: "superseded",
}
_WHY = {
    "new": "it has not begun",
    "running": "it runs",
    "pausing": "it is pausing",
    "paused": "it is paused",
    "cancelling": "it is being cancelled",
    "superseding": "a newer rollout takes over from it",
    "withdrawing": "it ends, to be rolled back",
}
_POSSIBLE = {
    "new": "fleet rollout resume {id} begins it.",
    "running": "fleet rollout watch {id} shows how far it is, fleet rollout pause {id} and cancel {id} stop it.",
    "pausing": "fleet rollout watch {id} shows what still runs, fleet rollout cancel {id} ends it.",
    "paused": "fleet rollout resume {id} goes on, fleet rollout cancel {id} ends it.",
    "cancelling": "fleet rollout watch {id} shows what still runs.",
    "superseding": "fleet rollout watch {id} shows what still runs.",
    "withdrawing": "fleet rollout watch {id} shows what still runs.",
}
NOTHING_LEFT = "fleet apply starts a new one, fleet rollout show {id} tells what became of this one."


def check_fits(state: RolloutState, request: Request) -> None:
    """Raises `UsageError` for a request that would lead to nothing but what time alone leads to."""
    state = evolve_all(state, decide(state, Tick(at=request.at)).events)
    if decide(state, request).events:
        return
    hint = _POSSIBLE.get(state.status, NOTHING_LEFT).format(id=state.order.id)
    raise UsageError(f"rollout {state.order.id} cannot be {_DONE[type(request)]}: {_why(state, request)}", hint)


def _why(state: RolloutState, request: Request) -> str:
    if state.has_ended:
        return f"it has ended ({state.status})"
    if not isinstance(request, Approve):
        return _WHY[state.status]
    if state.asked > state.approved and state.status in ("running", "pausing", "paused"):
        if not state.order.may_approve(request.by):
            return f"{request.by} is none of its approvers ({', '.join(state.order.approvers)})"
        return f"wave {state.order.waves[state.asked].name} waits for an approval, and not {request.wave}"
    waits = f"wave {request.wave} does not wait" if request.wave else "no wave waits"
    return f"{_WHY[state.status]}, and {waits} for an approval"
