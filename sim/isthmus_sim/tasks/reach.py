"""Bring the tool of a UR5e to a goal: with joint velocities or positions at 20 Hz, or with joint efforts at 50 Hz.

The same commands, replayed open loop in MuJoCo and PyBullet, leave the tool within 2 cm (measured over 20 episodes of the scripted policy,
`tests/sim/test_arm_tasks.py`): MuJoCo's servo sags under the weight of the arm, PyBullet's does not. Efforts run on MuJoCo only: with them the
rotors' inertia is most of what a wrist joint feels, and PyBullet has no rotor inertia.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from isthmus.contract import Contract
from isthmus.kinematics import Kinematics
from isthmus.limits import Limits
from isthmus.records import Array
from isthmus.robot import Robot, load_robot
from isthmus.signals import Signal
from isthmus_sim.task import EpisodeStart, Task, Term, Transition, shared

__all__ = ["reach", "reach_effort", "reach_position", "reach_wide"]

SPEED = 1.5  # rad/s
PERTURBATION = 0.2  # rad, of each joint of the home pose
TOLERANCE = 0.03  # m
HALF_BOX = np.array([0.25, 0.25, 0.2])  # m
AXES = ("x", "y", "z")
TRAVEL = 1.2  # rad, of position commands around the home pose; goals need up to 1.05

Draw = Callable[[np.random.Generator], Array]


def reach() -> Task:
    """Goals in a box of 0.5 × 0.5 × 0.4 m around the tool's home position."""
    return _near("reach", "bring the tool of a UR5e to a goal near its home position", "velocity")


def reach_position() -> Task:
    """As `reach`, with joint position commands; the guard bounds the speed of the set-points."""
    return _near("reach-position", "reach with joint position commands", "position")


def reach_effort() -> Task:
    """As `reach`, with joint efforts: the policy carries the arm's weight."""
    return _near("reach-effort", "reach with joint efforts", "effort")


def reach_wide() -> Task:
    """Goals in the whole half-space above the base that the arm can reach."""
    robot = load_robot("ur5e")
    shoulder, inner, outer = np.array([0.0, 0.0, 0.1625]), 0.30, 0.80  # m; closer goals need folded poses, further ones a stretched arm
    low, high = shoulder - outer, shoulder + outer
    low[2] = 0.05

    def goal(generator: np.random.Generator) -> Array:
        while True:
            point = generator.uniform(low, high)
            distance = np.sqrt(((point - shoulder) ** 2).sum())
            # The arm does not reach into the column above its own shoulder.
            if inner <= distance <= outer and np.hypot(point[0], point[1]) >= 0.2:
                return point

    return _task(
        "reach-wide", "bring the tool of a UR5e to a goal anywhere in its reachable half-space", robot, low, high, goal, smoothness=0.1
    )


def _near(name: str, description: str, mode: str) -> Task:
    robot = load_robot("ur5e")
    center = _home_tool(robot)
    # Rounded to a tenth of a millimetre: a contract must not hang on the last bits of the kinematics.
    low, high = np.round(center - HALF_BOX, 4), np.round(center + HALF_BOX, 4)

    def goal(generator: np.random.Generator) -> Array:
        return generator.uniform(low, high)

    return _task(name, description, robot, low, high, goal, smoothness=0.05, mode=mode)


def _task(
    name: str, description: str, robot: Robot, low: Array, high: Array, goal: Draw, *, smoothness: float, mode: str = "velocity"
) -> Task:
    joints = robot.joint_names
    count = len(joints)
    own = robot.limits()
    limits = Limits(
        joints=joints,
        position_low=own.position_low,
        position_high=own.position_high,
        velocity=(SPEED,) * count,
        acceleration=own.acceleration,
        stop_acceleration=own.stop_acceleration,
        effort=own.effort,
    )
    slow, fast = (-SPEED,) * count, (SPEED,) * count
    action = _action(robot, mode)
    period = 0.02 if mode == "effort" else 0.05
    seconds = round(1 / period)
    reachable = 1.1  # m, of the tool from the base
    contract = Contract(
        robot=robot.name,
        task=name,
        observation=(
            Signal("joint_position", "joint_position", joints, "rad", own.position_low, own.position_high),
            Signal("joint_velocity", "joint_velocity", joints, "rad/s", slow, fast),
            Signal(robot.tool_frame, "pose", AXES, "m", (-reachable,) * 3, (reachable,) * 3),
            Signal("goal", "input", AXES, "m", tuple(low.tolist()), tuple(high.tolist())),
            Signal("previous_action", "previous_action", joints, action.unit, action.low, action.high),
        ),
        action=action,
        limits=limits,
        control_period=period,
        start={joint.name: (joint.home, PERTURBATION + 0.05) for joint in robot.joints},
    )

    effort, roughness = _expenses(robot, mode)

    @shared
    def distance(step: Transition) -> Array:
        return np.asarray(np.sqrt(_squared(step.after.poses[robot.tool_frame][:, :3] - step.inputs["goal"])))

    def start(generators: Sequence[np.random.Generator]) -> EpisodeStart:
        position = np.array([robot.home + generator.uniform(-PERTURBATION, PERTURBATION, count) for generator in generators])
        goals = np.array([goal(generator) for generator in generators])
        return EpisodeStart({"position": position, "velocity": np.zeros_like(position)}, {"goal": goals})

    return Task(
        name=name,
        description=description,
        contract=contract,
        episode_steps=5 * seconds,
        start=start,
        reward=(
            Term("distance", -1.0, "m", distance),
            Term("precision", -0.3, "ln m", lambda step: np.log(distance(step) + 0.01)),
            Term("effort", -0.02, "1", effort),
            Term("smoothness", -smoothness, "1", roughness),
        ),
        reached=lambda step: distance(step) < TOLERANCE,
        success=f"tool within {TOLERANCE} m of the goal",
        success_steps=seconds // 2,
        plants=("mujoco",) if mode == "effort" else ("mujoco", "pybullet"),
        look_at=(0.0, -0.2, 0.4),
        camera_distance=1.8,
    )


def _action(robot: Robot, mode: str) -> Signal:
    joints, home = robot.joint_names, robot.home
    largest = {
        "velocity": np.full(len(joints), SPEED),
        "position": np.full(len(joints), TRAVEL),
        "effort": np.array([joint.effort for joint in robot.joints]),
    }[mode]
    middle = home if mode == "position" else np.zeros(len(joints))
    unit = {"velocity": "rad/s", "position": "rad", "effort": "N*m"}[mode]
    low, high = (middle - largest).tolist(), (middle + largest).tolist()
    return Signal(f"joint_{mode}", f"joint_{mode}", joints, unit, tuple(low), tuple(high))


def _expenses(robot: Robot, mode: str) -> tuple[Callable[[Transition], Array], Callable[[Transition], Array]]:
    """How hard the arm works, and how rough its commands are; `[B]` each, without unit."""
    if mode == "velocity":
        # Commands far from the present motion chatter at the control rate, which the guard takes for a limit cycle.
        return lambda step: _squared(step.action / SPEED), lambda step: _squared((step.action - step.before.velocity) / SPEED)
    if mode == "position":
        return lambda step: _squared(step.after.velocity / SPEED), lambda step: _squared((step.action - step.before.position) / TRAVEL)
    largest = np.array([joint.effort for joint in robot.joints])
    return lambda step: _squared(step.action / largest), lambda step: _squared(step.after.velocity / SPEED)


def _squared(vectors: Array) -> Array:
    """Squared lengths `[B]` of vectors `[B, n]`."""
    return np.asarray(np.einsum("bi,bi->b", vectors, vectors))


def _home_tool(robot: Robot) -> Array:
    """Position of the tool in the home pose, `[3]`, m."""
    return Kinematics(robot.urdf_path).poses(robot.joint_names, robot.home[None], [robot.tool_frame])[robot.tool_frame].position[0]
