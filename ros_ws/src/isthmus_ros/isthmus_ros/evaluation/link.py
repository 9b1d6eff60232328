"""A node that talks to `policy_node` and `sim_node` over their services and topics, and never commands joints."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger

from isthmus.signals import Signal
from isthmus.timing import steady
from isthmus_ros.common import wire
from isthmus_ros.common.doubled import DoubledJoints, doubled_joints
from isthmus_ros.common.inputs import input_message, input_topic
from isthmus_ros.common.network import require_domain
from isthmus_ros.common.sleep import Sleep
from isthmus_ros.common.spin import executor, leave
from isthmus_ros.evaluation.processes import RosError

__all__ = ["Link", "Watched"]

_EVERY = QoSProfile(depth=5000, reliability=ReliabilityPolicy.RELIABLE)  # a score needs every message
_ANY = QoSProfile(depth=5000, reliability=ReliabilityPolicy.BEST_EFFORT)  # of whoever publishes
_ANSWER = 10.0  # s
_PAUSE = 0.1  # s between two trials
_DISCOVERY = 20.0  # s until a service of a node that has just been started must be there


class Watched(Protocol):
    """What every wait looks after."""

    def check(self) -> None:
        """Raise, if there is nothing to wait for any more."""
        ...


class Link:
    """Service calls, newest status and everything that was measured and executed.

    Attributes:
        states: stamp in ns → joint state, since the last `forget`; of two about other joints with one stamp, the second has the next number.
        answers: sequence number → what the guard sent for that command, since the last `forget`.
        executed: sequence number → the newest that the guard sent under it, its own braking too, likewise.
        odometry: stamp in ns → odometry, likewise.
        status: newest `guard/status`, `policy/status` and `monitor/status`, key → value; empty before the first.
        cadence: newest diagnostics of the policy node, key → value.
        heard: when the newest joint state came, on the steady clock; -inf before the first.
        unwatched: seconds of listening without a word on `monitor/status`; -inf before the first.
    """

    def __init__(
        self,
        state_topic: str,
        domain: int | None,
        processes: Sequence[Watched] = (),
        *,
        commands: bool = True,
        reliable: bool = True,
        odometry_topic: str = "",
        namespace: str = "/",
    ) -> None:
        """Join the domain.

        Args:
            state_topic: absolute name of the robot's joint states.
            domain: ROS domain; None means the environment's.
            processes: children whose death ends every wait; the list may change meanwhile.
            commands: collect what is executed; False for whoever must not disturb.
            reliable: have lost messages of the robot sent again. A driver that does not offer this would warn of it and not be heard; see
                `rely`.
            odometry_topic: absolute name of a mobile robot's odometry.
            namespace: of the nodes; services and topics without a leading / are theirs.
        """
        self._processes = processes
        if domain is None:
            require_domain(os.environ)
        context = rclpy.Context()
        rclpy.init(args=[], context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node(
            "coordinator", context=context, namespace=namespace, start_parameter_services=False, enable_rosout=False
        )
        self._executor = executor(context)
        self._executor.add_node(self._node)
        self.states: dict[int, Any] = {}
        self.answers: dict[int, Any] = {}
        self.executed: dict[int, Any] = {}
        self.odometry: dict[int, Any] = {}
        self.status: dict[str, str] = {}
        self.heard = self.unwatched = -float("inf")
        self.cadence: dict[str, str] = {}
        self._sleep = Sleep()
        self._clients: dict[str, Any] = {}
        self._publishers: dict[str, Any] = {}
        node = self._node
        self._state_topic = str(node.resolve_topic_name(state_topic))
        self._sensed = [node.create_subscription(JointState, state_topic, self._receive_state, _EVERY if reliable else _ANY)]
        if commands:
            node.create_subscription(JointState, "guard/executed", self._receive_executed, _EVERY)
        if odometry_topic:
            self._sensed.append(node.create_subscription(Odometry, odometry_topic, self._receive_odometry, _EVERY if reliable else _ANY))
        for topic in ("guard/status", "policy/status"):
            node.create_subscription(DiagnosticArray, topic, self._receive_status, wire.LATCHED)
        node.create_subscription(DiagnosticArray, "monitor/status", self._receive_verdict, wire.LATCHED)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._receive_diagnostics, 10)

    def forget(self) -> None:
        """Drop the states and commands collected so far."""
        self.states.clear()
        self.answers.clear()
        self.executed.clear()
        self.odometry.clear()

    def until(self, condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
        """Spin until the condition holds.

        Raises:
            RosError: it did not within `seconds` (the message is `otherwise`), or a child process ended.
        """
        deadline = steady() + seconds
        checked = 0.0
        while not condition():
            self._listen(0.05)
            now = steady()
            if now - checked > 0.05:
                checked = now
                self.check()
            if now > deadline and not condition():
                raise RosError(otherwise)

    def insist(self, call: Callable[[], object], seconds: float, unless: Callable[[], str] = lambda: "") -> None:
        """Repeat a call that is refused: nodes may not have found each other yet, or a state is late.

        Args:
            call: raises a RosError if it is refused.
            seconds: to go on for; a process that was asleep between two trials first hears what was done without it.
            unless: why the call may not be made, or no more; "" while it may. Asked before each call.

        Raises:
            RosError: it may not be made, or it is still refused; the message is the node's. Or a child process ended.
        """
        patience, refusal, self._sleep = steady() + seconds, "", Sleep(steady)
        self._sleep.look()
        while True:
            if why := unless():
                raise RosError(f"{refusal}; {why}" if refusal else why)
            try:
                call()
                return
            except RosError as error:
                refusal = str(error)
            while True:
                self.check()
                self.spin(_PAUSE)
                asleep = bool(self._sleep.problem)
                if steady() > patience:
                    raise RosError(f"{refusal}; who asks was asleep itself" if asleep else refusal)
                if not asleep:
                    break

    def check(self) -> None:
        """Raise, if there is nothing to wait for any more."""
        for process in self._processes:
            process.check()

    def spin(self, seconds: float) -> None:
        """Take in messages for a while, whatever happens to the processes."""
        deadline = steady() + seconds
        while (left := deadline - steady()) > 0:
            self._listen(left)

    def _listen(self, seconds: float) -> None:
        began = steady()
        self._executor.spin_once(timeout_sec=seconds)
        self._sleep.look()
        self.unwatched += min(steady() - began, seconds)  # no more if this process itself was suspended

    def find(self, kind: Any, name: str) -> Any:
        """The client of a service, once somebody offers it: a call in haste then does not wait for discovery.

        Raises:
            RosError: nobody offers it.
        """
        if name not in self._clients:
            self._clients[name] = self._node.create_client(kind, name)
        self.until(self._clients[name].service_is_ready, _DISCOVERY, f"no node offers service {name}")
        return self._clients[name]

    def call(self, kind: Any, name: str, request: Any) -> Any:
        """Call a service and wait for its answer.

        Raises:
            RosError: nobody offers it, or nobody answers.
        """
        future = self.find(kind, name).call_async(request)
        self.until(future.done, _ANSWER, f"service {name} did not answer within {_ANSWER:g} s")
        return future.result()

    def trigger(self, name: str) -> str:
        """Call a Trigger service.

        Raises:
            RosError: it was refused; the message is the node's.
        """
        response = self.call(Trigger, name, Trigger.Request())
        if not response.success:
            raise RosError(response.message)
        return str(response.message)

    def arm(self, armed: bool = True) -> None:
        """Arm the guard, or disarm it.

        Raises:
            RosError: it was refused; the message is the node's.
        """
        response = self.call(SetBool, "guard/arm", SetBool.Request(data=armed))
        if not response.success:
            raise RosError(response.message)

    def let_go(self, seconds: float) -> None:
        """Disarm the guard once the robot stands; an effort that holds it after a stop ends with a reset.

        Raises:
            RosError: it is still refused after so many seconds; the message is the node's.
        """
        if self.status.get("phase") == "held":
            self.insist(lambda: self.trigger("guard/reset"), seconds)
        self.insist(lambda: self.arm(False), seconds)

    def transition(self, node: str, transition: int) -> bool:
        """Change the state of a lifecycle node; `transition` is an id of lifecycle_msgs/Transition."""
        request = ChangeState.Request(transition=Transition(id=transition))
        return bool(self.call(ChangeState, f"{node}/change_state", request).success)

    def offers(self, service: str) -> bool:
        """Whether any node offers a service, as far as is known."""
        return bool(self._node.count_services(service))

    def text(self, node: str, name: str) -> str:
        """A text parameter of a node.

        Raises:
            RosError: nobody answers.
        """
        request = GetParameters.Request(names=[name])
        return str(self.call(GetParameters, f"{node}/get_parameters", request).values[0].string_value)

    def set_integer(self, node: str, name: str, value: int) -> None:
        """Set an integer parameter.

        Raises:
            RosError: the node refused it.
        """
        content = ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=value)
        request = SetParameters.Request(parameters=[Parameter(name=name, value=content)])
        (result,) = self.call(SetParameters, f"{node}/set_parameters", request).results
        if not result.successful:
            raise RosError(f"{node} refused {name} = {value}: {result.reason}")

    def publish_input(self, signal: Signal, values: Sequence[float], base_frame: str, prefix: str = "") -> None:
        """Publish an input of the policy; `prefix` is that of the joints' and frames' names on the robot's topics."""
        message = input_message(signal, values, base_frame, self._node.get_clock().now().to_msg(), prefix)
        topic = input_topic(signal)
        if topic not in self._publishers:
            self._publishers[topic] = self._node.create_publisher(type(message), topic, wire.LATCHED)
        self._publishers[topic].publish(message)

    def number(self, key: str) -> int:
        """An integer of the newest status, -1 before the first."""
        return int(self.status.get(key, "-1"))

    def rely(self) -> None:
        """Have lost messages of the robot sent again from now on, where all that publish them offer that."""
        for place, heard in enumerate(self._sensed):
            ends = self._node.get_publishers_info_by_topic(heard.topic_name)
            if ends and all(end.qos_profile.reliability == ReliabilityPolicy.RELIABLE for end in ends):
                self._sensed[place] = self._node.create_subscription(heard.msg_type, heard.topic_name, heard.callback, _EVERY)
                self._node.destroy_subscription(heard)

    def doubled(self, joints: Sequence[str]) -> DoubledJoints:
        """Looks whether two publishers name the same of these joints."""
        return doubled_joints(self._node, self._state_topic, joints)

    def state_times(self) -> Any:
        """Stamps of the collected states, sorted, ns, `[T]`."""
        return np.array(sorted(self.states), dtype=np.int64)

    def close(self) -> None:
        """Leave the domain."""
        leave(self._executor, self._node)

    def _receive_state(self, message: Any) -> None:
        self.heard = steady()
        place = wire.nanoseconds_of(message.header.stamp)
        while place in self.states and set(self.states[place].name) != set(message.name):
            place += 1
        self.states.setdefault(place, message)

    def _receive_odometry(self, message: Any) -> None:
        self.odometry.setdefault(wire.nanoseconds_of(message.header.stamp), message)

    def _receive_executed(self, message: Any) -> None:
        sequence = wire.sequence_of(message)
        self.answers.setdefault(sequence, message)
        self.executed[sequence] = message

    def _receive_status(self, message: Any) -> None:
        self.status = {**self.status, **_values(message)}

    def _receive_verdict(self, message: Any) -> None:
        self.unwatched = 0.0
        self._receive_status(message)

    def _receive_diagnostics(self, message: Any) -> None:
        values = _values(message)
        if "cadence" in values:
            self.cadence = values


def _values(message: Any) -> dict[str, str]:
    pairs: Mapping[str, str] = {pair.key: pair.value for status in message.status for pair in status.values}
    return dict(pairs)
