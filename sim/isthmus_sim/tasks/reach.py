"""Bring the tool of a UR5e, or of any other arm, to a goal: with joint velocities or positions at 20 Hz, or with joint efforts at 50 Hz.

The same commands, replayed open loop in MuJoCo and PyBullet, leave the tool within 2 cm (`tests/sim/test_arm_tasks.py` holds them to it):
MuJoCo's servo sags under the weight of the arm, PyBullet's does not. Efforts run on MuJoCo only: with them the
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
from isthmus_sim.tasks.tool_places import reaches, tool_places, unmoved

__all__ = ["first_mode", "reach", "reach_effort", "reach_of", "reach_position", "reach_reward", "reach_wide", "reach_with", "squared"]

SPEED = 1.5  # rad/s or m/s at most
PERTURBATION = 0.2  # rad or m, of each joint of the home pose
SHIFT = 0.1  # the most of it for a joint that slides, as a share of its travel
TOLERANCE = 0.03  # m
HALF_BOX = (0.25, 0.25, 0.2)  # m
REACHABLE = 1.1  # m
MODES = ("velocity", "position", "effort")
AXES = ("x", "y", "z")
TRAVEL = 1.2  # rad or m, of position commands around the home pose; goals need up to 1.05
BOX = 0.15  # half a side of the box of goals of another arm, as a share of its length
SMALLEST = 2 * TOLERANCE  # m, half of such a box; in a smaller one an arm that does nothing is near most goals
MARGIN = 0.005  # m, by which the bounds of goals exceed them

Draw = Callable[[np.random.Generator], Array]
Value = Callable[[Transition], Array]


def reach() -> Task:
    """Goals in a box of 0.5 × 0.5 × 0.4 m around the tool's home position."""
    return reach_with(load_robot("ur5e"), "reach", description="bring the tool of a UR5e to a goal near its home position")


def reach_position() -> Task:
    """As `reach`, with joint position commands; the guard bounds the speed of the set-points."""
    return reach_with(load_robot("ur5e"), "reach-position", mode="position", description="reach with joint position commands")


def reach_effort() -> Task:
    """As `reach`, with joint efforts: the policy carries the arm's weight."""
    return reach_with(load_robot("ur5e"), "reach-effort", mode="effort", description="reach with joint efforts")


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


def reach_of(robot: Robot, name: str) -> Task:
    """As `reach`, for any arm: goals in the largest box around its tool that it reaches, or, where there is none, where its tool can be.

    An arm with few joints, or with a stretched home pose, reaches no box: its goals are where its tool is in poses around home.
    Commands are velocities if the arm takes them.

    Raises:
        ValueError: see `reach_with`.
    """
    half, reachable = _goal_box(robot)
    return reach_with(robot, name, None if half is None else (half,) * 3, mode=first_mode(robot), reachable=reachable)


def first_mode(robot: Robot) -> str:
    """Velocity if the arm takes it, else what it prefers."""
    return "velocity" if "velocity" in robot.command_modes else robot.command_modes[0]


def _goal_box(robot: Robot) -> tuple[float | None, float]:
    """Half a side of the largest box of goals that an arm reaches, None if there is none, and the bound of its tool's coordinates, m.

    Raises:
        ValueError: the robot is no such arm.
    """
    _check_arm(robot)
    shoulder, length = _reach(robot)
    half, center = BOX * length, _home_tool(robot)
    reachable = float(np.ceil(25 * length) / 10)  # the base may stand below the first joint
    grid = np.stack(np.meshgrid(*[[-1.0, 0.0, 1.0]] * 3), axis=-1).reshape(-1, 3)
    while half >= SMALLEST:
        side = float(np.floor(1000 * half) / 1000)
        if not _box_problem(robot, center - side, center + side, reachable) and reaches(robot, center + side * grid):
            return side, reachable
        half /= 2
    return None, float(np.ceil(10 * (np.abs(shoulder).max() + length)) / 10)


def reach_with(
    robot: Robot,
    name: str,
    half_box: Sequence[float] | None = HALF_BOX,
    *,
    mode: str = "velocity",
    reachable: float = REACHABLE,
    description: str = "",
) -> Task:
    """As `reach`, for any arm on a fixed base: goals in a box around the tool's home position, or where the tool can be.

    Args:
        robot: the arm; its home pose must let every joint turn a little to both sides.
        name: of the task.
        half_box: half the length of the box's sides along x, y, z of the base frame, m; the arm must reach all of it, but only its length is checked.
            None for goals at places of the tool in poses around home, each of which is reachable.
        mode: of the commands: velocity, position or effort.
        reachable: bound of the tool's coordinates in the base frame, m.
        description: one line.

    Raises:
        ValueError: no such arm, commands that it does not take, or a box that is out of its reach.
    """
    _check_arm(robot)
    if mode not in (known := [mode for mode in robot.command_modes if mode in MODES]):
        raise ValueError(f"mode of robot {robot.name!r} must be one of {', '.join(known)}, got {mode!r}")
    description = description or f"bring the tool of {robot.name} to a goal near its home position"
    if half_box is None:
        return _reach_places(robot, name, description, mode, reachable)
    sides = np.array(half_box, dtype=np.float64)
    if sides.shape != (3,) or not (sides > 0).all():
        raise ValueError(f"half_box must be three lengths > 0 m, got {half_box}")
    center = _home_tool(robot)
    # Rounded to a tenth of a millimetre: a contract must not hang on the last bits of the kinematics.
    low, high = np.round(center - sides, 4), np.round(center + sides, 4)
    if problem := _box_problem(robot, low, high, reachable):
        raise ValueError(problem)

    def goal(generator: np.random.Generator) -> Array:
        return generator.uniform(low, high)

    return _task(name, description, robot, low, high, goal, smoothness=0.05, mode=mode, reachable=reachable)


def _reach_places(robot: Robot, name: str, description: str, mode: str, reachable: float) -> Task:
    places = tool_places(robot, _speed(robot))
    low, high = np.round(places.min(axis=0) - MARGIN, 3), np.round(places.max(axis=0) + MARGIN, 3)
    tolerance = float(min(TOLERANCE, np.round(0.1 * np.linalg.norm(np.ptp(places, axis=0)), 4)))

    def goal(generator: np.random.Generator) -> Array:
        return places[generator.integers(len(places))]

    return _task(name, description, robot, low, high, goal, smoothness=0.05, mode=mode, reachable=reachable, tolerance=tolerance)


def _check_arm(robot: Robot) -> None:
    if robot.base.kind != "fixed":
        raise ValueError(
            f"robot {robot.name!r} is no arm on a fixed base, its base is {robot.base.kind}, and there is no reach for it; "
            "a task of its own is written as in docs/how-to/add-a-task.md"
        )


def _box_problem(robot: Robot, low: Array, high: Array, reachable: float) -> str:
    """Why goals are certainly too far away, "" if they may not be."""
    box = f"goals from {low.tolist()} to {high.tolist()} m around the tool's home position"
    if (furthest := np.abs([low, high]).max()) > reachable:
        return f"{box}: {furthest:g} m is beyond reachable = {reachable:g} m"
    shoulder, length = _reach(robot)
    corner = np.where(np.abs(low - shoulder) > np.abs(high - shoulder), low, high)
    if (distance := np.linalg.norm(corner - shoulder)) > length:
        return (
            f"{box}: a corner is {distance:.3f} m from the first joint, but robot {robot.name!r} reaches {length:.3f} m at most; "
            "give a smaller half_box, or None for goals where the tool can be, or the robot a home pose with a bent arm"
        )
    return ""


def _reach(robot: Robot) -> tuple[Array, float]:
    """Where the first joint is, `[3]`, m, and how far from there the tool can never be, m."""
    try:
        shoulder, length = Kinematics(robot.urdf_path).reach(robot.tool_frame)
    except ValueError:
        raise unmoved(robot) from None
    travel = [max(map(abs, joint.position)) for joint in robot.joints if joint.type == "prismatic"]
    return shoulder, length + sum(way for way in travel if np.isfinite(way))


def _task(
    name: str,
    description: str,
    robot: Robot,
    low: Array,
    high: Array,
    goal: Draw,
    *,
    smoothness: float,
    mode: str = "velocity",
    reachable: float = REACHABLE,
    tolerance: float = TOLERANCE,
) -> Task:
    joints = robot.joint_names
    own = robot.limits()
    speed = _speed(robot)
    nearest, furthest = np.array(own.position_low), np.array(own.position_high)
    slides = np.array([joint.type == "prismatic" for joint in robot.joints])
    shifts = np.minimum(PERTURBATION, np.where(slides, SHIFT * (furthest - nearest), np.inf))
    limits = Limits(
        joints=joints,
        position_low=own.position_low,
        position_high=own.position_high,
        velocity=tuple(speed.tolist()),
        acceleration=own.acceleration,
        stop_acceleration=own.stop_acceleration,
        effort=own.effort,
    )
    action = _action(robot, mode)
    period = float(np.clip(0.02 if mode == "effort" else 0.05, *robot.control_period))
    seconds = round(1 / period)
    contract = Contract(
        robot=robot.name,
        task=name,
        observation=(
            Signal("joint_position", "joint_position", joints, robot.unit("position"), own.position_low, own.position_high),
            Signal("joint_velocity", "joint_velocity", joints, robot.unit("velocity"), tuple((-speed).tolist()), tuple(speed.tolist())),
            Signal(robot.tool_frame, "pose", AXES, "m", (-reachable,) * 3, (reachable,) * 3),
            Signal("goal", "input", AXES, "m", tuple(low.tolist()), tuple(high.tolist())),
            Signal("previous_action", "previous_action", joints, action.unit, action.low, action.high),
        ),
        action=action,
        limits=limits,
        control_period=period,
        start={joint.name: (joint.home, 1.25 * shift) for joint, shift in zip(robot.joints, shifts.tolist(), strict=True)},
    )

    size = reachable / REACHABLE
    effort, roughness = _expenses(robot, mode)

    @shared
    def distance(step: Transition) -> Array:
        return np.asarray(np.sqrt(squared(step.after.poses[robot.tool_frame][:, :3] - step.inputs["goal"])))

    def start(generators: Sequence[np.random.Generator]) -> EpisodeStart:
        away = np.array([generator.uniform(-shifts, shifts) for generator in generators])
        position = np.clip(robot.home + away, nearest, furthest)
        goals = np.array([goal(generator) for generator in generators])
        return EpisodeStart({"position": position, "velocity": np.zeros_like(position)}, {"goal": goals})

    return Task(
        name=name,
        description=description,
        contract=contract,
        episode_steps=5 * seconds,
        start=start,
        reward=reach_reward(distance, effort, roughness, smoothness=smoothness),
        reached=lambda step: distance(step) < tolerance,
        success=f"tool within {tolerance} m of the goal",
        success_steps=seconds // 2,
        plants=("mujoco",) if mode == "effort" else ("mujoco", "pybullet"),
        look_at=(0.0, -0.2 * size, 0.4 * size),
        camera_distance=1.8 * size,
    )


def _action(robot: Robot, mode: str) -> Signal:
    joints, home, own = robot.joint_names, robot.home, robot.limits()
    largest = {
        "velocity": _speed(robot),
        "position": np.full(len(joints), TRAVEL),
        "effort": np.array([joint.effort for joint in robot.joints]),
    }[mode]
    middle = home if mode == "position" else np.zeros(len(joints))
    low, high = middle - largest, middle + largest
    if mode == "position":
        low, high = np.maximum(low, own.position_low), np.minimum(high, own.position_high)
    return Signal(f"joint_{mode}", f"joint_{mode}", joints, robot.unit(mode), tuple(low.tolist()), tuple(high.tolist()))


def _speed(robot: Robot) -> Array:
    """Speed limits of the joints in these tasks, `[J]`, rad/s or m/s."""
    return np.minimum(SPEED, robot.limits().velocity)


def _expenses(robot: Robot, mode: str) -> tuple[Value, Value]:
    """How hard the arm works, and how rough its commands are; `[B]` each, without unit."""
    speed = _speed(robot)
    if mode == "velocity":
        # Commands far from the present motion chatter at the control rate, which the guard takes for a limit cycle.
        return lambda step: squared(step.action / speed), lambda step: squared((step.action - step.before.velocity) / speed)
    if mode == "position":
        return lambda step: squared(step.after.velocity / speed), lambda step: squared((step.action - step.before.position) / TRAVEL)
    largest = np.array([joint.effort for joint in robot.joints])
    return lambda step: squared(step.action / largest), lambda step: squared(step.after.velocity / speed)


def reach_reward(distance: Value, effort: Value, roughness: Value, *, smoothness: float) -> tuple[Term, ...]:
    """What is paid for being near; each value is a transition's, `[B]`.

    Args:
        distance: to the goal, m.
        effort: how hard the arm works.
        roughness: of its commands.
        smoothness: weight of the roughness.
    """
    return (
        Term("distance", -1.0, "m", distance),
        Term("precision", -0.3, "ln m", lambda step: np.log(distance(step) + 0.01)),
        Term("effort", -0.02, "1", effort),
        Term("smoothness", -smoothness, "1", roughness),
    )


def squared(vectors: Array) -> Array:
    """Squared lengths `[B]` of vectors `[B, n]`."""
    return np.asarray(np.einsum("bi,bi->b", vectors, vectors))


def _home_tool(robot: Robot) -> Array:
    """Position of the tool in the home pose, `[3]`, m."""
    return Kinematics(robot.urdf_path).poses(robot.joint_names, robot.home[None], [robot.tool_frame])[robot.tool_frame].position[0]
