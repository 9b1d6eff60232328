"""What the robot's driver must say before the robot may be armed, and go on saying: its program runs, at full speed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from std_msgs.msg import Bool, Float64

from isthmus.robot import RosProfile
from isthmus_ros.common import wire

__all__ = ["Preconditions"]


class Preconditions:
    """Subscribes what the profile names. Values that have not come yet count as a problem: what a robot does not say cannot be relied on."""

    def __init__(self, node: Any, profile: RosProfile, namespace: str, on_problem: Callable[[str], object]) -> None:
        """Subscribe.

        Args:
            node: rclpy node that owns the subscriptions.
            profile: of the robot.
            namespace: in which the profile's topics are resolved.
            on_problem: called with every message that does not let the robot move.
        """
        self._node = node
        self._scaling = profile.speed_scaling
        self._on_problem = on_problem
        self._problems: dict[str, str] = {}
        self._subscriptions: list[Any] = []
        if profile.program_running:
            self._expect(Bool, wire.joined(namespace, profile.program_running), self._judge_program, wire.LATCHED)
        if profile.speed_scaling is not None:
            self._expect(Float64, wire.joined(namespace, profile.speed_scaling.topic), self._judge_scaling, wire.SENSORS)

    @property
    def problems(self) -> list[str]:
        """Why the robot may not move, one sentence each."""
        return [problem for problem in self._problems.values() if problem]

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _expect(self, kind: Any, topic: str, judge: Callable[[str, Any], str], quality: Any) -> None:
        self._problems[topic] = f"nothing was received on {topic}"

        def receive(message: Any) -> None:
            problem = self._problems[topic] = judge(topic, message.data)
            if problem:
                self._on_problem(problem)

        self._subscriptions.append(self._node.create_subscription(kind, topic, receive, quality))

    def _judge_program(self, topic: str, running: bool) -> str:
        return "" if running else f"the robot's program does not run ({topic} is false)"

    def _judge_scaling(self, topic: str, scaling: float) -> str:
        wanted = self._scaling
        if wanted is None or scaling >= wanted.full - wanted.tolerance:
            return ""
        return f"the robot's speed is scaled to {scaling:g} of {wanted.full:g} ({topic})"
