"""What the guard lets pass: limits per joint and a workspace box."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

__all__ = ["Box", "Limits"]


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned box in the robot's base frame, m."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]

    def __post_init__(self) -> None:
        for axis, low, high in zip("xyz", self.low, self.high, strict=True):
            if not low < high:
                raise ValueError(f"box: low must be < high, got {low} m and {high} m along {axis}")

    def contains(self, other: Box) -> bool:
        """Whether `other` lies within this box."""
        return bool(np.less_equal(self.low, other.low).all() and np.greater_equal(self.high, other.high).all())

    def intersection(self, other: Box) -> Box:
        """The box that both contain.

        Raises:
            ValueError: they do not overlap.
        """
        low, high = np.maximum(self.low, other.low), np.minimum(self.high, other.high)
        if not (low < high).all():
            raise ValueError(f"workspaces do not overlap: {_interval(self)} and {_interval(other)}")
        return Box(tuple(low.tolist()), tuple(high.tolist()))


@dataclass(frozen=True, slots=True)
class Limits:
    """What the guard lets pass. One entry per joint; rad and seconds, or m for prismatic joints.

    Attributes:
        joints: names.
        position_low: lower position limit, "-inf" for a continuous joint.
        position_high: upper position limit.
        velocity: largest speed, > 0.
        acceleration: largest change of commanded velocity per second in normal motion; "inf" switches it off.
        stop_acceleration: deceleration used for braking and for stopping short of position limits, > 0.
        effort: largest effort, N·m or N, > 0.
        workspace: box that the robot's checked points must stay in; None for none.
    """

    joints: tuple[str, ...]
    position_low: tuple[float, ...]
    position_high: tuple[float, ...]
    velocity: tuple[float, ...]
    acceleration: tuple[float, ...]
    stop_acceleration: tuple[float, ...]
    effort: tuple[float, ...]
    workspace: Box | None = None

    def __post_init__(self) -> None:
        for name in ("position_low", "position_high", "velocity", "acceleration", "stop_acceleration", "effort"):
            values = getattr(self, name)
            if len(values) != len(self.joints):
                raise ValueError(f"limits: {name} must have {len(self.joints)} entries, one per joint, got {len(values)}")
            for joint, value in zip(self.joints, values, strict=True):
                if math.isnan(value) or (not name.startswith("position") and not value > 0):
                    raise ValueError(f"limits: {name} must be > 0, got {value} for {joint}")
        for joint, low, high in zip(self.joints, self.position_low, self.position_high, strict=True):
            if not low < high:
                raise ValueError(f"limits: position_low must be < position_high, got {low} and {high} for {joint}")
        for joint, stop in zip(self.joints, self.stop_acceleration, strict=True):
            if not math.isfinite(stop):
                raise ValueError(f"limits: stop_acceleration must be finite, got {stop} for {joint}")

    def scaled(self, rate: float) -> Limits:
        """Limits of which velocity and both accelerations are multiplied by `rate`, 0 < rate <= 1; positions, effort and workspace stay."""
        velocity, acceleration, braking = (
            tuple(rate * value for value in values) for values in (self.velocity, self.acceleration, self.stop_acceleration)
        )
        return dataclasses.replace(self, velocity=velocity, acceleration=acceleration, stop_acceleration=braking)

    def tightest(self, other: Limits) -> Limits:
        """Limits of the joints here, each the tighter of the two, by name; a joint that `other` lacks keeps its own.

        Raises:
            ValueError: nothing is left of a position range or of the workspace.
        """
        values: dict[str, tuple[float, ...]] = {}
        for name in ("position_low", "position_high", "velocity", "acceleration", "stop_acceleration", "effort"):
            tighter = max if name == "position_low" else min
            theirs = dict(zip(other.joints, getattr(other, name), strict=True))
            values[name] = tuple(
                tighter(mine, theirs.get(joint, mine)) for joint, mine in zip(self.joints, getattr(self, name), strict=True)
            )
        workspace = self.workspace or other.workspace
        if self.workspace and other.workspace:
            workspace = self.workspace.intersection(other.workspace)
        return Limits(joints=self.joints, workspace=workspace, **values)

    def looser_than(self, other: Limits) -> list[str]:
        """One line per limit that is looser here than in `other`, for joints that both have and the workspace box."""
        lines = []
        for index, joint in enumerate(self.joints):
            if joint not in other.joints:
                continue
            there = other.joints.index(joint)
            for name in ("position_low", "position_high", "velocity", "acceleration", "stop_acceleration", "effort"):
                mine, theirs = getattr(self, name)[index], getattr(other, name)[there]
                if (mine < theirs) if name == "position_low" else (mine > theirs):
                    lines.append(f"{name} of {joint} is {mine:g}, allowed is {theirs:g}")
        if other.workspace is not None:
            if self.workspace is None:
                lines.append("there is no workspace box, the allowed one is " + _interval(other.workspace))
            elif not other.workspace.contains(self.workspace):
                lines.append(f"workspace is {_interval(self.workspace)}, allowed is {_interval(other.workspace)}")
        return lines


def _interval(box: Box) -> str:
    return f"{box.low} … {box.high} m"
