"""Drive a differential base to a goal between obstacles, with twists at 10 Hz; the task carries a specification in signal temporal logic.

Every episode draws a goal, an obstacle in the way, and four more. Where they are is an input of the policy, as a map would give it; a touch
ends the episode as a failure.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isthmus.contract import Contract
from isthmus.limits import Limits
from isthmus.records import Array
from isthmus.robot import Robot, load_robot
from isthmus.signals import Signal
from isthmus.specification import Specification
from isthmus_sim.parameters import Parameter
from isthmus_sim.scene import Body, Scene, Shape, flat_ground
from isthmus_sim.task import EpisodeStart, Task, Term, Transition

__all__ = ["navigate"]

HULL = 0.17  # m, radius of the robot
PILLAR = 0.20  # m, radius
CRATE = 0.16  # m, half of its side
PILLARS, CRATES = ("pillar_1", "pillar_2", "pillar_3"), ("crate_1", "crate_2")
OBSTACLES = (*PILLARS, *CRATES)
REACH = (2.0, 3.0)  # m, from the start to the goal
APART = 1.0  # m between centres of obstacles: the robot fits between any two
CLEAR = 0.7  # m between an obstacle's centre and the start or the goal
FIELD = 3.2  # m, half of the square that the task takes place in
TOUCH = 0.005  # m
TOLERANCE = 0.2  # m
FASTEST, TURNING = 0.4, 1.5  # m/s, rad/s


def navigate() -> Task:
    """Build the task.

    Replayed open loop in MuJoCo and PyBullet, the twists of the scripted policy leave the two robots within 0.02 m and 0.03 rad of each other
    after 2 s (`tests/sim/test_mobile_tasks.py` holds them to it). The difference arises when speeds change: MuJoCo's wheels have rotors and servos
    with a gain, PyBullet's obey at once; and MuJoCo's soft contacts creep by a few tenths of a percent.
    """
    robot = load_robot("diffbot")
    elements = ("vx", "wz")
    slow, fast = (-0.2, -TURNING), (FASTEST, TURNING)
    places = tuple(f"{name}_{axis}" for name in OBSTACLES for axis in "xy")
    contract = Contract(
        robot=robot.name,
        task="navigate",
        observation=(
            Signal("base_link", "pose", ("x", "y", "qz", "qw"), "m", *_bounds((FIELD, FIELD, 1.0, 1.0))),
            Signal("base_link_twist", "twist", elements, "m/s", *_bounds((FASTEST, TURNING)), frame="base_link"),
            Signal("goal", "input", ("x", "y"), "m", *_bounds((FIELD, FIELD))),
            Signal("obstacles", "input", places, "m", *_bounds((FIELD,) * len(places))),
            Signal("previous_action", "previous_action", elements, "m/s", slow, fast),
        ),
        action=Signal("twist", "twist", elements, "m/s", slow, fast),
        limits=_limits(robot),
        control_period=0.1,
    )
    return Task(
        name="navigate",
        description="drive a differential base to a goal between obstacles",
        contract=contract,
        episode_steps=210,
        start=_start,
        reward=(
            Term("progress", 10.0, "m", lambda step: _distance(step, step.before.poses["base_link"]) - goal_distance(step)),
            Term("arrived", 0.2, "1", lambda step: (goal_distance(step) < TOLERANCE).astype(np.float64)),
            Term("closeness", -0.5, "1", lambda step: np.exp(-np.maximum(gap(step), 0.0) / 0.05)),
            Term("touch", -20.0, "1", lambda step: _touches(step).astype(np.float64)),
            Term("turning", -0.02, "1", lambda step: (step.action[:, 1] / TURNING) ** 2),
        ),
        reached=lambda step: goal_distance(step) < TOLERANCE,
        success=f"within {TOLERANCE} m of the goal for 1 s at the end, and no obstacle touched",
        success_steps=10,
        scene=_scene(robot),
        fallen=_touches,
        identifiable=(
            Parameter("action_delay", "s", 0.0, 0.0, 0.3, "time from a twist to the wheels"),
            Parameter("ground.friction", "1", 1.0, 0.3, 1.5, "sliding friction of the floor"),
            Parameter("payload", "kg", 0.0, 0.0, 2.0, "load on the axle"),
        ),
        specification=Specification(
            f"always[0,20] (gap > {TOUCH}) and eventually[0,20] (goal_distance < {TOLERANCE})",
            {"goal_distance": "hypot(base_link.x - goal.x, base_link.y - goal.y)", "gap": _gap_in_words()},
        ),
        look_at=(0.0, 0.0, 0.0),
        camera_distance=5.0,
    )


def gap(step: Transition) -> Array:
    """Free space between the hull and the nearest obstacle, `[B]`, m; negative inside one."""
    robot = step.after.poses["base_link"][:, None, :2]
    away = np.abs(robot - step.inputs["obstacles"].reshape(-1, len(OBSTACLES), 2))
    pillars = np.sqrt((away[:, : len(PILLARS)] ** 2).sum(axis=2)) - PILLAR
    outside = away[:, len(PILLARS) :] - CRATE
    crates = np.sqrt((np.maximum(outside, 0.0) ** 2).sum(axis=2)) + np.minimum(outside.max(axis=2), 0.0)
    return np.asarray(np.minimum(pillars.min(axis=1), crates.min(axis=1)) - HULL)


def _gap_in_words() -> str:
    """What `gap` computes, as the specification has it."""
    free = []
    for name in OBSTACLES:
        x, y = (f"base_link.{axis} - obstacles.{name}_{axis}" for axis in "xy")
        if name in PILLARS:
            free.append(f"hypot({x}, {y}) - {PILLAR}")
        else:
            x, y = f"abs({x}) - {CRATE}", f"abs({y}) - {CRATE}"
            free.append(f"hypot(max({x}, 0), max({y}, 0)) + min(max({x}, {y}), 0)")
    return f"min({', '.join(free)}) - {HULL}"


def goal_distance(step: Transition) -> Array:
    """From the middle of the axle to the goal, `[B]`, m."""
    return _distance(step, step.after.poses["base_link"])


def _distance(step: Transition, pose: Array) -> Array:
    return np.asarray(np.sqrt(((pose[:, :2] - step.inputs["goal"]) ** 2).sum(axis=1)))


def _touches(step: Transition) -> Array:
    return np.asarray(gap(step) < TOUCH)


def _start(generators: Sequence[np.random.Generator]) -> EpisodeStart:
    count = len(generators)
    base, goals, obstacles = np.zeros((count, 7)), np.zeros((count, 2)), np.zeros((count, len(OBSTACLES), 2))
    base[:, 2] = load_robot("diffbot").base.height
    for row, generator in enumerate(generators):
        yaw, bearing = generator.uniform(-np.pi, np.pi, 2)
        base[row, 5:] = np.sin(yaw / 2), np.cos(yaw / 2)
        goals[row] = generator.uniform(*REACH) * np.array([np.cos(bearing), np.sin(bearing)])
        obstacles[row] = generator.permutation(_draw_obstacles(generator, goals[row]))
    inputs = {"goal": goals, "obstacles": obstacles.reshape(count, -1)}
    parameters = {f"{name}.{axis}": obstacles[:, i, k] for i, name in enumerate(OBSTACLES) for k, axis in enumerate("xy")}
    return EpisodeStart({"base": base}, inputs, parameters)


def _draw_obstacles(generator: np.random.Generator, goal: Array) -> Array:
    """The first lies on the straight way from the start (the origin) to the goal, the others anywhere; `[obstacles, 2]`, m."""
    aside = generator.uniform(-0.15, 0.15) * np.array([-goal[1], goal[0]]) / np.hypot(*goal)
    found = [generator.uniform(0.4, 0.6) * goal + aside]
    while len(found) < len(OBSTACLES):
        place = generator.uniform(-FIELD + 0.6, FIELD - 0.6, 2)
        if min(np.hypot(*place), np.hypot(*(place - goal))) > CLEAR and all(np.hypot(*(place - other)) > APART for other in found):
            found.append(place)
    return np.array(found)


def _scene(robot: Robot) -> Scene:
    ground = flat_ground(robot)
    orange, blue = (0.85, 0.52, 0.25, 1.0), (0.35, 0.50, 0.70, 1.0)
    # Where they stand before the first reset: in a row, out of the way.
    places = [(x - 2.0, 2.0) for x in range(len(OBSTACLES))]
    bodies = [
        Body(name, (Shape("cylinder", (PILLAR, 0.25), color=orange),), position=(x, y, 0.25))
        if name in PILLARS
        else Body(name, (Shape("box", (CRATE, CRATE, 0.15), color=blue),), position=(x, y, 0.15))
        for name, (x, y) in zip(OBSTACLES, places, strict=True)
    ]
    return Scene((*ground.bodies, *bodies), (*ground.contacts, *(("base_link", name) for name in OBSTACLES)))


def _limits(robot: Robot) -> Limits:
    own = robot.limits()
    return Limits(
        joints=own.joints,
        position_low=own.position_low,
        position_high=own.position_high,
        velocity=(FASTEST, TURNING),
        acceleration=own.acceleration,
        stop_acceleration=own.stop_acceleration,
        effort=own.effort,
    )


def _bounds(high: tuple[float, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(-value for value in high), high
