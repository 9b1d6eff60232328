"""Two publishers of the same joint: what is read jumps between them, and neither is wrong by itself."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Protocol

from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState

from isthmus.timing import steady
from isthmus_ros.common.attributed import UNKNOWN, AttributedTopic, Said

__all__ = ["DoubledJoints", "Ear", "doubled_joints"]

_SAMPLES = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)  # taking them all costs 0.7 ms
_WINDOW = 1.0  # s in which two publishers must have named a joint


class Ear(Protocol):
    """What is heard of a topic of JointStates: raw samples; see `AttributedTopic`."""

    def take(self) -> list[Said]:
        """The samples that have come since the last call."""
        ...

    def publishers(self) -> Any:
        """GID → full name of the node."""
        ...

    def close(self) -> None:
        """Stop listening."""


class DoubledJoints:
    """Looks who names which joint, some times a second and only while a topic has more than one publisher."""

    def __init__(
        self,
        topic: str,
        joints: Collection[str] | None,
        count: Callable[[], int],
        listen: Callable[[], Ear],
        clock: Callable[[], float] = steady,
    ) -> None:
        """Listen to nothing yet.

        Args:
            topic: absolute name.
            joints: their names on the topic; None for all that anybody names.
            count: how many publishers the topic has.
            listen: begins to listen to it.
            clock: steady, s.
        """
        self._topic, self._joints = topic, joints
        self._count, self._listen, self._clock = count, listen, clock
        self._ear: Ear | None = None
        self._named: dict[tuple[str, bytes], float] = {}  # joint and publisher → when

    def look(self) -> list[str]:
        """One sentence for all joints that two publishers name; to be called five times a second or more, from long before it matters.

        Of each publisher, and of each length of its messages, one sample of the newest hundred is looked at: a second publisher at 10 Hz beside a
        driver at 500 Hz is found within a second, also if it publishes other joints besides.
        """
        if self._count() < 2:
            self.close()
            return []
        if self._ear is None:
            self._ear = self._listen()
        now = self._clock()
        newest = {(said.publisher, len(said.message)): said.message for said in self._ear.take()}
        for (publisher, _), raw in newest.items():
            for joint in deserialize_message(raw, JointState).name:
                if self._joints is None or joint in self._joints:
                    self._named[joint, publisher] = now
        self._named = {key: moment for key, moment in self._named.items() if now - moment <= _WINDOW}
        return self._sentences()

    def close(self) -> None:
        """Stop listening."""
        if self._ear is not None:
            self._ear.close()
        self._ear = None
        self._named.clear()

    def _sentences(self) -> list[str]:
        speakers: dict[str, set[bytes]] = {}
        for joint, publisher in self._named:
            speakers.setdefault(joint, set()).add(publisher)
        doubled = {joint: gids for joint, gids in speakers.items() if len(gids) > 1}
        if not doubled or self._ear is None:
            return []
        names, first = self._ear.publishers(), min(doubled)
        both = " and ".join(sorted(names.get(gid) or UNKNOWN for gid in doubled[first]))
        return [f"{both} both publish joint {first!r} on {self._topic}; only one may"]


def doubled_joints(node: Any, topic: str, joints: Collection[str] | None = None) -> DoubledJoints:
    """Looks at a topic for a node; `topic` is absolute, `joints` as in `DoubledJoints`."""
    return DoubledJoints(
        topic,
        joints,
        lambda: int(node.count_publishers(topic)),
        lambda: AttributedTopic(node, JointState, topic, [_SAMPLES], raw=True),
    )
