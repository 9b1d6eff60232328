"""Servo gains for joints of which no file says any: as stiff as the motor is strong, and no stiffer than its load lets it be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from isthmus.kinematics import Kinematics
from isthmus.records import Array
from isthmus.robot import Servo
from isthmus.robot_import.description import DescribedJoint

__all__ = ["LAG", "guess_servos"]

LAG = 0.05  # s, by which the guessed servo follows
STIFFNESS = 20.0  # 1/rad or 1/m: a strong motor with a heavy load uses its whole effort at this error
STEP, SHORT_STEP = 0.005, 0.002  # s, the longest physics step of a plant, and that of floating robots
DAMPED = 0.5  # of a joint's speed that a leg's servo takes away in one such step; an explicit integrator is unstable above 2
POSES = 32  # in which the inertia is looked at


def guess_servos(
    kinematics: Kinematics, joints: Sequence[DescribedJoint], homes: Mapping[str, float], known: Mapping[str, Servo], *, floating: bool
) -> dict[str, Servo]:
    """Servos of all joints; what is known stays.

    A servo with damping d on a joint that feels the inertia I takes d·dt/I of its speed away in one step dt. On a fixed base engines integrate servos
    implicitly, or make constraints of them, until the motor is at its limit; it then swings between both ends of its effort unless d·dt/I <= 1, with
    the other joints held. The servos of a floating robot may be torques (PyBullet), and joints that feel each other lose more: those gains are scaled
    such that no motion of the whole robot loses more than `DAMPED` per step, without its rotors, which PyBullet has not. Both in any of many poses.

    Args:
        kinematics: of the robot.
        joints: those that are commanded.
        homes: joint → home position, rad or m.
        known: joint → servo; one without a position gain is guessed, around its armature.
        floating: whether the root floats.
    """
    names = tuple(joint.name for joint in joints)
    home = np.array([homes[name] for name in names])
    low, high = (np.array([np.clip(joint.position[end], -np.pi, np.pi) for joint in joints]) for end in (0, 1))
    poses = np.concatenate(
        [home[None], np.random.default_rng(0).uniform(np.minimum(low, high), np.maximum(low, high), (POSES, len(names)))]
    )
    armature = np.array([known.get(name, Servo()).armature for name in names])
    mass = kinematics.mass_matrix(names, poses, floating=floating)
    wanted = LAG * STIFFNESS * np.array([joint.effort for joint in joints])
    damping = (
        _on_legs(mass, wanted) if floating else np.minimum(wanted, (np.diagonal(mass, axis1=1, axis2=2).min(axis=0) + armature) / STEP)
    )
    servos = {}
    for joint, inertia, loss in zip(joints, armature.tolist(), damping.tolist(), strict=True):
        servo = known.get(joint.name, Servo())
        loss = float(f"{loss:.4g}")
        servos[joint.name] = servo if servo.position_gain else Servo(inertia, float(f"{loss / LAG:.4g}"), loss)
    return servos


def _on_legs(mass: Array, wanted: Array) -> Array:
    """Damping `[J]` that is stable with mass matrices `[B, J, J]`, no more than what is wanted."""
    felt = 1 / np.diagonal(np.linalg.inv(mass), axis1=1, axis2=2).max(axis=0)  # what each joint feels when the others are free
    damping = np.minimum(wanted, DAMPED * felt / SHORT_STEP)
    root = np.sqrt(damping)
    fastest = float(np.linalg.eigvalsh(np.linalg.inv(mass) * root[:, None] * root).max()) * SHORT_STEP
    return np.asarray(damping * min(1.0, DAMPED / fastest))
