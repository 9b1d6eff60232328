"""Pick a rod where it balances: a UR5e with a parallel gripper, joint velocities at 20 Hz.

The rod balancing of Memmel et al., "ASID: active exploration for system identification in robotic manipulation" (2024): a rod of 0.04 × 0.30 × 0.04
m whose centre of mass lies somewhere along it. It is ten times as heavy as theirs (25 g), so that its weight is not lost beside a real gripper's
force. The pads are round, so a rod that is not held near its centre of mass turns in the grip and hangs.

The policy is told the `balance_point`. An episode draws it and puts the centre of mass there; who sets `rod.com_y` apart from it sees what a wrong
identification costs: told the truth the scripted policy lifts the rod level in both engines, told a place that is 5 cm off it does in neither.

Two engines: the commands of the scripted policy, replayed open loop, keep the tool within 20 mm and the rod within 20 mm and 15 degrees
(`tests/sim/test_grasp_tasks.py` holds them to it). Servos sag under gravity in MuJoCo and not in PyBullet, so the rod is gripped, and let go of the
table, a few millimetres elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isthmus.contract import Contract
from isthmus.limits import Box, Limits
from isthmus.records import Array
from isthmus.robot import load_robot
from isthmus.signals import Signal
from isthmus_sim.parameters import Parameter
from isthmus_sim.scene import Body, Scene, Shape
from isthmus_sim.task import EpisodeStart, Task, Term, Transition
from isthmus_sim.tasks.tabletop import table

__all__ = ["rod"]

HALF = (0.02, 0.15, 0.02)  # m, of the rod
MASS = 0.25  # kg
FRICTION = 0.3  # with pads that touch over 3 mm, 50 N hold this mass level as far as 18 mm from the grip
BALANCE = 0.1  # m, farthest balance point from the middle
MIDDLE = (0.13, -0.48)  # m, of where rods lie
SPREAD, TURN = 0.06, 0.785  # m along x and y, rad
SPEED, CLOSING = 1.5, 0.1  # rad/s, m/s
PERTURBATION = 0.05  # rad
LEVEL, CLEARANCE = np.deg2rad(10.0), 0.05  # rad, m
POSE = ("x", "y", "z", "qx", "qy", "qz", "qw")
WORKSPACE = Box((-0.7, -1.0, 0.0), (0.9, 0.5, 1.3))  # m
ROD = Body(
    "rod",
    (
        Shape("box", HALF, color=(0.85, 0.55, 0.25, 1.0)),
        Shape("box", (0.0203, 0.002, 0.0203), color=(0.2, 0.2, 0.2, 1.0), collides=False),
    ),
    mass=MASS,
    center_of_mass=(0.0, 0.0, 0.0),
    inertia=tuple((MASS * Shape("box", HALF).moments()[1]).tolist()),
    joint="free",
    position=(*MIDDLE, HALF[2]),
    friction=FRICTION,
)
FINGERS = ("left_finger_link", "right_finger_link")


def rod() -> Task:
    """Build the task."""
    robot = load_robot("ur5e_gripper")
    joints, own = robot.joint_names, robot.limits()
    fastest = tuple(CLOSING if joint.type == "prismatic" else SPEED for joint in robot.joints)
    slowest = tuple(-speed for speed in fastest)
    limits = Limits(
        joints=joints,
        position_low=own.position_low,
        position_high=own.position_high,
        velocity=fastest,
        acceleration=own.acceleration,
        stop_acceleration=own.stop_acceleration,
        effort=own.effort,
        workspace=WORKSPACE,
    )
    bound = (1.1,) * 3 + (1.0,) * 4
    low = tuple(-value for value in bound)
    contract = Contract(
        robot=robot.name,
        task="rod",
        observation=(
            Signal("joint_position", "joint_position", joints, robot.unit("position"), own.position_low, own.position_high),
            Signal("joint_velocity", "joint_velocity", joints, robot.unit("velocity"), slowest, fastest),
            Signal(robot.tool_frame, "pose", POSE, "m", low, bound),
            Signal("rod", "pose", POSE, "m", low, bound),
            Signal("balance_point", "input", ("y",), "m", (-BALANCE,), (BALANCE,)),
            Signal("previous_action", "previous_action", joints, robot.unit("velocity"), slowest, fastest),
        ),
        action=Signal("joint_velocity", "joint_velocity", joints, robot.unit("velocity"), slowest, fastest),
        limits=limits,
        control_period=0.05,
        start={joint.name: (joint.home, PERTURBATION + 0.05 if joint.type != "prismatic" else 0.01) for joint in robot.joints},
    )
    turning = np.array([joint.type != "prismatic" for joint in robot.joints])

    def start(generators: Sequence[np.random.Generator]) -> EpisodeStart:
        count = len(generators)
        offsets = np.array([generator.uniform(-PERTURBATION, PERTURBATION, len(joints)) for generator in generators])
        places = np.array([generator.uniform((-SPREAD, -SPREAD, -TURN), (SPREAD, SPREAD, TURN)) for generator in generators])
        balance = np.array([generator.uniform(-BALANCE, BALANCE) for generator in generators])
        position = robot.home + offsets * turning
        pose = np.zeros((count, 7))
        pose[:, :2], pose[:, 2] = places[:, :2] + MIDDLE, HALF[2]
        pose[:, 5], pose[:, 6] = np.sin(places[:, 2] / 2), np.cos(places[:, 2] / 2)
        state = {"position": position, "velocity": np.zeros_like(position), "rod": pose}
        return EpisodeStart(state, {"balance_point": balance[:, None]}, {"rod.com_y": balance})

    def reach(step: Transition) -> Array:
        pose = step.after.poses["rod"]
        gap = pose[:, :3] + step.inputs["balance_point"] * _axis(pose) - step.after.poses[robot.tool_frame][:, :3]
        return np.asarray(np.sqrt((gap**2).sum(axis=1)))

    def lifted(step: Transition) -> Array:
        return np.asarray(np.clip(_clearance(step), 0.0, 2 * CLEARANCE))

    return Task(
        name="rod",
        description="pick up a rod where it balances",
        contract=contract,
        episode_steps=160,
        start=start,
        reward=(
            Term("reach", -1.0, "m", reach),
            Term("grasp", -1.0, "m", lambda step: np.abs(step.after.position[:, ~turning] - HALF[0]).sum(axis=1) * (reach(step) < 0.03)),
            Term("lift", 10.0, "m", lifted),
            Term("tilt", -1.0, "rad", lambda step: _tilt(step)),
            Term("effort", -0.02, "1", lambda step: ((step.action / fastest) ** 2).sum(axis=1)),
            Term("smoothness", -0.05, "1", lambda step: (((step.action - step.before.velocity) / fastest) ** 2).sum(axis=1)),
            Term("fall", -20.0, "1", lambda step: _fallen(step).astype(np.float64)),
        ),
        reached=lambda step: np.asarray((_tilt(step) < LEVEL) & (_clearance(step) > CLEARANCE)),
        success=f"all of the rod at least {CLEARANCE} m above the table, and level within {np.rad2deg(LEVEL):.0f} degrees",
        success_steps=20,
        scene=Scene(
            (table(MIDDLE, (0.36, 0.3)), ROD), (("rod", "table"), *((link, name) for link in FINGERS for name in ("rod", "table")))
        ),
        fallen=_fallen,
        identifiable=(
            Parameter("rod.com_y", "m", 0.0, -BALANCE, BALANCE, "where the rod balances, along it from its middle"),
            Parameter("rod.mass", "kg", MASS, 0.1, 0.4, "mass of the rod"),
        ),
        look_at=(0.1, -0.45, 0.15),
        camera_distance=1.3,
    )


def _axis(pose: Array) -> Array:
    """Direction of the rod, its y axis, `[B, 3]`."""
    x, y, z, w = pose[:, 3:].T
    return np.stack([2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)], axis=1)


def _tilt(step: Transition) -> Array:
    """Angle between the rod and the horizontal, `[B]`, rad."""
    return np.asarray(np.abs(np.arcsin(np.clip(_axis(step.after.poses["rod"])[:, 2], -1.0, 1.0))))


def _clearance(step: Transition) -> Array:
    """Height of the rod's lowest point above the table, `[B]`, m; on the safe side where it has rolled about its axis."""
    pose = step.after.poses["rod"]
    rise = np.abs(_axis(pose)[:, 2])
    return np.asarray(pose[:, 2] - HALF[1] * rise - HALF[2] * np.sqrt(np.maximum(1 - rise**2, 0.0)))


def _fallen(step: Transition) -> Array:
    return np.asarray(step.after.poses["rod"][:, 2] < -0.05)
