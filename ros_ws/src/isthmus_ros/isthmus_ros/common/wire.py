"""Words on the wire: quality of service, stamps, sequence numbers and diagnostics, as every node here writes and reads them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import JointState

from isthmus.messages import seconds
from isthmus.records import Array, Command

__all__ = [
    "ASKED",
    "CLOCK",
    "COMMAND",
    "COMMANDED",
    "EXECUTED",
    "LATCHED",
    "NOBODY",
    "SENSORS",
    "asked",
    "column",
    "diagnostics",
    "epoch_of",
    "frame_id",
    "joined",
    "joint_command",
    "nanoseconds_of",
    "new_epoch",
    "pairs",
    "seconds_of",
    "sequence_of",
    "time_of",
]

COMMAND = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
"""A best-effort publisher does not match a reliable reader, and a queue of old commands must not exist."""
ASKED = QoSProfile(depth=20, reliability=ReliabilityPolicy.RELIABLE)
"""For the guard, which must hear everybody who sends, also whom another sender overtakes; it carries out only the newest of what has come."""
EXECUTED = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
"""What was executed is history, which scores and recordings need whole; with depth 1 a busy reader would lose what is overwritten."""
LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SENSORS = qos_profile_sensor_data
CLOCK = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)

_EPOCH = re.compile(r"[0-9a-f]{8}")
_SHOWN = 80  # characters of a mark that is none
_NUMBER = re.compile(r"[0-9]{1,15}")  # not \d, which takes digits of every script

NOBODY = "00000000"
"""Epoch of what is sent before any policy has asked."""

COMMANDED = {"twist": "velocity"}
"""Field of a JointState that carries a command, where it is not called as the mode."""


def time_of(nanoseconds: int) -> Any:
    """`builtin_interfaces/Time` of a number of nanoseconds."""
    return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def nanoseconds_of(time: Any) -> int:
    """Nanoseconds of a `builtin_interfaces/Time`."""
    return int(time.sec) * 10**9 + int(time.nanosec)


def seconds_of(time: Any) -> float:
    """Seconds of a `builtin_interfaces/Time`, as traces have them."""
    return seconds(nanoseconds_of(time))


def new_epoch() -> str:
    """A name for one policy process and one arming of its guard, in the frame_id of its commands: 8 random hexadecimal digits."""
    return secrets.token_hex(4)


def frame_id(digest: str, epoch: str, sequence: int) -> str:
    """The frame_id that carries a command's origin: first 12 characters of the contract's digest, the sender's epoch, and the sequence number."""
    return f"{digest[:12]}:{epoch}:{sequence}"


def sequence_of(message: Any) -> int:
    """Sequence number in the frame_id of a command; -1 if there is none."""
    _, _, number = message.header.frame_id.rpartition(":")
    return int(number) if _NUMBER.fullmatch(number) else -1


def epoch_of(message: Any) -> str:
    """Epoch of the sender in the frame_id of a command; "" if there is none."""
    parts = message.header.frame_id.split(":")
    return parts[1] if len(parts) == 3 else ""


def joined(namespace: str, topic: str) -> str:
    """A profile's relative topic in the robot's namespace, as an absolute name."""
    return f"/{namespace.strip('/')}/{topic}".replace("//", "/")


def joint_command(command: Command) -> Any:
    """A joint command `[1, J]` as a JointState in which only the commanded field is filled."""
    return JointState(name=list(command.joints), **{COMMANDED.get(command.mode, command.mode): command.values[0].tolist()})


def column(message: JointState, field: str, joints: tuple[str, ...]) -> Array:
    """One field of a joint state by joint name, `[1, J]`; NaN for joints that are not named and where the field is empty."""
    values = getattr(message, field)
    if len(values) != len(message.name):
        return np.full((1, len(joints)), np.nan)
    if message.name == list(joints):  # as most drivers do it
        return np.array(values)[None]
    known = dict(zip(message.name, values, strict=True))
    if len(known) != len(message.name):  # nobody can tell which of two values is meant
        return np.full((1, len(joints)), np.nan)
    return np.array([[known.get(joint, np.nan) for joint in joints]])


def pairs(values: Mapping[str, str]) -> list[Any]:
    """Values as they stand in a diagnostic status."""
    return [KeyValue(key=key, value=value) for key, value in values.items()]


def diagnostics(time: Any, level: int, name: str, message: str, hardware: str, values: Mapping[str, str]) -> Any:
    """A `DiagnosticArray` with one status; `level` is 0 for OK, 1 for a warning, 2 for an error."""
    status = DiagnosticStatus(level=bytes([level]), name=name, message=message, hardware_id=hardware, values=pairs(values))
    array = DiagnosticArray(status=[status])
    array.header.stamp = time
    return array


def asked(message: JointState, digest: str, mode: str, joints: tuple[str, ...]) -> tuple[str, int, Command]:
    """Epoch, sequence number and command of a message on `guard/command`.

    Raises:
        ValueError: it is for another contract, names other joints, or does not fill the commanded field alone.
    """
    origin, _, rest = message.header.frame_id.partition(":")
    epoch, _, number = rest.partition(":")
    if origin != digest[:12] or not _EPOCH.fullmatch(epoch) or not _NUMBER.fullmatch(number):
        raise ValueError(
            f"a command must be marked {digest[:12]}:<epoch>:<sequence>, with the contract's digest, got {message.header.frame_id[:_SHOWN]!r}"
        )
    names = tuple(message.name)
    if names != joints:  # as every policy of ours names them
        _require_joints(names, joints)
    commanded = COMMANDED.get(mode, mode)
    for field in ("position", "velocity", "effort"):
        wanted = len(names) if field == commanded else 0
        if (count := len(getattr(message, field))) != wanted:
            raise ValueError(f"a command must have {wanted} values of {field}, got {count}")
    return epoch, int(number), Command(mode, names, np.array([getattr(message, commanded)]))


def _require_joints(names: tuple[str, ...], joints: tuple[str, ...]) -> None:
    for name in names:
        if name not in joints or names.count(name) > 1:
            raise ValueError(f"a command names joint {name!r} {'twice' if name in joints else 'that is not commanded'}")
    for joint in joints:
        if joint not in names:
            raise ValueError(f"a command lacks joint {joint!r}")
