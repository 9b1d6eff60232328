"""Push a puck to a goal on a table with a stick, with joint velocities at 20 Hz.

The puck's mass, friction and centre of mass are what a robot does not know. A policy that sees the puck corrects for most of it; a light, slippery
puck with its mass far off the middle is what defeats the scripted one.

The same commands, replayed open loop in MuJoCo and PyBullet, keep the pucks within 3 cm for the first 2 s and within 15 cm to the end (tool: 2 cm;
`tests/sim/test_arm_tasks.py` holds them to it). MuJoCo's arm sags by a centimetre under its weight, PyBullet's does not;
and pushing at one point without looking is unstable, so that a millimetre beside the middle grows with the way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isthmus.contract import Contract
from isthmus.limits import Box
from isthmus.records import Array
from isthmus.robot import load_robot
from isthmus.signals import Signal
from isthmus_sim.parameters import Parameter
from isthmus_sim.scene import Body, Scene, Shape
from isthmus_sim.task import EpisodeStart, Task, Term, Transition
from isthmus_sim.tasks.tabletop import PUCK_RADIUS, arm_limits, puck, table, tool_point, upright_pose

__all__ = ["push"]

SPEED = 1.5  # rad/s
STICK = 0.20  # m from the tool frame to its tip
READY = (-1.580, -1.721, 2.326, -2.176, -1.571, 0.0)  # rad: the stick points down, its tip 6 cm above the table, between robot and puck
PERTURBATION = 0.03  # rad, of each joint
TOLERANCE = 0.03  # m
PUCKS = ((0.01, -0.60), (0.25, -0.48))  # m, lower and upper corner of where pucks begin
GOALS = ((-0.12, -0.72), (0.38, -0.38))  # m
APART = 0.12  # m, least distance of a goal from the puck's start
CENTER, HALF = (0.13, -0.42), (0.55, 0.55)  # m, of the table


def push() -> Task:
    """Build the task."""
    robot = load_robot("ur5e")
    joints = robot.joint_names
    own = robot.limits()
    slow, fast = (-SPEED,) * len(joints), (SPEED,) * len(joints)
    edges = ((CENTER[0] - HALF[0], CENTER[1] - HALF[1]), (CENTER[0] + HALF[0], CENTER[1] + HALF[1]))
    contract = Contract(
        robot=robot.name,
        task="push",
        observation=(
            Signal("joint_position", "joint_position", joints, "rad", own.position_low, own.position_high),
            Signal("joint_velocity", "joint_velocity", joints, "rad/s", slow, fast),
            Signal(robot.tool_frame, "pose", ("x", "y", "z"), "m", (-1.1,) * 3, (1.1,) * 3),
            Signal("puck", "pose", ("x", "y", "qz", "qw"), "m", (*edges[0], -1.0, -1.0), (*edges[1], 1.0, 1.0)),
            Signal("goal", "input", ("x", "y"), "m", *GOALS),
            Signal("previous_action", "previous_action", joints, "rad/s", slow, fast),
        ),
        action=Signal("joint_velocity", "joint_velocity", joints, "rad/s", slow, fast),
        # The stick is shorter than the lowest point of wrist and elbow is high.
        limits=arm_limits(robot, SPEED, Box((-0.8, -1.0, STICK), (0.9, 0.3, 1.2))),
        control_period=0.05,
        start={name: (value, PERTURBATION + 0.05) for name, value in zip(joints, READY, strict=True)},
    )

    def gap(step: Transition) -> Array:
        return np.asarray(np.sqrt(((step.after.poses["puck"][:, :2] - step.inputs["goal"]) ** 2).sum(axis=1)))

    def behind(step: Transition) -> Array:
        """From the stick's tip to where it should push."""
        middle, goal = step.after.poses["puck"][:, :2], step.inputs["goal"]
        away = (middle - goal) / np.maximum(gap(step), TOLERANCE)[:, None]
        tip = tool_point(step.after.poses[robot.tool_frame], STICK)
        aside = ((tip[:, :2] - middle - away * (PUCK_RADIUS + 0.01)) ** 2).sum(axis=1)
        return np.asarray(np.sqrt(aside + (tip[:, 2] - 0.015) ** 2))

    def fallen(step: Transition) -> Array:
        return np.asarray(step.after.poses["puck"][:, 2] < 0.0)

    def start(generators: Sequence[np.random.Generator]) -> EpisodeStart:
        position = np.array([READY + generator.uniform(-PERTURBATION, PERTURBATION, len(joints)) for generator in generators])
        places = np.array([_draw(generator) for generator in generators])
        state = {"position": position, "velocity": np.zeros_like(position), "puck": upright_pose(places[:, 0], places[:, 1], places[:, 2])}
        return EpisodeStart(state, {"goal": places[:, 3:]})

    return Task(
        name="push",
        description="push a puck to a goal on a table with a stick",
        contract=contract,
        episode_steps=200,
        start=start,
        reward=(
            Term("distance", -2.0, "m", gap),
            Term("precision", -0.3, "ln m", lambda step: np.log(gap(step) + 0.01)),
            Term("behind", -0.5, "m", behind),
            Term("effort", -0.02, "1", lambda step: ((step.action / SPEED) ** 2).sum(axis=1)),
            Term("smoothness", -0.05, "1", lambda step: (((step.action - step.before.velocity) / SPEED) ** 2).sum(axis=1)),
            Term("fall", -20.0, "1", lambda step: fallen(step).astype(np.float64)),
        ),
        reached=lambda step: gap(step) < TOLERANCE,
        success=f"puck within {TOLERANCE} m of the goal for the last 0.5 s",
        success_steps=10,
        scene=_scene(),
        fallen=fallen,
        identifiable=(
            Parameter("puck.mass", "kg", 0.4, 0.1, 1.0, "mass of the puck"),
            Parameter("puck.friction", "1", 0.4, 0.1, 0.8, "sliding friction of the puck on the table"),
            Parameter("puck.com_x", "m", 0.0, -0.02, 0.02, "centre of mass of the puck along its x"),
            Parameter("puck.com_y", "m", 0.0, -0.02, 0.02, "centre of mass of the puck along its y"),
        ),
        look_at=(0.1, -0.4, 0.08),
        camera_distance=1.65,
    )


def _draw(generator: np.random.Generator) -> Array:
    """x, y and yaw of the puck, x and y of its goal."""
    place, yaw = generator.uniform(*PUCKS), generator.uniform(-np.pi, np.pi)
    while True:
        goal = generator.uniform(*GOALS)
        if np.hypot(*(goal - place)) >= APART:
            return np.array([*place, yaw, *goal])


def _scene() -> Scene:
    stick = Body(
        "stick",
        (
            Shape("capsule", (0.012, STICK / 2 - 0.012), position=(0.0, 0.0, STICK / 2), color=(0.95, 0.72, 0.20, 1.0)),
            Shape("cylinder", (0.032, 0.01), position=(0.0, 0.0, 0.01), color=(0.30, 0.33, 0.37, 1.0), collides=False),
        ),
        mass=0.2,
        parent="tool0",
        friction=1.5,  # a rubber tip
    )
    return Scene(
        (table(CENTER, HALF), puck((0.13, -0.54), mass=0.4, friction=0.4), stick),
        (("puck", "table"), ("stick", "puck"), ("stick", "table")),
    )
