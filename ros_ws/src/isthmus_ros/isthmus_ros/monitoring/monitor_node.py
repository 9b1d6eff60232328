"""`monitor_node`: watches whether a running robot keeps to a specification in Signal Temporal Logic, and tells as soon as that is decided.

It listens to what the robot and its guard say, and commands nothing. If asked, it has the guard hold or stop when the specification is violated, or
when it cannot be watched any further.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import TransitionCallbackReturn
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from isthmus import strict
from isthmus.contract import Contract
from isthmus.robot import Robot, load_robot
from isthmus.specification import Specification
from isthmus_ros.common import wire
from isthmus_ros.common.contract_file import read_contract, read_specification
from isthmus_ros.common.doubled import DoubledJoints, doubled_joints
from isthmus_ros.common.inputs import InputTopics, input_report
from isthmus_ros.common.joined import named_joints
from isthmus_ros.common.lifecycle import CarefulNode
from isthmus_ros.common.parameters import choice, declare
from isthmus_ros.common.spin import run_node
from isthmus_ros.monitoring.watch import RunWatch
from isthmus_ros.recording.recorded import SAID, SENSED

__all__ = ["MonitorNode", "main"]

_SERVICES = {"hold": "guard/hold", "stop": "guard/stop"}
_OK, _ERROR = 0, 2


class MonitorNode(CarefulNode):
    """Lifecycle node around `RunWatch`."""

    def __init__(self) -> None:
        super().__init__("monitor_node")
        declare(self, "policy", "", "path of the policy file whose contract names what is measured, and whose specification is watched")
        declare(self, "specification", "", "YAML file with a specification of your own: formula, signals; empty means the policy's")
        declare(self, "robot", "", "name of the robot profile; empty means the one that the policy names")
        declare(self, "robots_dir", "", "folder with robot profiles of your own, searched first")
        declare(self, "joint_prefix", "", "prefix of the joints' and frames' names on the robot's topics")
        declare(self, "on_violation", "report", "report: say so; hold: brake by guard/hold, which good commands clear; stop: by guard/stop")
        declare(self, "margin", 0.0, "robustness below which it counts as violated, in units of the formula", low=-1e6, high=1e6)
        declare(self, "autostart", True, "configure and activate without being asked")
        self._watch: RunWatch | None = None
        self._robot: Robot | None = None
        self._inputs: InputTopics | None = None
        self._doubled: DoubledJoints | None = None
        self._action = ""  # at a violation
        self._acted = -1  # the motion in which something had to be said or done
        self._due = False  # the guard has not been called yet
        self._service: Any = None
        self._owned: list[Callable[[], object]] = []
        self._status = self.create_publisher(DiagnosticArray, "monitor/status", wire.LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(0.1, self._look, clock=steady)
        self.create_timer(1.0, self._publish_diagnostics, clock=steady)
        if self.get_parameter("autostart").value and self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def configure(self) -> None:
        """Read contract and specification, and bind one to the other."""
        if not self.text("policy"):
            raise ValueError("parameter policy is empty; give the path of a policy file: -p policy:=…/policy.isthmus")
        action = choice(self, "on_violation", ("report", *_SERVICES))
        contract = read_contract(self.text("policy"))
        specification = self._specification()
        folder = self.text("robots_dir")
        robot = load_robot(self.text("robot") or contract.robot, [Path(folder)] if folder else [])
        if robot.ros is None:
            raise ValueError(f"robot {robot.name!r} has no ROS interface: its robot.yaml has no ros block")
        self.clean_up()
        prefix = self.text("joint_prefix")
        self._inputs = inputs = InputTopics(self, contract, robot.base_frame, self.published, prefix)
        self._owned.append(inputs.close)
        self._watch, self._robot = RunWatch(specification, contract, robot, inputs.values, prefix), robot
        topic = str(self.resolve_topic_name(wire.joined(self.get_namespace(), robot.ros.state_topic)))
        self._doubled = doubled_joints(self, topic, named_joints(robot, prefix))
        self._owned.append(self._doubled.close)
        self._action = action
        if action in _SERVICES:
            self._service = self.create_client(Trigger, _SERVICES[action])
            self._owned.append(functools.partial(self.destroy_client, self._service))
        self._listen(self._watch, robot, contract)
        self.get_logger().info(f"watching {robot.name}: {specification.formula}")

    def activate(self) -> None:
        """Nothing more: it listens already."""

    def deactivate(self) -> None:
        """Nothing: it commands nothing."""

    def clean_up(self) -> None:
        """Release the topics."""
        for release in self._owned:
            release()
        self._owned, self._watch, self._robot, self._inputs, self._service, self._doubled = [], None, None, None, None, None
        self._acted, self._due = -1, False

    def rest(self) -> bool:
        """It is always at rest."""
        return True

    def give_up(self, cause: str) -> None:
        """Nothing to give up."""

    def published(self) -> None:
        """Publish `monitor/status`."""
        self._publish(self._status, "monitor")

    def _look(self) -> None:
        """Of joints that two publishers name nobody can tell the value; a guard that was not there when it was needed may be there now."""
        watch = self._watch
        if watch is not None and self._doubled is not None:
            twice = "; ".join(self._doubled.look())
            self.say_change("publishers", twice, "warning")
            if twice and watch.give_up(twice):
                self._judge(watch)
            self._act(watch)
        self.published()

    def _publish_diagnostics(self) -> None:
        self._publish(self._diagnostics, f"{self.get_fully_qualified_name()}: specification")

    def _publish(self, publisher: Any, name: str) -> None:
        watch, robot, inputs = self._watch, self._robot, self._inputs
        if watch is None or robot is None or inputs is None:
            return
        known = watch.verdict
        word = "violated" if self._violates(watch) else known.verdict
        values = {
            "specification": str(watch.formula),
            "verdict": word,
            "on_violation": self._action,
            "robustness.low": f"{known.low:.17g}",
            "robustness.high": f"{known.high:.17g}",
            "monitored_motion": str(watch.motion),
            "monitored_samples": str(known.sample + 1),
            "missed_commands": str(watch.missed),
            "listening": str(
                bool(self.count_publishers(self.resolve_topic_name("guard/executed")))
            ).lower(),  # before that, commands go by unheard
            "problem": watch.problem,
            "decided": str(watch.finished).lower(),
            **input_report("monitored_input", inputs.values()),
            **{f"signal.{name}": f"{value:.6g}" for name, value in sorted(watch.values.items())},
        }
        level = _ERROR if word == "violated" or watch.problem else _OK
        message = f"{word}; robustness between {known.low:.4g} and {known.high:.4g}" + (
            f"; not watched: {watch.problem}" * bool(watch.problem)
        )
        publisher.publish(wire.diagnostics(self.get_clock().now().to_msg(), level, name, message, robot.name, values))

    def _specification(self) -> Specification:
        path = self.text("specification")
        if path:
            return strict.decode(Specification, strict.load_yaml(Path(path).expanduser()), path)
        own = read_specification(self.text("policy"))
        if own is None:
            raise ValueError(
                f"{self.text('policy')} has no specification; give one: -p specification:=FILE.yaml, with `formula` and `signals`"
            )
        return own

    def _listen(self, watch: RunWatch, robot: Robot, contract: Contract) -> None:
        profile, namespace = robot.ros, self.get_namespace()
        assert profile is not None  # noqa: S101 - `configure` has seen to it

        def heard(take: Callable[[Any], None]) -> Callable[[Any], None]:
            def receive(message: Any) -> None:
                take(message)
                if watch.advance():
                    self._judge(watch)

            return receive

        def execute(message: Any) -> None:
            watch.execute(wire.sequence_of(message), wire.nanoseconds_of(message.header.stamp))

        topics = [
            (JointState, wire.joined(namespace, profile.state_topic), heard(watch.history.add), SENSED),
            (JointState, "guard/executed", heard(execute), SAID),
            (DiagnosticArray, "guard/status", heard(functools.partial(_follow, watch)), wire.LATCHED),
            (DiagnosticArray, "policy/status", heard(functools.partial(_follow, watch)), wire.LATCHED),
        ]
        if profile.odometry_topic:
            topics.append((Odometry, wire.joined(namespace, profile.odometry_topic), heard(watch.history.add_odometry), SENSED))
        for kind, topic, callback, quality in topics:
            self._owned.append(functools.partial(self.destroy_subscription, self.create_subscription(kind, topic, callback, quality)))

    def _violates(self, watch: RunWatch) -> bool:
        return bool(watch.verdict.high < float(self.get_parameter("margin").value))

    def _judge(self, watch: RunWatch) -> None:
        """Say once per motion that it is violated, or cannot be watched, and have the guard act."""
        if not (self._violates(watch) or watch.problem) or self._acted == watch.motion:
            return
        self._acted = watch.motion
        values = ", ".join(f"{name} = {value:.4g}" for name, value in sorted(watch.values.items()))
        what = "violated" if self._violates(watch) else f"cannot be watched any further, {watch.problem},"
        self.get_logger().error(f"{what} at sample {watch.verdict.sample}: {watch.formula}; {values}")
        self.published()
        self._due = self._service is not None
        self._act(watch)

    def _act(self, watch: RunWatch) -> None:
        """Call the guard, if that is due; tried again as long as nobody offers the service, and the motion is the same."""
        self._due = self._due and watch.motion == self._acted
        if not self._due:
            return
        ready = self._service.service_is_ready()
        self.say_change("service", "" if ready else f"nobody offers {self._service.srv_name}", "error")
        if ready:
            self._due = False
            self._service.call_async(Trigger.Request()).add_done_callback(self._answered)

    def _answered(self, future: Any) -> None:
        if not (answer := future.result()).success:
            self.get_logger().error(answer.message)


def _follow(watch: RunWatch, message: Any) -> None:
    """Take the policy's status, wherever it is told; what anybody else says there is none."""
    values = {pair.key: pair.value for status in message.status for pair in status.values}
    try:
        ended = values["policy"] == "idle"
        watch.follow(int(values["motion"]), int(values["run_sequence"]), int(values["sequence"]) if ended else -1)
    except (KeyError, ValueError):
        return


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    return run_node(MonitorNode, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
