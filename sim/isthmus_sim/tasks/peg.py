"""Insert a peg into a hole with a UR5e, joint velocities at 20 Hz: from camera images, or knowing where the hole is.

Three shapes of pegs, two tasks each. `peg` (round), `peg-square` and `peg-cross` see the hole only through a camera at the wrist and one beside
the table; `peg-state`, `peg-square-state` and `peg-cross-state` are told its pose. The hole is 3 mm wider than the peg on every side; where it is
and how it is turned is drawn for every episode.

The reward is that of Huang et al., "MENTOR: mixture-of-experts network with task-oriented perturbation for visual reinforcement learning"
(arXiv 2410.14972), appendix D.3: 16·½(√2 − ‖x_g − x_c‖) + 6(2 − |Δz|) + 8(π/2 − |θ_c − θ_g|) − 17, with lengths in units of half the workspace. The
½ and π/2 are reconstructed from a formula that has lost its typesetting. It is divided by its largest value, so that an inserted peg earns 1 per
step. Their action is a displacement and a turn of a tool that cannot tilt; here all joints are free, so tilt has a term, and so have fast and jerky
commands. Their three frames per camera are from the start, the middle and the end of the previous action; here they are two control periods apart,
which is the same for chunks of five actions.

Two engines. Commands of the scripted policy replayed open loop in MuJoCo and PyBullet keep the tips of the pegs within 10 mm of each other for the
first second, before anything touches (`tests/sim/test_peg.py` holds them to it): MuJoCo's servos give way under the arm's weight, PyBullet's do not.
This is more than the 3 mm of the hole. What follows differs by the depth of the hole: in MuJoCo the peg goes in, in PyBullet it mostly comes down on
the block, and the tips stay within 50 mm of each other. Closed loop, the policy inserts in both.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.contract import Contract
from isthmus.limits import Box
from isthmus.records import Array
from isthmus.robot import Robot, load_robot
from isthmus.signals import Signal
from isthmus_sim.parameters import Parameter
from isthmus_sim.scene import Body, Scene, Shape
from isthmus_sim.task import EpisodeStart, Task, Term, Transition, shared
from isthmus_sim.tasks.tabletop import arm_limits, table, tool_point

__all__ = ["CAMERAS", "PEGS", "peg"]

SPEED = 0.5  # rad/s
LENGTH = 0.12  # m, from the tool frame to the peg's tip
THICKNESS = 0.04  # m, of the block with the hole, which lies on the table
MIDDLE, SPREAD, TURN = (0.13, -0.50), 0.04, math.pi / 4  # m, m along x and y, rad: where holes are
READY = (-1.577, -1.362, 2.016, -2.225, -1.571, -0.007)  # rad: the peg points down, its tip 8 cm above the middle
PERTURBATION = 0.04  # rad, of each joint
CLEARANCE = 0.003  # m, on every side
DEPTH, DEEP_ENOUGH, INSIDE = 0.030, 0.020, 0.008  # m: the tip's goal below the mouth of the hole; success; largest distance from its axis
HALF_WORKSPACE = 0.1  # m, MENTOR's unit of length
BLOCK = 0.07  # m, half extent
CAMERAS = ("wrist", "side")
BEST = 8 * math.sqrt(2) + 12 + 4 * math.pi - 17

_BLUE, _DARK, _ORANGE, _STEEL = (0.36, 0.52, 0.72, 1.0), (0.10, 0.10, 0.12, 1.0), (0.93, 0.55, 0.16, 1.0), (0.30, 0.33, 0.37, 1.0)
_TABLE = (0.86, 0.84, 0.80, 1.0)


@dataclass(frozen=True, slots=True)
class Peg:
    """A cross-section.

    Attributes:
        arms: half length and half width of the two crossing bars, m; a round peg has its radius twice.
        symmetry: number of turns about its axis that look the same; 0 for every turn.
    """

    arms: tuple[float, float]
    symmetry: int


PEGS = {"round": Peg((0.018, 0.018), 0), "square": Peg((0.017, 0.017), 4), "cross": Peg((0.024, 0.009), 4)}
"""Shape → cross-section."""


def peg(shape: str, *, state: bool) -> Task:
    """Build the task.

    Args:
        shape: a key of `PEGS`.
        state: whether policies are told where the hole is; otherwise they see camera images.
    """
    robot = load_robot("ur5e")
    section = PEGS[shape]
    name = "-".join(["peg", *([shape] if shape != "round" else []), *(["state"] if state else [])])

    @shared
    def offset(step: Transition) -> Array:
        """From the middle of the hole's mouth to the tip, `[B, 3]`, m."""
        return tool_point(step.after.poses[robot.tool_frame], LENGTH) - step.after.poses["hole"][:, :3]

    def aside(step: Transition) -> Array:
        return np.asarray(np.sqrt((offset(step)[:, :2] ** 2).sum(axis=1)))

    def angle(step: Transition) -> Array:
        """By which the peg is turned against the hole, `[B]`, rad."""
        if not section.symmetry:
            return np.zeros(len(step.action))
        turn, period = _yaw(step.after.poses[robot.tool_frame]) - _yaw(step.after.poses["hole"]), 2 * math.pi / section.symmetry
        return np.asarray(np.abs((turn + period / 2) % period - period / 2))

    def height(step: Transition) -> Array:
        return np.asarray(np.abs(offset(step)[:, 2] + DEPTH) / HALF_WORKSPACE)

    return Task(
        name=name,
        description=f"insert a {shape} peg into a hole {'whose pose is known' if state else 'seen through two cameras'}",
        contract=_contract(robot, name, state=state),
        episode_steps=120,
        start=functools.partial(_start, state=state),
        reward=(
            Term("in plane", 16 / BEST, "1", lambda step: (math.sqrt(2) - aside(step) / HALF_WORKSPACE) / 2),
            Term("height", 6 / BEST, "1", lambda step: 2 - height(step)),
            Term("angle", 8 / BEST, "rad", lambda step: math.pi / 2 - angle(step)),
            Term("offset", -17 / BEST, "1", lambda step: np.ones(len(step.action))),
            Term("tilt", -8 / BEST, "rad", lambda step: _tilt(step.after.poses[robot.tool_frame])),
            Term("effort", -0.01, "1", lambda step: ((step.action / SPEED) ** 2).sum(axis=1)),
            Term("smoothness", -0.02, "1", lambda step: (((step.action - step.before.velocity) / SPEED) ** 2).sum(axis=1)),
        ),
        reached=lambda step: (aside(step) < INSIDE) & (offset(step)[:, 2] < -DEEP_ENOUGH),
        success=f"tip in the hole, at least {DEEP_ENOUGH} m below its mouth, for the last 0.5 s",
        success_steps=10,
        scene=_scene(section),
        identifiable=(
            Parameter("action_delay", "s", 0.0, 0.0, 0.1, "time from a command to its effect"),
            Parameter("hole.friction", "1", 0.4, 0.1, 1.0, "sliding friction of the hole's walls"),
            Parameter("payload", "kg", 0.0, 0.0, 1.0, "mass of a gripper that holds the peg"),
        ),
        look_at=(0.12, -0.46, 0.12),
        camera_distance=1.2,
    )


def _contract(robot: Robot, name: str, *, state: bool) -> Contract:
    joints, own = robot.joint_names, robot.limits()
    slow, fast = (-SPEED,) * len(joints), (SPEED,) * len(joints)
    low, high = ((MIDDLE[0] + side, MIDDLE[1] + side, THICKNESS + side / 4) for side in (-SPREAD, SPREAD))
    if state:
        seen = [
            Signal(robot.tool_frame, "pose", ("x", "y", "z"), "m", (-1.1,) * 3, (1.1,) * 3),
            Signal("hole", "input", ("x", "y", "z"), "m", low, high),
            Signal("hole_yaw", "input", ("yaw",), "rad", (-TURN,), (TURN,)),
        ]
    else:
        seen = [
            Signal(camera.name, "image", (), "1", (), (), dtype="uint8", history=3, stride=2, camera=camera.spec)
            for camera in robot.cameras
            if camera.name in CAMERAS
        ]
    return Contract(
        robot=robot.name,
        task=name,
        observation=(
            Signal("joint_position", "joint_position", joints, "rad", own.position_low, own.position_high),
            Signal("joint_velocity", "joint_velocity", joints, "rad/s", slow, fast),
            *seen,
            Signal("previous_action", "previous_action", joints, "rad/s", slow, fast),
        ),
        action=Signal("joint_velocity", "joint_velocity", joints, "rad/s", slow, fast),
        # With the peg's tip on the table the tool frame is `LENGTH` above it.
        limits=arm_limits(robot, SPEED, Box((-0.8, -1.0, LENGTH - 0.01), (0.9, 0.3, 1.2))),
        control_period=0.05,
        start={name: (value, PERTURBATION + 0.05) for name, value in zip(joints, READY, strict=True)},
    )


def _start(generators: Sequence[np.random.Generator], *, state: bool) -> EpisodeStart:
    position = np.array([READY + generator.uniform(-PERTURBATION, PERTURBATION, len(READY)) for generator in generators])
    x, y, yaw = np.array([generator.uniform((-SPREAD, -SPREAD, -TURN), (SPREAD, SPREAD, TURN)) for generator in generators]).T
    x, y = MIDDLE[0] + x, MIDDLE[1] + y
    inputs = {"hole": np.stack([x, y, np.full(len(x), THICKNESS)], axis=1), "hole_yaw": yaw[:, None].copy()}
    return EpisodeStart(
        {"position": position, "velocity": np.zeros_like(position)},
        inputs if state else {},
        {"hole.x": x, "hole.y": y, "hole.yaw": yaw},
    )


def _scene(section: Peg) -> Scene:
    bodies = (table((0.13, -0.5), (0.35, 0.3), color=_TABLE), _hole(section), _peg(section))
    return Scene(bodies, (("peg", "hole"), ("peg", "table")))


def _peg(section: Peg) -> Body:
    """A peg in a flange; its frame is the tool frame."""
    long, wide = section.arms
    half = LENGTH / 2
    if section.symmetry:
        bars = {(long, wide, half), (wide, long, half)}
        shapes = [Shape("box", bar, position=(0.0, 0.0, half), color=_ORANGE) for bar in sorted(bars)]
    else:
        shapes = [Shape("cylinder", (long, half), position=(0.0, 0.0, half), color=_ORANGE)]
    flange = Shape("cylinder", (0.036, 0.012), position=(0.0, 0.0, 0.012), color=_STEEL, collides=False)
    return Body("peg", (*shapes, flange), mass=0.2, parent="tool0", friction=0.5)


def _hole(section: Peg) -> Body:
    """A block with a hole through it, made of boxes; its frame is in the middle of the mouth, z up.

    The hole of a round peg has eight sides: the boxes lie along the sides and overlap outside. The others are four corners and what closes the arms.
    """
    long, wide = (half + CLEARANCE for half in section.arms)
    half, middle = THICKNESS / 2, -THICKNESS / 2
    walls = []
    for eighth in range(8):
        angle = eighth * math.pi / 4
        turn = (0.0, 0.0, math.sin(angle / 2), math.cos(angle / 2))
        if not section.symmetry:
            first, last, side = long, BLOCK, BLOCK * math.tan(math.pi / 8)
        elif eighth % 2:
            continue
        else:
            first, last, side = long, BLOCK, wide
        out = (first + last) / 2
        where = (out * math.cos(angle), out * math.sin(angle), middle)
        walls.append(Shape("box", ((last - first) / 2, side, half), position=where, rotation=turn, color=_BLUE))
    if section.symmetry:
        out, size = (wide + BLOCK) / 2, (BLOCK - wide) / 2
        walls += [Shape("box", (size, size, half), position=(x * out, y * out, middle), color=_BLUE) for x in (-1, 1) for y in (-1, 1)]
    floor = Shape("box", (long + 0.001, long + 0.001, 0.0005), position=(0.0, 0.0, 0.0006 - THICKNESS), color=_DARK, collides=False)
    return Body("hole", (*walls, floor), position=(*MIDDLE, THICKNESS), friction=0.4)


def _yaw(pose: Array) -> Array:
    """Direction of a frame's x axis seen from above, `[B]`, rad."""
    x, y, z, w = pose[:, 3:].T
    return np.arctan2(2 * (x * y + w * z), 1 - 2 * (y * y + z * z))


def _tilt(pose: Array) -> Array:
    """Angle between a frame's z axis and straight down, `[B]`, rad."""
    x, y, z, w = pose[:, 3:].T
    level = np.sqrt((2 * (x * z + w * y)) ** 2 + (2 * (y * z - w * x)) ** 2)
    return np.asarray(np.arctan2(level, 2 * (x * x + y * y) - 1))
