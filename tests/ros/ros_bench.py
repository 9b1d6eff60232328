"""Real nodes in a ROS domain of their own, with a relay that can tamper with what the robot says."""

import contextlib
import copy
import functools
import signal
import threading
import time
from types import MappingProxyType

import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState

from isthmus_ros.common import wire
from isthmus_ros.common.spin import executor, leave
from isthmus_ros.evaluation.link import Link
from isthmus_ros.evaluation.processes import NodeProcess, RosError, free_domain, isolated


class Late(Exception):
    """Another process kept the node from its tick; what the test is about could not be seen, and it is repeated."""


def in_time(cause):
    """Refuse a cause of a hold or stop that is a late process.

    Raises:
        Late: it is.
    """
    if "s old, 0." in cause or "the guard itself did not run" in cause:
        raise Late


def fastest(message):
    return max(map(abs, message.velocity), default=0.0)


class Relay:
    """Passes joint states on, changed by `tamper`: message → message, or None to drop it."""

    def __init__(self, domain):
        self.tamper = lambda message: message
        context = rclpy.Context()
        rclpy.init(args=[], context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node("relay", context=context)
        self._publisher = self._node.create_publisher(JointState, "/joint_states", 100)
        self._node.create_subscription(JointState, "/true_joint_states", self._pass_on, 100)
        self._executor = executor(context)
        self._executor.add_node(self._node)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()

    def close(self):
        self._ended.set()
        self._thread.join()
        leave(self._executor, self._node)

    def _spin(self):
        while not self._ended.is_set():
            self._executor.spin_once(timeout_sec=0.05)

    def _pass_on(self, message):
        changed = self.tamper(copy.deepcopy(message))
        if changed is not None:
            self._publisher.publish(changed)


class Bench:
    """Nodes and the link to them."""

    def __init__(self, domain, link, again, nodes, relay, watched):
        self._again = again
        self.domain, self.link, self.relay, self.nodes = domain, link, relay, nodes
        self.killed, self._watched = [], watched
        self.careful = [name for name in ("guard_node", "policy_node") if name in nodes]

    @property
    def policy(self):
        return self.nodes.get("policy_node")

    @property
    def guard(self):
        return self.nodes.get("guard_node")

    @property
    def simulator(self):
        return self.nodes.get("sim_node")

    def kill(self, name):
        """Kill a node; from now on its death is no failure."""
        self.killed.append(name)
        self._watched.remove(self.nodes[name])
        self.nodes[name].send(signal.SIGKILL)
        self.nodes[name].end()

    def replace(self, name):
        """End a node, and start another with the same parameters; the services of the old one stay listed for 20 s, and do not answer."""
        old = self.nodes[name]
        self._watched.remove(old)
        assert old.end() == 0, old.log
        old.clean_up()
        listed = self.link._node.count_services(f"{name}/change_state")
        self.nodes[name] = self._again[name]()
        self.wait(lambda: self.link._node.count_services(f"{name}/change_state") > listed, "the new node's services")
        self._watched.append(self.nodes[name])

    def configure(self):
        return all(self.link.transition(name, Transition.TRANSITION_CONFIGURE) for name in self.careful)

    def activate(self, patience=10.0):
        """Activate; tried again while a joint state is missing, or late because the computer is busy."""
        end = time.monotonic() + patience
        for name in self.careful:
            while not self.link.transition(name, Transition.TRANSITION_ACTIVATE):
                if time.monotonic() > end:
                    raise AssertionError(self.nodes[name].complaint)
                self.link.spin(0.05)

    def refusal(self, patience=10.0):
        """Why activation is refused once joint states come; "" if it is not."""
        end = time.monotonic() + patience
        name = self.careful[0]
        while not self.link.transition(name, Transition.TRANSITION_ACTIVATE):
            if "no joint state" not in self.nodes[name].complaint or time.monotonic() > end:
                return self.nodes[name].complaint
            self.link.spin(0.05)
        return ""

    def arm(self, patience=10.0):
        end = time.monotonic() + patience
        while True:
            try:
                return self.link.arm()
            except RosError:
                if time.monotonic() > end:
                    raise
            self.link.spin(0.05)

    def start(self, patience=5.0):
        """Start, as soon as the policy has heard that the guard is armed."""
        end = time.monotonic() + patience
        while True:
            try:
                return self.link.trigger("policy/start")
            except RosError:
                if time.monotonic() > end:
                    raise
            self.link.spin(0.05)

    def start_refusal(self, patience=5.0):
        """Why policy/start is refused, once the policy has heard its guard."""
        end = time.monotonic() + patience
        while True:
            with pytest.raises(RosError) as refused:
                self.link.trigger("policy/start")
            if "nothing is heard of the guard" not in str(refused.value) or time.monotonic() > end:
                return str(refused.value)
            self.link.spin(0.05)

    def fault(self, *entries):
        """Switch exactly these faults of the simulated robot on."""
        value = ParameterValue(type=ParameterType.PARAMETER_STRING_ARRAY, string_array_value=list(entries) or [""])
        request = SetParameters.Request(parameters=[Parameter(name="fault", value=value)])
        (result,) = self.link.call(SetParameters, "sim_node/set_parameters", request).results
        assert result.successful, result.reason

    def reset(self, seed):
        self.link.set_integer("sim_node", "episode_seed", seed)
        return int(self.link.trigger("sim_node/reset"))

    def reach_for(self, contract, goal):
        """Publish the goal and wait until the policy has it."""
        self.link.publish_input(contract.signal("goal"), goal, "base_link")
        self.wait(lambda: "input.goal" in self.link.status, "goal")

    def wait(self, condition, what, seconds=10.0):
        """Spin until the condition holds.

        Raises:
            Late: it does not, because the guard has missed joint states of a simulator that still runs.
        """
        try:
            self.link.until(condition, seconds, f"timed out: {what}")
        except RosError as error:
            self.punctual()
            raise RosError(f"{error}; status {self.link.status}") from None

    @property
    def speed(self):
        """Of the fastest joint in the newest state, rad/s; 0 before the first."""
        states = self.link.states
        return fastest(states[max(states)]) if states else 0.0

    def in_motion(self, least):
        """Spin until the robot moves this fast, rad/s.

        Raises:
            Late: it did, but was through with it before this process looked.
        """
        try:
            self.wait(lambda: self.link.status.get("policy", "run") == "run" and self.speed > least, "motion")
        except RosError:
            if any(fastest(message) > least for message in self.link.states.values()):
                raise Late from None
            raise

    def punctual(self):
        in_time(self.link.status.get("cause", ""))


@contextlib.contextmanager
def bench(
    policy,
    *,
    clock="stepped",
    simulator=None,
    relayed=False,
    guarding=MappingProxyType({}),
    recording=None,
    monitoring=None,
    alone=False,
    **parameters,
):
    """guard_node and policy_node, with sim_node if `simulator` holds its parameters, and record_node and monitor_node likewise.

    SIGINT ends them, with exit code 0.

    With `alone` there is a guard and no policy; without `guarding` (None), as in a shadow, a policy and no guard.
    """
    domain = free_domain()
    shared = {"policy": str(policy), "clock": clock}
    with contextlib.ExitStack() as stack:
        environment = stack.enter_context(isolated(domain))
        relay = Relay(domain) if relayed else None
        stack.callback(relay.close if relay else lambda: None)
        wanted = {}
        if recording is not None:
            wanted["record_node"] = {"policy": str(policy), **recording}
        if monitoring is not None:
            wanted["monitor_node"] = {"policy": str(policy), **monitoring}
        if guarding is not None:
            wanted["guard_node"] = {**shared, "transport": "forward_velocity", "accept_no_deadman": True, **guarding}
        if not alone:
            wanted["policy_node"] = {**shared, **parameters}
        if simulator is not None:
            wanted["sim_node"] = {"task": "reach", "clock": clock, **simulator}
        moved = {"sim_node": {"/joint_states": "/true_joint_states"}} if relayed else {}
        again = {name: functools.partial(NodeProcess, name, given, environment, moved.get(name)) for name, given in wanted.items()}
        nodes = {name: start() for name, start in again.items()}
        watched = list(nodes.values())
        link = Link("/joint_states", domain, watched)
        stack.callback(link.close)
        found = Bench(domain, link, again, nodes, relay, watched)
        stack.callback(lambda: [node.clean_up() for node in found.nodes.values()])
        try:
            yield found
        finally:
            codes = {name: node.end() for name, node in found.nodes.items() if name not in found.killed}
        assert set(codes.values()) <= {0}, {name: (code, found.nodes[name].log) for name, code in codes.items()}


class Commander:
    """Publishes on `guard/command` like a policy, in a thread of its own: `speed(count)` gives the values of each command."""

    def __init__(self, domain, contract, speed, period=None):
        self.contract, self.speed, self.period = contract, speed, period or contract.control_period
        self.change = lambda message: message
        self.sequence, self.epoch = -1, wire.new_epoch()
        self.times = []
        context = rclpy.Context()
        rclpy.init(args=[], context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node("commander", context=context)
        self._publisher = self._node.create_publisher(JointState, "guard/command", wire.COMMAND)
        self._ended = threading.Event()
        self._paused = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        while not self._publisher.get_subscription_count():
            time.sleep(0.02)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._ended.set()
        self._thread.join()
        context = self._node.context
        self._node.destroy_node()
        rclpy.try_shutdown(context=context)

    def pause(self):
        self._paused.set()

    def resume(self):
        self._paused.clear()

    def send(self, sequence, values, age=0.0):
        names = list(self.contract.action.elements)
        field = wire.COMMANDED.get(self.contract.mode, self.contract.mode)
        message = JointState(name=names, **{field: [float(value) for value in values]})
        message.header.stamp = wire.time_of(self._node.get_clock().now().nanoseconds - round(age * 1e9))
        message.header.frame_id = wire.frame_id(self.contract.digest(), self.epoch, sequence)
        self._publisher.publish(self.change(message))

    def _run(self):
        due = time.monotonic()
        while not self._ended.wait(max(due - time.monotonic(), 0.0)):
            due += self.period
            if not self._paused.is_set():
                self.sequence += 1
                self.times.append(time.monotonic())
                self.send(self.sequence, self.speed(self.sequence))


def swapped(message):
    """The same state with two joints exchanged in place and a joint that the robot does not have."""
    order = list(range(len(message.name)))
    order[1], order[4] = order[4], order[1]
    return rebuilt(message, order, extra=True)


def without(joint):
    """Tampering that drops one joint."""

    def drop(message):
        return rebuilt(message, [index for index, name in enumerate(message.name) if name != joint])

    return drop


def rebuilt(message, order, extra=False):
    result = JointState(header=message.header, name=[message.name[index] for index in order])
    for field in ("position", "velocity", "effort"):
        values = getattr(message, field)
        setattr(result, field, [values[index] for index in order] + [0.7] * extra if len(values) else [])
    result.name = [*result.name, *["gripper_joint"] * extra]
    return result


def delayed(seconds):
    """Tampering that makes stamps older (or newer, if negative), though they advance."""

    def shift(message):
        message.header.stamp = wire.time_of(wire.nanoseconds_of(message.header.stamp) - round(seconds * 1e9))
        return message

    return shift


def lagging():
    """Tampering that lets stamps advance at half speed from the first message on."""
    first = []

    def lag(message):
        stamp = wire.nanoseconds_of(message.header.stamp)
        first.append(stamp)
        message.header.stamp = wire.time_of((first[0] + stamp) // 2)
        return message

    return lag


def backwards():
    """Tampering that lets stamps run backwards from the first message on."""
    first = []

    def turn(message):
        stamp = wire.nanoseconds_of(message.header.stamp)
        first.append(stamp)
        message.header.stamp = wire.time_of(2 * first[0] - stamp)
        return message

    return turn
