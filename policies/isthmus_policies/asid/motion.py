"""The open-loop motions that are searched: sums of few sines, of the tool's velocity or of the joints', within the limits of a contract.

A motion of the tool is one of the joints through the pseudo-inverse of the Jacobian where it starts, with the tool's orientation held. Further away
the tool leaves its line; whoever searches simulates what it really does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from isthmus.contract import Contract
from isthmus.kinds.excitation import MultiSine
from isthmus.kinematics import Kinematics
from isthmus.records import Array
from isthmus.robot import Robot
from isthmus.signals import Signal

__all__ = ["MotionSpace", "excitation_contract", "motion_space"]

_SHARE = 0.95  # of a limit that is used
_TOOL_SPEED = 0.5  # m/s, spread of the tool's mean velocity and of its sines, where the search begins
_JOINT_SHARE = 0.3  # of the limit of velocity, likewise


@dataclass(frozen=True, slots=True)
class MotionSpace:
    """N sines of m directions, J joints.

    Attributes:
        base: pose where motions begin, `[J]`.
        directions: velocity of the joints for one of each direction, `[J, m]`.
        scale: spread of each direction where a search begins, `[m]`.
        frequency: Hz, `[N]`.
        fade: s.
        duration: s.
        low: least command, `[J]`.
        high: largest command, `[J]`.
        velocity: largest, `[J]`.
        acceleration: largest, `[J]`.
        position: whether positions are commanded; else velocities.
    """

    base: Array
    directions: Array
    scale: Array
    frequency: Array
    fade: float
    duration: float
    low: Array
    high: Array
    velocity: Array
    acceleration: Array
    position: bool

    @property
    def size(self) -> int:
        """How many numbers describe a motion. Positions have no mean velocity, or they would not begin at the base."""
        return self.directions.shape[1] * (2 * len(self.frequency) + (not self.position))

    @property
    def spread(self) -> Array:
        """Of each number where a search begins, `[size]`."""
        return np.tile(self.scale, 2 * len(self.frequency) + (not self.position))

    def motion(self, numbers: Array) -> MultiSine:
        """The motion of numbers `[size]`, made smaller as a whole where it would leave the limits."""
        count = len(self.frequency)
        rows = (numbers.reshape(-1, self.directions.shape[1]) @ self.directions.T).T  # [J, 2 N (+ 1)]
        sine, cosine = rows[:, :count], rows[:, count : 2 * count]
        mean = np.zeros(len(self.base)) if self.position else rows[:, -1]
        amplitude, phase = np.hypot(sine, cosine), np.arctan2(cosine, sine)
        turning = 2 * np.pi * self.frequency
        used = [(np.abs(mean) + amplitude.sum(1)) / self.velocity, (amplitude * turning).sum(1) / self.acceleration]
        if self.position:  # sines of velocity, integrated
            amplitude, phase = amplitude / turning, phase - np.pi / 2
        middle = self.base if self.position else np.zeros_like(self.base)
        room = np.minimum(self.high - middle, middle - self.low)
        used.append((np.abs(mean) + amplitude.sum(1)) / room)
        factor = min(_SHARE / max(float(np.max(used)), 1e-12), 1.0)
        return MultiSine(
            tuple((middle + factor * mean).tolist()),
            tuple(map(tuple, (factor * amplitude).tolist())),
            tuple(self.frequency.tolist()),
            tuple(map(tuple, phase.tolist())),
            self.fade,
            self.duration,
        )


def motion_space(contract: Contract, robot: Robot, *, tool: bool, duration: float, harmonics: int) -> MotionSpace:
    """The motions of a contract.

    Args:
        contract: whose commands, limits and start pose hold.
        robot: its profile.
        tool: whether directions are those of the tool, x, y and z of the base frame; else each joint is one.
        duration: s; frequencies are its multiples.
        harmonics: how many sines.

    Raises:
        ValueError: commands are neither positions nor velocities: efforts would drift, and no arm is parked with them.
    """
    if contract.mode not in ("position", "velocity"):
        raise ValueError(f"an exploration commands positions or velocities, but task {contract.task!r} takes {contract.mode} commands")
    joints = contract.action.elements
    home = dict(zip(robot.joint_names, robot.home, strict=True))
    base = np.array([contract.start[name][0] if name in contract.start else home[name] for name in joints])
    speed = np.array(contract.limits.velocity)
    if tool:
        kinematics = Kinematics(robot.urdf_path)
        directions = np.linalg.pinv(kinematics.jacobian(joints, base[None], robot.tool_frame)[0], rcond=1e-3)[:, :3]
        scale = np.full(3, _TOOL_SPEED)
    else:
        directions, scale = np.eye(len(joints)), _JOINT_SHARE * speed
    return MotionSpace(
        base=base,
        directions=directions,
        scale=scale,
        frequency=np.arange(1, harmonics + 1) / duration,
        fade=min(0.2, duration / 4),
        duration=duration,
        low=np.array(contract.action.low),
        high=np.array(contract.action.high),
        velocity=speed,
        acceleration=np.array(contract.limits.acceleration),
        position=contract.mode == "position",
    )


def excitation_contract(contract: Contract) -> Contract:
    """Of a motion that looks at the time alone, with the limits and the start pose of the task's own contract."""
    clock = Signal("time", "time", ("t",), "s", (0.0,), (float("inf"),))
    return replace(contract, observation=(clock,), horizon=1)
