"""Swing up and balance a torque-limited pendulum: the task of Gymnasium's Pendulum-v1.

Dynamics, reward, start distribution and episode length are those of Pendulum-v1, so published returns are comparable. One thing
differs: the speed is not cut off at 8 rad/s, because a physics engine has no such wall.

The same efforts, replayed open loop in MuJoCo and PyBullet, leave the rod within 1e-6 rad after two seconds (`tests/sim/test_plants.py`): both
integrate the same equation at the same step.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isthmus.contract import Contract
from isthmus.records import Array
from isthmus.robot import load_robot
from isthmus.signals import Signal
from isthmus_sim.task import EpisodeStart, Task, Term, Transition

__all__ = ["pendulum"]

UPRIGHT = 0.2  # rad


def pendulum() -> Task:
    """Build the task."""
    robot = load_robot("pendulum")
    joints, effort = robot.joint_names, robot.joints[0].effort
    contract = Contract(
        robot=robot.name,
        task="pendulum",
        observation=(
            Signal("joint_position", "joint_position", joints, "rad", (-np.inf,), (np.inf,)),
            Signal("joint_velocity", "joint_velocity", joints, "rad/s", (-8.0,), (8.0,)),
        ),
        action=Signal("joint_effort", "joint_effort", joints, "N*m", (-effort,), (effort,)),
        limits=robot.limits(),
        control_period=0.05,
    )
    return Task(
        name="pendulum",
        description="swing up and balance a torque-limited pendulum (Gymnasium's Pendulum-v1)",
        contract=contract,
        episode_steps=200,
        start=_start,
        reward=(
            Term("angle", -1.0, "rad^2", lambda step: _angle(step.before.position) ** 2),
            Term("speed", -0.1, "rad^2/s^2", lambda step: step.before.velocity[:, 0] ** 2),
            Term("effort", -0.001, "N^2*m^2", lambda step: np.clip(step.action[:, 0], -effort, effort) ** 2),
        ),
        reached=_reached,
        success=f"within {UPRIGHT} rad of upright",
        success_steps=40,
        look_at=(0.0, 0.0, 0.0),
        camera_distance=3.2,
    )


def _start(generators: Sequence[np.random.Generator]) -> EpisodeStart:
    draws = np.array([generator.uniform([-np.pi, -1.0], [np.pi, 1.0]) for generator in generators])
    gravity = np.full(len(generators), 10.0)  # m/s², Pendulum-v1's
    return EpisodeStart({"position": draws[:, :1], "velocity": draws[:, 1:]}, {}, {"gravity": gravity})


def _reached(step: Transition) -> Array:
    return np.asarray(np.abs(_angle(step.after.position)) < UPRIGHT)


def _angle(position: Array) -> Array:
    """Angle from upright, wrapped to ±π, `[B]`, rad."""
    return np.asarray((position[:, 0] + np.pi) % (2 * np.pi) - np.pi)
