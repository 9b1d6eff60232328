"""Why the topics around the guard do not let it arm, in sentences: who else commands or publishes, who obeys, and how messages travel."""

from __future__ import annotations

from typing import Any

from isthmus.robot import RosProfile
from isthmus_ros.common.attributed import node_of
from isthmus_ros.common.checks import shared_memory
from isthmus_ros.guard.plant import RosPlant

__all__ = ["nobody_listens", "other_publishers", "require_deadman", "require_effort_holds", "several_senders", "topic_problems"]


def topic_problems(node: Any, plant: RosPlant) -> list[str]:
    """Why the guard may not be armed: nobody obeys, there are two of what only one may be, or DDS shares memory."""
    problems = nobody_listens(plant) + other_publishers(node, plant.command_topic) + several_senders(node) + plant.doubled()
    return [*problems, problem] if (problem := shared_memory()) else problems


def several_senders(node: Any, topic: str = "guard/command") -> list[str]:
    """One sentence if more than one node asks the guard for motion."""
    senders = [_speaker(info) for info in node.get_publishers_info_by_topic(node.resolve_topic_name(topic))]
    if len(senders) < 2:
        return []
    return [f"{' and '.join(sorted(senders))} all publish {topic}, and only one may; a process that was killed stays listed for 20 s"]


def nobody_listens(plant: RosPlant) -> list[str]:
    """One sentence if nobody who obeys receives what is published on the command topic."""
    return [problem] if (problem := plant.listeners.problem()) else []


def other_publishers(node: Any, topic: str) -> list[str]:
    """One sentence per node that publishes the topic besides this one."""
    others = [_speaker(info) for info in node.get_publishers_info_by_topic(topic)]
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


def require_effort_holds(profile: RosProfile, robot: str, mode: str) -> None:
    """Refuse efforts on a robot that falls when they stop.

    Raises:
        ValueError: the profile does not say that its driver holds the robot by itself.
    """
    if mode == "effort" and not profile.effort_holds:
        raise ValueError(
            f"robot {robot!r} is not commanded by effort: its profile does not say that its driver holds it by itself when efforts stop "
            "(ros: effort_holds: true)"
        )


def _speaker(endpoint: Any) -> str:
    return node_of(endpoint) or "a node of which only the publisher has been discovered"
