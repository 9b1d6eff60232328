"""What the robot's node and the learner's process tell each other, and the way it goes. Nothing here knows ROS."""

from __future__ import annotations

import contextlib
import json
import math
import select
import socket
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from isthmus.records import Array, Measurement
from isthmus.timing import steady

__all__ = ["ASKED", "ENDED", "OVER", "Channel", "arrays_of", "measured", "observed", "packed", "unpacked"]

ASKED, OVER, ENDED = "asked", "over", "ended"
"""Kinds of messages of the node: a decision is due; the episode is over, and what came of its last decision; something else ended it."""

_SIZE = 4  # bytes of a length
_PART = 1 << 20  # bytes that are received at once
_FIELDS = ("stamp", "position", "velocity", "effort")
_GROUPS = ("poses", "twists", "wrenches")


class Channel:
    """One end of a stream of messages. Nobody waits longer for the other end than is said here."""

    def __init__(self, end: socket.socket) -> None:
        """Take over one end of a connected stream socket."""
        self._socket, self._received = end, bytearray()
        self._sending = threading.Lock()

    def send(self, message: bytes, patience: float) -> None:
        """Send a message; any thread may.

        Raises:
            OSError: the other end is gone, or has not taken all of it within `patience`, s. Then nothing can follow it: the stream is over.
        """
        end = steady() + patience
        with self._sending:
            left = memoryview(len(message).to_bytes(_SIZE, "big") + message)
            try:
                while left:
                    self._wait(select.POLLOUT, end)
                    with contextlib.suppress(BlockingIOError):
                        left = left[self._socket.send(left, socket.MSG_DONTWAIT) :]
            except OSError:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
                raise

    def receive(self, patience: float) -> bytes | None:
        """The next message, once all of it is there; None if it is not within `patience`, s.

        Raises:
            OSError: the other end is gone.
        """
        end = steady() + patience
        while len(self._received) < (length := self._length):
            try:
                self._wait(select.POLLIN, end)
            except TimeoutError:
                return None
            with contextlib.suppress(BlockingIOError):
                if not (part := self._socket.recv(_PART, socket.MSG_DONTWAIT)):
                    raise ConnectionResetError("the other end is gone")
                self._received += part
        message = bytes(self._received[_SIZE:length])
        del self._received[:length]
        return message

    def close(self) -> None:
        """Leave the stream."""
        self._socket.close()

    @property
    def _length(self) -> int:
        """Bytes of the next message and of its length, as far as they are known."""
        return _SIZE + int.from_bytes(self._received[:_SIZE], "big") if len(self._received) >= _SIZE else _SIZE

    def _wait(self, what: int, end: float) -> None:
        """Wait until something can be sent or received, until `end` on the steady clock at most.

        Raises:
            TimeoutError: it cannot.
        """
        ready = select.poll()
        ready.register(self._socket, what)
        if not ready.poll(1000 * max(end - steady(), 0.0)):
            raise TimeoutError("the other end takes too long")


def packed(told: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """One message."""
    shapes = {name: (values.dtype.str, values.shape) for name, values in arrays.items()}
    header = json.dumps({"told": told, "arrays": shapes}).encode()
    return b"".join([len(header).to_bytes(_SIZE, "big"), header, *(np.ascontiguousarray(values).tobytes() for values in arrays.values())])


def unpacked(message: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """What `packed` was given; the arrays are read-only views."""
    place = _SIZE + int.from_bytes(message[:_SIZE], "big")
    header = json.loads(message[_SIZE:place])
    arrays: dict[str, Array] = {}
    for name, (kind, shape) in header["arrays"].items():
        count = math.prod(shape)
        arrays[name] = np.frombuffer(message, dtype=kind, count=count, offset=place).reshape(shape)
        place += count * np.dtype(kind).itemsize
    return header["told"], arrays


def arrays_of(measurement: Measurement) -> dict[str, Array]:
    """A measurement without its pictures, by names that begin with `measured/`."""
    found = {f"measured/{name}": getattr(measurement, name) for name in _FIELDS if getattr(measurement, name) is not None}
    return found | {f"measured/{group}/{name}": values for group in _GROUPS for name, values in getattr(measurement, group).items()}


def measured(arrays: Mapping[str, Array], joints: tuple[str, ...]) -> Measurement:
    """The measurement that `arrays_of` took apart; its joints have these names."""

    def group(name: str) -> dict[str, Array]:
        prefix = f"measured/{name}/"
        return {key.removeprefix(prefix): values for key, values in arrays.items() if key.startswith(prefix)}

    return Measurement(
        stamp=arrays["measured/stamp"],
        joints=joints,
        position=arrays["measured/position"],
        velocity=arrays["measured/velocity"],
        effort=arrays.get("measured/effort"),
        poses=group("poses"),
        twists=group("twists"),
        wrenches=group("wrenches"),
    )


def observed(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The observation among the arrays of a message."""
    return {name.removeprefix("observation/"): values.copy() for name, values in arrays.items() if name.startswith("observation/")}
