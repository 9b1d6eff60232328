"""Strikes of an object: beside it, down, through it, and still. What a robot does to learn how an object slides and where its mass lies.

Four numbers say which strike it is, in the frame of the object where it lies, so that one strike fits every start. Each strike is one chunk of
actions. Where the object's orientation is seen, every second strike is the mirror image of the first: from the other side, and on the other half, so
that the object comes back and turns both ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from isthmus.contract import Contract
from isthmus.policy import asked_observation
from isthmus.records import ActionChunk, Array
from isthmus.robot import load_robot
from isthmus_controllers.scripted.cartesian import CartesianMotion

__all__ = ["StrikePolicy"]

RUN_UP = 0.08  # m from where the strike begins to the object
BRAKE = 0.10  # m from where the tool begins to brake to where it stands
CLEAR = 0.09  # m above the strike, on the way
CLOSER, SINK, PAUSE = 0.5, 0.2, 0.2  # m/s on the way and downwards; s of rest before the strike
SUBSTEPS = 2  # of the planned motion in a control period
FINGERS_SHUT = -0.05  # m/s


class StrikePolicy:
    """Strikes once in each decision; each setting is a number, or one for each row.

    Attributes:
        contract: observes joints, time and the object's pose; its horizon is one strike.
        duration: of all strikes, s.
        SETTINGS: by name, what is meant and the range.
    """

    SETTINGS: Mapping[str, tuple[float, float]] = {
        "tip": (0.0, 0.3),
        "height": (0.0, 0.2),
        "length": (0.005, 0.5),
        "width": (0.005, 0.5),
        "place": (-1.0, 1.0),
        "angle": (-10.0, 10.0),
        "speed": (0.02, 2.0),
        "reach": (0.0, 0.5),
        "strikes": (1, 100),
    }

    def __init__(
        self,
        contract: Contract,
        *,
        tip: float = 0.0,
        height: float = 0.02,
        length: float = 0.05,
        width: float = 0.05,
        place: Array | float = 0.0,
        angle: Array | float = 0.0,
        speed: Array | float = 0.3,
        reach: Array | float = 0.1,
        strikes: float = 1,
    ) -> None:
        """Bind a contract.

        Args:
            contract: of the exploration.
            tip: of the tool, along z of the tool frame, m.
            height: of the tip above the base while it strikes, m.
            length: half of the object across the strike, along its y axis, m.
            width: half of it along its x axis, and of the tool, m: the tip touches it so far from its middle.
            place: where it is struck, as a share of `length`.
            angle: of the strike from the object's x axis, rad; beyond ±π/2 it comes from the other side.
            speed: m/s.
            reach: m from the first contact to where the tool brakes.
            strikes: how many, until the run ends.

        Raises:
            ValueError: the contract has no object, or several.
        """
        robot = load_robot(contract.robot)
        seen = [signal.name for signal in contract.observation if signal.source == "pose" and signal.name != robot.tool_frame]
        if len(seen) != 1:
            raise ValueError(f"a strike is of one object; the contract observes {', '.join(seen) or 'none'}")
        self.contract = contract
        self._object = contract.signal(seen[0])
        self._clock = next((signal.name for signal in contract.observation if signal.source == "time"), "")
        self._each = contract.horizon * contract.control_period
        self.duration = strikes * self._each
        self._fingers = np.array([joint.type == "prismatic" for joint in robot.joints])
        self._size, self._height = np.array([width, length]), height
        self._place, self._angle, self._speed, self._reach = (np.atleast_1d(value) for value in (place, angle, speed, reach))
        self._lag = np.array([joint.servo.velocity_gain / joint.servo.position_gain for joint in robot.joints])
        self._motion = CartesianMotion(contract, tip=(0.0, 0.0, tip), gain=8.0)

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Nothing to forget."""

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """Plan a strike; see `Policy.act`."""
        observation = asked_observation(self.contract, observation)
        second = np.rint(observation[self._clock][:, -1, 0] / self._each).astype(int) % 2 == 1 if self._clock else np.zeros(1, dtype=bool)
        position = self._motion.setpoint(observation)
        tip, rotation = self._motion.pose(position)
        moments, places, rates = self._way(np.asarray(observation[self._object.name], dtype=float)[:, -1], tip, second)
        facing = _upright(rotation)
        period, setpoints = self.contract.control_period, [position]
        step = period / SUBSTEPS
        for index in range(self.contract.horizon * SUBSTEPS):
            target, velocity = _along(index * step, moments, places, rates)
            turning = self._motion.rates(position, target, orientation=facing, velocity=velocity, speed=0.2, posture=position)
            turning[:, self._fingers] = np.maximum(FINGERS_SHUT, -5.0 * position[:, self._fingers])
            position = position + turning * step
            if (index + 1) % SUBSTEPS == 0:
                setpoints.append(position + self._lag * turning)
        return ActionChunk(
            np.clip(np.diff(np.stack(setpoints, axis=1), axis=1) / period, self.contract.action.low, self.contract.action.high)
        )

    def _way(self, seen: Array, tip: Array, second: Array) -> tuple[Array, Array, Array]:
        """When the tip passes which places how fast, `[K, B]`, s, `[K, B, 3]`, m, and `[K, B, 3]`, m/s."""
        names = self._object.elements
        middle = np.stack([seen[:, names.index("x")], seen[:, names.index("y")]], axis=1)
        yaw = 2 * np.arctan2(seen[:, names.index("qz")], seen[:, names.index("qw")]) if "qz" in names else np.zeros(len(seen))
        back = second & ("qz" in names)
        ahead = yaw + self._angle + np.pi * back
        towards = np.stack([np.cos(ahead), np.sin(ahead)], axis=1)
        along = np.stack([-np.sin(yaw), np.cos(yaw)], axis=1)
        struck = middle + along * (self._size[1] * np.where(back, -self._place, self._place))[:, None]
        depth = self._size[0] / np.maximum(np.abs(np.cos(self._angle)), 0.5)
        begin = struck - towards * (depth + RUN_UP)[:, None]
        end = begin + towards * (RUN_UP + self._reach + BRAKE)[:, None]
        brake = end - towards * BRAKE
        speed = np.broadcast_to(self._speed, ahead.shape)
        low, high = np.full(len(seen), self._height), np.full(len(seen), self._height + CLEAR)

        def at(place: Array, height: Array) -> Array:
            return np.column_stack([place, height])

        touched = struck - towards * depth[:, None]
        places = [tip, at(begin, high), at(begin, low), at(begin, low), at(touched, low), at(brake, low), at(end, low)]
        fast = np.column_stack([towards * speed[:, None], np.zeros(len(seen))])
        rates = [np.zeros_like(tip)] * 4 + [fast, fast, np.zeros_like(tip)]
        lengths = [np.linalg.norm(there - here, axis=1) for here, there in pairwise(places)]
        spent = [np.zeros(len(seen)), 1.5 * lengths[0] / CLOSER, 1.5 * lengths[1] / SINK, np.full(len(seen), PAUSE)]
        spent += [2 * lengths[3] / speed, lengths[4] / speed, 2 * lengths[5] / speed]
        return np.cumsum(np.maximum(spent, 1e-6), axis=0), np.stack(places), np.stack(rates)


def _along(time: float, moments: Array, places: Array, rates: Array) -> tuple[Array, Array]:
    """Where the tip is, `[B, 3]`, m, and how fast, m/s: cubic Hermite between places, at rest after the last one."""
    last = np.clip((moments <= time).sum(0) - 1, 0, len(moments) - 2)
    rows = np.arange(moments.shape[1])
    begin, span = moments[last, rows], (moments[last + 1, rows] - moments[last, rows])[:, None]
    share = np.clip((time - begin)[:, None] / span, 0.0, 1.0)
    here, there, slow, fast = places[last, rows], places[last + 1, rows], rates[last, rows] * span, rates[last + 1, rows] * span
    square, cube = share**2, share**3
    place = (
        (2 * cube - 3 * square + 1) * here + (cube - 2 * square + share) * slow + (3 * square - 2 * cube) * there + (cube - square) * fast
    )
    rate = 6 * (square - share) * (here - there) + (3 * square - 4 * share + 1) * slow + (3 * square - 2 * share) * fast
    return place, np.where(share < 1, rate / span, 0.0)


def _upright(rotation: Array) -> Array:
    """The tool straight down, turned about the vertical as it is, quaternion x, y, z, w, `[B, 4]`."""
    half = np.arctan2(-rotation[:, 1, 0], -rotation[:, 0, 0]) / 2
    return np.stack([-np.sin(half), np.cos(half), 0 * half, 0 * half], axis=1)
