"""Round trips: a joint state is published, and the command that answers it is awaited, from a bare node, or from policy and guard."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from rclpy.signals import SignalHandlerOptions
from ros_bare import start_echo
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64, Float64MultiArray

from isthmus.robot import load_robot
from isthmus_ros.common import wire
from isthmus_ros.common.spin import executor, leave
from isthmus_ros.evaluation.link import Link
from isthmus_ros.evaluation.processes import NodeProcess, RosError, free_domain, isolated

__all__ = ["Chain", "bring_up", "chain", "patiently"]

ROBOT = load_robot("ur5e")
_LOST = 0.1  # s after which an answer counts as lost, and the state is published again
_PATIENCE = 10.0  # s
_REPEAT = 0.05  # s between repetitions of a state that waits for its answer


class Chain:
    """A robot that publishes a state, waits for the command, follows it exactly and publishes the next state.

    Attributes:
        times: seconds from each state to its command, without those that were lost on the way.
        lost: how many states had to be published again.
        inference: median time that the policy itself takes of it, s.
        start: begins the motion; from then on states must not be more than 5 s apart.
    """

    def __init__(self, domain: int, period: float) -> None:
        self.times: list[float] = []
        self.start: Callable[[], None] = lambda: None
        self.lost = 0
        self.inference = 0.0
        self._period = period
        self._position, self._velocity = ROBOT.home.copy(), np.zeros(len(ROBOT.joints))
        self._stamp = round(1e9)
        self._answered = 0.0
        context = rclpy.Context()
        rclpy.init(args=[], context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        assert ROBOT.ros is not None
        topic = ROBOT.ros.command_topics["velocity"]
        name = ROBOT.ros.controller_of("forward_velocity", topic)
        self._node = rclpy.create_node(name, context=context, enable_rosout=False, start_parameter_services=False)
        self._states = self._node.create_publisher(JointState, "/joint_states", 10)
        assert ROBOT.ros.speed_scaling is not None
        self._running = self._node.create_publisher(Bool, wire.joined("/", ROBOT.ros.program_running), wire.LATCHED)
        self._scaling = self._node.create_publisher(Float64, wire.joined("/", ROBOT.ros.speed_scaling.topic), 1)
        self._full = float(ROBOT.ros.speed_scaling.full)
        self._node.create_subscription(Float64MultiArray, wire.joined("/", topic), self._receive, wire.COMMAND)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._receive_diagnostics, 10)
        self._executor = executor(context)
        self._executor.add_node(self._node)

    @property
    def connected(self) -> bool:
        """Whether somebody listens to the states."""
        return bool(self._states.get_subscription_count() > 0)

    def round_trip(self) -> None:
        """One period: the next state, and its command."""
        self._position = self._position + self._velocity * self._period
        self._stamp += round(self._period * 1e9)
        self._answered = 0.0
        published, again = self._publish(), False
        patience = time.monotonic() + _PATIENCE
        while not self._answered:
            if time.monotonic() > patience:
                raise RosError(f"no command came within {_PATIENCE:g} s of a joint state")
            self._executor.spin_once(timeout_sec=_LOST)
            if not self._answered and time.perf_counter() - published > _LOST:
                published, again = self._publish(), True
                self.lost += 1
        if again:  # the answer to the first one may still come, and must not be taken for that to the next state
            self.drain()
        else:
            self.times.append(self._answered - published)

    def drain(self) -> None:
        """Take in what has come."""
        end = time.monotonic() + _LOST
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def turn(self, count: int) -> None:
        """So many round trips, at the pace of the control period."""
        due = time.monotonic()
        for _ in range(count):
            due = max(due + self._period, time.monotonic())
            time.sleep(max(due - time.monotonic(), 0.0))
            self.round_trip()

    @contextlib.contextmanager
    def repeating(self) -> Iterator[None]:
        """Publish the same state over and over, and that the robot is ready, while nodes are brought up."""
        ended = threading.Event()

        def repeat() -> None:
            while not ended.wait(_REPEAT):
                self._publish()
                self._running.publish(Bool(data=True))
                self._scaling.publish(Float64(data=self._full))
                self._executor.spin_once(timeout_sec=0.0)

        thread = threading.Thread(target=repeat)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def close(self) -> None:
        """Leave the domain."""
        leave(self._executor, self._node)

    def _publish(self) -> float:
        message = JointState(name=list(ROBOT.joint_names), position=self._position.tolist(), velocity=self._velocity.tolist())
        message.header.stamp = wire.time_of(self._stamp)
        now = time.perf_counter()
        self._states.publish(message)
        return now

    def _receive(self, message: Any) -> None:
        self._answered = self._answered or time.perf_counter()
        self._velocity = np.array(message.data)

    def _receive_diagnostics(self, message: Any) -> None:
        for pair in (pair for status in message.status for pair in status.values):
            if pair.key == "cadence" and (inference := json.loads(pair.value)["inference_ms"]):
                self.inference = inference["p50"] / 1e3


@contextlib.contextmanager
def chain(kind: str, policy: Path, period: float) -> Iterator[Chain]:
    """A chain with its processes, in a domain of its own and ready to start; `kind` is bare or guarded."""
    domain = free_domain()
    with contextlib.ExitStack() as stack:
        environment = stack.enter_context(isolated(domain))
        robot = Chain(domain, period)
        stack.callback(robot.close)
        if kind == "bare":
            assert ROBOT.ros is not None
            echo = start_echo(environment, "/joint_states", wire.joined("/", ROBOT.ros.command_topics["velocity"]))
            stack.callback(_end, echo)
            while not robot.connected:
                time.sleep(0.05)
        else:
            told = {"policy": str(policy), "clock": "stepped"}
            guarding = {**told, "transport": "forward_velocity", "accept_no_deadman": True}
            nodes = [NodeProcess("guard_node", guarding, environment), NodeProcess("policy_node", told, environment)]
            stack.callback(_kill, nodes)  # nobody publishes the states any more that a stepped node would brake on
            with robot.repeating():
                link = Link("/unheard", domain, nodes)
                stack.callback(link.close)
                bring_up(link, nodes)

            def start() -> None:
                with robot.repeating():
                    patiently(link, lambda: link.trigger("policy/start"))
                robot.drain()  # the command that answers the state of the start

            robot.start = start
        yield robot


def bring_up(link: Link, nodes: list[NodeProcess]) -> None:
    """Configure and activate guard and policy, and arm."""
    for node in nodes:
        if not link.transition(node.name, Transition.TRANSITION_CONFIGURE):
            raise RosError(node.complaint)
    for node in nodes:
        patiently(link, lambda name=node.name: _activate(link, name))  # type: ignore[misc]
    patiently(link, link.arm)


def patiently(link: Link, action: Any, seconds: float = 15.0) -> None:
    """Repeat what is refused until the nodes have found each other."""
    end = time.monotonic() + seconds
    while True:
        try:
            action()
            return
        except RosError:
            if time.monotonic() > end:
                raise
        link.spin(0.1)


def _activate(link: Link, name: str) -> None:
    if not link.transition(name, Transition.TRANSITION_ACTIVATE):
        raise RosError(f"{name} cannot be activated")


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    process.wait(10)


def _kill(nodes: list[NodeProcess]) -> None:
    for node in nodes:
        node.send(signal.SIGKILL)
        node.end()
        node.clean_up()
