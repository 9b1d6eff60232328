"""The run of a simulated robot on topics: what `sim_node` does between configuration and clean-up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from isthmus.records import Array, reorder
from isthmus.robot import load_robot
from isthmus_ros.common import wire
from isthmus_ros.robot_sim.cameras import CameraTopics
from isthmus_ros.robot_sim.commands import CommandTopics, listening, make_controller
from isthmus_ros.robot_sim.evidence import Evidence
from isthmus_ros.robot_sim.faults import parse_faults
from isthmus_ros.robot_sim.robot import SimRobot
from isthmus_ros.robot_sim.settings import Settings
from isthmus_ros.robot_sim.topics import RobotTopics
from isthmus_sim.plants import make_plant

__all__ = ["SimRun"]

_REPEAT = 0.1  # s between repetitions of a state that waits for its command, and of the speed scaling
_JUST = 0.5  # s since a command for which its sender counts as present
_SILENCE = 5.0  # s without a command after which the log says so
_CATCH_UP = 5  # periods that are simulated late rather than left out
_RELEASE = 0.001  # s between looks for late states that are due
_STRANGE = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class SimRun:
    """One simulated robot, its topics and services, and its time."""

    def __init__(self, node: Any, settings: Settings, seed: int, faults: Sequence[str]) -> None:
        """Make the robot and put it into its first state; time stands still until `start`.

        Args:
            node: rclpy node that owns topics and services.
            settings: of the run.
            seed: of the first episode; -1 means home, at rest.
            faults: that are switched on, as name:=value.

        Raises:
            ValueError: the robot has no ROS interface or does not take this transport, or a fault or physical parameter is unknown.
        """
        self._node, self._settings = node, settings
        contract, profile = settings.task.contract, load_robot(settings.task.contract.robot)
        if profile.ros is None:
            raise ValueError(f"robot {profile.name!r} has no ROS interface: its robot.yaml has no ros block")
        transport, topic, self._mode = listening(settings.transport, profile, contract.mode)
        self._joints = profile.ros.command_joints or profile.joint_names
        self._period = contract.control_period if settings.stepped else 1 / (settings.state_rate or min(profile.ros.state_rate, 100.0))
        time_out = 0.0 if settings.stepped else settings.command_timeout
        controller = make_controller(transport, profile, self._joints, self._mode, time_out)
        plant = make_plant(settings.engine, profile, mode=self._mode, period=self._period, scene=settings.task.scene)
        self._robot = SimRobot(plant, controller, self._joints, self._mode)
        self._tick, self._running = -1, False
        self._began, self._epoch = time.monotonic(), 0 if settings.stepped else time.time_ns()
        self._published = self._told = self._commanded = -np.inf
        self._executed: Any = None
        self._fresh = self._silent = False
        self._topics = RobotTopics(node, profile, settings.namespace, settings.prefix, transforms=settings.transforms)
        self._cameras = CameraTopics(
            node, plant, profile.cameras, settings.camera_rate, settings.namespace, profile.ros, prefix=settings.prefix
        )
        self._commands = CommandTopics(
            wire.joined(settings.namespace, topic),
            transport,
            self._joints,
            controller,
            prefix=settings.prefix,
            clock=self._now,
            deaf=lambda: self._robot.faults.on("ignore_commands"),
            complain=node.get_logger().error,
            received=self._received,
        )
        self._evidence = Evidence(node)
        self._quality: Any = None
        self._releasing = False
        self._serve(profile.ros.stop_services)
        self._reported = profile.base.wheels or profile.joint_names
        self.change(faults)
        self.reset(seed)
        self._timer(*((_REPEAT, self._repeat) if settings.stepped else (self._period, self._run)))
        clock = "stepped time" if settings.stepped else f"wall time at {1 / self._period:g} Hz"
        node.get_logger().info(f"{profile.name} of task {settings.task.name} in {settings.engine}, {transport}, {clock}")

    @property
    def commanded(self) -> bool:
        """Whether a command has just come."""
        return time.monotonic() - self._commanded < _JUST

    def start(self) -> None:
        """Let time pass."""
        self._running = True
        self._publish()

    def pause(self) -> None:
        """Let time stand still and say nothing."""
        self._running = False

    def change(self, entries: Sequence[str]) -> None:
        """Switch exactly these faults on, each as name:=value.

        Raises:
            ValueError: an unknown fault, joint or value; nothing is changed.
        """
        faults = self._robot.faults = parse_faults(entries, self._joints, self._reported)
        self._evidence.event("fault", faults.texts())
        quality = None if faults.on("no_subscriber") else (_STRANGE if faults.on("command_qos") else wire.COMMAND)
        if quality is not self._quality:
            self._quality = quality
            self._commands.subscribe(self._node, quality)
        if not self._releasing and (faults.on("state_delay") or faults.on("state_jitter")):
            self._releasing = True
            self._timer(_RELEASE, self._topics.release)

    def reset(self, seed: int) -> int:
        """Begin the episode of a seed, at home with -1.

        Returns:
            stamp of its first state, ns.

        Raises:
            ValueError: an unknown physical parameter.
        """
        self._robot.reset(self._settings.task, seed, self._settings.physical or {}, self._now())
        self._evidence.event("reset", {"seed": str(seed)})
        self._executed, self._fresh = None, False
        self._tick += 1
        if not self._settings.stepped:  # a reset takes time, and stamps are those of the clock
            self._tick = max(self._tick, int((time.monotonic() - self._began) / self._period))
        if self._running:
            self._publish()
        return self._stamp()

    def close(self) -> None:
        """Close the simulator."""
        self._robot.plant.close()

    def _serve(self, stop_services: Sequence[str]) -> None:
        node, namespace = self._node, self._settings.namespace
        if self._settings.stepped:
            node.create_subscription(JointState, "guard/executed", self._receive_executed, wire.COMMAND)
        for name in stop_services:
            node.create_service(Trigger, wire.joined(namespace, name), self._end_control)
        node.create_service(Trigger, "~/resume", self._resume)

    def _end_control(self, request: Any, response: Any) -> Any:
        self._robot.end_control()
        self._evidence.event("stop_service", {})
        response.success, response.message = True, "external control has ended"
        self._node.get_logger().info("external control was ended; ~/resume or ~/reset gives it again")
        return response

    def _resume(self, request: Any, response: Any) -> Any:
        self._robot.resume()
        self._evidence.event("resume", {})
        response.success = self._robot.running
        response.message = "the program runs" if response.success else "the robot is in a protective stop"
        return response

    def _timer(self, seconds: float, callback: Callable[[], None]) -> None:
        self._node.create_timer(seconds, callback, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _now(self) -> float:
        return self._tick * self._period if self._settings.stepped else time.monotonic()

    def _stamp(self) -> int:
        return self._epoch + round(self._tick * self._period * 1e9)

    def _publish(self) -> None:
        stamp, faults = self._stamp(), self._robot.faults
        self._topics.publish(stamp, self._robot.plant.read(), faults)
        self._cameras.publish(stamp, faults)
        self._published = time.monotonic()
        self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        repeat = now - self._told >= _REPEAT
        self._told = now if repeat else self._told
        self._topics.tell_program(self._robot.running, self._robot.scaling, self._robot.faults, repeat=repeat)

    def _received(self) -> None:
        self._commanded, self._silent, self._fresh = time.monotonic(), False, True
        newest = self._robot.controller.newest
        if newest is not None:
            self._evidence.received(self._mode, self._joints, newest)
        self._step()

    def _receive_executed(self, message: Any) -> None:
        self._executed = message
        self._step()

    def _step(self) -> None:
        """Advance by one control period if the command of the present state is complete (stepped time)."""
        message, newest = self._executed, self._robot.controller.newest
        if not (self._settings.stepped and self._running) or message is None or newest is None:
            return
        if wire.nanoseconds_of(message.header.stamp) == self._stamp() and self._agree(message, newest):
            self._advance(hold=True)
            self._publish()

    def _agree(self, executed: Any, newest: Array) -> bool:
        """Whether the command that came is the one that was executed; a trajectory or another field cannot be compared, and must only be new."""
        values = getattr(executed, wire.COMMANDED.get(self._mode, self._mode))
        return (
            self._fresh
            if not (len(values) and self._robot.controller.holds)
            else newest.tolist() == reorder(np.array([values]), tuple(executed.name), self._joints)[0].tolist()
        )

    def _advance(self, *, hold: bool = False) -> None:
        end = (self._tick + 1) * self._period
        self._robot.advance(end if self._settings.stepped else self._began + end, hold=hold)
        self._evidence.truth(self._robot.plant)
        self._tick += 1
        self._fresh = False

    def _repeat(self) -> None:
        """Late joiners and arming checks need a fresh state, although time stands still."""
        now = time.monotonic()
        if self._running and now - self._published >= _REPEAT:
            self._publish()
        if self._robot.controller.newest is not None and not self._silent and now - self._commanded > _SILENCE:
            self._silent = True
            self._node.get_logger().info(f"no command for {_SILENCE:g} s; time stands still")

    def _run(self) -> None:
        """Simulate what is due in wall time; after a stall, time is left out instead of caught up."""
        if not self._running:
            return
        due = int((time.monotonic() - self._began) / self._period) - self._tick
        if due > _CATCH_UP:
            left_out = (due - 1) * self._period
            self._began += left_out
            self._epoch += round(left_out * 1e9)
            due = 1
        for _ in range(due):
            self._advance()
        if due > 0:
            self._publish()
