"""The strikes of a body that are searched: which numbers describe one, and how large body and tool are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from isthmus.artifact import Artifact
from isthmus.contract import Contract
from isthmus.policy import Policy
from isthmus.records import Array
from isthmus.robot import load_robot
from isthmus_controllers.scripted import STRIKE, scripted_artifact, scripted_policy
from isthmus_sim.identification.information_task import exploration_contract
from isthmus_sim.identification.problem import Unknown
from isthmus_sim.scene import Shape
from isthmus_sim.task import Task

__all__ = ["STRIKE_SECONDS", "StrikeSpace", "strike_space"]

STRIKE_SECONDS = 3.5
"""Of one strike: on the way, through the object, and until it rests."""
_TOOL = 0.013  # m, half the width of what strikes
_ABOVE = 0.005  # m, of the tip above the middle of the body: servos sag
_TURN, _SMALL_TURN = 1.0, 0.1  # rad, spread of the angle where the body's orientation is seen, and where it is not
_SPEED, _REACH = 0.4, 0.06  # m/s and m, where the search begins


@dataclass(frozen=True, slots=True)
class StrikeSpace:
    """Strikes of one body; four numbers, around 0.

    Attributes:
        contract: of the exploration; its horizon is one strike.
        size: settings that are not searched: tip, height, length, width and number of strikes.
        turn: spread of the angle, rad.
    """

    contract: Contract
    size: dict[str, float]
    turn: float

    @property
    def spread(self) -> Array:
        """Of each number where a search begins, `[4]`."""
        return np.ones(4)

    def settings(self, numbers: Array) -> dict[str, Array]:
        """What the script is told, `[n]` each, from `[n, 4]`."""
        place, angle, speed, reach = np.asarray(numbers).T
        return {
            "place": 0.85 * np.tanh(place),
            "angle": np.clip(self.turn * angle, -3.0, 3.0),
            "speed": np.clip(_SPEED * np.exp(0.4 * speed), 0.05, 1.2),
            "reach": np.clip(_REACH * np.exp(0.5 * reach), 0.0, 0.25),
        }

    def policy(self, points: Array, each: int) -> Policy:
        """Plays points `[P, 4]`, each in `each` rows."""
        told = {name: np.repeat(values, each) for name, values in self.settings(points).items()}
        return scripted_policy(STRIKE, self.contract, {**self.size, **told})

    def artifact(self, point: Array) -> Artifact:
        """The policy file of one point `[4]`."""
        told = {name: float(values[0]) for name, values in self.settings(point[None]).items()}
        return scripted_artifact(self.contract, {**self.size, **told}, STRIKE)


def strike_space(task: Task, unknown: tuple[Unknown, ...], seconds: float, strikes: int = 1) -> StrikeSpace | None:
    """Strikes of the body that all unknown parameters are of; None where they are not of one that moves freely, or its place is not seen.

    Args:
        task: with the body in its scene.
        unknown: parameters.
        seconds: of a strike.
        strikes: how many.
    """
    owners = {one.name.partition(".")[0] for one in unknown}
    bodies = {body.name: body for body in task.scene.bodies} if task.scene else {}
    name = next(iter(owners))
    seen = {signal.name: signal for signal in task.contract.observation if signal.source == "pose"}
    robot = load_robot(task.contract.robot)
    if len(owners) > 1 or name not in bodies or bodies[name].joint != "free" or name not in seen or task.contract.mode != "velocity":
        return None
    if set(seen) - {name, robot.tool_frame} or not {"x", "y"} <= set(seen[name].elements):
        return None
    carried = [shape for body in bodies.values() if body.parent == robot.tool_frame for shape in body.shapes if shape.collides]
    half = np.max([np.abs(shape.position) + _half(shape) for shape in bodies[name].shapes if shape.collides], axis=0)
    size = {
        "tip": max((shape.position[2] + _half(shape)[2] for shape in carried), default=0.0),
        "height": bodies[name].position[2] + _ABOVE,
        "length": float(half[1]),
        "width": float(half[0]) + _TOOL,
        "strikes": float(strikes),
    }
    horizon = max(round(seconds / task.contract.control_period), 1)
    contract = replace(exploration_contract(task), horizon=horizon)
    return StrikeSpace(contract, size, _TURN if "qz" in seen[name].elements else _SMALL_TURN)


def _half(shape: Shape) -> Array:
    """Half extents along its own axes, m."""
    if shape.kind == "box":
        return np.array(shape.size)
    radius = shape.size[0]
    along = radius if shape.kind == "sphere" else shape.size[1] + radius * (shape.kind == "capsule")
    return np.array([radius, radius, along])
