"""Emergency stops over DDS: no sample is lost, and every writer matches. On 0188891 most of these arms went on."""

import contextlib
import time

import pytest

pytest.importorskip("rclpy")

import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Bool, Int8

from isthmus_ros.common.spin import executor, leave
from isthmus_ros.evaluation.processes import free_domain, isolated
from isthmus_ros.guard.emergency import EmergencyStop, emergency_topic

pytestmark = pytest.mark.ros

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
VOLATILE = QoSProfile(depth=1)
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class Room:
    """A guard with its executor, and buttons that are participants of their own."""

    def __init__(self, domain, stack, required):
        self._domain, self._stack = domain, stack
        self._nodes = {}
        self.guard = self._node("guard_node")
        self._spinner = executor(self.guard.context)
        self._spinner.add_node(self.guard)
        stack.callback(leave, self._spinner, self.guard)
        self._topic = emergency_topic(self.guard)
        stack.callback(self._topic.close)
        self.stop = EmergencyStop(self._topic, required)
        self.causes = []
        self.guard.create_timer(0.005, self._poll)

    def button(self, name, quality):
        """A publisher that the guard has found."""
        publisher = self.misfit(name, Bool, quality)
        self.until(lambda: f"/{name}" in self._topic.publishers().values() and publisher.get_subscription_count())
        return publisher

    def misfit(self, name, kind, quality):
        """A publisher of any type."""
        return self._node(name).create_publisher(kind, "emergency_stop", quality)

    def ends(self, name):
        self._nodes.pop(name).destroy_node()

    def spin(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._spinner.spin_once(timeout_sec=0.01)

    def until(self, condition, patience=10.0):
        end = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < end
            self._spinner.spin_once(timeout_sec=0.01)

    def _poll(self):
        if cause := self.stop.poll():
            self.causes.append(cause)

    def _node(self, name):
        context = rclpy.Context()
        rclpy.init(args=[], context=context, domain_id=self._domain, signal_handler_options=SignalHandlerOptions.NO)
        self._stack.callback(rclpy.try_shutdown, context=context)
        node = self._nodes[name] = rclpy.create_node(name, context=context)
        return node


@contextlib.contextmanager
def room(*required):
    domain = free_domain()
    with isolated(domain), contextlib.ExitStack() as stack:
        yield Room(domain, stack, required)


@pytest.mark.parametrize("quality", [LATCHED, VOLATILE, BEST_EFFORT], ids=["latched", "volatile", "best_effort"])
def test_true_and_false_at_once_stops_every_time(quality):
    with room() as guard:
        button = guard.button("button", quality)
        for count in range(1, 9):
            button.publish(Bool(data=True))
            button.publish(Bool(data=False))
            guard.until(lambda count=count: guard.causes)
            guard.spin(0.05)
            assert set(guard.causes) == {"emergency_stop is true, says /button"}
            assert guard.stop.problems() == []
            guard.causes.clear()


def test_a_false_of_another_button_20_ms_later_changes_nothing():
    with room() as guard:
        pressed, other = guard.button("pressed", VOLATILE), guard.button("other", LATCHED)
        for _ in range(5):
            guard.causes.clear()
            pressed.publish(Bool(data=True))
            guard.spin(0.02)
            other.publish(Bool(data=False))
            guard.spin(0.15)
            assert set(guard.causes) == {"emergency_stop is true, says /pressed"}
            assert guard.stop.problems() == ["emergency_stop is true, says /pressed"]


def test_what_a_latched_button_said_before_the_guard_came_is_heard():
    with room() as guard:
        button = guard.button("button", LATCHED)
        button.publish(Bool(data=True))
        guard.until(lambda: guard.causes)
        later = emergency_topic(guard.guard)
        stop = EmergencyStop(later)
        guard.until(stop.poll)
        later.close()


def test_a_true_that_a_flood_has_overwritten_stops_and_forbids_arming_until_its_button_speaks():
    """A node that publishes in a loop without a sleep; on 04e0de3 reset and arm succeeded with the button pressed."""
    with room() as guard:
        button, lamp, panel = guard.button("button", VOLATILE), guard.button("lamp", QoSProfile(depth=2000)), guard.button("panel", LATCHED)
        for publisher in (button, lamp, panel):  # the panel's reader is another one, which the lamp does not fill
            publisher.publish(Bool(data=False))
        guard.spin(0.2)
        assert (guard.causes, guard.stop.problems()) == ([], [])
        button.publish(Bool(data=True))
        for _ in range(2000):  # the guard does not look meanwhile
            lamp.publish(Bool(data=False))
        guard.until(lambda: guard.causes)
        assert guard.causes[0].startswith("messages on /emergency_stop were lost: ")
        guard.spin(4.2)
        assert guard.stop.problems() == [
            "/button was not heard since messages on emergency_stop were lost, and may have said true; let it say false"
        ]
        button.publish(Bool(data=False))
        guard.until(lambda: not guard.stop.problems(), 6.0)


def test_a_button_of_another_type_is_named():
    with room() as guard:
        guard.misfit("strange", Int8, VOLATILE)
        said = "/strange publishes std_msgs/msg/Int8 on /emergency_stop, where std_msgs/msg/Bool belongs"
        guard.until(lambda: guard.stop.problems() == [said])


def test_a_heartbeat_is_the_required_buttons_own():
    with room("/panel", "/door") as guard:
        panel, door = guard.button("panel", VOLATILE), guard.button("door", VOLATILE)
        beats = [panel, door]
        timer = guard.guard.create_timer(0.05, lambda: [beat.publish(Bool(data=False)) for beat in beats])
        guard.until(lambda: not guard.stop.problems())
        beats.remove(panel)
        guard.until(guard.stop.problems)
        guard.spin(0.7)
        assert guard.stop.problems() == ["emergency_stop is required from /panel and was not heard for 0.5 s"]
        guard.guard.destroy_timer(timer)


def test_a_button_that_died_pressed_stays_pressed_until_its_namesake_releases_it():
    with room() as guard:
        guard.button("panel", VOLATILE).publish(Bool(data=True))
        guard.until(lambda: guard.causes)
        guard.ends("panel")
        guard.until(lambda: any("said /panel before it went" in problem for problem in guard.stop.problems()))
        guard.button("door", LATCHED).publish(Bool(data=False))
        guard.spin(0.3)
        assert guard.stop.problems()
        guard.button("panel", VOLATILE).publish(Bool(data=False))
        guard.until(lambda: not guard.stop.problems())
