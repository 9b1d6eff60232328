"""How commanded joints or axes follow in an engine, fitted from random motion: what a differentiable model of an engine task is made of.

The guard bounds how fast a command may change, which is known exactly; what comes after it is linear to a good approximation, since servos are:

    velocity' = a · (velocity, executed, executed before),    travel = b · (the same).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.arrays import library, maximum, minimum
from isthmus.records import Array
from isthmus_sim.task import Task

__all__ = ["Response", "fit_response", "measured_response"]

_PARAMETERS = ("velocity", "travel", "fastest", "reach")
_ROWS, _STEPS = 64, 150
_HELD = (3, 15)  # control periods that a command is held


@dataclass(frozen=True, slots=True)
class Response:
    """A fitted response; axes are in the order of the action's elements.

    Attributes:
        velocity: next velocity from (velocity, executed, executed before), `[A, 3]`.
        travel: way in one control period, likewise, `[A, 3]`.
        fastest: largest command, `[A]`.
        reach: largest change of a command in one control period, `[A]`.
    """

    velocity: Array
    travel: Array
    fastest: Array
    reach: Array

    def __post_init__(self) -> None:
        axes = len(self.fastest)
        for name, shape in (("velocity", (axes, 3)), ("travel", (axes, 3)), ("reach", (axes,))):
            if (value := np.asarray(getattr(self, name))).shape != shape or not np.isfinite(value).all():
                raise ValueError(f"{name} must be {list(shape)} finite numbers, got {value.tolist()}")

    def parameters(self) -> dict[str, list[Any]]:
        """As plain data, which makes an equal one by `Response.from_parameters`."""
        return {name: np.asarray(getattr(self, name), dtype=np.float64).tolist() for name in _PARAMETERS}

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Response:
        """The response that these are the parameters of.

        Raises:
            ValueError: one is missing, unknown, or not of its shape.
        """
        if set(parameters) != set(_PARAMETERS):
            raise ValueError(f"a response has the parameters {', '.join(_PARAMETERS)}, got {', '.join(parameters) or 'none'}")
        return cls(**{name: np.asarray(parameters[name], dtype=np.float64) for name in _PARAMETERS})

    def follow(self, velocity: Any, before: Any, asked: Any) -> tuple[Any, Any, Any]:
        """What commands lead to.

        Args:
            velocity: `[B, A]`, in the beginning.
            before: the command executed last, `[B, A]`.
            asked: commands, `[B, T, A]`.

        Returns:
            executed commands, velocities after each of them, and travel during each of them; `[B, T, A]` each.
        """
        operations = library(asked)
        a, b, fastest, reach = (_like(values, asked) for values in (self.velocity.T, self.travel.T, self.fastest, self.reach))
        executed, velocities, travelled = [], [], []
        for index in range(asked.shape[1]):
            now = minimum(maximum(asked[:, index], before - reach), before + reach)
            now = minimum(maximum(now, -fastest), fastest)
            travelled.append(b[0] * velocity + b[1] * now + b[2] * before)
            velocity, before = a[0] * velocity + a[1] * now + a[2] * before, now
            executed.append(now)
            velocities.append(velocity)
        return tuple(operations.stack(values, 1) for values in (executed, velocities, travelled))


def fit_response(velocity: Array, executed: Array, travel: Array, fastest: Array, reach: Array) -> Response:
    """The least-squares fit to recorded motion.

    Args:
        velocity: at the beginning of each control period, and after the last, `[N + 1, R, A]` for R rows; NaN where a row was reset.
        executed: in the period before each of these times, `[N + 1, R, A]`.
        travel: during each control period, `[N, R, A]`.
        fastest: largest command, `[A]`.
        reach: largest change of a command in one control period, `[A]`.

    Raises:
        ValueError: there is too little motion to fit from.
    """
    following, moving = [], []
    for axis in range(velocity.shape[2]):
        seen = np.stack([velocity[:-1, :, axis], executed[1:, :, axis], executed[:-1, :, axis]], -1).reshape(-1, 3)
        wanted = np.stack([velocity[1:, :, axis], travel[:, :, axis]], -1).reshape(-1, 2)
        known = np.isfinite(seen).all(1) & np.isfinite(wanted).all(1)
        found, _, rank, _ = np.linalg.lstsq(seen[known], wanted[known], rcond=None)
        if rank < 3:
            raise ValueError(f"axis {axis} was moved too little to fit its response: {known.sum()} control periods")
        following.append(found[:, 0])
        moving.append(found[:, 1])
    return Response(np.array(following), np.array(moving), fastest, reach)


def measured_response(task: Task, plant: str = "mujoco", seed: int = 0) -> Response:
    """Move the robot of a task at random in an engine, under its guard, and fit its response.

    Args:
        task: it observes joint positions and velocities, or pose and twist of a mobile base, and its previous action; velocities are commanded.
        plant: name of the engine.
        seed: of commands and episodes.

    Raises:
        ValueError: the robot is not commanded by velocities.
    """
    import isthmus_sim

    contract = task.contract
    if contract.mode not in ("velocity", "twist"):
        raise ValueError(f"a response is fitted to velocity and twist commands, task {task.name!r} has {contract.mode}")
    draw = np.random.default_rng(seed)
    low, high = np.array(contract.action.low), np.array(contract.action.high)
    env = isthmus_sim.make_vec(task.name, _ROWS, plant)
    try:
        seen = [env.reset(seed=seed)[0]]
        ended, asked, left = [], np.zeros((_ROWS, len(low))), np.zeros(_ROWS, dtype=np.int64)
        for _ in range(_STEPS):
            new = left <= 0
            asked[new], left[new] = draw.uniform(low, high, (new.sum(), len(low))), draw.integers(*_HELD, new.sum())
            observation, _, terminated, truncated, _ = env.step(asked)
            seen.append(observation)
            ended.append(terminated | truncated)
            left -= 1
    finally:
        env.close()
    velocity, travel = _base_motion(seen) if contract.mode == "twist" else _joint_motion(seen)
    over = np.array(ended)
    velocity[1:][over], travel[over] = np.nan, np.nan
    executed = np.stack([observation["previous_action"][:, -1] for observation in seen]).astype(np.float64)
    reach = np.array(contract.limits.acceleration) * contract.control_period
    return fit_response(velocity, executed, travel, np.array(contract.limits.velocity), reach)


def _joint_motion(seen: list[dict[str, Array]]) -> tuple[Array, Array]:
    position, velocity = (
        np.stack([observation[name][:, -1] for observation in seen]).astype(np.float64) for name in ("joint_position", "joint_velocity")
    )
    return velocity, np.diff(position, axis=0)


def _base_motion(seen: list[dict[str, Array]]) -> tuple[Array, Array]:
    """Velocities, and way along the heading and turn in each period."""
    pose, twist = (
        np.stack([observation[name][:, -1] for observation in seen]).astype(np.float64) for name in ("base_link", "base_link_twist")
    )
    heading = 2 * np.arctan2(pose[..., 2], pose[..., 3])
    turned = (np.diff(heading, axis=0) + np.pi) % (2 * np.pi) - np.pi
    middle, way = heading[:-1] + turned / 2, np.diff(pose[..., :2], axis=0)
    return twist, np.stack([way[..., 0] * np.cos(middle) + way[..., 1] * np.sin(middle), turned], -1)


def _like(values: Array, example: Any) -> Any:
    return example.new_tensor(values) if hasattr(example, "new_tensor") else values
