"""Whether a camera is the one that a policy was trained with: its calibration, as camera_info tells it, and how often its pictures come."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

__all__ = ["PictureRate", "calibration_problem", "intrinsics_problem"]

_FOCAL = 0.03  # share by which focal lengths may differ
_CENTRE = 0.03  # share of the picture's size by which principal points may differ
_DISTORTION = 0.02  # by which coefficients may differ
_LOOKS = 10  # pictures whose rate is told
_LEAST = 5
_SLOW = 1.25  # times as long as the period in which a new one is needed
_GAP = 10**9  # ns without a picture after which the rate is told anew

Intrinsics = tuple[float, float, float, float]


def intrinsics_problem(who: str, told: Sequence[float], wanted: Intrinsics, size: tuple[int, int]) -> str:
    """How fx, fy, cx, cy differ for pictures of `size` (rows, columns) px; "" if they do not by more than 3 %."""
    rows, columns = size
    scales = (_FOCAL * wanted[0], _FOCAL * wanted[1], _CENTRE * columns, _CENTRE * rows)
    if all(abs(one - other) <= most for one, other, most in zip(told, wanted, scales, strict=True)):
        return ""
    said, meant = (", ".join(f"{value:.1f}" for value in values) for values in (told, wanted))
    return f"{who} has fx, fy, cx, cy = {said} px, they must be {meant} px within 3 %"


def calibration_problem(message: Any, topic: str, size: tuple[int, int], wanted: Intrinsics, distortion: Sequence[float] | None) -> str:
    """How a sensor_msgs/CameraInfo differs from the calibration of the robot's profile; "" if it does not, or is of a camera without one.

    Args:
        message: the CameraInfo.
        topic: on which it came.
        size: rows and columns of raw pictures.
        wanted: fx, fy, cx, cy of raw pictures.
        distortion: plumb_bob coefficients; None if the profile has no calibration.
    """
    if message.k[0] == 0.0:  # uncalibrated, by the message's definition
        return ""
    if (message.height, message.width) != size:
        return f"{topic} is of pictures of {message.height} × {message.width}, they must be {size[0]} × {size[1]}"
    k = message.k
    if problem := intrinsics_problem(topic, (k[0], k[4], k[2], k[5]), wanted, size):
        return problem
    if distortion is None:
        return ""
    length = max(len(distortion), len(message.d))
    told, meant = ([*values, *[0.0] * (length - len(values))] for values in (message.d, distortion))
    if all(abs(one - other) <= _DISTORTION for one, other in zip(told, meant, strict=True)):
        return ""
    return f"{topic} has distortion {[round(value, 3) for value in told]}, it must be {[round(value, 3) for value in meant]} within {_DISTORTION:g}"


class PictureRate:
    """How often pictures come, by their own stamps: who draws each control period on a slower camera sees the same picture twice."""

    def __init__(self) -> None:
        self._stamps: deque[int] = deque(maxlen=_LOOKS)

    def add(self, stamp: int) -> None:
        """Take the stamp of a new picture, ns."""
        if self._stamps and not 0 < stamp - self._stamps[-1] < _GAP:
            self._stamps.clear()
        self._stamps.append(stamp)

    def problem(self, topic: str, needed: float) -> str:
        """Why pictures do not come every `needed` seconds; "" if they do."""
        stamps = list(self._stamps)
        if len(stamps) < _LEAST:
            return f"{len(stamps)} pictures in a row were received on {topic}, the rate is told from {_LEAST}"
        period = (stamps[-1] - stamps[0]) / 1e9 / (len(stamps) - 1)
        if period <= _SLOW * needed:
            return ""
        return f"pictures on {topic} come at {1 / period:.1f} Hz, the policy needs a new one at {1 / needed:.1f} Hz"
