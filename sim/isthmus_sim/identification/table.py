"""The parameters of any compiled MuJoCo model, by the names that a robot's have: `elbow_joint.damping`, `link2.mass`, `payload`, `action_delay`."""

from __future__ import annotations

import math
from typing import Any

import mujoco
import numpy as np

from isthmus_sim.inertia import LOG_CHOLESKY
from isthmus_sim.parameters import Parameter, joint_parameters
from isthmus_sim.plants.mujoco_parameters import ELSEWHERE, nominal_log_cholesky

__all__ = ["SENSORS", "SINGLE", "check_apart", "model_table"]

SENSORS = (*(name for name in ELSEWHERE if not name.startswith("action_")), "gravity")
"""Parameters of a robot's table that are no property of its mechanism."""

_OF_MASS = ("mass", "inertia", "com_x", "com_y", "com_z")
_OF_TORQUE = ("gain", "torque_scale", "drive_gain")
SINGLE = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))
"""Joints of one degree of freedom."""


def model_table(model: Any, *, delay: float = 0.0, lag: float = 0.0) -> dict[str, Parameter]:
    """Every parameter that can be identified, by name.

    Args:
        model: compiled.
        delay: nominal time from a command to its effect, s.
        lag: nominal time constant of the drives, s.
    """
    rows = [
        Parameter("payload", "kg", 0.0, 0.0, 50.0, "point mass at the tool"),
        *(Parameter(f"payload.{axis}", "m", 0.0, -1.0, 1.0, f"where in the tool's frame it is, along {axis}") for axis in "xyz"),
        Parameter("action_delay", "s", delay, 0.0, 0.5, "time from a command to its effect"),
        Parameter("action_lag", "s", lag, 0.0, 0.5, "time constant with which the drives follow a command"),
    ]
    for number in range(model.njnt):
        if model.jnt_type[number] in SINGLE:
            rows += _joint_rows(model, number)
    for number in range(1, model.nbody):
        rows += _body_rows(model, number)
    return {row.name: row for row in rows}


def check_apart(names: list[str]) -> None:
    """Refuse two names for one quantity.

    Raises:
        ValueError: the message names both.
    """
    for name in names:
        target, _, quantity = name.rpartition(".")
        scales = [f"{target}.{other}" for other in _OF_TORQUE if f"{target}.{other}" in names]
        if quantity in _OF_TORQUE and len(scales) > 1:
            raise ValueError(
                f"{scales[0]!r} and {scales[1]!r} are two names for one quantity: both scale the torque of {target}; name one of them"
            )
        if quantity in _OF_MASS and (others := [other for other in names if _log_cholesky_of(other, target)]):
            raise ValueError(
                f"{name!r} and {others[0]!r} are two names for one quantity: the ten log-Cholesky numbers of {target} hold its mass"
            )
        if quantity == "damping" and f"{target}.damping_gain" in names:
            raise ValueError(
                f"{name!r} and '{target}.damping_gain' are two names for one quantity: both brake {target} by its speed; name one of them"
            )
        if quantity == "damping" and "joint_damping" in names:
            raise ValueError(
                f"{name!r} and 'joint_damping' are two names for one quantity: both are viscous friction of {target}; name one of them"
            )


def _log_cholesky_of(name: str, target: str) -> bool:
    body, _, quantity = name.rpartition(".")
    return body == target and quantity in LOG_CHOLESKY


def _joint_rows(model: Any, number: int) -> list[Parameter]:
    joint = model.joint(number)
    name, address = joint.name, joint.dofadr[0]
    slides = joint.type[0] == mujoco.mjtJoint.mjJNT_SLIDE
    damping, friction, armature = (float(field[address]) for field in (model.dof_damping, model.dof_frictionloss, model.dof_armature))
    rows = [
        *joint_parameters(name, damping, friction, armature, slides=slides),
        Parameter(f"{name}.offset", "m" if slides else "rad", 0.0, -1.0, 1.0, f"what the encoder of {name} shows at its true zero"),
    ]
    driven = [index for index in range(model.nu) if model.actuator_trnid[index, 0] == joint.id]
    if driven:
        rows.append(Parameter(f"{name}.torque_scale", "1", 1.0, 0.01, 10.0, f"factor on the torque of the drive of {name}"))
        if model.actuator_biasprm[driven[0], 1:3].any():
            rows.append(Parameter(f"{name}.gain", "1", 1.0, 0.01, 10.0, f"factor on the servo gains of {name}"))
            rows.append(Parameter(f"{name}.damping_gain", "1", 1.0, 0.0, 10.0, f"factor on the velocity gain of the servo of {name} alone"))
    return rows


def _body_rows(model: Any, number: int) -> list[Parameter]:
    body = model.body(number)
    name, mass = body.name, float(model.body_mass[number])
    rows = []
    if mass > 0:
        rows += [
            Parameter(f"{name}.mass", "kg", mass, min(1e-3, mass), max(100.0, 10 * mass), f"mass of {name}; its inertia follows"),
            Parameter(f"{name}.inertia", "1", 1.0, 0.01, 100.0, f"factor on the moments of inertia of {name}"),
        ]
        for axis, place in zip("xyz", model.body_ipos[number], strict=True):
            low, high = float(place) - 1.0, float(place) + 1.0
            rows.append(Parameter(f"{name}.com_{axis}", "m", float(place), low, high, f"centre of mass of {name} along its {axis}"))
        try:
            numbers = nominal_log_cholesky(model, number)
        except ValueError:
            numbers = np.zeros(0)
        rows += [
            Parameter(
                f"{name}.{quantity}", "1", float(value), float(value) - 5.0, float(value) + 5.0, f"inertia of {name} in log-Cholesky form"
            )
            for quantity, value in zip(LOG_CHOLESKY, numbers, strict=False)
        ]
    if model.body_parentid[number] == 0 and not model.body_jntnum[number]:
        rows += [
            Parameter(f"{name}.{axis}", "m", float(place), float(place) - 5.0, float(place) + 5.0, f"position of {name} along {axis}")
            for axis, place in zip("xyz", model.body_pos[number], strict=True)
        ]
        rows.append(Parameter(f"{name}.yaw", "rad", 0.0, -math.pi, math.pi, f"{name} turned about the vertical"))
    first, count = model.body_geomadr[number], model.body_geomnum[number]
    if any(model.geom_contype[first : first + count] | model.geom_conaffinity[first : first + count]):
        friction = float(model.geom_friction[first, 0])
        rows.append(Parameter(f"{name}.friction", "1", friction, 0.0, max(10.0, friction), f"sliding friction coefficient of {name}"))
    return rows
