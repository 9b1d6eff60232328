"""A trot: diagonal pairs of feet in turn on the ground, placed by Raibert's rule, with leg inverse kinematics in closed form.

From Raibert, "Legged Robots That Balance" (1986): a foot lands where it will have swept half of a stance by mid-stance, and further out by a
gain times the error of the velocity, turning included. Feet keep their heights below the trunk, so that a tilted trunk is pushed back by the
lower side's legs. Targets lead by what the servos need to carry the weight (Jacobian transpose) and to follow the motion. The phase comes from
the signal `time`; there is no memory.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isthmus.contract import Contract
from isthmus.policy import asked_observation
from isthmus.records import ActionChunk, Array
from isthmus.robot import load_robot

__all__ = ["TrotPolicy", "leg_angles", "leg_torques"]

LEGS = ("FR", "FL", "RR", "RL")
HIPS = np.array([[0.183, -0.047], [0.183, 0.047], [-0.183, -0.047], [-0.183, 0.047]])  # m, in the trunk's frame
SIDES = np.array([-1.0, 1.0, -1.0, 1.0])
OFFSET, LENGTH = 0.084, 0.2  # m: from hip to thigh, and of thigh and calf
PHASES = np.array([0.0, 0.5, 0.5, 0.0])
WEIGHT = 12.5 * 9.81  # N
CYCLE = 0.4  # s
DUTY = 0.6  # share of the cycle that a foot is on the ground
HEIGHT, LIFT = 0.27, 0.07  # m, of the hips above the ground, of a foot in mid-swing
PLACEMENT, TURN_PLACEMENT = 0.10, 0.12  # s, Raibert's gain
SWEEP = 0.9  # of a stance; all of it would overshoot, because both pairs push while their stances overlap
SHORTEST, LONGEST = 0.14, 0.385  # m, of a leg


class TrotPolicy:
    """Walks with a commanded velocity.

    Attributes:
        contract: that of the task `walk` or `walk-rough`.
    """

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        servos = {joint.name: joint.servo for joint in load_robot(contract.robot).joints}
        self._joints = tuple(f"{leg}_{part}_joint" for leg in LEGS for part in ("hip", "thigh", "calf"))
        self._columns = [self._joints.index(name) for name in contract.action.elements]
        self._stiffness = np.array([servos[name].position_gain for name in self._joints]).reshape(4, 3)
        self._damping = np.array([servos[name].velocity_gain for name in self._joints]).reshape(4, 3)

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Nothing to forget."""

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """Position targets for the end of the coming period; see `Policy.act`."""
        observation = asked_observation(self.contract, observation)
        latest = {name: np.asarray(values, dtype=float)[:, -1] for name, values in observation.items()}
        time, period = latest["time"][:, 0], self.contract.control_period
        begin, end = (_feet(time + ahead, latest["base_link_twist"], latest["command"]) for ahead in (0.0, period))
        angles, later = (leg_angles(feet - _hips(), SIDES) for feet in (begin, end))
        rate = (later - angles) / period
        share = np.where((_phase(time + period / 2) < DUTY), 0.5 * 0.5 / DUTY, 0.0)
        torque = leg_torques(later, SIDES, WEIGHT * share)
        target = (later + (torque + self._damping * rate) / self._stiffness).reshape(len(time), -1)[:, self._columns]
        return ActionChunk(np.clip(target, self.contract.action.low, self.contract.action.high)[:, None])


def leg_angles(foot: Array, side: Array) -> Array:
    """Angles of hip, thigh and calf that put a foot somewhere, `[..., 3]`, rad; a place out of reach is pulled along the leg's plane into reach.

    Args:
        foot: in a frame at the hip joint, parallel to the trunk, `[..., 3]`, m.
        side: 1 for left legs, −1 for right ones, `[...]`.
    """
    x, y, z = np.moveaxis(foot, -1, 0)
    offset = side * OFFSET
    depth = np.sqrt(np.maximum(y**2 + z**2 - OFFSET**2, 0.01**2))
    hip = np.arctan2(z, y) - np.arctan2(-depth, offset)
    hip = (hip + np.pi) % (2 * np.pi) - np.pi
    reach = np.clip(np.sqrt(x**2 + depth**2), SHORTEST, LONGEST)
    calf = -np.arccos(reach**2 / (2 * LENGTH**2) - 1)
    return np.stack([hip, np.arctan2(-x, depth) - calf / 2, calf], axis=-1)


def leg_torques(angles: Array, side: Array, load: Array) -> Array:
    """Torques of hip, thigh and calf that carry a vertical load on the foot, `[..., 3]`, N·m.

    Args:
        angles: of hip, thigh and calf, `[..., 3]`, rad.
        side: 1 for left legs, −1 for right ones, `[...]`.
        load: force of the ground on the foot, `[...]`, N.
    """
    hip, thigh, calf = np.moveaxis(angles, -1, 0)
    depth = LENGTH * (np.cos(thigh) + np.cos(thigh + calf))
    forward = -LENGTH * (np.sin(thigh) + np.sin(thigh + calf))
    across = side * OFFSET * np.cos(hip) + depth * np.sin(hip)
    upright = np.cos(hip)
    return np.asarray(load[..., None] * np.stack([-across, upright * forward, -upright * LENGTH * np.sin(thigh + calf)], axis=-1))


def _feet(time: Array, twist: Array, command: Array) -> Array:
    """Where the feet should be in the trunk's frame, `[B, 4, 3]`, m."""
    phase = _phase(time)
    stands = phase < DUTY
    along = np.where(stands, phase / DUTY, (phase - DUTY) / (1 - DUTY))  # 0 … 1 through stance or swing
    sweep = np.where(stands, 0.5 - along, _smooth(along) - 0.5)
    home = _hips()[0, :, :2] + np.stack([np.zeros(4), SIDES * OFFSET], axis=1)
    outwards = np.stack([-home[:, 1], home[:, 0]], axis=1)
    sweeping = command[:, None, :2] + command[:, 2, None, None] * outwards
    error = twist[:, :2] - command[:, :2]
    turning = twist[:, 5] - command[:, 2]
    place = (
        home
        + SWEEP * sweeping * (DUTY * CYCLE) * sweep[:, :, None]
        + (PLACEMENT * error)[:, None]
        + TURN_PLACEMENT * turning[:, None, None] * outwards
    )
    height = np.where(stands, 0.0, LIFT * np.sin(np.pi * along) ** 2) - HEIGHT
    return np.concatenate([place, height[:, :, None]], axis=2)


def _phase(time: Array) -> Array:
    """Phase of each leg in its cycle, 0 … 1, stance first, `[B, 4]`."""
    return np.asarray((time[:, None] / CYCLE + PHASES) % 1.0)


def _smooth(share: Array) -> Array:
    return np.asarray(share * share * (3 - 2 * share))


def _hips() -> Array:
    return np.concatenate([HIPS, np.zeros((4, 1))], axis=1)[None]
