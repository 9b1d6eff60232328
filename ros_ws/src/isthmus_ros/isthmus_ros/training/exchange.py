"""What the robot's node and the learner's process tell each other: words as JSON and arrays as bytes. Nothing here knows ROS."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from isthmus.records import Array, Measurement

__all__ = ["ASKED", "ENDED", "OVER", "arrays_of", "measured", "packed", "unpacked"]

ASKED, OVER, ENDED = "asked", "over", "ended"
"""Kinds of messages of the node: a decision is due; the episode is over, and what came of its last decision; something else ended it."""

_SIZE = 4  # bytes of the header's length
_FIELDS = ("stamp", "position", "velocity", "effort")
_GROUPS = ("poses", "twists", "wrenches")


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
