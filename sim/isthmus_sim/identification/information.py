"""Fisher information of unknown parameters, and what an exploration is rewarded with.

Memmel et al., "ASID: Active Exploration for System Identification in Robotic Manipulation" (arXiv 2404.12308), minimise tr(I⁻¹), the bound of Cramér
and Rao on the squared error. I is singular until the first contact, so the prior's precision is added here: a is −tr((I + Λ)⁻¹), d is log det(I + Λ).
t is tr(I), which the authors' published code maximises instead: with several parameters it is content with the loudest one.

All parameters are shares of their ranges, all outputs multiples of their noise, so that nothing here has a unit.
"""

from __future__ import annotations

import numpy as np

from isthmus import strict
from isthmus.records import Array
from isthmus_sim.identification.estimate import UNIFORM

__all__ = ["OBJECTIVES", "check_objective", "expected_sd", "sensitivity", "value"]

OBJECTIVES = ("a", "d", "t")
CAP = 1e3
"""Largest sensitivity that is believed: of one output in multiples of its noise, for the whole range of a parameter."""
DOUBT = 4.0
"""From this ratio of the differences to both sides on, one of them holds a jump."""


def check_objective(name: str) -> None:
    """Refuse an unknown objective.

    Raises:
        ValueError: the message lists the known ones.
    """
    if name not in OBJECTIVES:
        raise ValueError(f"unknown objective {name!r}; {strict.suggest(name, OBJECTIVES)}")


def value(objective: str, information: Array) -> Array:
    """What is maximised, of information `[…, p, p]`: `[…]`. With nothing known, a is −p/12, d is p·ln 12 and t is 0.

    Raises:
        ValueError: unknown objective.
    """
    check_objective(objective)
    if objective == "t":
        return np.asarray(np.trace(information, axis1=-2, axis2=-1))
    known = _with_prior(information)
    if objective == "d":
        return np.asarray(np.linalg.slogdet(known)[1])
    return np.asarray(-np.trace(np.linalg.inv(known), axis1=-2, axis2=-1))


def expected_sd(information: Array) -> Array:
    """Standard deviations that information `[…, p, p]` and the prior promise, as shares of the ranges: `[…, p]`; 0.29 if nothing is known."""
    covariance = np.linalg.inv(_with_prior(information))
    return np.asarray(np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1)))


def sensitivity(above: Array, below: Array, room_above: Array, room_below: Array, cap: float = CAP) -> tuple[Array, Array]:
    """Derivative of outputs by parameters, from differences to both sides, of which neither may hold a jump.

    Where contact begins, slips or changes sides, outputs jump with the parameter, and a difference across the jump grows without bound as the
    step shrinks: information that does not exist, and that a search would find. Of two sides whose sizes differ by more than a factor `DOUBT`, the
    smaller is taken.

    Args:
        above: outputs at more of the parameter, less those at the parameter, `[…, p, K]`.
        below: the same at less of it.
        room_above: how much more, share of the range, `[…, p]`; 0 at the upper end of the range, where the other side alone counts.
        room_below: how much less.
        cap: largest number believed.

    Returns:
        `[…, p, K]`, and where one side was taken for its jump, `[…, p]` bool.
    """
    above, below = (np.nan_to_num(side, nan=0.0, posinf=0.0, neginf=0.0) for side in (above, below))  # an explosion tells nothing
    room = room_above + room_below
    central = (above - below) / np.where(room > 0, room, 1.0)[..., None] * (room > 0)[..., None]
    up = above / np.where(room_above > 0, room_above, np.inf)[..., None]
    down = -below / np.where(room_below > 0, room_below, np.inf)[..., None]
    large, small = (np.sqrt((side**2).sum(-1)) for side in (up, down))
    both = (room_above > 0.5 * room_below) & (room_below > 0.5 * room_above)
    doubtful = both & (np.maximum(large, small) > DOUBT * np.minimum(large, small))
    calmer = np.where((large < small)[..., None], up, down)
    found = np.where(doubtful[..., None], calmer, central)
    return np.clip(found, -cap, cap), doubtful


def _with_prior(information: Array) -> Array:
    return information + UNIFORM * np.eye(information.shape[-1])
