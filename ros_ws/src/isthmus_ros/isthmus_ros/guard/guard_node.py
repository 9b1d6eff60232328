"""`guard_node`: the only publisher on the robot's command topic. It filters what arrives on `guard/command`, and brakes when nothing does.

No model code runs in this process: of the policy file it reads the contract alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from std_srvs.srv import SetBool, Trigger

from isthmus.guard import HOLD, RUNGS, STOP, LimitGuard
from isthmus.phases import Phase
from isthmus.stream import GuardedStream
from isthmus_ros.common import checks, wire
from isthmus_ros.common.attributed import AttributedTopic
from isthmus_ros.common.contract_file import read_contract
from isthmus_ros.common.lifecycle import CarefulNode
from isthmus_ros.common.parameters import declare
from isthmus_ros.common.priority import protect_from_oom
from isthmus_ros.common.setup import Setup, declare_setup, policy_path, read_setup
from isthmus_ros.common.spin import run_node
from isthmus_ros.guard.arming import Arming
from isthmus_ros.guard.checks import require_deadman, require_effort_holds
from isthmus_ros.guard.commands import CommandTopic
from isthmus_ros.guard.emergency import HEARTBEAT, EmergencyStop, emergency_topic, full_names
from isthmus_ros.guard.plant import RosPlant
from isthmus_ros.guard.report import guard_status
from isthmus_ros.guard.surroundings import Surroundings
from isthmus_ros.guard.transports import TRANSPORTS, keeps_moving, transport_of

__all__ = ["GuardNode", "main"]

_TICK = 0.005  # s between two looks of the watch, at most
_LOOK_ROUND = 0.05  # s between two looks at who else is in the graph, which take some tenths of a millisecond
_STATUS = 0.1  # s


class GuardNode(CarefulNode):
    """Lifecycle node around `GuardedStream`; its services and topics are those of the README."""

    def __init__(self) -> None:
        self._active = False
        self._latched = ""  # cause of a stop that outlives the stream
        self._turns = 0  # of the streams before
        self._setup: Setup | None = None
        self._plant: RosPlant | None = None
        self._stream: GuardedStream | None = None
        self._around: Surroundings | None = None
        self._arming: Arming | None = None
        self._owned: list[Callable[[], object]] = []
        self._buttons: AttributedTopic | None = None
        super().__init__("guard_node")
        declare_setup(self)
        declare(self, "transport", "", f"how commands reach the robot: {', '.join(TRANSPORTS)}; empty means the profile's own")
        declare(
            self,
            "rate_scale",
            1.0,
            "scales the limits of velocity, acceleration and braking, for first runs on a robot",
            low=0.01,
            high=1.0,
        )
        declare(
            self,
            "accept_no_deadman",
            False,
            "accept that a velocity or effort goes on if this process dies, unless the robot has a time-out",
        )
        declare(
            self,
            "estop_required",
            [""],
            f"names of the nodes that must be heard on emergency_stop: stop when one has been silent for {HEARTBEAT:g} s, and refuse to arm",
        )
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._buttons = emergency_topic(self)
        self._emergency = EmergencyStop(self._buttons, full_names(self, self.get_parameter("estop_required").value))
        self._status = self.create_publisher(DiagnosticArray, "guard/status", wire.LATCHED)
        self.create_timer(_STATUS, self.published, clock=self._steady)
        self.create_timer(_LOOK_ROUND, self._look_round, clock=self._steady)
        self._timer = self.create_timer(_TICK, self._tick, clock=self._steady)
        self.serve(SetBool, "guard/arm", lambda request: self._ready().arm() if request.data else self._ready().disarm(), begins=True)
        for name in ("hold", "stop", "reset"):
            self.serve(Trigger, f"guard/{name}", functools.partial(self._serve, name), begins=name == "reset")

    def configure(self) -> None:
        """Read the contract and check it against the robot; create the publishers."""
        setup = read_setup(self, read_contract(policy_path(self)))
        contract, robot = setup.contract, setup.robot
        transport, _ = transport_of(self.text("transport"), setup.profile, contract.mode)
        if keeps_moving(transport):
            require_deadman(contract.mode, bool(self.get_parameter("accept_no_deadman").value))
        require_effort_holds(setup.profile, robot.name, contract.mode)
        for line in contract.limits.looser_than(robot.limits()):
            self.get_logger().warning(f"tighter than in training: {line}")
        scale = float(self.get_parameter("rate_scale").value)
        guard = LimitGuard(robot, contract.limits.tightest(robot.limits()), contract.mode, scale)
        self.clean_up()
        self._setup = setup
        self._plant = plant = RosPlant(self, setup, transport, guard.wire_limits)
        tick = min(_TICK, contract.control_period / 2)
        self._around = around = Surroundings(self, setup, plant, lambda: self._stream is not None and self._stream.armed)
        self._stream = stream = GuardedStream(
            plant, guard, contract.control_period, tick=tick, on_change=self._changed, last_resort=around.call_for_help
        )
        stream.turns = self._turns
        self._arming = Arming(stream, plant, around, self._emergency.problems)
        if self._latched:
            stream.stop(self._latched)
        commands = CommandTopic(self, setup, stream)
        self.destroy_timer(self._timer)
        self._timer = self.create_timer(tick, self._tick, clock=self._steady)
        self._owned = [plant.close, around.close, commands.close]
        if not setup.realtime:
            plant.on_state = stream.step
        self.get_logger().info(
            f"guarding {robot.name}: {contract.mode} every {contract.control_period:g} s, contract {setup.digest[:12]}, "
            f"commands go to {plant.command_topic} as {transport}"
            + (f"; velocity, acceleration and braking are scaled by {scale:g}" if scale < 1 else "")
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
        if self._arming is not None and (refusal := self._arming.disarm()):
            raise ValueError(refusal)
        self._active = False

    def clean_up(self) -> None:
        """Release the topics; a latched stop stays until `guard/reset`."""
        if self._stream is not None:
            self._turns = self._stream.turns
            self._latched = self._stream.state.cause[0] if self._stream.state.rung[0] == STOP else self._latched
        for release in self._owned:
            release()
        self._owned = []
        self._plant = self._stream = self._setup = self._around = self._arming = None

    def rest(self) -> bool:
        """Brake to standstill; True once nothing is commanded any more."""
        self._active = False
        stream = self._stream
        if stream is None or not stream.armed:
            return True
        if stream.moving:
            stream.stop("the guard was told to end")
            stream.watch()  # its timer may be what has failed
        else:
            stream.disarm()
        return not stream.armed or stream.phase is Phase.HELD

    def give_up(self, cause: str) -> None:
        """Send the resting command without braking, and latch."""
        if self._stream is not None and self._plant is not None and self._stream.armed:
            self._stream.stop(cause)
            self._plant.rest()

    def published(self) -> None:
        """Publish `guard/status`."""
        stream, plant = self._stream, self._plant
        if stream is None or plant is None:
            return
        self._status.publish(guard_status(stream, plant, float(self.get_parameter("rate_scale").value), self.get_clock().now().to_msg()))

    def _changed(self) -> None:
        """Publish, and leave a line in the log for every change of phase and every new cause."""
        stream = self._stream
        if stream is None:
            return
        words = f"{stream.phase.name.lower()}, {RUNGS[stream.rung]}" + (f": {stream.cause}" if stream.cause else "")
        self.say_change("guard", f"guard {words}", "error" if stream.rung == STOP else "warning" if stream.rung == HOLD else "info")
        self.published()

    def _tick(self) -> None:
        """One timer for both: an event of the executor costs as much as what it leads to."""
        try:
            self._feel()
        finally:
            if self._stream is not None:
                self._stream.watch()

    def _feel(self) -> None:
        """What buttons and driver say counts at once; an emergency stop whatever the node's state, and stays latched."""
        stream, around = self._stream, self._around
        if cause := self._emergency.poll():
            self._latched = cause
            if stream is not None:
                stream.stop(cause)
        if stream is not None and around is not None and (lost := around.poll()) and stream.armed:
            stream.stop(lost)

    def destroy_node(self) -> None:
        """Leave the graph."""
        self.clean_up()
        if self._buttons is not None:
            self._buttons.close()
        super().destroy_node()

    def _look_round(self) -> None:
        """Somebody else who commands, nobody to listen, a driver that has fallen silent, a required button that is gone: each ends the motion."""
        stream, around = self._stream, self._around
        if stream is None or around is None:
            return
        cause, foreign = around.look_round(moving=stream.moving)
        pressed = self._emergency.problems()  # asked whatever the phase: it forgets who has gone
        if not stream.armed:
            return
        if alarm := "; ".join([*pressed, *filter(None, [cause])]):
            stream.stop(alarm)
        if foreign:
            around.call_for_help(cause)

    def _serve(self, name: str, request: Any) -> str:
        refusal: str = getattr(self._ready(), name)()
        if name == "reset" and not refusal:
            self._latched = ""
        return refusal

    def _ready(self) -> Arming:
        if self._arming is None or not self._active:
            raise ValueError("the node is not active")
        return self._arming


def _protected() -> GuardNode:
    node = GuardNode()
    if problem := protect_from_oom():
        node.get_logger().info(problem)
    return node


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    return run_node(_protected, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
