"""`explore_node`: plays an excitation under the guard, parks the arm where it began and disarms: one informative run for identification.

It is a `policy_node` whose run has an end: services, topics and parameters are the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rclpy.clock import Clock, ClockType
from std_srvs.srv import SetBool

from isthmus.policy import Policy
from isthmus_ros.common import wire
from isthmus_ros.common.spin import run_node
from isthmus_ros.policy.exploration import Exploration
from isthmus_ros.policy.motion import Motion
from isthmus_ros.policy.policy_node import PolicyNode

__all__ = ["ExploreNode", "main"]

_PARKED_BY = ("position", "velocity")  # modes in which a ramp can be commanded
_ASK = 0.2  # s between two requests to disarm


class ExploreNode(PolicyNode):
    """Lifecycle node around `Exploration`; `exploration` in its status tells how it goes."""

    def __init__(self) -> None:
        super().__init__("explore_node")
        # A shadow commands nothing, so there is nothing to park.
        self.motion_type = Motion if self.shadow else Exploration
        self._told = ""
        self._disarming: Any = None if self.shadow else self.create_client(SetBool, "guard/arm")
        self.create_timer(_ASK, self._tidy_up, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def longest(self, policy: Policy) -> int | None:
        """Control periods of the exploration, or `max_steps` if that is given.

        Raises:
            ValueError: the policy has no end of its own, or commands what the arm cannot be parked with.
        """
        mode = policy.contract.mode
        if mode not in _PARKED_BY:
            raise ValueError(f"explore_node parks the arm with {' or '.join(_PARKED_BY)} commands; the policy commands {mode}")
        if given := super().longest(policy):
            return given
        if duration := getattr(policy, "duration", None):
            return math.ceil(duration / policy.contract.control_period - 1e-6)
        raise ValueError("the policy has no end of its own, as one of kind excitation has; give the length of its run: parameter max_steps")

    def report(self) -> Any:
        """As `PolicyNode.report`, with the outcome of the exploration."""
        message = super().report()
        if message is not None and isinstance(self.motion, Exploration):
            message.status[0].values.extend(wire.pairs({"exploration": self.motion.outcome}))
        return message

    def _tidy_up(self) -> None:
        """Have the guard disarm once the exploration is over, and then say how it has ended."""
        motion, guarded = self.motion, self.bound.guarded if self.bound else None
        if not isinstance(motion, Exploration) or motion.moving:
            self._told = ""
            return
        if not motion.over or self._told == motion.outcome:
            return
        if guarded is not None and guarded.guard.armed:
            if self._disarming.service_is_ready():
                self._disarming.call_async(SetBool.Request(data=False))
            return
        self._told = motion.outcome
        log = self.get_logger()
        if motion.outcome == "parked":
            log.info("exploration done: the arm is parked, stands still and is disarmed")
        else:
            log.warning(f"exploration done, the guard is disarmed, but: {motion.failure}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    return run_node(ExploreNode, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
