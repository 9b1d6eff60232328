"""How far one disturbance may go before success falls: bisection, with the interval that the episodes leave.

Every amount is tried on the same seeds as the undisturbed episodes, so that each loss is a difference of pairs. Success is taken to fall, and not to
rise again, the further the disturbance goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from isthmus_evidence.disturbances import Disturbance
from isthmus_evidence.paired import paired_difference

__all__ = ["DROP", "find_margin", "loss_of"]

DROP = 0.10
"""Loss of success at which a margin ends: ten points."""
_FINEST = 1 / 32  # of the way


def find_margin(
    disturbance: Disturbance, nominal: Mapping[str, Any], run: Callable[[Mapping[str, float]], Mapping[str, Any]]
) -> dict[str, Any]:
    """Search the amounts at which the loss reaches `DROP`.

    Args:
        disturbance: what grows.
        nominal: evaluation of the undisturbed episodes.
        run: evaluates the same seeds with these parameters.

    Returns:
        plain data: `name`, `what`, `unit`, `factor`, `furthest`; `margin`, the amount at which the loss that was found reaches the drop, between
        `low`, up to which it is known to be less, and `high`, from which on it is known to be more, each None where it was not reached up to the
        furthest; `tried`, amounts and losses with their intervals. Or `refused`: the engine cannot express it, or too little succeeds to lose that.
    """
    told = {"name": disturbance.name, "what": disturbance.what, "unit": disturbance.unit, "factor": disturbance.factor}
    success = nominal["success"]
    if success["rate"] < DROP:
        interval = f"({success['low']:.2f} … {success['high']:.2f})"
        return {**told, "refused": f"no margin: nominal success is {success['rate']:.2f} {interval}, which cannot fall by {DROP:.2f}"}
    tried = {0.0: loss_of(nominal, nominal)}

    def loss(share: float) -> dict[str, float]:
        if share not in tried:
            tried[share] = loss_of(nominal, run(disturbance.parameters(disturbance.amount(share))))
        return tried[share]

    try:
        loss(1.0)
    except ValueError as error:
        if "cannot express" not in str(error):
            raise
        return {**told, "refused": str(error)}
    ends = {name: _crossing(tried, loss, end) for name, end in (("margin", "difference"), ("low", "high"), ("high", "low"))}
    found = {name: None if share is None else disturbance.amount(share) for name, share in ends.items()}
    rows = [{"amount": disturbance.amount(share), **lost} for share, lost in sorted(tried.items()) if share]
    return {**told, "furthest": disturbance.furthest, "drop": DROP, **found, "tried": rows}


def loss_of(nominal: Mapping[str, Any], disturbed: Mapping[str, Any]) -> dict[str, float]:
    """How much success is lost, with its interval, on the same seeds."""
    success = paired_difference(nominal, disturbed)["success"]
    return {name: success[name] for name in ("difference", "low", "high")}


def _crossing(tried: Mapping[float, Mapping[str, float]], loss: Callable[[float], Mapping[str, float]], end: str) -> float | None:
    """Share of the way at which one end of the loss reaches the drop; None if it does not. Of `low` it is the last one before."""
    if tried[0.0][end] >= DROP:  # too few episodes to know anything
        return 0.0
    reached = sorted(share for share, found in tried.items() if share and found[end] >= DROP)
    if not reached:
        return None
    above = reached[0]
    below = max(share for share in tried if share < above)
    while above - below > _FINEST:
        middle = (above + below) / 2
        below, above = (below, middle) if loss(middle)[end] >= DROP else (middle, above)
    return {"difference": (above + below) / 2, "high": below, "low": above}[end]
