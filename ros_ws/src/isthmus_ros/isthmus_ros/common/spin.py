"""The main function of a node: it brings its robot to rest before it ends, with code 0 after a signal or two, and 1 after an error."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.signals import SignalHandlerOptions

from isthmus_ros.common import signals
from isthmus_ros.common.network import require_domain, without_shared_memory
from isthmus_ros.common.output import never_waiting
from isthmus_ros.common.parameters import refuse_unknown

__all__ = ["Restful", "executor", "leave", "run_node"]

_SWITCH = 0.0005  # s after which a thread must let another run; Python's own 5 ms would be half a control period at 100 Hz
_NO_FILE = ("--ros-args", "--disable-external-lib-logs", "--")  # a log file would be written in the callback that logs, and a disk can hang
SETTLE = 5.0
"""Seconds that a node is given to come to rest after a signal."""


class Restful(Protocol):
    """A node that has something to finish before it ends."""

    def rest(self) -> bool:
        """Begin or go on coming to rest; True once it is done."""
        ...

    def give_up(self, cause: str) -> None:
        """Rest at once, by the shortest way: coming to rest has taken too long."""


def executor(context: Any = None) -> Any:
    """The executor with the lowest latency that this distribution has; only to be spun by `spin_once`."""
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:  # older than Kilted
        from rclpy.executors import SingleThreadedExecutor as EventsExecutor
    return EventsExecutor(context=context)


def leave(spinner: Any, node: Any) -> None:
    """Take a node and its context out of the domain.

    `EventsExecutor.shutdown` is what frees the participant: until then the executor keeps the node's callbacks in C++, where garbage
    collection cannot see them, and with them the context, its sockets and its threads.
    """
    context = node.context
    spinner.remove_node(node)
    spinner.shutdown()
    node.destroy_node()
    rclpy.try_shutdown(context=context)


def run_node(create: Callable[[], Any], arguments: Sequence[str] | None = None) -> int:
    """Create a node, spin it until a signal ends it (`isthmus_ros.common.signals`), let it come to rest and tear it down.

    Nothing that it says makes it wait: its output never blocks, and rclpy writes no log file. rclpy's own signal handlers would shut the context
    down first, and no last command could be sent. An exception in any callback of the node is the last thing that it does: it brakes, and ends.

    Args:
        create: makes the node; a ValueError is a user's error and becomes one line.
        arguments: command line; None means `sys.argv`.

    Returns:
        exit code: 0, or 1 if the node could not be made or failed.
    """
    signals.listen()
    signals.end_with_parent()
    with never_waiting():
        try:
            return 0 if signals.ENDED.is_set() else _run(create, arguments)
        finally:
            signals.ignore()


def _run(create: Callable[[], Any], arguments: Sequence[str] | None) -> int:
    sys.setswitchinterval(_SWITCH)
    os.environ.update(without_shared_memory(os.environ))
    program, *given = sys.argv if arguments is None else ["", *arguments]
    try:
        require_domain(os.environ)
    except ValueError as error:
        rclpy.logging.get_logger("isthmus").error(str(error))
        return 1
    rclpy.init(args=[program, *_NO_FILE, *given], signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = create()
        refuse_unknown(node, arguments)
    except (ValueError, ModuleNotFoundError, ParameterException) as error:
        rclpy.logging.get_logger("isthmus").error(str(error))
        rclpy.try_shutdown()
        return 1
    spinner = executor()
    spinner.add_node(node)
    failed = False
    try:
        while not signals.ENDED.is_set():
            spinner.spin_once(timeout_sec=0.1)
            if signals.PAUSED.is_set():
                signals.PAUSED.clear()
                node.get_logger().warning(
                    "a node is not paused (Ctrl-Z): its robot would go on moving; Ctrl-C brings it to rest and ends it"
                )
    except Exception as error:
        failed = True
        node.get_logger().fatal(f"a callback failed, so this node brakes and ends: {error!r}\n{traceback.format_exc()}")
    failed |= not _come_to_rest(node, spinner)
    signals.ignore()
    leave(spinner, node)
    return int(failed)


def _come_to_rest(node: Any, spinner: Any) -> bool:
    """Let the node come to rest, or give up; False if even that failed.

    A callback that fails once fails again with the next message, and the others must go on braking meanwhile.
    """
    patience = time.monotonic() + SETTLE
    cause = f"no standstill within {SETTLE:g} s of the signal to end"
    try:
        while not node.rest():
            if time.monotonic() > patience:
                node.give_up(cause)
                break
            with contextlib.suppress(Exception):
                spinner.spin_once(timeout_sec=0.02)
        return True
    except Exception as error:
        cause = f"coming to rest failed: {error!r}"
        node.get_logger().fatal(f"{cause}\n{traceback.format_exc()}")
    try:
        node.give_up(cause)
    except Exception:
        node.get_logger().fatal(f"giving up failed: {traceback.format_exc()}")
    return False
