"""Why the command topic is not the guard's alone, with somebody listening: sentences, none if it is."""

from __future__ import annotations

from typing import Any

from isthmus_ros.guard.plant import RosPlant

__all__ = ["nobody_listens", "other_publishers", "require_deadman", "topic_problems"]


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


def command_senders(node: Any) -> list[str]:
    return []
