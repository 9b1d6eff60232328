"""What ROS costs by itself, and the computer by itself: the floors that the nodes are measured against, each a process of its own.

`echo`: a bare rclpy node that answers every joint state at once with a command. `loop`: an absolute-deadline loop without ROS that does nothing.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

import rclpy
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from isthmus.cadence import Cadence
from isthmus_ros.common import wire
from isthmus_ros.common.spin import run_node

__all__ = ["start_echo", "start_loop"]


def start_echo(environment: Mapping[str, str], states: str, commands: str) -> subprocess.Popen[str]:
    """Start the bare node between two topics."""
    return _start(environment, "echo", states, commands)


def start_loop(environment: Mapping[str, str], period: float) -> subprocess.Popen[str]:
    """Start the bare loop, and wait until it runs; after SIGTERM it prints the summary of its cadence as JSON."""
    loop = _start(environment, "loop", str(period))
    assert loop.stdout is not None
    loop.stdout.readline()
    return loop


def _start(environment: Mapping[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, __file__, *arguments], env=dict(environment), stdout=subprocess.PIPE, text=True)


class _Echo:
    """The least that a node can do: take a state, send as many numbers."""

    def __init__(self, states: str, commands: str) -> None:
        self.node = rclpy.create_node("echo", enable_rosout=False, start_parameter_services=False)
        self._publisher = self.node.create_publisher(Float64MultiArray, commands, wire.COMMAND)
        self.node.create_subscription(JointState, states, self._answer, wire.SENSORS)

    def _answer(self, message: Any) -> None:
        self._publisher.publish(Float64MultiArray(data=message.velocity))


def _echo(states: str, commands: str) -> int:
    def create() -> Any:
        node = _Echo(states, commands).node
        node.rest = lambda: True
        return node

    return run_node(create, [])


def _loop(period: float) -> int:
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    cadence = Cadence(period, realtime=True)
    print("begins", flush=True)
    deadline = time.monotonic()
    while not ended.is_set():
        time.sleep(max(deadline - time.monotonic(), 0.0))
        late = time.monotonic() - deadline
        cadence.lateness.append(late)
        cadence.steps += 1
        cadence.missed += late > period
        behind = int(late // period)
        cadence.skipped += behind
        deadline += (behind + 1) * period
    print(json.dumps(cadence.summary()))
    return 0


if __name__ == "__main__":
    role, *rest = sys.argv[1:]
    raise SystemExit(_echo(*rest) if role == "echo" else _loop(float(rest[0])))
