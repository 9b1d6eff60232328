"""A topic of which one knows who said what: every sample with its publisher, and whether any was lost.

rclpy's `EventsExecutor` does not say who published a message. So the readers here belong to a hidden node that no executor spins, and are emptied by
whoever asks. What `get_publishers_info_by_topic` calls `endpoint_gid` is the GID that comes with each sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from isthmus.timing import steady
from isthmus_ros.common.definitions import type_name

__all__ = ["DEPTH", "EVERY_WRITER", "UNKNOWN", "Attributed", "AttributedTopic", "Said", "Speakers", "Word", "node_of"]

DEPTH = 100
"""Samples that a reader keeps between two looks, of all publishers together; the guard looks every 5 ms, and taking them takes 1 ms."""
UNKNOWN = "a node whose name is not known"
_LOOK = 0.1  # s between two looks at the graph, which take 50 µs
_AGAIN = 4.0  # s after a loss in which a reliable publisher may still say again what the network has lost; its heartbeat comes every 3 s
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
        reader: number of the reader that has heard it, in the order of their qualities.
        counted: `order` grows by one from sample to sample.
    """

    publisher: bytes
    order: int
    message: Any
    reader: int = 0
    counted: bool = True


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

    def misfits(self) -> list[str]:
        """Who publishes another type of message on the topic, which nobody hears: one sentence each."""
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
        for place, reader in enumerate(self._readers):
            handle = reader.handle
            with handle:
                for _ in range(reader.qos_profile.depth):
                    if (taken := handle.take_message(self._kind, self._raw)) is None:
                        break
                    message, about = taken
                    number = about["publication_sequence_number"]  # None where the middleware does not count
                    counted = number is not None
                    order = number if counted else about["source_timestamp"]
                    found.append(Said(bytes(about["publisher_gid"]["data"]), order, message, place, counted))
        return found

    def publishers(self) -> Mapping[bytes, str]:
        """See `Attributed.publishers`."""
        return {bytes(end.endpoint_gid): node_of(end) for end in self._ends() if end.topic_type == type_name(self._kind)}

    def misfits(self) -> list[str]:
        """See `Attributed.misfits`."""
        wanted = type_name(self._kind)
        others = {(node_of(end) or UNKNOWN, end.topic_type) for end in self._ends()}
        return [f"{node} publishes {kind} on {self.name}, where {wanted} belongs" for node, kind in sorted(others) if kind != wanted]

    def _ends(self) -> list[Any]:
        return list(self._node.get_publishers_info_by_topic(self.name))

    def close(self) -> None:
        """Destroy the readers."""
        self._node.destroy_node()


@dataclass(slots=True)
class Word:
    """The last word of a publisher.

    Attributes:
        publisher: its GID.
        message: what it said last, or what is presumed.
        order: of that sample; -1 if it was not heard.
        arrived: when it was heard last, on the steady clock, s.
        came: when it was seen or heard first, s.
        node: full name of its node; "" until it is known.
        left: when it was first missed in the graph, s; None while it is there.
        presumed: the message is presumed, because what it said may have been lost.
        heard: reader → order of the newest sample that it has heard.
    """

    publisher: bytes
    message: Any
    order: int
    arrived: float
    came: float
    node: str = ""
    left: float | None = None
    presumed: bool = False
    heard: dict[int, int] = field(default_factory=dict)

    @property
    def present(self) -> bool:
        """Whether it is still in the graph."""
        return self.left is None

    @property
    def speaker(self) -> str:
        """The node's name, for a sentence."""
        return self.node or UNKNOWN

    @property
    def reader(self) -> int | None:
        """The most demanding reader that hears it, which leaves out only what will never come; None before the first sample."""
        return max(self.heard, default=None)

    def hear(self, said: Said, now: float) -> int:
        """Take a sample; how many before it were lost."""
        before = self.heard.get(said.reader)
        self.heard[said.reader] = said.order if before is None else max(before, said.order)
        self.arrived = now
        if said.order >= self.order:
            self.message, self.order, self.presumed = said.message, said.order, False
        if before is None or not said.counted or said.reader != self.reader:
            return 0
        return max(said.order - before - 1, 0)


class Speakers:
    """The last word of each publisher of a topic, also of those that have gone, until `forget`.

    A reader that was full may have lost the last word of anybody who is heard there and was not heard since: the worst is presumed of them.

    Attributes:
        topic: what is listened to.
        present: GID → full name of the node, of the publishers that were in the graph at the last look.
        lost: which messages the newest `listen` has missed; "" if none.
    """

    def __init__(self, topic: Attributed, worst: Any, clock: Callable[[], float] = steady) -> None:
        """Nobody has said anything yet.

        Args:
            topic: what is listened to.
            worst: the message that is presumed.
            clock: steady, s.
        """
        self.topic = topic
        self.present: Mapping[bytes, str] = {}
        self._worst, self._clock = worst, clock
        self._words: dict[bytes, Word] = {}
        self._seen: dict[bytes, float] = {}  # when each of those present was seen first
        self._looked = self._lost_at = -float("inf")
        self.lost = self._loss = ""

    @property
    def words(self) -> list[Word]:
        """The last word of each publisher."""
        return list(self._words.values())

    def listen(self) -> list[tuple[Word, Any]]:
        """What has come since the last call: messages, each with the last word of its publisher."""
        taken = self.topic.take()
        if not taken:  # as nearly always
            self.lost = ""
            self.look()
            return []
        now, before = self._clock(), self.present
        heard, short = [], set()
        for said in taken:
            word = self._word(said.publisher, now)
            if word.hear(said, now):
                short.add(word.publisher)
            heard.append((word, said.message))
        full = {reader for reader, count in Counter(said.reader for said in taken).items() if count >= DEPTH}
        self.look(anew=bool(full))
        if full:
            heard_now = {said.publisher for said in taken if said.reader == self._words[said.publisher].reader}
            for publisher in {*before, *self.present, *self._words} - heard_now:
                word = self._word(publisher, now)
                if word.reader is None or word.reader in full:
                    self._presume(word, before.get(publisher, ""), now)
        who = " and ".join(sorted(self._words[publisher].speaker for publisher in short))
        what = "more came than could be heard" if full else f"of {who}" * bool(short)
        self.lost = f"messages on {self.topic.name} were lost: {what}" if what else ""
        if self.lost:
            self._loss, self._lost_at = self.lost, now
        return heard

    def loss(self) -> str:
        """Which messages were lost in the last 4 s; "" if none were."""
        return self._loss if self._clock() - self._lost_at <= _AGAIN else ""

    def _word(self, publisher: bytes, now: float) -> Word:
        if publisher not in self._words:
            self._words[publisher] = Word(publisher, self._worst, -1, -float("inf"), self._seen.get(publisher, now))
        return self._words[publisher]

    def _presume(self, word: Word, node: str, now: float) -> None:
        """Presume the worst of somebody, unless he left before."""
        if word.left is None or word.left >= now:
            word.message, word.presumed = self._worst, True
            word.node = word.node or self.present.get(word.publisher, node)
            word.left = None if word.publisher in self.present else now

    @property
    def _nameless(self) -> bool:
        """Whether somebody who is there has no name yet; `ros2 topic pub --once` stays for 0.1 s."""
        return any(word.present and not word.node for word in self._words.values())

    def look(self, *, anew: bool = False) -> None:
        """Look who is there, at most ten times a second unless somebody's name is not known yet, or `anew`."""
        now = self._clock()
        if now - self._looked < _LOOK and not (anew or self._nameless):
            return
        self._looked = now
        self.present = present = self.topic.publishers()
        self._seen = {gid: self._seen.get(gid, now) for gid in present}
        for gid, word in self._words.items():
            word.node = word.node or present.get(gid, "")
            if gid in present or (not word.node and now - word.arrived < _UNSEEN):
                word.left = None
            elif word.left is None:
                word.left = now

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
