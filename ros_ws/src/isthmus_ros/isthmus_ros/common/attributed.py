"""A topic of which one knows who said what: every sample with its publisher, none overwritten by the next.

rclpy's `EventsExecutor` does not say who published a message. So the readers here belong to a hidden node that no executor spins, and are emptied by
whoever asks. What `get_publishers_info_by_topic` calls `endpoint_gid` is the GID that comes with each sample.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

__all__ = ["DEPTH", "EVERY_WRITER", "Attributed", "AttributedTopic", "Said", "Speakers", "Word", "node_of"]

DEPTH = 100
"""Samples that a reader keeps between two looks; the guard looks every 5 ms."""
_LOOK = 0.1  # s between two looks at the graph, which take 50 µs
_UNSEEN = 1.0  # s after its last sample in which a publisher that is not in the graph may still be on its way into it

EVERY_WRITER = tuple(
    QoSProfile(depth=DEPTH, reliability=reliability, durability=durability)
    for reliability, durability in (
        (ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE),  # matches every writer
        (ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE),  # hears again what the network has lost
        (ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL),  # hears what was said before it came
    )
)
"""Readers of which at least one matches any writer. A sample may come more than once, and an old one after a newer one."""


@dataclass(frozen=True, slots=True)
class Said:
    """One sample.

    Attributes:
        publisher: its GID.
        order: grows with each sample of one publisher.
        message: what it says; bytes of a raw reader.
    """

    publisher: bytes
    order: int
    message: Any


class Attributed(Protocol):
    """Samples with their publishers; see `AttributedTopic`."""

    @property
    def name(self) -> str:
        """Absolute name of the topic."""
        ...

    def take(self) -> list[Said]:
        """The samples that have come since the last call."""
        ...

    def publishers(self) -> Mapping[bytes, str]:
        """GID → full name of the node, of the publishers in the graph; "" for a node that is not known yet."""
        ...


class AttributedTopic:
    """Readers of one topic, to be emptied by hand.

    Attributes:
        name: absolute name of the topic.
    """

    def __init__(self, node: Any, kind: Any, topic: str, qualities: Sequence[QoSProfile] = EVERY_WRITER, *, raw: bool = False) -> None:
        """Create the readers.

        Args:
            node: rclpy node for which they read; its remappings hold for the topic.
            kind: type of the messages.
            topic: name, relative to the node's namespace if it is relative.
            qualities: one reader for each.
            raw: leave the messages as bytes.
        """
        self.name = str(node.resolve_topic_name(topic))
        self._kind, self._raw = kind, raw
        self._node = Node(
            f"_{node.get_name()}_hears_{self.name.strip('/').replace('/', '_')}",
            context=node.context,
            namespace=node.get_namespace(),
            use_global_arguments=False,  # __node:= would give it the name of the other node
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._readers = [self._node.create_subscription(kind, self.name, _ignore, quality, raw=raw) for quality in qualities]

    def take(self) -> list[Said]:
        """The samples that have come since the last call, reader by reader; at most as many as the readers keep."""
        found = []
        for reader in self._readers:
            handle = reader.handle
            with handle:
                for _ in range(reader.qos_profile.depth):
                    if (taken := handle.take_message(self._kind, self._raw)) is None:
                        break
                    message, about = taken
                    number = about["publication_sequence_number"]  # None where the middleware does not count
                    order = about["source_timestamp"] if number is None else number
                    found.append(Said(bytes(about["publisher_gid"]["data"]), order, message))
        return found

    def publishers(self) -> Mapping[bytes, str]:
        """See `Attributed.publishers`."""
        return {bytes(end.endpoint_gid): node_of(end) for end in self._node.get_publishers_info_by_topic(self.name)}

    def close(self) -> None:
        """Destroy the readers."""
        self._node.destroy_node()


@dataclass(slots=True)
class Word:
    """The last word of a publisher.

    Attributes:
        publisher: its GID.
        message: what it said last.
        order: of that sample.
        arrived: when it was heard last, on the steady clock, s.
        node: full name of its node; "" until it is known.
        present: whether it is still in the graph.
    """

    publisher: bytes
    message: Any
    order: int
    arrived: float
    node: str = ""
    present: bool = True

    @property
    def speaker(self) -> str:
        """The node's name, for a sentence."""
        return self.node or "a node whose name is not known"


class Speakers:
    """The last word of each publisher of a topic, also of those that have gone, until `forget`."""

    def __init__(self, topic: Attributed, clock: Callable[[], float] = time.monotonic) -> None:
        """Nobody has said anything yet.

        Args:
            topic: what is listened to.
            clock: steady, s.
        """
        self.topic = topic
        self._clock = clock
        self._words: dict[bytes, Word] = {}
        self._looked = -float("inf")

    @property
    def words(self) -> list[Word]:
        """The last word of each publisher."""
        return list(self._words.values())

    def listen(self) -> list[tuple[Word, Any]]:
        """What has come since the last call: messages, each with the last word of its publisher."""
        now = self._clock()
        heard = []
        for said in self.topic.take():
            word = self._words.get(said.publisher)
            if word is None:
                word = self._words[said.publisher] = Word(said.publisher, said.message, said.order, now)
            elif said.order >= word.order:
                word.message, word.order = said.message, said.order
            word.arrived = now
            heard.append((word, said.message))
        if heard or self._nameless:
            self.look()
        return heard

    @property
    def _nameless(self) -> bool:
        """Whether somebody who is there has no name yet; `ros2 topic pub --once` stays for 0.1 s."""
        return any(word.present and not word.node for word in self._words.values())

    def look(self) -> None:
        """Look who is there, at most ten times a second unless somebody's name is not known yet."""
        now = self._clock()
        if now - self._looked < _LOOK and not self._nameless:
            return
        self._looked = now
        present = self.topic.publishers()
        for gid, word in self._words.items():
            word.node = word.node or present.get(gid, "")
            word.present = gid in present or (not word.node and now - word.arrived < _UNSEEN)

    def forget(self, word: Word) -> None:
        """Forget a publisher."""
        self._words.pop(word.publisher, None)


def node_of(endpoint: Any) -> str:
    """Full name of an endpoint's node; "" while only the endpoint has been discovered, which happens a moment before its node is."""
    if "UNKNOWN" in endpoint.node_name:
        return ""
    return f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"


def _ignore(message: Any) -> None:
    """Never called: no executor spins the hidden node."""
