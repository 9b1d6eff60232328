"""One strike that sends a puck to a line: the speed that its friction asks for, and joint motion that reaches this speed where it lets go.

A puck released at v slides d = v² / (2 μ g), so v = √(2 μ g d). The head runs into the puck slowly, speeds up with it smoothly over a fixed way and
brakes; the puck goes on. Velocity servos lag, so their set-points lead the wanted motion by lag times velocity, joint by joint.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isthmus.contract import Contract
from isthmus.policy import asked_observation
from isthmus.records import ActionChunk, Array
from isthmus.robot import load_robot
from isthmus_controllers.scripted.cartesian import CartesianMotion

__all__ = ["SlidePolicy"]

GRAVITY = 9.81  # m/s²
FRICTION = 0.1  # of the puck on the lane, if nobody has measured it
SHAFT = 0.18  # m from the tool frame to the middle of the head
HEIGHT = 0.030  # m, of the middle of the head above the table; servos sag by 8 mm under the weight of the arm
LEAD = 0.0543  # m from the tool's axis to the axis of a puck that lies in the head
RELEASE = 0.20  # m, x of the tool's axis where it begins to brake
FACING = (0.0, 1.0, 0.0, 0.0)  # of the tool: z down, the head towards +x
SETTLE, BRAKE = 0.3, 0.3  # s, before and after the strike
FASTEST = 1.9  # m/s, what the joints' speed limits allow
SUBSTEPS = 10  # of the planned motion in a control period


class SlidePolicy:
    """Strikes once.

    Attributes:
        contract: that of the task `slide`.
        friction: that the puck is believed to have.
        SETTINGS: by name, the range.
    """

    SETTINGS: Mapping[str, tuple[float, float]] = {"friction": (0.02, 0.6)}

    def __init__(self, contract: Contract, friction: Array | float = FRICTION) -> None:
        """Bind a contract.

        Args:
            contract: that of the task `slide`.
            friction: sliding coefficient of the puck on the lane, > 0, or one for each row.

        Raises:
            ValueError: the friction is not positive.
        """
        if not np.min(friction) > 0:
            raise ValueError(f"friction must be > 0, got {friction}")
        self.contract = contract
        self.friction = friction
        robot = load_robot(contract.robot)
        self._lag = np.array([joint.servo.velocity_gain / joint.servo.position_gain for joint in robot.joints])
        self._motion = CartesianMotion(contract, tip=(0.0, 0.0, SHAFT), gain=8.0)

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Nothing to forget."""

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """Plan the whole strike; see `Policy.act`."""
        observation = asked_observation(self.contract, observation)
        puck, goal = (np.asarray(observation[name], dtype=float)[:, -1] for name in ("puck", "goal"))
        # The puck stays in the head until it brakes harder than friction does. Smooth braking does so after μ g BRAKE / (6 v) of its time.
        lets_go = RELEASE + LEAD + self.friction * GRAVITY * BRAKE**2 / 6
        way = np.maximum(goal[:, 0] - lets_go, 0.0)
        speed = np.minimum(np.sqrt(2 * self.friction * GRAVITY * way), FASTEST)
        position = self._motion.setpoint(observation)
        period, horizon = self.contract.control_period, self.contract.horizon
        begin = self._motion.pose(position)[0][:, 0]
        setpoints, step = [position], period / SUBSTEPS
        for index in range(horizon * SUBSTEPS):
            along, rate = _strike(index * step, begin, speed)
            target = np.stack([along, puck[:, 1], np.full(len(along), HEIGHT)], axis=1)
            velocity = np.stack([rate, np.zeros_like(rate), np.zeros_like(rate)], axis=1)
            rates = self._motion.rates(position, target, orientation=np.array(FACING), velocity=velocity)
            position = position + rates * step
            if (index + 1) % SUBSTEPS == 0:
                setpoints.append(position + self._lag * rates)
        return ActionChunk(np.diff(np.stack(setpoints, axis=1), axis=1) / period)


def _strike(time: float, begin: Array, speed: Array) -> tuple[Array, Array]:
    """Where the tool's axis is along the lane, `[B]`, m, and how fast, m/s, after `time` s: at rest, up to `speed` at `RELEASE`, braking."""
    rise = 2 * (RELEASE - begin) / np.maximum(speed, 1e-3)
    up, down = np.clip((time - SETTLE) / rise, 0.0, 1.0), np.clip((time - SETTLE - rise) / BRAKE, 0.0, 1.0)
    # The smooth step 3u² − 2u³ and its integral u³ − u⁴/2.
    along = begin + speed * rise * (up**3 - up**4 / 2) + speed * BRAKE * (down - down**3 + down**4 / 2)
    return along, speed * (3 * up**2 - 2 * up**3) * (1 - 3 * down**2 + 2 * down**3)
