"""The emergency stop: what anybody says on `emergency_stop`, whatever the quality of service, and who has not taken it back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from std_msgs.msg import Bool

from isthmus.timing import steady
from isthmus_ros.common.attributed import Attributed, AttributedTopic, Speakers, Word

__all__ = ["HEARTBEAT", "TOPIC", "EmergencyStop", "emergency_topic", "full_names"]

TOPIC = "emergency_stop"
HEARTBEAT = 0.5
"""Seconds that a required publisher may be silent."""


def emergency_topic(node: Any) -> AttributedTopic:
    """`emergency_stop` in a node's namespace, with readers for every writer."""
    return AttributedTopic(node, Bool, TOPIC)


def full_names(node: Any, names: Sequence[str]) -> tuple[str, ...]:
    """Names of nodes, absolute ones as they are and relative ones in a node's namespace; empty ones are left out."""
    namespace = str(node.get_namespace()).rstrip("/")
    return tuple(name if name.startswith("/") else f"{namespace}/{name}" for name in names if name)


class EmergencyStop:
    """Hears every `true`, and remembers the last word of each publisher.

    Any `true` is reported, even if the next sample is `false`: `false` never ends a stop. As long as the last word of any publisher is `true`, the
    guard may be neither reset nor armed. A publisher that has died cannot have been released: its `true` counts until a node of the same name that
    came after its death says `false`, or until guard_node is started anew, both of which a person must do on purpose. What was lost may have been
    `true`.
    """

    def __init__(self, topic: Attributed, required: Sequence[str] = (), clock: Callable[[], float] = steady) -> None:
        """Nothing has been heard.

        Args:
            topic: see `emergency_topic`.
            required: full names of the nodes that must be heard all the time.
            clock: steady, s.
        """
        self._speakers = Speakers(topic, Bool(data=True), clock)
        self._required = tuple(required)
        self._clock = clock

    def poll(self) -> str:
        """Why to stop, once, if anybody has said `true` since the last call, or may have; "" if nobody has. To be called every tick, armed or not."""
        pressed = [word for word, message in self._speakers.listen() if message.data]
        return f"{TOPIC} is true, says {pressed[0].speaker}" if pressed else self._speakers.lost

    def problems(self) -> list[str]:
        """Why the guard may be neither reset nor armed, and must stop if it is.

        Who has said `true` last, or may have, who is required and silent or there twice, and who speaks another type of message.
        """
        self._speakers.look()
        self._take_back()
        words, now, topic = self._speakers.words, self._clock(), self._speakers.topic
        problems = [*topic.misfits(), *filter(None, [self._speakers.loss()])]
        problems += [_complaint(word, topic.name) for word in words if word.message.data]
        names = list(self._speakers.present.values())
        for name in self._required:
            if names.count(name) > 1:
                problems.append(
                    f"{TOPIC} is required from {name}, and {names.count(name)} publishers there have this name; a process that was killed stays "
                    "listed for 20 s"
                )
            heard = max((word.arrived for word in words if word.node == name), default=-float("inf"))
            if now - heard > HEARTBEAT:
                problems.append(f"{TOPIC} is required from {name} and was not heard for {HEARTBEAT:g} s")
        return problems

    def _take_back(self) -> None:
        """Forget the dead whose `true` a namesake that came after them has taken back, and those who left with `false`."""
        words = self._speakers.words
        for word in words:
            if word.left is None:
                continue
            namesakes = [other for other in words if word.node and other.node == word.node and other is not word]
            if word.message.data:
                over = any(not other.message.data and other.came > word.left for other in namesakes)
            else:
                over = not any(other.message.data for other in namesakes)
            if over:
                self._speakers.forget(word)


def _complaint(word: Word, topic: str) -> str:
    if word.present and word.presumed:
        return f"{word.speaker} was not heard since messages on {TOPIC} were lost, and may have said true; let it say false"
    if word.present:
        return f"{TOPIC} is true, says {word.speaker}"
    namespace, _, name = word.node.rpartition("/")
    line = f' (ros2 topic pub --once --node-name {name} {topic} std_msgs/msg/Bool "{{data: false}}")' if name and not namespace else ""
    way = f"a node of that name, started 20 s after it went or later, says false{line}, or " if name else ""
    may = "may be" if word.presumed else "is"
    return f"{TOPIC} {may} true, said {word.speaker} before it went; this counts until {way}guard_node is started anew"
