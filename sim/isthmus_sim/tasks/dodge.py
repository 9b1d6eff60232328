"""Bring the tool of a UR5e to a goal, and keep it clear of a ball that flies across the way; joint velocities at 20 Hz.

Where the ball is at the beginning and how fast it flies is an input of the policy, as a camera would have told; it flies straight, and time is
observed. Nothing is hit: coming too close ends the episode as a failure. Only the tool's point counts, not the links behind it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from isthmus.kinematics import Kinematics
from isthmus.records import Array
from isthmus.robot import load_robot
from isthmus.signals import Signal
from isthmus.specification import Specification
from isthmus_sim.task import EpisodeStart, Task, Term, Transition
from isthmus_sim.tasks.reach import TOLERANCE, reach

__all__ = ["CLEARANCE", "dodge"]

CLEARANCE = 0.08  # m, between the tool and the middle of the ball
SPEED = (0.15, 0.45)  # m/s, of the ball
HASTE = 0.4  # m/s, of a tool that goes straight to its goal: the ball is in the way when it is there
EARLY, EARLIEST = (-0.2, 0.2), 0.3  # s, how far it misses that, and when it is in the way at the earliest
FREE = 0.05  # m more than the clearance that start and goal have
SECONDS = 4
BALL = ("x", "y", "z", "vx", "vy", "vz")
REACHABLE = 4.0  # m, of the ball

_FAR = 1.0  # m, or m/s


def dodge() -> Task:
    """Build the task; arm, goals and rewards are those of `reach`, and so is the band of open-loop replays."""
    base = reach()
    robot = load_robot("ur5e")
    period = base.contract.control_period
    *first, last = base.contract.observation
    contract = dataclasses.replace(
        base.contract,
        task="dodge",
        observation=(
            *first,
            Signal("ball", "input", BALL, "m", (-REACHABLE,) * 3 + (-_FAR,) * 3, (REACHABLE,) * 3 + (_FAR,) * 3),
            Signal("time", "time", ("t",), "s", (0.0,), (60.0,)),
            last,
        ),
    )
    kinematics = Kinematics(robot.urdf_path)

    def start(generators: Sequence[np.random.Generator]) -> EpisodeStart:
        drawn = base.start(generators)
        tools = kinematics.positions(robot.joint_names, drawn.state["position"], [robot.tool_frame])[robot.tool_frame]
        balls = [_ball(*parts) for parts in zip(tools, drawn.inputs["goal"], generators, strict=True)]
        return EpisodeStart(drawn.state, {**drawn.inputs, "ball": np.array(balls)})

    def away(step: Transition) -> Array:
        """Between tool and ball, less the clearance, `[B]`, m."""
        return gap(step.after.poses[robot.tool_frame][:, :3], step.inputs["ball"], step.time)

    return dataclasses.replace(
        base,
        name="dodge",
        description="bring the tool of a UR5e to a goal, clear of a ball that flies across the way",
        contract=contract,
        episode_steps=round(SECONDS / period),
        start=start,
        reward=(*base.reward, Term("closeness", -1.0, "1", lambda step: np.exp(-np.maximum(away(step), 0.0) / 0.03))),
        success=f"{base.success}, and never within {CLEARANCE} m of the ball",
        fallen=lambda step: away(step) < 0,
        specification=Specification(
            f"always[{period},{SECONDS - period}] (gap > 0) and eventually[0,3] (always[0,0.5] (goal_distance < {TOLERANCE}))",
            {
                "goal_distance": "hypot(tool0.x - goal.x, tool0.y - goal.y, tool0.z - goal.z)",
                "gap": f"hypot({', '.join(f'tool0.{axis} - ball.{axis} - time.t * ball.v{axis}' for axis in 'xyz')}) - {CLEARANCE}",
            },
        ),
    )


def gap(tool: Array, ball: Array, time: Array) -> Array:
    """Between tool `[B, 3]` and ball `[B, 6]` at a time `[B]` (s), less the clearance: `[B]`, m."""
    return np.asarray(np.sqrt(((tool - ball[:, :3] - time[:, None] * ball[:, 3:]) ** 2).sum(axis=1)) - CLEARANCE)


def _ball(tool: Array, goal: Array, generator: np.random.Generator) -> Array:
    """Where the ball begins and how it flies: across the straight way from tool to goal, and never close to the goal itself."""
    times = np.arange(0, SECONDS + 0.05, 0.05)[:, None]
    aside = 0.02  # m; where tool and goal are too close for a ball between them, it passes further and further away
    while True:
        share = generator.uniform(0.3, 0.8)
        crossing = tool + share * (goal - tool) + generator.normal(0, aside, 3)
        aside *= 1.05
        direction = generator.normal(size=3)
        velocity = generator.uniform(*SPEED) * direction / np.sqrt((direction**2).sum())
        begin = crossing - max(share * np.sqrt(((goal - tool) ** 2).sum()) / HASTE + generator.uniform(*EARLY), EARLIEST) * velocity
        way = begin + times * velocity
        nearest = np.sqrt(((way - goal) ** 2).sum(axis=1)).min()
        if min(nearest, np.sqrt(((begin - tool) ** 2).sum())) > CLEARANCE + FREE:
            return np.concatenate([begin, velocity])
