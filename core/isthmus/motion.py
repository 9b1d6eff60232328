"""How a robot was moved: what the guard had to do, how rough the commands were, how near the motion came to the limits. Arrays in, numbers out.

A policy can succeed and still chatter; success does not say so, these figures do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from isthmus.contract import Contract
from isthmus.records import Array
from isthmus.rungs import CLAMP, HOLD, STOP

__all__ = ["Motion", "motion_of", "pooled"]

_STILL = 1e-3  # of the range of an action: smaller changes of it are no change of direction


@dataclass(frozen=True, slots=True)
class Motion:
    """Figures of one episode, or of several together; None where nothing says.

    Attributes:
        periods: control periods.
        clamped: share of them in which the guard cut the command to its limits.
        held: share in which it braked by a hold.
        stopped: share in which it had stopped.
        command_change_rms: root mean square, over elements and control periods, of the change of the command that was executed from one period to the
            next, in the unit of the action; the elements of a twist, m/s and rad/s, count alike.
        reversals_per_second: how often the command of an element changed its direction, 1/s, on average over elements: two changes in a row of
            opposite sign, where changes below a thousandth of the action's range do not count. At most 1 / control period.
        peak_speed: largest speed of any joint, as a share of its limit.
        peak_acceleration: likewise, of the change of speed over one control period.
    """

    periods: int
    clamped: float | None = None
    held: float | None = None
    stopped: float | None = None
    command_change_rms: float | None = None
    reversals_per_second: float | None = None
    peak_speed: float | None = None
    peak_acceleration: float | None = None


def motion_of(contract: Contract, commands: Array, *, rungs: Array | None = None, velocity: Array | None = None) -> Motion:
    """Figures of one episode.

    Args:
        contract: gives the control period, the range of the action and the limits.
        commands: executed ones, one per control period, `[T, A]`, in the unit of the action.
        rungs: of the guard in each period, `[T]`; None where there was no guard, or nobody knows.
        velocity: measured, of the commanded joints, at the beginning of the first period and at the end of each, `[T + 1, A]`, rad/s or m/s.
    """
    periods = len(commands)
    clamped, held, stopped = (None if rungs is None or not periods else float((rungs == rung).mean()) for rung in (CLAMP, HOLD, STOP))
    change = np.diff(commands, axis=0)
    rms = reversals = None
    if len(change):
        rms = float(np.sqrt((change**2).mean()))
        reach = np.subtract(contract.action.high, contract.action.low)
        still = np.where(np.isfinite(reach), _STILL * reach, 0.0)
        reversals = sum(map(_reversals, change.T, still)) / (change.shape[1] * periods * contract.control_period)
    speed = acceleration = None
    if velocity is not None:
        speed = _peak(velocity, np.array(contract.limits.velocity))
        acceleration = _peak(np.diff(velocity, axis=0) / contract.control_period, np.array(contract.limits.acceleration))
    return Motion(periods, clamped, held, stopped, rms, reversals, speed, acceleration)


def pooled(motions: Sequence[Motion]) -> dict[str, Any]:
    """Figures of several episodes together: shares, changes and reversals over all of their control periods, peaks over all episodes.

    Returns:
        plain data with the names of `Motion`; None where no episode says.
    """

    def mean(name: str, power: int = 1) -> float | None:
        told = [(motion.periods, value**power) for motion in motions if (value := getattr(motion, name)) is not None]
        periods = sum(count for count, _ in told)
        return float((sum(count * value for count, value in told) / periods) ** (1 / power)) if periods else None

    def largest(name: str) -> float | None:
        return max((value for motion in motions if (value := getattr(motion, name)) is not None), default=None)

    return asdict(
        Motion(
            periods=sum(motion.periods for motion in motions),
            clamped=mean("clamped"),
            held=mean("held"),
            stopped=mean("stopped"),
            command_change_rms=mean("command_change_rms", 2),
            reversals_per_second=mean("reversals_per_second"),
            peak_speed=largest("peak_speed"),
            peak_acceleration=largest("peak_acceleration"),
        )
    )


def _reversals(change: Array, still: float) -> int:
    """Changes of sign of what is larger than `still`, `[T]`."""
    signs = np.sign(change[np.abs(change) > still])
    return int((signs[1:] != signs[:-1]).sum())


def _peak(values: Array, limits: Array) -> float | None:
    """Largest magnitude `[T, A]` as a share of the limits that are finite; None where nothing finite is measured or limited."""
    shares = np.abs(values[:, np.isfinite(limits)]) / limits[np.isfinite(limits)]
    return float(shares.max()) if shares.size and np.isfinite(shares).all() else None
