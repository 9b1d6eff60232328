"""Why a robot may not be armed nor a policy started, as far as its joint states tell: sentences, none if it may."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from isthmus.limits import Box, Limits
from isthmus.monitors import time_out
from isthmus.records import Array, Measurement, reorder
from isthmus_ros.common.states import StateTopic

__all__ = [
    "arming_problems",
    "shared_memory",
    "state_problems",
]

_GRAIN = 1e-4  # rad or m beyond a limit that measuring may add to a joint that rests at it
_BESIDE = 0.01  # m beyond the workspace box where an arm may be that the guard has braked at it
_STEPPED_AGE = 1.0  # s: a stepped robot repeats its state ten times a second


def shared_memory() -> str:
    """Why this process may not move a robot, if it shares memory with others through Fast DDS; "" if it does not, or if that cannot be told.

    A process that is killed while it holds a lock in that memory holds up all others for seconds.
    """
    maps = Path("/proc/self/maps")
    if not (maps.is_file() and "/dev/shm/fast" in maps.read_text()):  # noqa: S108
        return ""
    profile = Path(__file__).parents[1] / "loopback.xml"
    return (
        "DDS uses shared memory, with which a process on this computer that is killed or suspended can hold up this one for seconds; start all nodes "
        f"with export FASTDDS_DEFAULT_PROFILES_FILE={profile} ROS_AUTOMATIC_DISCOVERY_RANGE=SYSTEM_DEFAULT on one computer, or with "
        "export FASTDDS_BUILTIN_TRANSPORTS=UDPv4 ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET on several"
    )


def state_problems(plant: StateTopic) -> list[str]:
    """What is wrong with the newest samples: none, stale, a joint missing, a value not finite, the odometry of a mobile robot, or an oscillation."""
    if not plant.received:
        return [f"no joint state was received on {plant.state_topic}"]
    if plant.missing:
        return [f"joint {plant.missing[0]!r} is missing in {plant.state_topic}"]
    allowed = time_out(plant.period) if plant.realtime else _STEPPED_AGE
    if plant.age > allowed:
        return [f"the joint state on {plant.state_topic} is {plant.age:.2f} s old, {allowed:.2f} s are allowed"]
    measurement = plant.read()
    problems = [problem for problem in (plant.delay_problem(), plant.odometry_problem(), plant.alarm()) if problem]
    for field in ("position", "velocity"):
        bad = np.flatnonzero(~np.isfinite(getattr(measurement, field)[0]))
        problems += [f"{field} of joint {measurement.joints[bad[0]]!r} is missing or not finite in {plant.state_topic}"] if bad.size else []
    return problems


def arming_problems(plant: StateTopic, limits: Limits, *, at_rest: bool = True) -> list[str]:
    """Why the guard may not be armed, apart from its own latch.

    `at_rest`: whether the robot must stand still, if its time passes. In stepped time nothing moves before it is told to, and no newer sample would
    come after one whose noise looks like motion.
    """
    if problems := state_problems(plant):
        return problems
    measurement, still = plant.read(), plant.robot.monitors.standstill
    joints = {joint.name: joint for joint in plant.robot.joints}
    problems = []
    fastest = int(np.abs(measurement.velocity[0]).argmax())
    if at_rest and plant.realtime and not abs(measurement.velocity[0, fastest]) < still:
        name = measurement.joints[fastest]
        speed = f"{measurement.velocity[0, fastest]:.3f} {joints[name].unit('velocity')}"
        problems.append(f"{name} moves at {speed}; standstill is below {still:g}")
    position: Array = reorder(measurement.position, measurement.joints, limits.joints)[0]
    problems += [
        f"{joint} is at {value:.6g} {joints[joint].unit('position')}, outside its limits {low:g} … {high:g}"
        for joint, value, low, high in zip(limits.joints, position, limits.position_low, limits.position_high, strict=True)
        if not low - _GRAIN <= value <= high + _GRAIN
    ]
    return problems + _points_outside(plant, measurement, limits.workspace)


def _points_outside(plant: StateTopic, measurement: Measurement, box: Box | None) -> list[str]:
    """One sentence per checked point that is not in the box."""
    if box is None:
        return []
    robot = plant.robot
    places = plant.kinematics.positions(measurement.joints, measurement.position, robot.workspace_points or (robot.tool_frame,))
    return [
        f"{point} is at {_place(place)} in {robot.base_frame}, outside the workspace box {_place(box.low)} … {_place(box.high)}"
        for point, (place,) in places.items()
        if (np.maximum(np.array(box.low) - place, place - np.array(box.high)) > _BESIDE).any()
    ]


def _place(values: Iterable[float]) -> str:
    return f"({', '.join(f'{value:.4g}' for value in values)}) m"
