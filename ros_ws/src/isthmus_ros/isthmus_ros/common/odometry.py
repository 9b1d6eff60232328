"""The odometry of a mobile robot, and why it cannot be believed: silent, not finite, or stamped at another time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from isthmus.timing import steady
from isthmus_ros.common import wire
from isthmus_ros.common.stamps import stamp_problem

__all__ = ["OdometryInput"]


class OdometryInput:
    """The newest odometry.

    Attributes:
        topic: absolute name.
        message: the newest one; None before the first.
    """

    def __init__(self, topic: str, allowed: float, clock: Callable[[], float] = steady) -> None:
        """Nothing has come yet.

        Args:
            topic: absolute name.
            allowed: age at which it is stale, s.
            clock: steady, s.
        """
        self.topic = topic
        self.message: Any = None
        self._allowed, self._clock = allowed, clock
        self._arrival = -math.inf
        self._delay = self._offset = 0.0
        self._finite = True

    def receive(self, message: Any, now: int) -> None:
        """Take an Odometry of any content; `now` is the time of the node's clock, ns."""
        self.message, self._arrival = message, self._clock()
        self._delay = (now - wire.nanoseconds_of(message.header.stamp)) / 1e9
        p, q, v, w = message.pose.pose.position, message.pose.pose.orientation, message.twist.twist.linear, message.twist.twist.angular
        self._finite = all(map(math.isfinite, (p.x, p.y, p.z, q.x, q.y, q.z, q.w, v.x, v.y, v.z, w.x, w.y, w.z)))

    def synchronise(self, *, relative: bool) -> None:
        """Take the delay of the newest sample as the constant offset between the clocks, if stamps are checked relatively."""
        self._offset = self._delay if relative else 0.0

    @property
    def delay(self) -> float:
        """How old the newest sample was when it arrived, s; negative if it is stamped ahead."""
        return self._delay - self._offset

    def problem(self, *, stepped: bool = False) -> str:
        """Why it cannot be believed; "" if it can. Neither age nor stamps are judged in stepped time."""
        if self.message is None:
            return f"no odometry was received on {self.topic}"
        if not self._finite:
            return f"the odometry on {self.topic} is not finite"
        if stepped:
            return ""
        if (age := self._clock() - self._arrival) > self._allowed:
            return f"the odometry on {self.topic} is {age:.2f} s old, {self._allowed:.2f} s are allowed"
        return stamp_problem(f"the odometry on {self.topic}", self.delay, self.delay, self._allowed)
