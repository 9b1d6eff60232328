"""Send a puck along a lane with one strike, so that it stops on a target line that the arm cannot reach.

One decision decides: the whole strike is one chunk of actions, as long as the episode. It needs the friction of the puck, which nobody knows: a
puck released at speed v slides v² / (2 μ g). This is the shuffleboard of ASID (Memmel et al., "ASID: Active Exploration for System Identification in
Robotic Manipulation", 2024), with a head that centres the puck. Above a friction of about 0.2 the furthest lines need more speed than the arm has.

The same commands, replayed open loop in MuJoCo and PyBullet, keep the pucks within 4 cm (tool: 2 cm; `tests/sim/test_arm_tasks.py` holds
them to it): partly because the head of MuJoCo's arm, which sags under its weight, is elsewhere when it lets go, and because a percent of speed is
two percent of the way.
"""

from __future__ import annotations

import math
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
from isthmus_sim.tasks.tabletop import arm_limits, puck, table, upright_pose

__all__ = ["slide"]

SPEED = math.pi  # rad/s
STEPS = 80
READY = (-2.198, -1.044, 1.610, -2.137, -1.571, -0.627)  # rad: the head just above the table, 6 cm behind the puck, facing along x
PERTURBATION = 0.01  # rad, of each joint
LANE = -0.60  # m, y of its middle
HALF_LANE = 0.12  # m
PUCK = -0.15  # m, x where pucks begin
SPREAD = (0.02, 0.01)  # m, of the puck's start in x and y
GOALS = (0.75, 1.05)  # m
TOLERANCE = 0.03  # m
STILL = 0.01  # m/s
CENTER, HALF = (0.45, -0.42), (1.05, 0.55)  # m, of the table
SHAFT = 0.18  # m from the tool frame to the middle of the head
FLARE = math.radians(20.0)  # of each half of the head towards the puck
WING = (0.006, 0.040, 0.012)  # m, half extents


def slide() -> Task:
    """Build the task."""
    robot = load_robot("ur5e")
    joints = robot.joint_names
    own = robot.limits()
    slow, fast = (-SPEED,) * len(joints), (SPEED,) * len(joints)
    low, high = (CENTER[0] - HALF[0], CENTER[1] - HALF[1]), (CENTER[0] + HALF[0], CENTER[1] + HALF[1])
    contract = Contract(
        robot=robot.name,
        task="slide",
        observation=(
            Signal("joint_position", "joint_position", joints, "rad", own.position_low, own.position_high),
            Signal(robot.tool_frame, "pose", ("x", "y", "z"), "m", (-1.1,) * 3, (1.1,) * 3),
            Signal("puck", "pose", ("x", "y"), "m", low, high),
            Signal("goal", "input", ("x", "y"), "m", (GOALS[0], LANE - HALF_LANE), (GOALS[1], LANE + HALF_LANE)),
            Signal("previous_action", "previous_action", joints, "rad/s", slow, fast),
        ),
        action=Signal("joint_velocity", "joint_velocity", joints, "rad/s", slow, fast),
        limits=arm_limits(robot, SPEED, Box((-0.8, -1.0, SHAFT), (0.9, 0.3, 1.2))),
        control_period=0.05,
        horizon=STEPS,
        start={name: (value, PERTURBATION + 0.02) for name, value in zip(joints, READY, strict=True)},
    )

    def miss(step: Transition) -> Array:
        return np.asarray(np.abs(step.after.poses["puck"][:, 0] - step.inputs["goal"][:, 0]))

    def speed(step: Transition) -> Array:
        return np.asarray(np.sqrt((step.after.twists["puck"][:, :2] ** 2).sum(axis=1)))

    def fallen(step: Transition) -> Array:
        return np.asarray(step.after.poses["puck"][:, 2] < 0.0)

    def start(generators: Sequence[np.random.Generator]) -> EpisodeStart:
        position = np.array([READY + generator.uniform(-PERTURBATION, PERTURBATION, len(joints)) for generator in generators])
        places = np.array([(PUCK, LANE) + np.array(SPREAD) * generator.uniform(-1, 1, 2) for generator in generators])
        goals = np.array([(generator.uniform(*GOALS), LANE) for generator in generators])
        puck_pose = upright_pose(places[:, 0], places[:, 1], np.zeros(len(places)))
        return EpisodeStart({"position": position, "velocity": np.zeros_like(position), "puck": puck_pose}, {"goal": goals})

    return Task(
        name="slide",
        description="send a puck to a line beyond reach with one strike",
        contract=contract,
        episode_steps=STEPS,
        start=start,
        reward=(
            Term("distance", -1.0, "m", miss),
            Term("precision", -0.3, "ln m", lambda step: np.log(miss(step) + 0.01)),
            Term("effort", -0.02, "1", lambda step: ((step.action / SPEED) ** 2).sum(axis=1)),
            Term("fall", -50.0, "1", lambda step: fallen(step).astype(np.float64)),
        ),
        reached=lambda step: (miss(step) <= TOLERANCE) & (speed(step) < STILL),
        success=f"puck at rest (below {STILL} m/s) within {TOLERANCE} m of the target line, for the last 0.25 s",
        success_steps=5,
        scene=_scene(),
        fallen=fallen,
        identifiable=(
            Parameter("puck.friction", "1", 0.1, 0.05, 0.3, "sliding friction of the puck on the lane"),
            Parameter("puck.mass", "kg", 0.3, 0.1, 1.0, "mass of the puck"),
        ),
        look_at=(0.42, -0.5, 0.1),
        camera_distance=2.1,
    )


def _scene() -> Scene:
    cream, dark, green = (0.93, 0.94, 0.95, 1.0), (0.25, 0.30, 0.38, 1.0), (0.45, 0.70, 0.52, 1.0)
    paint = [Shape("box", (1.0, HALF_LANE, 0.0004), position=(0.45, LANE, 0.0), color=cream, collides=False)]
    middle, half = sum(GOALS) / 2, (GOALS[1] - GOALS[0]) / 2
    paint.append(Shape("box", (half, HALF_LANE, 0.0008), position=(middle, LANE, 0.0), color=green, collides=False))
    paint += [  # a line every 20 cm
        Shape("box", (0.002, HALF_LANE, 0.0014), position=(fifth / 5, LANE, 0.0), color=dark, collides=False) for fifth in range(-2, 8)
    ]
    return Scene(
        (table(CENTER, HALF), Body("lane", tuple(paint)), puck((PUCK, LANE), mass=0.3, friction=0.1), _cue()),
        (("puck", "table"), ("cue", "puck"), ("cue", "table")),
    )


def _cue() -> Body:
    """A shaft with a head of two wings, which open towards the −x axis of the tool frame."""
    yellow, steel = (0.95, 0.72, 0.20, 1.0), (0.30, 0.33, 0.37, 1.0)
    length = WING[1]
    wings = [
        Shape(
            "box",
            WING,
            position=(-length * math.sin(FLARE), side * length * math.cos(FLARE), SHAFT),
            rotation=(0.0, 0.0, side * math.sin(FLARE / 2), math.cos(FLARE / 2)),
            color=steel,
        )
        for side in (1, -1)
    ]
    shaft = Shape("cylinder", (0.012, SHAFT / 2), position=(0.0, 0.0, SHAFT / 2), color=yellow, collides=False)
    center, inertia = (-0.005, 0.0, 0.12), (8e-4, 8e-4, 2e-4)  # of a light shaft with half of the mass in the head
    return Body("cue", (shaft, *wings), mass=0.2, parent="tool0", friction=0.3, center_of_mass=center, inertia=inertia)
