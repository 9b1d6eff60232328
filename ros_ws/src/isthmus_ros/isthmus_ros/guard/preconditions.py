"""What the robot's driver must say before the robot may be armed, and go on saying: its program runs, at full speed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Bool, Float64

from isthmus.robot import RosProfile, SpeedScaling
from isthmus.timing import steady
from isthmus_ros.common import wire
from isthmus_ros.common.attributed import DEPTH, Attributed, AttributedTopic, Speakers

__all__ = ["Preconditions", "Program", "Scaling"]

_EVERY = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)


class Preconditions:
    """Subscribes what the profile names. Values that have not come yet count as a problem: what a robot does not say cannot be relied on."""

    def __init__(self, node: Any, profile: RosProfile, namespace: str, *, realtime: bool = True) -> None:
        """Subscribe.

        Args:
            node: rclpy node for which to listen.
            profile: of the robot.
            namespace: in which the profile's topics are resolved.
            realtime: False for stepped time, which may stand still: silence is no problem then.
        """
        self._owned: list[Callable[[], object]] = []
        self._parts: list[Program | Scaling] = []
        if profile.program_running:
            topic = AttributedTopic(node, Bool, wire.joined(namespace, profile.program_running))
            self._owned.append(topic.close)
            self._parts.append(Program(topic))
        if profile.speed_scaling is not None:
            scaling = Scaling(wire.joined(namespace, profile.speed_scaling.topic), profile.speed_scaling, timed=realtime)
            subscription = node.create_subscription(Float64, scaling.topic, lambda message: scaling.receive(message.data), _EVERY)
            self._owned.append(lambda: node.destroy_subscription(subscription))
            self._parts.append(scaling)

    def poll(self) -> str:
        """Why to stop, once, if anything that has come since the last call does not let the robot move, whatever came after it; "" if all does."""
        return next(filter(None, [part.poll() for part in self._parts]), "")

    def problems(self) -> list[str]:
        """Why the robot may not move, one sentence each; also what is silent."""
        return [problem for part in self._parts if (problem := part.problem())]

    def close(self) -> None:
        """Unsubscribe."""
        for release in self._owned:
            release()


class Program:
    """Whether the robot's program runs. It is latched and said when it changes, so silence means nothing, but a driver that has gone does."""

    def __init__(self, topic: Attributed, clock: Callable[[], float] = steady) -> None:
        """Nothing has come yet; `clock` is steady, s."""
        self._speakers = Speakers(topic, Bool(data=False), clock)
        self._topic = topic.name

    def poll(self) -> str:
        """See `Preconditions.poll`."""
        running = all([message.data for _, message in self._speakers.listen()])
        return self._speakers.lost if running else self._standing

    def problem(self) -> str:
        """Why the robot may not move; "" if it may."""
        self._speakers.look()
        for problem in (*self._speakers.topic.misfits(), self._speakers.loss()):
            if problem:
                return problem
        words = self._speakers.words
        present = [word for word in words if word.present]
        if not words:
            return f"nothing was received on {self._topic}"
        if not present:
            return f"nobody publishes {self._topic} any more"
        for word in words:
            if word not in present:
                self._speakers.forget(word)
        return "" if all(word.message.data for word in present) else self._standing

    @property
    def _standing(self) -> str:
        return f"the robot's program does not run ({self._topic} is false)"


class Scaling:
    """How fast the robot may go.

    Attributes:
        topic: absolute name.
    """

    def __init__(self, topic: str, wanted: SpeedScaling, *, timed: bool = True, clock: Callable[[], float] = steady) -> None:
        """Nothing has come yet.

        Args:
            topic: absolute name.
            wanted: what the profile expects there.
            timed: whether silence counts.
            clock: steady, s.
        """
        self.topic = topic
        self._wanted, self._clock = wanted, clock
        self._allowed = wanted.timeout if timed else float("inf")
        self._arrived = -float("inf")
        self._newest = f"nothing was received on {topic}"
        self._since = ""

    def receive(self, scaling: float) -> None:
        """Take what came."""
        wanted, self._arrived = self._wanted, self._clock()
        self._newest = "" if wanted.is_full(scaling) else f"the robot's speed is scaled to {scaling:g} of {wanted.full:g} ({self.topic})"
        self._since = self._since or self._newest

    def poll(self) -> str:
        """See `Preconditions.poll`."""
        since, self._since = self._since, ""
        return since

    def problem(self) -> str:
        """Why the robot may not move; "" if it may."""
        silent = self._clock() - self._arrived
        if self._newest or silent <= self._allowed:
            return self._newest
        return f"{self.topic} has been silent for {silent:.2f} s, {self._allowed:g} s are allowed"
