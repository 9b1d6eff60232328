"""Walk with a commanded velocity on flat (`walk`) or rough (`walk-rough`) ground: joint position targets of a quadruped at 50 Hz.

Observed is what such a robot has: joint encoders; the orientation and angular velocity of its inertial unit; and the linear velocity of its
trunk, which a robot estimates from its legs and that unit. The reward is the usual one of velocity-tracking locomotion (Rudin et al., "Learning
to walk in minutes using massively parallel deep reinforcement learning", 2022), without terms that need contact sensors. Only feet touch the
ground: a robot that drops on its knees or its trunk has fallen, and the episode is over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from isthmus.contract import Contract
from isthmus.records import Array, Measurement
from isthmus.robot import Robot, load_robot
from isthmus.signals import Signal
from isthmus_sim.parameters import Parameter
from isthmus_sim.scene import Body, Scene, Shape, flat_ground, standing_links
from isthmus_sim.task import EpisodeStart, Task, Term, Transition

__all__ = ["walk", "walk_rough"]

COMMAND = ("vx", "vy", "wz")
SLOWEST, FASTEST = (-0.4, -0.2, -0.6), (0.6, 0.2, 0.6)  # m/s, m/s, rad/s
SWING = {"hip": 0.5, "thigh": 0.9, "calf": 0.65}  # rad, of the position targets around the home pose
HEIGHT = 0.28  # m, of the trunk above the ground when walking
LOWEST, STEEPEST = 0.15, 1.0  # m, rad
TOLERANCE, TURN_TOLERANCE = 0.15, 0.2  # m/s, rad/s
FIELD, GRID, ROUGHNESS = 8.0, 0.2, 0.05  # m: half side, grid, height of the bumps

Height = Callable[[Array], Array]


def walk() -> Task:
    """Build the task on flat ground.

    Replayed open loop in MuJoCo and PyBullet, the position targets of the scripted trot leave the two robots within 0.25 m and 0.4 rad of each
    other after 2 s (`tests/sim/test_mobile_tasks.py` holds them to it). They part steadily and without chaos, because MuJoCo's joints have rotors
    and its feet creep in soft contacts, and PyBullet has neither; the trot keeps both on their feet.
    """
    robot = load_robot("quadruped")
    return _task("walk", "walk with a commanded velocity on flat ground", robot, flat_ground(robot), lambda place: np.zeros(len(place)))


def walk_rough() -> Task:
    """Build the task on bumps of up to 5 cm; every episode begins elsewhere on them.

    Replayed as for `walk`, the robots are within 0.35 m and 0.5 rad of each other after 2 s. From about 2.5 s on, feet meet other bumps in one
    engine than in the other and the headings go their own ways: later poses say nothing about the engines.
    """
    robot = load_robot("quadruped")
    count = round(2 * FIELD / GRID) + 1
    heights = np.random.default_rng(0).uniform(0.0, ROUGHNESS, (count, count))
    heights -= heights.min()
    shape = Shape("heightfield", (FIELD, FIELD), color=(0.66, 0.70, 0.62, 1.0), heights=tuple(map(tuple, heights.tolist())))
    scene = Scene((Body("ground", (shape,)),), tuple((link, "ground") for link in standing_links(robot)))

    def height(place: Array) -> Array:
        cell = np.clip((place + FIELD) / GRID, 0.0, count - 1.001)
        column, row = cell.astype(np.int64).T
        x, y = (cell % 1.0).T
        near = (1 - x) * heights[row, column] + x * heights[row, column + 1]
        far = (1 - x) * heights[row + 1, column] + x * heights[row + 1, column + 1]
        return np.asarray((1 - y) * near + y * far)

    return _task("walk-rough", "walk with a commanded velocity on rough ground", robot, scene, height, spread=3.0, clearance=0.03)


def _task(name: str, description: str, robot: Robot, scene: Scene, height: Height, *, spread: float = 0.0, clearance: float = 0.0) -> Task:
    joints, own = robot.joint_names, robot.limits()
    inf = (np.inf,)
    low, high = zip(*(_targets(joint.name, joint.home, joint.position) for joint in robot.joints), strict=True)
    contract = Contract(
        robot=robot.name,
        task=name,
        observation=(
            Signal("base_link", "pose", ("qx", "qy", "qz", "qw"), "m", (-1.0,) * 4, (1.0,) * 4),
            Signal(
                "base_link_twist",
                "twist",
                ("vx", "vy", "vz", "wx", "wy", "wz"),
                "m/s",
                (-1.0,) * 3 + (-3.0,) * 3,
                (1.0,) * 3 + (3.0,) * 3,
                "base_link",
            ),
            Signal("joint_position", "joint_position", joints, "rad", own.position_low, own.position_high),
            Signal("joint_velocity", "joint_velocity", joints, "rad/s", (-10.0,) * len(joints), (10.0,) * len(joints)),
            Signal("command", "input", COMMAND, "m/s", SLOWEST, FASTEST),
            Signal("time", "time", ("time",), "s", (0.0,), inf),
            Signal("previous_action", "previous_action", joints, "rad", low, high),
        ),
        action=Signal("joint_position", "joint_position", joints, "rad", low, high),
        limits=own,
        control_period=0.02,
        start={joint.name: (joint.home, 0.1) for joint in robot.joints},
    )

    def above_ground(truth: Measurement) -> Array:
        pose = truth.poses["base_link"]
        return np.asarray(pose[:, 2] - height(pose[:, :2]))

    def fallen(step: Transition) -> Array:
        return (above_ground(step.after) < LOWEST) | (_gravity(step)[:, 2] > -np.cos(STEEPEST))

    def relative_error(step: Transition) -> Array:
        return _error(step) / np.array([TOLERANCE, TOLERANCE, TURN_TOLERANCE])

    def start(generators: Sequence[np.random.Generator]) -> EpisodeStart:
        draws = np.array(
            [generator.uniform((-spread, -spread, -np.pi, *SLOWEST), (spread, spread, np.pi, *FASTEST)) for generator in generators]
        )
        place, yaw = draws[:, :2], draws[:, 2]
        base = np.zeros((len(draws), 7))
        base[:, :2], base[:, 2] = place, height(place) + robot.base.height + clearance
        base[:, 5], base[:, 6] = np.sin(yaw / 2), np.cos(yaw / 2)
        return EpisodeStart({"base": base}, {"command": draws[:, 3:]})

    return Task(
        name=name,
        description=description,
        contract=contract,
        episode_steps=400,
        start=start,
        reward=(
            Term("linear velocity", 1.0, "1", lambda step: np.exp(-((_error(step)[:, :2] ** 2).sum(axis=1)) / 0.1)),
            Term("angular velocity", 0.5, "1", lambda step: np.exp(-(_error(step)[:, 2] ** 2) / 0.25)),
            Term("bounce", -1.0, "m^2/s^2", lambda step: step.after.twists["base_link"][:, 2] ** 2),
            Term("roll and pitch rate", -0.05, "rad^2/s^2", lambda step: (step.after.twists["base_link"][:, 3:5] ** 2).sum(axis=1)),
            Term("orientation", -1.0, "1", lambda step: (_gravity(step)[:, :2] ** 2).sum(axis=1)),
            Term("height", -20.0, "m^2", lambda step: (above_ground(step.after) - HEIGHT) ** 2),
            Term("torque", -2e-4, "N^2*m^2", lambda step: (_effort(step) ** 2).sum(axis=1)),
            Term("power", -2e-3, "W", lambda step: np.maximum(_effort(step) * step.after.velocity, 0.0).sum(axis=1)),
            Term("target", -0.05, "rad^2", lambda step: ((step.action - step.before.position) ** 2).sum(axis=1)),
            Term("fall", -20.0, "1", lambda step: fallen(step).astype(np.float64)),
        ),
        reached=lambda step: np.asarray((np.abs(relative_error(step)) <= 1).all(axis=1)),
        mean_error=relative_error,
        success=f"mean velocity of the last 2 s within {TOLERANCE} m/s along both axes and {TURN_TOLERANCE} rad/s of the command, without a fall",
        success_steps=100,
        scene=scene,
        fallen=fallen,
        identifiable=(
            Parameter("action_delay", "s", 0.0, 0.0, 0.04, "time from a position target to the servo"),
            Parameter("ground.friction", "1", 1.0, 0.4, 1.5, "sliding friction under the feet"),
            Parameter("joint_damping", "N*m*s/rad", 0.0, 0.0, 0.5, "viscous friction of every joint"),
            Parameter("payload", "kg", 0.0, 0.0, 3.0, "load on the trunk"),
        ),
        look_at=(0.0, 0.0, 0.2),
        camera_distance=1.8,
    )


def _targets(name: str, home: float, limits: tuple[float, float]) -> tuple[float, float]:
    swing = SWING[name.split("_")[1]]
    return max(home - swing, limits[0]), min(home + swing, limits[1])


def _error(step: Transition) -> Array:
    """Trunk velocity minus command: vx, vy, wz in the trunk's frame, `[B, 3]`, m/s and rad/s."""
    return np.asarray(step.after.twists["base_link"][:, [0, 1, 5]] - step.inputs["command"])


def _gravity(step: Transition) -> Array:
    """Direction of gravity in the trunk's frame, `[B, 3]`; (0, 0, −1) when level."""
    x, y, z, w = step.after.poses["base_link"][:, 3:].T
    return np.stack([2 * (w * y - x * z), -2 * (y * z + w * x), 2 * (x * x + y * y) - 1], axis=1)


def _effort(step: Transition) -> Array:
    """Joint torques at the end of the period, `[B, J]`, N·m."""
    assert step.after.effort is not None  # noqa: S101 - both engines measure it
    return step.after.effort
