"""The ROS 2 messages that traces hold: their definitions, and the way between them and arrays.

A trace must be readable without a ROS installation, so every definition travels inside the file. Field names, types and their order are those of
sensor_msgs, geometry_msgs, std_msgs and diagnostic_msgs; constants and comments are left out. Messages are plain dictionaries here; what a reader
returns has the same fields as attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from isthmus.records import Array

__all__ = [
    "SCHEMAS",
    "array_of",
    "command_field",
    "definition",
    "diagnostics",
    "header",
    "image",
    "joint_state",
    "multi_array",
    "nanoseconds",
    "seconds",
    "stamped",
    "vector_of",
]

Message = dict[str, Any]

_PARTS = {
    "builtin_interfaces/Time": "int32 sec\nuint32 nanosec",
    "std_msgs/Header": "builtin_interfaces/Time stamp\nstring frame_id",
    "std_msgs/MultiArrayDimension": "string label\nuint32 size\nuint32 stride",
    "std_msgs/MultiArrayLayout": "std_msgs/MultiArrayDimension[] dim\nuint32 data_offset",
    "std_msgs/Float64MultiArray": "std_msgs/MultiArrayLayout layout\nfloat64[] data",
    "sensor_msgs/JointState": "std_msgs/Header header\nstring[] name\nfloat64[] position\nfloat64[] velocity\nfloat64[] effort",
    "sensor_msgs/Image": "std_msgs/Header header\nuint32 height\nuint32 width\nstring encoding\nuint8 is_bigendian\nuint32 step\nuint8[] data",
    "geometry_msgs/Point": "float64 x\nfloat64 y\nfloat64 z",
    "geometry_msgs/Vector3": "float64 x\nfloat64 y\nfloat64 z",
    "geometry_msgs/Quaternion": "float64 x\nfloat64 y\nfloat64 z\nfloat64 w",
    "geometry_msgs/Pose": "geometry_msgs/Point position\ngeometry_msgs/Quaternion orientation",
    "geometry_msgs/Twist": "geometry_msgs/Vector3 linear\ngeometry_msgs/Vector3 angular",
    "geometry_msgs/Wrench": "geometry_msgs/Vector3 force\ngeometry_msgs/Vector3 torque",
    "geometry_msgs/PointStamped": "std_msgs/Header header\ngeometry_msgs/Point point",
    "geometry_msgs/PoseStamped": "std_msgs/Header header\ngeometry_msgs/Pose pose",
    "geometry_msgs/TwistStamped": "std_msgs/Header header\ngeometry_msgs/Twist twist",
    "geometry_msgs/WrenchStamped": "std_msgs/Header header\ngeometry_msgs/Wrench wrench",
    "diagnostic_msgs/KeyValue": "string key\nstring value",
    "diagnostic_msgs/DiagnosticStatus": "byte level\nstring name\nstring message\nstring hardware_id\ndiagnostic_msgs/KeyValue[] values",
    "diagnostic_msgs/DiagnosticArray": "std_msgs/Header header\ndiagnostic_msgs/DiagnosticStatus[] status",
}
_VECTORS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "point": tuple(("", axis) for axis in "xyz"),
    "pose": (*(("position", axis) for axis in "xyz"), *(("orientation", axis) for axis in "xyzw")),
    "twist": (*(("linear", axis) for axis in "xyz"), *(("angular", axis) for axis in "xyz")),
    "wrench": (*(("force", axis) for axis in "xyz"), *(("torque", axis) for axis in "xyz")),
}


def definition(name: str, parts: Mapping[str, str]) -> str:
    """The definition of a message followed by those that it uses, separated as rosbag2 separates them.

    Args:
        name: of the message, `package/Message`.
        parts: fields of each message, one a line, of this one and all that it uses.
    """
    needed = [name]
    for part in needed:
        for line in parts[part].splitlines():
            kind = line.split()[0].partition("[")[0]
            if kind in parts and kind not in needed:
                needed.append(kind)
    return f"\n{'=' * 80}\n".join([parts[name], *(f"MSG: {part}\n{parts[part]}" for part in needed[1:])])


SCHEMAS: Mapping[str, str] = {
    f"{package}/msg/{message}": definition(f"{package}/{message}", _PARTS)
    for package, message in (name.split("/") for name in _PARTS)
    if message.endswith(("Stamped", "Array", "JointState", "Image"))
}
"""Definition text per message type, for example `sensor_msgs/msg/JointState`."""


def nanoseconds(stamp: float) -> int:
    """A stamp in whole nanoseconds, which is the resolution of ROS.

    Whole and fractional seconds are taken apart first, so a wall-clock stamp, whose float64 is coarser than 1 ns, is recovered exactly by
    `seconds`; a small one, such as 3 · 0.05 = 0.15000000000000002, comes back as the float64 nearest to the nanosecond, 0.15.

    Args:
        stamp: seconds, from 0 to 2³¹.

    Raises:
        ValueError: ROS cannot express the stamp.
    """
    if not 0 <= stamp < 2**31:
        raise ValueError(f"stamp must be from 0 s to 2147483648 s, got {stamp} s")
    whole = int(stamp)
    return whole * 10**9 + round((stamp - whole) * 1e9)


def seconds(time: int) -> float:
    """The float64 nearest to a number of nanoseconds, in seconds."""
    return time / 10**9


def header(time: int, frame: str = "") -> Message:
    """`std_msgs/Header` of a time in ns."""
    return {"stamp": {"sec": time // 10**9, "nanosec": time % 10**9}, "frame_id": frame}


def joint_state(head: Message, names: Sequence[str], **fields: Array | None) -> Message:
    """`sensor_msgs/JointState`; fields `[1, J]` that are None or not given stay empty."""
    return {"header": head, "name": list(names), **{key: values[0].tolist() for key, values in fields.items() if values is not None}}


def command_field(mode: str) -> str:
    """The field of a `JointState` that holds commands of a mode: its own, or "velocity" for a twist."""
    return "velocity" if mode == "twist" else mode


def multi_array(values: Array, *labels: str) -> Message:
    """`std_msgs/Float64MultiArray` of an array with one label per axis; float32 values stay exact."""
    dimensions, stride = [], values.size
    for label, size in zip(labels, values.shape, strict=True):
        dimensions.append({"label": label, "size": size, "stride": stride})
        stride //= max(size, 1)
    return {"layout": {"dim": dimensions, "data_offset": 0}, "data": values.ravel().tolist()}


def array_of(message: Any) -> Array:
    """The array in a `Float64MultiArray`, in its own shape, float64."""
    return np.array(message.data, dtype=np.float64).reshape([dimension.size for dimension in message.layout.dim])


def stamped(head: Message, kind: str, vector: Array) -> Message:
    """A `PointStamped`, `PoseStamped`, `TwistStamped` or `WrenchStamped` (`kind` in lower case, "point", …) from a vector `[n]`."""
    content: Message = {}
    for (part, axis), value in zip(_VECTORS[kind], vector.tolist(), strict=True):
        (content.setdefault(part, {}) if part else content)[axis] = value
    return {"header": head, kind: content}


def vector_of(message: Any, kind: str) -> Array:
    """The vector `[n]` that `stamped` was given."""
    content = getattr(message, kind)
    return np.array([getattr(getattr(content, part) if part else content, axis) for part, axis in _VECTORS[kind]])


def image(head: Message, pixels: Array) -> Message:
    """`sensor_msgs/Image` of pixels `[H, W, C]` uint8: mono8 or rgb8, otherwise 8UC*n*."""
    height, width, channels = pixels.shape
    return {
        "header": head,
        "height": height,
        "width": width,
        "encoding": {1: "mono8", 3: "rgb8"}.get(channels, f"8UC{channels}"),
        "is_bigendian": 0,
        "step": width * channels,
        "data": pixels.tobytes(),
    }


def diagnostics(head: Message, level: int, name: str, message: str, values: Mapping[str, str]) -> Message:
    """`diagnostic_msgs/DiagnosticArray` with one status; `level` is 0 for OK, 1 for a warning, 2 for an error."""
    pairs = [{"key": key, "value": value} for key, value in values.items()]
    return {"header": head, "status": [{"level": level, "name": name, "message": message, "hardware_id": "", "values": pairs}]}
