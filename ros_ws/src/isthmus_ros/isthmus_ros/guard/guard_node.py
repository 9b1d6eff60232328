"""`guard_node`: the only publisher on the robot's command topic. It filters what arrives on `guard/command`, and brakes when nothing does.

No model code runs in this process: of the policy file it reads the contract alone.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

from isthmus.contract import Contract
from isthmus.guard import HOLD, RUNGS, STOP, LimitGuard
from isthmus.robot import load_robot
from isthmus.stream import Asked, GuardedStream
from isthmus_ros.common import checks, wire
from isthmus_ros.common.contract_file import read_contract
from isthmus_ros.common.lifecycle import CarefulNode
from isthmus_ros.common.parameters import choice, declare
from isthmus_ros.common.spin import run_node
from isthmus_ros.guard.checks import nobody_listens, other_publishers, require_deadman, topic_problems
from isthmus_ros.guard.plant import RosPlant
from isthmus_ros.guard.preconditions import Preconditions
from isthmus_ros.guard.stop_services import StopServices
from isthmus_ros.guard.transports import TRANSPORTS, keeps_moving, transport_of

__all__ = ["GuardNode", "main"]

_TICK = 0.005  # s between two looks of the watch, at most
_LOOK_ROUND = 0.2  # s between two looks at who else is on the command topic
_HEARTBEAT = 0.5  # s that a required emergency_stop may be silent
_PULSE = 0.05  # s between two looks whether it is


class GuardNode(CarefulNode):
    """Lifecycle node around `GuardedStream` and `RosPlant`."""

    def __init__(self) -> None:
        super().__init__("guard_node")
        declare(self, "policy", "", "path of the policy file whose contract gives limits, mode, period and digest")
        declare(self, "robot", "", "name of the robot profile; empty means the one that the policy names")
        declare(self, "robots_dir", "", "folder with robot profiles of your own, searched first")
        declare(self, "robot_namespace", "/", "namespace in which the profile's topics are resolved")
        declare(self, "joint_prefix", "", "prefix of the joints' names on the robot's topics")
        declare(self, "transport", "", f"how commands reach the robot: {', '.join(TRANSPORTS)}; empty means the profile's own")
        declare(self, "clock", "wall", "wall: watches and brakes by itself; stepped: answers each joint state once")
        declare(self, "rate_scale", 1.0, "scales velocity and acceleration limits, for first runs on a robot", low=0.01, high=1.0)
        declare(
            self,
            "stamp_check",
            "absolute",
            "absolute: stamps of states are compared with this node's clock; relative: less a constant offset",
        )
        declare(
            self,
            "accept_no_deadman",
            False,
            "accept that a velocity or effort goes on if this process dies, unless the robot has a time-out",
        )
        declare(self, "estop_required", False, f"stop when emergency_stop has not been heard for {_HEARTBEAT:g} s, and refuse to arm")
        self._active = False
        self._emergency = False
        self._heard = -float("inf")
        self._contract: Contract | None = None
        self._digest = ""  # of the contract; making it takes longer than judging a command
        self._plant: RosPlant | None = None
        self._stream: GuardedStream | None = None
        self._stops: StopServices | None = None
        self._preconditions: Preconditions | None = None
        self._owned: list[Callable[[], object]] = []
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._status = self.create_publisher(DiagnosticArray, "guard/status", wire.LATCHED)
        self.create_timer(0.1, self.published, clock=self._steady)
        self.create_timer(_LOOK_ROUND, self._look_round, clock=self._steady)
        self.create_timer(_PULSE, self._feel_pulse, clock=self._steady)
        self.create_subscription(Bool, "emergency_stop", self._receive_emergency, wire.LATCHED)
        self.serve(SetBool, "guard/arm", lambda request: self._arm() if request.data else self._disarm())
        for name, action in (("guard/hold", self._hold), ("guard/stop", self._stop), ("guard/reset", self._reset)):
            self.serve(Trigger, name, functools.partial(_ignoring_request, action))

    def configure(self) -> None:
        """Read the contract and check it against the robot; create the publishers."""
        realtime = choice(self, "clock", ("wall", "stepped")) == "wall"
        if not self.text("policy"):
            raise ValueError("parameter policy is empty; give the path of a policy file: -p policy:=…/policy.isthmus")
        contract = read_contract(self.text("policy"))
        if contract.no_robot:
            raise ValueError(contract.no_robot)
        folder = self.text("robots_dir")
        robot = load_robot(self.text("robot") or contract.robot, [Path(folder)] if folder else [])
        if problems := contract.fits(robot):
            raise ValueError(f"the policy does not fit the robot: {'; '.join(problems)}")
        if robot.ros is None:
            raise ValueError(f"robot {robot.name!r} has no ROS interface: its robot.yaml has no ros block")
        transport, _ = transport_of(self.text("transport"), robot.ros, contract.mode)
        if keeps_moving(transport):
            require_deadman(contract.mode, bool(self.get_parameter("accept_no_deadman").value))
        for line in contract.limits.looser_than(robot.limits()):
            self.get_logger().warning(f"tighter than in training: {line}")
        guard = LimitGuard(robot, contract.limits.tightest(robot.limits()), contract.mode, float(self.get_parameter("rate_scale").value))
        stamp_check = choice(self, "stamp_check", ("absolute", "relative"))
        if warning := checks.shared_memory():
            self.get_logger().warning(warning)
        self.clean_up()
        self._contract, self._digest = contract, contract.digest()
        self._plant = plant = RosPlant(
            self,
            robot,
            contract.mode,
            contract.control_period,
            self._digest,
            realtime=realtime,
            transport=transport,
            limits=guard.limits,
            namespace=self.text("robot_namespace"),
            stamp_check=stamp_check,
            prefix=self.text("joint_prefix"),
        )
        tick = min(_TICK, contract.control_period / 2)
        self._stream = stream = GuardedStream(plant, guard, contract.control_period, tick=tick, on_change=self.published)
        self._stops = StopServices(self, plant.profile, self.text("robot_namespace"))
        self._preconditions = Preconditions(self, plant.profile, self.text("robot_namespace"), self._lose_precondition)
        commands = self.create_subscription(JointState, "guard/command", self._receive, wire.COMMAND)
        timer = self.create_timer(tick, stream.watch, clock=self._steady)
        self._owned = [
            plant.close,
            self._stops.close,
            self._preconditions.close,
            functools.partial(self.destroy_subscription, commands),
            functools.partial(self.destroy_timer, timer),
        ]
        if not realtime:
            plant.on_state = stream.step
        self.get_logger().info(
            f"guarding {robot.name}: {contract.mode} every {contract.control_period:g} s, contract {self._digest[:12]}, "
            f"commands go to {plant.command_topic} as {transport}"
        )

    def activate(self) -> None:
        """Check the samples already received; command nothing."""
        if self._plant is not None:
            self._plant.synchronise()
            if problems := checks.state_problems(self._plant):
                raise ValueError("; ".join(problems))
        self._active = True

    def deactivate(self) -> None:
        """Refused in motion: stop the policy first."""
        if self._stream is not None:
            self._refuse_motion(self._stream)
            self._stream.disarm()
        self._active = False

    def clean_up(self) -> None:
        """Release the topics."""
        for release in self._owned:
            release()
        self._owned = []
        self._plant = self._stream = self._stops = self._contract = self._preconditions = None

    def rest(self) -> bool:
        """Brake to standstill; True once nothing is commanded any more."""
        self._active = False
        stream = self._stream
        if stream is None or not stream.armed:
            return True
        if stream.moving:
            stream.stop("the guard was told to end")
        elif stream.state.rung[0] < STOP:
            stream.disarm()
        return not stream.armed

    def give_up(self, cause: str) -> None:
        """Send the resting command without braking, and latch."""
        if self._stream is not None and self._plant is not None:
            self._stream.stop(cause)
            self._plant.stop(cause)
            self._stream.disarm()

    def published(self) -> None:
        """Publish `guard/status`."""
        stream, plant = self._stream, self._plant
        if stream is None or plant is None:
            return
        rung, cause = stream.rung, stream.cause
        if rung >= HOLD and plant.missing:
            cause = f"joint {plant.missing[0]!r} is missing in {plant.state_topic}; {cause}"
        values = {"rung": RUNGS[rung], "cause": cause, "armed": str(stream.armed).lower(), "executed": str(stream.sequence)}
        values |= {f"dropped.{reason}": str(count) for reason, count in stream.counts.items()}
        level = 0 if rung == 0 else (1 if rung < HOLD else 2)
        now = self.get_clock().now().to_msg()
        self._status.publish(wire.diagnostics(now, level, "guard", cause or RUNGS[rung], plant.robot.name, values))

    def _receive(self, message: Any) -> None:
        if not self._active or self._stream is None or self._contract is None:
            return
        contract, stream = self._contract, self._stream
        try:
            epoch, sequence, command = wire.asked(message, self._digest, contract.mode, contract.action.elements)
        except ValueError as error:
            if stream.armed:
                stream.stop(str(error))
            return
        stamp = wire.nanoseconds_of(message.header.stamp)
        age = (self.get_clock().now().nanoseconds - stamp) / 1e9
        assert self._plant is not None
        before, self._plant.epoch = self._plant.epoch, epoch
        stream.accept(Asked(epoch, sequence, stamp, age, command))
        if stream.sequence != sequence:
            self._plant.epoch = before

    def _receive_emergency(self, message: Any) -> None:
        self._emergency, self._heard = bool(message.data), time.monotonic()
        if self._emergency and self._stream is not None:
            self._stream.stop("emergency_stop is true")

    def _alarm(self) -> list[str]:
        """Why the emergency stop forbids motion."""
        if self._emergency:
            return ["emergency_stop is true"]
        if self.get_parameter("estop_required").value and time.monotonic() - self._heard > _HEARTBEAT:
            return [f"emergency_stop is required and was not heard for {_HEARTBEAT:g} s"]
        return []

    def _feel_pulse(self) -> None:
        if self._stream is not None and self._stream.armed and (alarm := self._alarm()):
            self._stream.stop(alarm[0])

    def _lose_precondition(self, problem: str) -> None:
        if self._stream is not None and self._stream.armed:
            self._stream.stop(problem)

    def _missing_preconditions(self) -> list[str]:
        return self._preconditions.problems if self._preconditions is not None else []

    def _look_round(self) -> None:
        """Somebody else on the command topic, or nobody to listen, ends the motion; a robot that goes on moving against its commands is a runaway."""
        stream, plant = self._stream, self._plant
        if stream is None or plant is None or not stream.armed:
            return
        if stream.state.rung[0] == STOP:
            if stream.disobeyed and self._stops is not None:
                self._stops.call("the robot moves though it has been told to rest")
                stream.disobeyed = False
            return
        others, nobody = other_publishers(self, plant.command_topic), nobody_listens(plant)
        if cause := "; ".join(others + nobody):
            stream.stop(cause)
            if others and self._stops is not None:
                self._stops.call(cause)

    def _arm(self) -> str:
        stream, plant = self._ready()
        if alarm := self._alarm():
            return alarm[0]
        if stream.state.rung[0] == STOP:
            return f"the guard is stopped ({stream.state.cause[0]}); call guard/reset first"
        self._refuse_motion(stream)
        if stream.armed:
            return ""
        if stream.streaming:
            return "commands are coming in on guard/command already; stop whoever sends them first"
        problems = checks.arming_problems(plant, stream.guard.limits) + topic_problems(self, plant) + self._missing_preconditions()
        if problems:
            return "; ".join(problems)
        stream.arm()
        return ""

    def _disarm(self) -> str:
        stream, _ = self._ready()
        self._refuse_motion(stream)
        stream.disarm()
        return ""

    def _hold(self) -> str:
        stream, _ = self._ready()
        if not stream.moving:
            return "nothing moves"
        stream.hold("guard/hold was called")
        return ""

    def _stop(self) -> str:
        self._ready()[0].stop("guard/stop was called")
        return ""

    def _reset(self) -> str:
        stream, plant = self._ready()
        self._refuse_motion(stream)
        problems = checks.state_problems(plant) + self._missing_preconditions() + self._alarm()
        if problems:
            return f"the cause is still there: {'; '.join(problems)}"
        stream.reset()
        return ""

    def _ready(self) -> tuple[GuardedStream, RosPlant]:
        if self._stream is None or self._plant is None or not self._active:
            raise ValueError("the node is not active")
        return self._stream, self._plant

    def _refuse_motion(self, stream: GuardedStream) -> None:
        if stream.moving:
            raise ValueError("the robot moves; stop the policy and wait for standstill")


def _ignoring_request(action: Callable[[], str], request: Any) -> str:
    return action()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    return run_node(GuardNode, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
