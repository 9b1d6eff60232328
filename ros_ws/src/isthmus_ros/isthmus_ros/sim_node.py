"""`sim_node`: a simulator behaving as the robot, on the topics of the robot's profile.

Wall time: physics runs in real time and the last command is held, as a driver holds it, but a velocity or effort becomes zero when none has come for
0.5 s. The forward controllers of ros2_control have no such time-out: a robot behind them keeps moving.

Stepped time: state k and clock k are published, `guard/executed` of state k and the same values on the command topic are awaited, one control period
is simulated, and state k+1 follows. Stamps never go backwards, not even at a reset.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from isthmus.records import Array, Command, reorder
from isthmus.robot import RosProfile, load_robot
from isthmus_ros import wire
from isthmus_ros.parameters import choice, declare
from isthmus_ros.spin import run_node
from isthmus_sim.episodes import episode_start
from isthmus_sim.plants import make_plant, plant_names
from isthmus_sim.task import Task
from isthmus_sim.tasks import get_task

__all__ = ["SimNode", "main", "parse_physical"]

HOME = -1
"""`episode_seed` of the home pose at rest."""
COMMAND_TIME_OUT = 0.5  # s without a command until a velocity or effort becomes zero, in wall time
_REPEAT = 0.1  # s between repetitions of a state that waits for its command
_SILENCE = 5.0  # s without a command after which the log says so
_CATCH_UP = 5  # periods that are simulated late rather than left out

STATES = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)  # serves reliable and best-effort readers


class SimNode(Node):
    """One simulated robot of a task."""

    def __init__(self) -> None:
        """Declare the parameters and put the robot into its first state.

        Raises:
            ValueError: an unknown task, plant, clock or physical parameter; the message lists the valid ones.
        """
        super().__init__("sim_node")
        declare(self, "task", "", "task that names the robot and draws the episodes")
        declare(self, "plant", "pybullet", f"physics engine: {', '.join(plant_names())}")
        declare(self, "robot_namespace", "/", "namespace in which the profile's topics are resolved")
        declare(self, "clock", "wall", "wall: real time; stepped: one control period per executed command")
        declare(self, "state_rate", 0.0, "rate of joint states in wall time, Hz; 0 means the profile's, at most 100", low=0, high=1000)
        declare(
            self,
            "episode_seed",
            HOME,
            "seed of the episode that ~/reset begins; -1 means home, at rest",
            low=-1,
            high=2**31 - 1,
            fixed=False,
        )
        declare(self, "parameters", [""], 'physical parameters that differ from the nominal ones, as "name:=value"')
        self._task: Task = get_task(str(self.get_parameter("task").value))
        self._stepped = choice(self, "clock", ("wall", "stepped")) == "stepped"
        self._physical = parse_physical(self.get_parameter("parameters").value)
        contract, robot = self._task.contract, load_robot(self._task.contract.robot)
        if robot.ros is None:
            raise ValueError(f"robot {robot.name!r} has no ROS interface: its robot.yaml has no ros block")
        self._period = contract.control_period if self._stepped else 1 / self._rate(robot.ros)
        engine = str(self.get_parameter("plant").value)
        self._plant = make_plant(engine, robot, mode=contract.mode, period=self._period, scene=self._task.scene)
        self._order = robot.ros.command_joints or robot.joint_names
        self._mode = contract.mode
        self._tick = -1
        self._began, self._epoch = time.monotonic(), 0 if self._stepped else time.time_ns()
        self._published = self._commanded = -np.inf
        self._command: list[float] | None = None
        self._executed: Any = None
        self._silent = False
        namespace = str(self.get_parameter("robot_namespace").value)
        self._states = self.create_publisher(JointState, wire.joined(namespace, robot.ros.state_topic), STATES)
        self._clock_topic = self.create_publisher(ClockMessage, "/clock", wire.CLOCK)
        topic = wire.joined(namespace, robot.ros.command_topics[contract.mode])
        self.create_subscription(Float64MultiArray, topic, self._receive_command, wire.COMMAND)
        if self._stepped:
            self.create_subscription(JointState, "guard/executed", self._receive_executed, wire.COMMAND)
        self.create_service(Trigger, "~/reset", self._answer_reset)
        self._reset()
        timer = self._repeat if self._stepped else self._run
        self.create_timer(_REPEAT if self._stepped else self._period, timer, clock=Clock(clock_type=ClockType.STEADY_TIME))
        clock = "stepped time" if self._stepped else f"wall time at {1 / self._period:g} Hz"
        self.get_logger().info(f"{robot.name} of task {self._task.name} in {self.get_parameter('plant').value}, {clock}")

    def rest(self) -> bool:
        """A simulated robot has nothing to finish."""
        return True

    def give_up(self, cause: str) -> None:
        """Nor to give up."""

    def destroy_node(self) -> None:
        """Close the simulator too."""
        self._plant.close()
        super().destroy_node()

    def _rate(self, profile: RosProfile) -> float:
        return float(self.get_parameter("state_rate").value) or min(profile.state_rate, 100.0)

    def _reset(self) -> None:
        seed = int(self.get_parameter("episode_seed").value)
        state: Mapping[str, Array] | None = None
        start = episode_start(self._task, [max(seed, 0)])
        if seed != HOME:
            state = start.state
        physical = {name: np.array([value]) for name, value in self._physical.items()}
        self._plant.reset(seeds=[max(seed, 0)], state=state, parameters={**start.parameters, **physical})
        self._command = self._executed = None
        self._tick += 1
        if not self._stepped:  # a reset takes time, and stamps are those of the clock
            self._tick = max(self._tick, int((time.monotonic() - self._began) / self._period))
        self._publish()

    def _answer_reset(self, request: Any, response: Any) -> Any:
        try:
            self._reset()
        except ValueError as error:
            response.success, response.message = False, str(error)
        else:
            response.success, response.message = True, str(self._stamp())
        return response

    def _stamp(self) -> int:
        return self._epoch + round(self._tick * self._period * 1e9)

    def _publish(self) -> None:
        now, measurement = wire.time_of(self._stamp()), self._plant.read()
        message = JointState(
            name=list(measurement.joints),
            position=measurement.position[0].tolist(),
            velocity=measurement.velocity[0].tolist(),
            effort=[] if measurement.effort is None else measurement.effort[0].tolist(),
        )
        message.header.stamp = now
        self._clock_topic.publish(ClockMessage(clock=now))
        self._states.publish(message)
        self._published = time.monotonic()

    def _receive_command(self, message: Any) -> None:
        if len(message.data) != len(self._order) or not np.isfinite(message.data).all():
            self.get_logger().error(f"command ignored: it must be {len(self._order)} finite numbers, got {list(message.data)}")
            return
        self._command = list(message.data)
        self._commanded, self._silent = time.monotonic(), False
        self._step()

    def _receive_executed(self, message: Any) -> None:
        self._executed = message
        self._step()

    def _step(self) -> None:
        """Advance by one control period if the command of the present state is complete (stepped time)."""
        message = self._executed
        if not self._stepped or message is None or wire.nanoseconds_of(message.header.stamp) != self._stamp():
            return
        values = reorder(np.array([getattr(message, self._mode)]), tuple(message.name), self._order)
        if self._command is not None and self._command == values[0].tolist():
            self._advance(self._command)
            self._publish()

    def _advance(self, values: Sequence[float]) -> None:
        self._plant.write(Command(self._mode, self._order, np.array([values])))
        self._plant.advance()
        self._tick += 1

    def _repeat(self) -> None:
        """Late joiners and arming checks need a fresh state, although time stands still."""
        now = time.monotonic()
        if now - self._published >= _REPEAT:
            self._publish()
        if self._command is not None and not self._silent and now - self._commanded > _SILENCE:
            self._silent = True
            self.get_logger().info(f"no command for {_SILENCE:g} s; time stands still")

    def _run(self) -> None:
        """Simulate what is due in wall time; after a stall, time is left out instead of caught up."""
        due = int((time.monotonic() - self._began) / self._period) - self._tick
        if due > _CATCH_UP:
            left_out = (due - 1) * self._period
            self._began += left_out
            self._epoch += round(left_out * 1e9)
            due = 1
        for _ in range(due):
            self._advance(self._held())
        if due > 0:
            self._publish()

    def _held(self) -> Sequence[float]:
        """The last command; without one, or after the time-out, rest."""
        fresh = time.monotonic() - self._commanded < COMMAND_TIME_OUT
        if self._command is not None and (fresh or self._mode == "position"):
            return self._command
        if self._mode == "position":
            measurement = self._plant.read()
            self._command = reorder(measurement.position, measurement.joints, self._order)[0].tolist()
            return self._command
        return [0.0] * len(self._order)


def parse_physical(entries: Sequence[str]) -> dict[str, float]:
    """Physical parameters from entries `name:=value`; empty entries are skipped.

    Raises:
        ValueError: an entry is not of that form.
    """
    physical = {}
    for entry in entries:
        name, separator, value = entry.partition(":=")
        if not entry:
            continue
        try:
            physical[name] = float(value)
        except ValueError:
            separator = ""
        if not separator:
            raise ValueError(f"parameters must be a list of name:=value with a number, got {entry!r}")
    return physical


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    return run_node(SimNode, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
