"""A recording of serialised messages that rosbag2, Foxglove and PlotJuggler open: a folder with one MCAP file and `metadata.yaml`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Bag", "BagTopic"]

_CHUNK = 256 * 1024  # bytes before compression
_VERSION = 5  # of metadata.yaml, the newest that Humble reads; later distributions read it too


@dataclass(frozen=True, slots=True)
class BagTopic:
    """One recorded topic.

    Attributes:
        name: absolute.
        type: of its messages, for example `sensor_msgs/msg/JointState`.
        definition: text of that type, see `isthmus_ros.common.definitions`.
        latched: whether `ros2 bag play` must offer its last message to late readers.
    """

    name: str
    type: str
    definition: str
    latched: bool = False


class Bag:
    """Writes one recording; not to be shared by threads.

    A process that is killed leaves what was flushed, without index: `mcap recover` and `ros2 bag reindex` make it whole.

    Attributes:
        folder: what rosbag2 opens.
        count: messages written.
    """

    def __init__(self, folder: Path, topics: Sequence[BagTopic], metadata: Mapping[str, str]) -> None:
        """Create the folder and open the file.

        Args:
            folder: must not exist; its parents are created.
            topics: what will be written.
            metadata: stored in the file as the record `isthmus.recording`.

        Raises:
            OSError: the folder exists or cannot be written.
        """
        from mcap.writer import Writer

        folder.mkdir(parents=True)
        self.folder = folder
        self.count = 0
        self._file = (folder / f"{folder.name}_0.mcap").open("wb")
        self._writer = Writer(self._file, chunk_size=_CHUNK)
        self._writer.start(profile="ros2")
        self._writer.add_metadata("isthmus.recording", dict(metadata))
        schemas = {topic.type: self._writer.register_schema(topic.type, "ros2msg", topic.definition.encode()) for topic in topics}
        self._topics = tuple(topics)
        self._channels = [
            self._writer.register_channel(topic.name, "cdr", schemas[topic.type], {"offered_qos_profiles": _quality(topic)})
            for topic in topics
        ]
        self._counts = [0] * len(topics)
        self._first = self._last = 0

    @property
    def size(self) -> int:
        """Bytes of the file so far."""
        return self._file.tell()

    @property
    def free(self) -> int:
        """Bytes that are left on its disk."""
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize

    def write(self, topic: int, time: int, content: bytes) -> None:
        """Append a message.

        Args:
            topic: index of its topic.
            time: when it was received, ns.
            content: serialised as CDR.

        Raises:
            OSError: the disk is full or fails.
        """
        self._writer.add_message(self._channels[topic], time, content, time, self._counts[topic])
        self._counts[topic] += 1
        self._first = min(self._first, time) if self.count else time
        self._last = max(self._last, time)
        self.count += 1

    def flush(self) -> None:
        """Bring what was written to the file.

        Raises:
            OSError: the disk is full or fails.
        """
        self._writer.flush()

    def close(self) -> None:
        """Write the index and `metadata.yaml`; a second call does nothing.

        Raises:
            OSError: the disk is full or fails; the file is closed all the same, and what was flushed can be recovered.
        """
        if self._file.closed:
            return
        try:
            self._writer.finish()
        finally:
            self._file.close()
        (self.folder / "metadata.yaml").write_text(json.dumps(self._metadata(), indent=1) + "\n", encoding="utf-8")  # JSON is YAML

    def _metadata(self) -> dict[str, Any]:
        file = Path(self._file.name).name
        span = {
            "duration": {"nanoseconds": self._last - self._first},
            "starting_time": {"nanoseconds_since_epoch": self._first},
            "message_count": self.count,
        }
        topics = [
            {
                "topic_metadata": {
                    "name": topic.name,
                    "type": topic.type,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": _quality(topic),
                },
                "message_count": count,
            }
            for topic, count in zip(self._topics, self._counts, strict=True)
        ]
        information: dict[str, Any] = {
            "version": _VERSION,
            "storage_identifier": "mcap",
            **span,
            "topics_with_message_count": topics,
            "compression_format": "",
            "compression_mode": "",
            "relative_file_paths": [file],
            "files": [{"path": file, **span}],
        }
        return {"rosbag2_bagfile_information": information}


def _quality(topic: BagTopic) -> str:
    """The quality of service that `ros2 bag play` offers, as rosbag2 writes it; nothing for its default."""
    if not topic.latched:
        return ""
    never = {"sec": 9223372036, "nsec": 854775807}
    latched = {"history": 1, "depth": 1, "reliability": 1, "durability": 1, "deadline": never, "lifespan": never, "liveliness": 1}
    return json.dumps([{**latched, "liveliness_lease_duration": never, "avoid_ros_namespace_conventions": False}])
