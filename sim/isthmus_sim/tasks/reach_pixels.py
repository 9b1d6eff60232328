"""Bring the tool of a UR5e to a ball that it sees: `reach` from pictures, joint velocities at 20 Hz.

`reach-pixels` sees through the camera beside the table alone, `reach-pixels-two` also through the one at the wrist, three successive frames each;
`reach-pixels-state` is told where the ball is. It stays where it is, above a table, and nothing touches it. The camera beside the table sees all of
it until the arm is in the way, so wide that one camera is enough to tell how far away it is: 14 to 19 pixels, and 3 cm nearer at least 0.6 more.
The one at the wrist sees it in two of three starts.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from isthmus.contract import Contract
from isthmus.limits import Box
from isthmus.records import Array
from isthmus.robot import Robot, load_robot
from isthmus.signals import Signal
from isthmus_sim.scene import Body, Scene, Shape
from isthmus_sim.task import EpisodeStart, Task, Transition, shared
from isthmus_sim.tasks.reach import AXES, REACHABLE, TOLERANCE, reach_reward, squared
from isthmus_sim.tasks.tabletop import arm_limits, table

__all__ = ["BALL", "MIDDLE", "SPREAD", "reach_pixels"]

SPEED = 0.75  # rad/s
READY = (-1.578, -1.479, 2.094, -2.185, -1.571, -0.007)  # rad: the tool points down, above the balls
PERTURBATION = 0.07  # rad, of each joint
MIDDLE, SPREAD = (0.13, -0.50, 0.11), (0.08, 0.08, 0.05)  # m: where balls are, and how far from there at most
BALL = 0.03  # m, radius
STEPS = 100  # control periods


def reach_pixels(name: str, cameras: tuple[str, ...]) -> Task:
    """Build the task.

    Args:
        name: of the task.
        cameras: of the robot, that policies see through; with none they are told where the ball is.
    """
    robot = load_robot("ur5e")
    state = not cameras

    @shared
    def distance(step: Transition) -> Array:
        return np.asarray(np.sqrt(squared(step.after.poses[robot.tool_frame][:, :3] - step.after.poses["ball"][:, :3])))

    return Task(
        name=name,
        description=f"bring the tool of a UR5e to a ball {'whose place is known' if state else f'seen by {_count(cameras)}'}",
        contract=_contract(robot, name, cameras),
        episode_steps=STEPS,
        start=functools.partial(_start, state=state),
        reward=reach_reward(
            distance,
            lambda step: squared(step.action / SPEED),
            lambda step: squared((step.action - step.before.velocity) / SPEED),
            smoothness=0.05,
        ),
        reached=lambda step: distance(step) < TOLERANCE,
        success=f"tool within {TOLERANCE} m of the middle of the ball",
        success_steps=10,
        scene=_scene(),
        look_at=(0.05, -0.42, 0.15),
        camera_distance=1.4,
    )


def _count(cameras: tuple[str, ...]) -> str:
    return "one camera" if len(cameras) == 1 else f"{len(cameras)} cameras"


def _contract(robot: Robot, name: str, cameras: tuple[str, ...]) -> Contract:
    joints, own = robot.joint_names, robot.limits()
    slow, fast = (-SPEED,) * len(joints), (SPEED,) * len(joints)
    low, high = (tuple(round(middle + side * away, 3) for middle, away in zip(MIDDLE, SPREAD, strict=True)) for side in (-1, 1))
    told = () if cameras else (Signal("ball", "input", AXES, "m", low, high),)
    seen = [
        Signal(camera.name, "image", (), "1", (), (), dtype="uint8", history=3, camera=camera.spec)
        for camera in robot.cameras
        if camera.name in cameras
    ]
    return Contract(
        robot=robot.name,
        task=name,
        observation=(
            Signal("joint_position", "joint_position", joints, "rad", own.position_low, own.position_high),
            Signal("joint_velocity", "joint_velocity", joints, "rad/s", slow, fast),
            Signal(robot.tool_frame, "pose", AXES, "m", (-REACHABLE,) * 3, (REACHABLE,) * 3),
            *told,
            *seen,
            Signal("previous_action", "previous_action", joints, "rad/s", slow, fast),
        ),
        action=Signal("joint_velocity", "joint_velocity", joints, "rad/s", slow, fast),
        limits=arm_limits(robot, SPEED, Box((-0.8, -1.0, 0.02), (0.9, 0.3, 1.2))),
        control_period=0.05,
        start={joint: (value, PERTURBATION + 0.05) for joint, value in zip(joints, READY, strict=True)},
    )


def _start(generators: Sequence[np.random.Generator], *, state: bool) -> EpisodeStart:
    position = np.array([READY + generator.uniform(-PERTURBATION, PERTURBATION, len(READY)) for generator in generators])
    places = np.array([MIDDLE + generator.uniform(-np.array(SPREAD), SPREAD) for generator in generators])
    put = {f"ball.{axis}": places[:, column].copy() for column, axis in enumerate(AXES)}
    return EpisodeStart({"position": position, "velocity": np.zeros_like(position)}, {"ball": places} if state else {}, put)


def _scene() -> Scene:
    ball = Body("ball", (Shape("sphere", (BALL,), color=(0.10, 0.70, 0.20, 1.0), collides=False),), position=MIDDLE)
    return Scene((table(MIDDLE[:2], (0.35, 0.3), color=(0.86, 0.84, 0.80, 1.0)), ball))
