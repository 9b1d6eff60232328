"""Why a robot may not be armed, and why a policy may not start: sentences, none if it may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from isthmus.contract import Contract
from isthmus.limits import Limits
from isthmus.monitors import time_out
from isthmus.records import Array, Measurement, reorder
from isthmus_ros.plant import RosPlant
from isthmus_ros.ramp import PEAK_SPEED
from isthmus_ros.states import StateTopic

__all__ = [
    "MAX_RAMP",
    "arming_problems",
    "nobody_listens",
    "other_publishers",
    "ramp_goal",
    "require_deadman",
    "shared_memory",
    "state_problems",
    "topic_problems",
]

MAX_RAMP = 0.5
"""Furthest joint distance that is ramped to the start pose, rad: nothing here plans around obstacles."""
_STEPPED_AGE = 1.0  # s: a stepped robot repeats its state ten times a second


def shared_memory() -> str:
    """A warning if this process shares memory with others through Fast DDS; "" if it does not, or if that cannot be told."""
    maps = Path("/proc/self/maps")
    if not (maps.is_file() and "/dev/shm/fast" in maps.read_text()):  # noqa: S108
        return ""
    return (
        "DDS uses shared memory: a process on this computer that is killed or suspended can hold up this one for a second. "
        "Set FASTDDS_BUILTIN_TRANSPORTS=UDPv4, and ROS_AUTOMATIC_DISCOVERY_RANGE to anything but LOCALHOST, which ignores it"
    )


def state_problems(plant: StateTopic) -> list[str]:
    """What is wrong with the newest sample: none, stale, a joint missing or a value not finite."""
    if plant.stamp < 0:
        return [f"no joint state was received on {plant.state_topic}"]
    if plant.missing:
        return [f"joint {plant.missing[0]!r} is missing in {plant.state_topic}"]
    allowed = time_out(plant.period) if plant.realtime else _STEPPED_AGE
    if plant.age > allowed:
        return [f"the joint state on {plant.state_topic} is {plant.age:.2f} s old, {allowed:.2f} s are allowed"]
    measurement = plant.read()
    problems = [problem] if (problem := plant.delay_problem()) else []
    for field in ("position", "velocity"):
        bad = np.flatnonzero(~np.isfinite(getattr(measurement, field)[0]))
        problems += [f"{field} of joint {measurement.joints[bad[0]]!r} is missing or not finite in {plant.state_topic}"] if bad.size else []
    return problems


def arming_problems(plant: StateTopic, limits: Limits, *, at_rest: bool = True) -> list[str]:
    """Why the guard may not be armed, apart from its own latch; `at_rest`: whether the robot must stand still."""
    if problems := state_problems(plant):
        return problems
    measurement, still = plant.read(), plant.robot.monitors.standstill
    problems = []
    fastest = int(np.abs(measurement.velocity[0]).argmax())
    if at_rest and not abs(measurement.velocity[0, fastest]) < still:
        problems.append(
            f"{measurement.joints[fastest]} moves at {measurement.velocity[0, fastest]:.3f} rad/s; standstill is below {still:g}"
        )
    return problems + _position_problems(measurement, limits)


def topic_problems(node: Any, plant: RosPlant) -> list[str]:
    """Why the command topic is not ours alone, with somebody listening."""
    return nobody_listens(plant) + other_publishers(node, plant.command_topic)


def nobody_listens(plant: RosPlant) -> list[str]:
    """One sentence if nobody receives what is published on the command topic."""
    if plant.listeners:
        return []
    return [f"nobody subscribes {plant.command_topic} with a matching QoS; is the robot's controller running?"]


def other_publishers(node: Any, topic: str) -> list[str]:
    """One sentence per node that publishes the topic besides this one."""
    others = [_node_of(info) for info in node.get_publishers_info_by_topic(topic)]
    own = str(node.get_fully_qualified_name())
    if own in others:
        others.remove(own)  # once: a second one of our name is somebody else
    return [f"{name} also publishes {topic}; a process that was killed stays listed for 20 s" for name in dict.fromkeys(others)]


def require_deadman(mode: str, accepted: bool) -> None:
    """Refuse commands that go on without this process, unless that is accepted.

    Raises:
        ValueError: it is not.
    """
    if mode != "position" and not accepted:
        raise ValueError(
            f"the policy commands {mode}, and a robot behind a forward controller of ros2_control keeps its last {mode} "
            "for ever if this process dies; give accept_no_deadman:=true if the robot has a time-out of its own, or if you accept that"
        )


def _node_of(endpoint: Any) -> str:
    """Full name of an endpoint's node; a publisher is discovered a moment before its node's name is."""
    if "UNKNOWN" in endpoint.node_name:
        return "a node of which only the publisher has been discovered"
    return f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"


def ramp_goal(contract: Contract, measurement: Measurement) -> tuple[dict[str, float] | None, list[str]]:
    """Where to ramp to before the policy may run.

    Returns:
        joint → position of the start pose, or None if the robot is already within its tolerance; and why it cannot be reached by a ramp.
    """
    joints = tuple(contract.start)
    if not joints:
        return None, []
    position = reorder(measurement.position, measurement.joints, joints)[0]
    distance = {joint: float(value - contract.start[joint][0]) for joint, value in zip(joints, position, strict=True)}
    if all(abs(gap) <= contract.start[joint][1] for joint, gap in distance.items()):
        return None, []
    far = max(distance, key=lambda joint: abs(distance[joint]))
    if contract.mode == "effort":
        return None, [f"{far} is {distance[far]:+.3f} rad from the start pose, and an effort-controlled robot is not ramped"]
    if abs(distance[far]) > MAX_RAMP:
        return None, [
            f"{far} is {distance[far]:+.3f} rad from the start pose; at most {MAX_RAMP:g} rad are ramped, at {PEAK_SPEED:g} rad/s"
        ]
    return {joint: contract.start[joint][0] for joint in joints}, []


def _position_problems(measurement: Measurement, limits: Limits) -> list[str]:
    position: Array = reorder(measurement.position, measurement.joints, limits.joints)[0]
    return [
        f"{joint} is at {value:.3f} rad, outside its limits {low:g} … {high:g}"
        for joint, value, low, high in zip(limits.joints, position, limits.position_low, limits.position_high, strict=True)
        if not low <= value <= high
    ]
