"""The services with which a robot's driver ends external control, asked until they answer when nothing else is left."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType
from std_srvs.srv import Trigger

from isthmus.robot import RosProfile
from isthmus.timing import steady
from isthmus_ros.common import wire

__all__ = ["StopServices"]

_AGAIN = 0.2  # s between two calls of a service that has not answered
_PATIENCE = 30.0  # s after which an unarmed guard gives up: a driver that is started anew later must not be told to stop
_LULL = 1.0  # s in which another call changes nothing if the last one was answered
_PENDING = 5  # calls of one service that may be on their way


class StopServices:
    """Clients of a profile's `stop_services`, made in advance so that they are discovered when they are needed.

    A call is repeated by a timer, five times a second, until each service has answered that it succeeded, its owner says that it is over, or its
    node ends. What is not offered yet is asked as soon as it is. The log has a line per change.
    """

    def __init__(
        self,
        node: Any,
        profile: RosProfile,
        namespace: str,
        *,
        armed: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = steady,
    ) -> None:
        """Create the clients and the timer; nothing is called yet.

        Args:
            node: rclpy node that owns them.
            profile: of the robot.
            namespace: in which the profile's services are resolved.
            armed: whether the guard is armed; as long as it is, nobody gives up, nor does who cannot know because the guard is silent.
            clock: steady, s.
        """
        self._node, self._armed, self._clock = node, armed, clock
        self._services = [_Service(node, wire.joined(namespace, name)) for name in profile.stop_services]
        self._lock = threading.Lock()
        self._called = self._begun = -float("inf")
        self._timer = node.create_timer(_AGAIN, self.poll, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def answered(self) -> bool:
        """Whether everything that was asked for has been done; also before the first call."""
        return not any(service.pending for service in self._services)

    def call(self, cause: str) -> None:
        """Call all of them without waiting for an answer; any thread may do so. While answers are pending, another call only renews the patience."""
        with self._lock:
            now = self._clock()
            self._called = now
            if not self.answered or now - self._begun < _LULL:
                return
            self._begun = now
            for service in self._services:
                service.begin(now)
            for service in self._services:
                service.tell(cause)
            if not self._services:
                self._node.get_logger().error(f"{cause}, and the robot's profile names no stop_services")

    def poll(self) -> None:
        """Look at the answers and call again where there are none; the timer does so five times a second."""
        with self._lock:
            now = self._clock()
            for service in self._services:
                if not service.pending:
                    continue
                if now - self._called > _PATIENCE and not self._armed():
                    service.give_up(f"it has not answered within {_PATIENCE:g} s")
                else:
                    service.look(now)

    def give_up(self, cause: str) -> None:
        """Ask no more for what has not been answered; any thread may say so."""
        with self._lock:
            for service in self._services:
                service.give_up(cause)

    def close(self) -> None:
        """Destroy the timer and the clients."""
        self._node.destroy_timer(self._timer)
        self.give_up("the node lets go of the robot")
        for service in self._services:
            service.close()


class _Service:
    """One service.

    Attributes:
        name: absolute.
        pending: whether an answer is waited for.
    """

    def __init__(self, node: Any, name: str) -> None:
        self.name, self.pending = name, False
        self._node = node
        self._client = node.create_client(Trigger, name)
        self._answers: list[Any] = []
        self._sent = -float("inf")
        self._trouble = ""  # that was told last: "absent", "refused" or none

    def begin(self, now: float) -> None:
        self.pending, self._sent, self._trouble = True, -float("inf"), ""
        self._forget()
        if self._client.service_is_ready():
            self._send(now)

    def tell(self, cause: str) -> None:
        self._node.get_logger().error(f"{cause}: calling {self.name}")

    def look(self, now: float) -> None:
        if any(answer.done() and not answer.exception() and answer.result().success for answer in self._answers):
            self._node.get_logger().warning(f"{self.name} has answered")
            self._end()
        elif now - self._sent >= _AGAIN * 0.9:  # a timer may come early
            self._ask(now)

    def give_up(self, cause: str) -> None:
        if self.pending:
            self._node.get_logger().error(f"{self.name} is not asked any more: {cause}")
            self._end()

    def close(self) -> None:
        self._node.destroy_client(self._client)

    def _ask(self, now: float) -> None:
        if not self._client.service_is_ready():
            self._complain("absent", f"nobody offers {self.name}; trying again until somebody does")
            return
        if self._trouble == "absent":
            self._complain("", f"{self.name} is offered: calling it")
        for answer in [answer for answer in self._answers if answer.done()]:
            refusal = answer.exception() or answer.result().message
            self._complain("refused", f"{self.name} has failed ({refusal}); trying again until it succeeds")
            self._answers.remove(answer)
        if len(self._answers) >= _PENDING:
            self._client.remove_pending_request(self._answers.pop(0))
        self._send(now)

    def _send(self, now: float) -> None:
        self._answers.append(self._client.call_async(Trigger.Request()))
        self._sent = now

    def _complain(self, trouble: str, sentence: str) -> None:
        if trouble != self._trouble:
            self._node.get_logger().error(sentence)
        self._trouble = trouble

    def _end(self) -> None:
        self.pending = False
        self._forget()

    def _forget(self) -> None:
        for answer in self._answers:
            self._client.remove_pending_request(answer)
        self._answers.clear()
