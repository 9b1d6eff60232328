"""In which ways a policy is disturbed to find its margins, as physical parameters of a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from isthmus.robot import load_robot
from isthmus_sim.parameters import Parameter
from isthmus_sim.task import Task

__all__ = ["DISTURBANCES", "Disturbance", "disturbances"]

_CURVE = 3  # power by which the amount grows: margins are often small parts of what an engine can express
_STRONGEST = 10.0  # factor


@dataclass(frozen=True, slots=True)
class Disturbance:
    """One way, from nothing to as much as an engine can express.

    Attributes:
        name: as typed.
        what: what grows, in words.
        unit: of the amount.
        furthest: largest amount; of factors the last one, which may be below 1.
        factor: whether the amount is a factor, which begins at 1, or is added, beginning at 0.
        values: parameter → its nominal value and what one unit of the amount adds to it; a factor multiplies the nominal value.
    """

    name: str
    what: str
    unit: str
    furthest: float
    factor: bool = False
    values: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def amount(self, share: float) -> float:
        """The amount at a share of the way, 0 … 1."""
        return float(self.furthest**share) if self.factor else self.furthest * share**_CURVE

    def parameters(self, amount: float) -> dict[str, float]:
        """Physical parameters with that amount, SI."""
        return {name: nominal * amount if self.factor else nominal + amount * unit for name, (nominal, unit) in self.values.items()}


DISTURBANCES = {
    "delay": "commands take effect later",
    "late-samples": "age of what the sensors say",
    "noise": "noise of measured joint positions",
    "friction": "dry friction of every joint, as a share of its largest effort",
    "damping": "viscous friction of every joint",
    "payload": "mass at the tool",
    "weak-servos": "factor on the servo gains",
    "stiff-servos": "factor on the servo gains",
    "drop-out": "share of samples that are lost",
    "jitter": "commands take effect later by chance, at most by this",
    "slippery": "factor on the friction of objects",
    "sticky": "factor on the friction of objects",
    "heavy": "factor on the masses of objects",
}
"""Name → what grows."""


def disturbances(task: Task) -> dict[str, Disturbance]:
    """Those that the parameters of a task have a word for, by name."""
    table = task.parameters
    robot = load_robot(task.contract.robot)
    effort = {f"{joint.name}.frictionloss": joint.effort for joint in robot.joints}
    frictions = {name: (table[name].nominal, limit) for name, limit in effort.items() if name in table}
    gains = {f"{joint.name}.gain": (1.0, 1.0) for joint in robot.joints if f"{joint.name}.gain" in table}
    bodies = {name: parameter for name, parameter in table.items() if name.partition(".")[0] not in robot.joint_names}
    rough = {name: (row.nominal, 1.0) for name, row in bodies.items() if name.endswith(".friction") and row.nominal > 0}
    masses = {name: (row.nominal, 1.0) for name, row in bodies.items() if name.endswith(".mass") and row.nominal > 0}
    found = [
        _added("delay", table, "action_delay"),
        _added("late-samples", table, "observation_delay"),
        _added("noise", table, "position_noise"),
        Disturbance("friction", DISTURBANCES["friction"], "1", _room(table, frictions), values=frictions),
        _added("damping", table, "joint_damping"),
        _added("payload", table, "payload"),
        Disturbance("weak-servos", DISTURBANCES["weak-servos"], "1", 1 / _STRONGEST, True, gains),
        Disturbance("stiff-servos", DISTURBANCES["stiff-servos"], "1", _STRONGEST, True, gains),
        _added("drop-out", table, "observation_dropout"),
        _added("jitter", table, "control_jitter"),
        Disturbance("slippery", DISTURBANCES["slippery"], "1", 1 / _STRONGEST, True, rough),
        Disturbance("sticky", DISTURBANCES["sticky"], "1", _factor(table, rough), True, rough),
        Disturbance("heavy", DISTURBANCES["heavy"], "1", _factor(table, masses), True, masses),
    ]
    return {one.name: one for one in found if one.values}


def _added(name: str, table: Mapping[str, Parameter], parameter: str) -> Disturbance:
    row = table[parameter]
    return Disturbance(name, DISTURBANCES[name], row.unit, row.high - row.nominal, values={parameter: (row.nominal, 1.0)})


def _room(table: Mapping[str, Parameter], values: Mapping[str, tuple[float, float]]) -> float:
    """Largest amount that every parameter can take, at most 1."""
    return min((1.0, *((table[name].high - nominal) / unit for name, (nominal, unit) in values.items())))


def _factor(table: Mapping[str, Parameter], values: Mapping[str, tuple[float, float]]) -> float:
    return min((_STRONGEST, *(table[name].high / nominal for name, (nominal, _) in values.items())))
