"""Pull a hinged door open by its handle: a UR5e with a peg on its flange, joint velocities at 20 Hz.

The articulated object of Memmel et al., "ASID: active exploration for system identification in robotic manipulation" (2024), as a task: where the
hinge is and how heavily it turns is unknown. The peg goes down between the door and its handle, a horizontal bar, and slides along the bar as the
door turns, so the tool need not turn with it.

The policy is told where the `handle` of the closed door is. An episode draws the place of the hinge and puts the handle there; who sets `door.x` or
`door.y` apart from it sees what a wrong identification costs: the scripted policy always forgives 2 cm in each direction, and hardly ever opens a
door that is 5 cm nearer or further away than it is told. The angle of the door is observed, the place of its hinge is not.

Two engines: the commands of the scripted policy, replayed open loop, turn the door alike within 0.02 rad and keep the tool within 20 mm
(`tests/sim/test_grasp_tasks.py` holds them to it). Peg and bar touch in one point and the door stays where it is left; what remains is that servos
sag under gravity in MuJoCo and not in PyBullet.
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
from isthmus_sim.scene import Body, Hinge, Scene, Shape
from isthmus_sim.task import EpisodeStart, Task, Term, Transition
from isthmus_sim.tasks.tabletop import arm_limits, tool_point

__all__ = ["door"]

HINGE = (-0.17, -0.66, 0.0)  # m
SPREAD = 0.05  # m along x and y, of the hinge
HANDLE = (0.32, 0.07, 0.35)  # m, middle of the bar in the door's frame
BAR = 0.06  # m, half its length
PEG_END = 0.11  # m, of the point of the peg that pulls, from the flange
GOAL = 0.5  # rad
SPEED = 1.5  # rad/s
PERTURBATION = 0.1  # rad
WORKSPACE = Box((-0.7, -1.0, 0.2), (0.9, 0.5, 1.3))  # m
STEEL, GLASS = (0.45, 0.47, 0.5, 1.0), (0.45, 0.65, 0.80, 0.45)
PANEL = Shape("box", (0.2, 0.01, 0.175), position=(0.2, 0.0, 0.225), color=GLASS)
MASS = 4.0  # kg
POSE = ("x", "y", "z", "qx", "qy", "qz", "qw")
_ALONG_X = (0.0, float(np.sqrt(0.5)), 0.0, float(np.sqrt(0.5)))


def _standoff(side: float) -> Shape:
    x, y, z = HANDLE
    return Shape("box", (0.008, (y - 0.01) / 2, 0.008), position=(x + side * BAR, (y + 0.01) / 2, z), color=STEEL)


DOOR = Body(
    "door",
    (
        PANEL,
        Shape("capsule", (0.01, BAR), position=HANDLE, rotation=_ALONG_X, color=STEEL),
        _standoff(-1.0),
        _standoff(1.0),
        Shape("cylinder", (0.015, 0.2), position=(0.0, 0.0, 0.225), color=STEEL, collides=False),
    ),
    mass=MASS,
    center_of_mass=PANEL.position,
    inertia=tuple((MASS * PANEL.moments()[1]).tolist()),
    joint=Hinge((0.0, 0.0, 1.0), low=0.0, high=1.6, damping=1.0, frictionloss=0.5),
    position=HINGE,
    friction=0.5,
)
HOOK = Body(
    "hook",
    (
        Shape("cylinder", (0.03, 0.01), position=(0.0, 0.0, 0.01), color=STEEL),
        Shape("capsule", (0.008, 0.055), position=(0.0, 0.0, 0.075), color=STEEL),
    ),
    mass=0.2,
    parent="tool0",
    friction=0.5,
)


def door() -> Task:
    """Build the task."""
    robot = load_robot("ur5e")
    joints, own = robot.joint_names, robot.limits()
    count = len(joints)
    slow, fast = (-SPEED,) * count, (SPEED,) * count
    bound = (1.1,) * 3 + (1.0,) * 4
    nominal = np.array(HINGE) + np.array(HANDLE)
    room = np.array([SPREAD, SPREAD, 0.01])
    contract = Contract(
        robot=robot.name,
        task="door",
        observation=(
            Signal("joint_position", "joint_position", joints, "rad", own.position_low, own.position_high),
            Signal("joint_velocity", "joint_velocity", joints, "rad/s", slow, fast),
            Signal(robot.tool_frame, "pose", POSE, "m", tuple(-value for value in bound), bound),
            Signal("door", "pose", ("qz", "qw"), "m", (-1.0,) * 2, (1.0,) * 2),
            Signal("handle", "input", ("x", "y", "z"), "m", tuple((nominal - room).tolist()), tuple((nominal + room).tolist())),
            Signal("previous_action", "previous_action", joints, "rad/s", slow, fast),
        ),
        action=Signal("joint_velocity", "joint_velocity", joints, "rad/s", slow, fast),
        limits=arm_limits(robot, SPEED, WORKSPACE),
        control_period=0.05,
        start={joint.name: (joint.home, PERTURBATION + 0.05) for joint in robot.joints},
    )

    def start(generators: Sequence[np.random.Generator]) -> EpisodeStart:
        position = np.array([robot.home + generator.uniform(-PERTURBATION, PERTURBATION, count) for generator in generators])
        offset = np.array([generator.uniform(-SPREAD, SPREAD, 2) for generator in generators])
        handle = np.tile(nominal, (len(generators), 1))
        handle[:, :2] += offset
        hinge = {f"door.{axis}": offset[:, column] + HINGE[column] for column, axis in enumerate("xy")}
        return EpisodeStart({"position": position, "velocity": np.zeros_like(position)}, {"handle": handle}, hinge)

    def reach(step: Transition) -> Array:
        gap = tool_point(step.after.poses[robot.tool_frame], PEG_END) - _behind_handle(step.after.poses["door"])
        return np.asarray(np.sqrt((gap**2).sum(axis=1)))

    return Task(
        name="door",
        description="pull a hinged door open by its handle",
        contract=contract,
        episode_steps=120,
        start=start,
        reward=(
            Term("reach", -1.0, "m", reach),
            Term("open", 4.0, "rad", lambda step: np.minimum(_angle(step.after.poses["door"]), GOAL + 0.1)),
            Term("effort", -0.02, "1", lambda step: ((step.action / SPEED) ** 2).sum(axis=1)),
            Term("smoothness", -0.05, "1", lambda step: (((step.action - step.before.velocity) / SPEED) ** 2).sum(axis=1)),
        ),
        reached=lambda step: _angle(step.after.poses["door"]) > GOAL,
        success=f"door open by more than {GOAL} rad",
        success_steps=10,
        scene=Scene((DOOR, HOOK), (("hook", "door"),)),
        identifiable=(
            Parameter("door.x", "m", HINGE[0], HINGE[0] - SPREAD, HINGE[0] + SPREAD, "place of the hinge along x"),
            Parameter("door.y", "m", HINGE[1], HINGE[1] - SPREAD, HINGE[1] + SPREAD, "place of the hinge along y"),
            Parameter("door.damping", "N*m*s/rad", 1.0, 0.1, 5.0, "viscous friction of the hinge"),
            Parameter("door.frictionloss", "N*m", 0.5, 0.0, 3.0, "dry friction of the hinge"),
        ),
        look_at=(0.05, -0.45, 0.3),
        camera_distance=1.5,
    )


def _angle(pose: Array) -> Array:
    """How far the door is open, `[B]`, rad."""
    return np.asarray(2 * np.arctan2(pose[:, 5], pose[:, 6]))


def _behind_handle(pose: Array) -> Array:
    """Middle between the door and its handle, `[B, 3]`, m."""
    cos, sin = np.cos(_angle(pose)), np.sin(_angle(pose))
    x, y, z = HANDLE
    return np.asarray(pose[:, :3] + np.stack([x * cos - y / 2 * sin, x * sin + y / 2 * cos, np.full_like(cos, z)], axis=1))
