"""Where the tool of an arm can be: goals for arms that cannot reach a box, and whether one can."""

from __future__ import annotations

import numpy as np

from isthmus.kinematics import Kinematics
from isthmus.records import Array
from isthmus.robot import Robot

__all__ = ["reaches", "tool_places", "unmoved"]

DRAWN = 4096  # poses
SPAN, SECONDS = 1.0, 2.5  # rad or m from home that a joint moves at most, and for how long: half an episode is left
STILL, LEVEL = 1e-3, 1e-6  # m; a tool that moves less has no goals, and a link that is lower by less is as high
NEAR, DAMPING, STEP, STEPS = 0.002, 0.02, 0.3, 100  # m, m, rad or m, of the search for a pose


def tool_places(robot: Robot, speed: Array) -> Array:
    """Positions of the tool in random poses around home, `[N, 3]`, m.

    They are poses that the motors can hold, and in which no link is lower than the base or than at home.

    Args:
        robot: on a fixed base.
        speed: of its joints, `[J]`, rad/s or m/s.

    Raises:
        ValueError: no joint moves the tool, or the motors hold no such pose.
    """
    kinematics, own = Kinematics(robot.urdf_path), robot.limits()
    span = np.minimum(SPAN, SECONDS * speed)
    low, high = np.maximum(own.position_low, robot.home - span), np.minimum(own.position_high, robot.home + span)
    poses = np.concatenate([robot.home[None], np.random.default_rng(0).uniform(low, high, (DRAWN, len(low)))])
    places = kinematics.positions(robot.joint_names, poses, kinematics.links)
    lowest = np.stack([place[:, 2] for place in places.values()], axis=1).min(axis=1)
    needed = np.abs(kinematics.gravity(robot.joint_names, poses)) - own.effort
    kept = (lowest >= min(0.0, lowest[0]) - LEVEL) & (needed <= 0).all(axis=1)
    if not kept.any():
        worst = robot.joints[int(np.argmax(needed[0]))]
        unit = worst.unit("effort").replace("*", "·")
        raise ValueError(
            f"the motors of robot {robot.name!r} hold no pose around home: joint {worst.name!r} needs {needed[0].max() + worst.effort:.3g} {unit}, "
            f"its effort is {worst.effort:g}; correct the effort, the masses or the home pose in the robot's files"
        )
    tool = places[robot.tool_frame][kept]
    if np.abs(tool - tool[0]).max() < STILL:
        raise unmoved(robot)
    return tool


def unmoved(robot: Robot) -> ValueError:
    """What is said of a robot whose tool stays where it is."""
    return ValueError(
        f"no joint moves tool_frame {robot.tool_frame!r} of robot {robot.name!r} from its place; name another link there, "
        "or add one to its file that does move, as <link name='tip'/> on a fixed joint with an origin off the last axis"
    )


def reaches(robot: Robot, points: Array) -> bool:
    """Whether the tool comes to all points `[N, 3]`, m, from the home pose within the joints' limits (damped least squares, Wampler 1986)."""
    kinematics, own = Kinematics(robot.urdf_path), robot.limits()
    pose = np.tile(robot.home, (len(points), 1))
    for _ in range(STEPS):
        error = points - kinematics.positions(robot.joint_names, pose, (robot.tool_frame,))[robot.tool_frame]
        if np.abs(error).max() < NEAR:
            return True
        ways = kinematics.jacobian(robot.joint_names, pose, robot.tool_frame)[:, :3]
        square = ways @ ways.transpose(0, 2, 1) + DAMPING**2 * np.eye(3)
        turn = (ways.transpose(0, 2, 1) @ np.linalg.solve(square, error[:, :, None]))[:, :, 0]
        pose = np.clip(pose + np.clip(turn, -STEP, STEP), own.position_low, own.position_high)
    return False
