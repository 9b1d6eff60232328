"""What the lifecycle nodes have in common: transitions that fail with one sentence, and services that refuse with one."""

from __future__ import annotations

import gc
import inspect
import os
import re
import time
import traceback
from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn

from isthmus_ros.common.sleep import LOOK, Sleep

__all__ = ["CarefulNode", "without_numbers"]

_EARLY = 5.0  # s after it was configured in which a node that cannot be activated yet is nothing to worry about: launchers try again
_NUMBER = re.compile(r"(?<![\w.])\d+(\.\d+)?")  # no part of a name
_MOST = 100  # entries of a request
_ALONE = inspect.Signature()  # no parameters
_SUCCESS, _FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


def without_numbers(sentence: str) -> str:
    """What stays the same when a sentence is said again with other values."""
    return _NUMBER.sub("", sentence)


class CarefulNode(LifecycleNode):
    """A lifecycle node with plain methods as transitions; what they raise is logged, and the transition fails.

    rclpy's own parameter services take requests of any length, for seconds in which nothing else is done, and raise at a type that does not exist: a
    request of either kind is refused here.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._said: dict[str, str] = {}
        self._early = 0.0  # until then
        self._sleep = Sleep()
        self.create_timer(LOOK, self._sleep.look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def create_timer(self, timer_period_sec: float, callback: Callable[[], Any], **options: Any) -> Any:
        """As rclpy's, whose executors ask for the callback's signature at every tick: to find it out takes longer than most callbacks."""

        def tick() -> None:
            callback()

        tick.__signature__ = _ALONE  # type: ignore[attr-defined]
        return super().create_timer(timer_period_sec, tick, **options)

    def create_service(self, srv_type: Any, srv_name: str, callback: Callable[[Any, Any], Any], **options: Any) -> Any:
        """As rclpy's, with requests that are refused where they are too long or cannot be understood."""

        def answer(request: Any, response: Any) -> Any:
            longest = max(map(len, (value for value in _fields(request) if isinstance(value, list))), default=0)
            if longest > _MOST:
                return _refuse(response, f"a request may have {_MOST} entries, not {longest}")
            try:
                return callback(request, response)
            except ValueError as error:
                return _refuse(response, str(error))

        return super().create_service(srv_type, srv_name, answer, **options)

    def configure(self) -> None:
        """Load and check; publish nothing."""
        raise NotImplementedError

    def activate(self) -> None:
        """Check the samples already received; command nothing."""
        raise NotImplementedError

    def deactivate(self) -> None:
        """Refused in motion."""
        raise NotImplementedError

    def clean_up(self) -> None:
        """Release the topics."""
        raise NotImplementedError

    def rest(self) -> bool:
        """Begin or go on coming to rest; True once it is done."""
        raise NotImplementedError

    def published(self) -> None:
        """Called after each service call: publish the status."""
        raise NotImplementedError

    def on_configure(self, state: Any) -> Any:
        """See `configure`. What was made so far is left to live: a full garbage collection over it takes long, in motion."""
        done = self._transition("configure", self.configure)
        self._early = time.monotonic() + _EARLY
        gc.collect()
        gc.freeze()
        return done

    def on_activate(self, state: Any) -> Any:
        """See `activate`. In the first seconds a refusal is no error: nothing of the robot has come yet, and launchers try again."""
        return self._transition("activate", self.activate, early=time.monotonic() < self._early)

    def on_deactivate(self, state: Any) -> Any:
        """See `deactivate`."""
        return self._transition("deactivate", self.deactivate)

    def on_cleanup(self, state: Any) -> Any:
        """See `clean_up`."""
        return self._transition("clean up", self.clean_up)

    def on_shutdown(self, state: Any) -> Any:
        """Begin to brake, if there is motion."""
        self.rest()
        return _SUCCESS

    def text(self, name: str) -> str:
        """A parameter as text."""
        return str(self.get_parameter(name).value)

    def say_change(self, subject: str, state: str, level: str = "info") -> None:
        """Log the state of a subject in one line, unless it is what was said of it last.

        Args:
            subject: what the line is about.
            state: the line; "" is never said, and lets the same line be said again.
            level: "info", "warning", "error" or "fatal".
        """
        if state == self._said.get(subject, ""):
            return
        self._said[subject] = state
        if not state:
            return
        log = self.get_logger()  # rclpy lets one line of code speak with one severity
        if level == "info":
            log.info(state)
        elif level == "warning":
            log.warning(state)
        elif level == "error":
            log.error(state)
        else:
            log.fatal(state)

    def serve(self, kind: Any, name: str, action: Callable[[Any], str], *, begins: bool = False) -> None:
        """Offer a service; `action` takes the request and returns why it is refused, "" if it is done. A ValueError refuses too.

        Who asks is answered each time; the log has a line of every call that is done, and of a refusal that is repeated one.

        Args:
            kind: of the service.
            name: of the service.
            action: what it does.
            begins: it leads to motion, unless the request has `data` that is false: refused where it may have waited for a process that was asleep.
        """

        def answer(request: Any, response: Any) -> Any:
            try:
                refusal = (self._sleep.problem if begins and getattr(request, "data", True) else "") or action(request)
            except ValueError as error:
                refusal = str(error)
            response.success = not refusal
            response.message = f"{name} refused: {refusal}" if refusal else "ok"
            self._say_trial(name, response.message if refusal else "", "warning")
            if not refusal:
                asked = f": {str(request.data).lower()}" if hasattr(request, "data") else ""
                self.get_logger().info(f"{name}{asked}")
            self.published()
            return response

        self.create_service(kind, name, answer)

    def _transition(self, name: str, work: Callable[[], None], *, early: bool = False) -> Any:
        self._sleep.look()  # a sleep before it is none of its doing
        problem, level = "", "warning" if early else "error"
        computed = sum(os.times()[:4])
        try:
            work()
        except (ValueError, OSError) as error:
            problem = f"cannot {name}{' yet' if early else ''}: {error}"
        except Exception:
            problem, level = f"cannot {name}: {traceback.format_exc()}", "fatal"
        self._sleep.excuse(sum(os.times()[:4]) - computed)  # its children's too, in which a policy is tried out
        self._say_trial(name, problem, level)
        return _FAILURE if problem else _SUCCESS

    def _say_trial(self, name: str, problem: str, level: str) -> None:
        """Log why something was refused. It is tried again and again; that the last state is older each time is nothing new."""
        if not problem or without_numbers(problem) != without_numbers(self._said.get(name, "")):
            self.say_change(name, problem, level)


def _fields(message: Any) -> list[Any]:
    return [getattr(message, name) for name in message.get_fields_and_field_types()]


def _refuse(response: Any, reason: str) -> Any:
    """An answer that says no where it can, and else says nothing."""
    refused = SetParametersResult(successful=False, reason=reason)
    if hasattr(response, "results"):
        response.results = [refused]
    elif isinstance(getattr(response, "result", None), SetParametersResult):
        response.result = refused
    return response
