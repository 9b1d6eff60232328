"""Whether the servo gains of a profile go with the inertias that they move and with the steps of the physics."""

from __future__ import annotations

import numpy as np

from isthmus.kinematics import Kinematics
from isthmus.records import Array
from isthmus.robot import Robot
from isthmus_sim.parameters import urdf_dynamics
from isthmus_sim.plants.base import LONGEST_SUBSTEP

__all__ = ["TORQUE_STEP", "unstable_servos"]

TORQUE_STEP = 0.002  # s, longest step of a floating robot, whose torques are computed once per step
MOST = 20.0  # see `_held`
_UNSTABLE = 4.0


def unstable_servos(robot: Robot, timestep: float | None = None) -> str:
    """What swings up or never comes to rest, by the gains of a profile in its home pose; "" if nothing does.

    Args:
        robot: profile; nothing is said of a differential drive.
        timestep: of the physics, s; None means the longest one of a plant.
    """
    if robot.base.kind == "differential":
        return ""
    step = timestep or (TORQUE_STEP if robot.base.kind == "floating" else LONGEST_SUBSTEP)
    floating = robot.base.kind == "floating"
    mass = Kinematics(robot.urdf_path).mass_matrix(robot.joint_names, robot.home[None], floating=floating)[0]
    gains = np.array([[joint.servo.position_gain, joint.servo.velocity_gain] for joint in robot.joints])
    return _free(robot, mass, gains, step) if floating else _held(robot, mass, gains, step)


def _free(robot: Robot, mass: Array, gains: Array, step: float) -> str:
    """Of a floating robot, whose servos and dampers are torques, computed once per physics step.

    On an inertia I a servo beside a damper d is stable while kp dt² + 2 (kd + d) dt < 4 I. What the joints feel of each other counts; there are no
    rotors here.
    """
    if np.linalg.matrix_rank(mass) < len(mass):  # a link without mass, which Bullet has its own ways with
        return ""
    dynamics = urdf_dynamics(robot)
    dampers = np.array([dynamics[name][0] for name in robot.joint_names])
    load = gains[:, 0] * step**2 + 2 * (gains[:, 1] + dampers) * step
    felt, root = 1 / np.diagonal(np.linalg.inv(mass)), np.sqrt(load)
    if np.linalg.eigvalsh(np.linalg.inv(mass) * root[:, None] * root).max() < _UNSTABLE:
        return ""
    worst = int(np.argmax(load / felt))
    return _sentence(
        robot, worst, step, f"damping {dampers[worst]:g} of the URDF on {felt[worst]:.2g} {_unit(robot, worst)} without its rotor"
    )


def _held(robot: Robot, mass: Array, gains: Array, step: float) -> str:
    """Of a robot on a fixed base, whose servos are integrated implicitly until their motors give all that they can.

    On an inertia I, its rotor's with it, the spring is stable while kp dt² < 4 I + 2 kd dt. A motor at its limit is no servo: it swings between both
    ends of its effort where kd dt / I is large. Of UR5e and FR3 in MuJoCo, gains ten times as high (a ratio of up to 13) still come to rest, and
    a hundred times as high (37 and more) never do.
    """
    inertia = np.diagonal(mass) + [joint.servo.armature for joint in robot.joints]
    spring, loss = gains[:, 0] * step**2, gains[:, 1] * step
    excess = np.maximum(spring / (_UNSTABLE * inertia + 2 * loss + 1e-300), loss / (MOST * inertia + 1e-300))
    if excess.max() < 1:
        return ""
    worst = int(np.argmax(excess))
    return _sentence(robot, worst, step, f"position_gain {gains[worst, 0]:g} on {inertia[worst]:.2g} {_unit(robot, worst)} with its rotor")


def _sentence(robot: Robot, worst: int, step: float, more: str) -> str:
    joint = robot.joints[worst]
    gain = f"velocity_gain {joint.servo.velocity_gain:g}"
    return f"at steps of {step:g} s its servos are unstable, that of {joint.name} most ({gain} and {more})"


def _unit(robot: Robot, joint: int) -> str:
    return "kg" if robot.joints[joint].type == "prismatic" else "kg*m^2"
