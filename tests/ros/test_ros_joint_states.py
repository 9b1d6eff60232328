"""Joint states over DDS: who publishes which joint. On 0188891 two publishers of the same joint armed and moved."""

import contextlib
import time

import pytest

pytest.importorskip("rclpy")

import rclpy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState

from isthmus.robot import load_robot
from isthmus_ros.common import checks
from isthmus_ros.common.spin import executor, leave
from isthmus_ros.common.states import StateTopic
from isthmus_ros.evaluation.processes import free_domain, isolated

pytestmark = pytest.mark.ros

ROBOT = load_robot("ur5e")
ARM, FINGERS = list(ROBOT.joint_names), ["finger_left", "finger_right"]


class Room:
    """A listener, and publishers that are participants of their own; all are spun by one thread."""

    def __init__(self, domain, stack):
        self._domain, self._stack, self._nodes = domain, stack, {}
        self._spinners = []
        self.listener = self._node("listener")
        self.topic = StateTopic(self.listener, ROBOT, 0.1, realtime=True)
        stack.callback(self.topic.close)
        self.doubled = []
        self.listener.create_timer(0.2, lambda: setattr(self, "doubled", self.topic.doubled()))

    def publishes(self, name, joints, period):
        node = self._node(name)
        publisher = node.create_publisher(JointState, "/joint_states", 10)

        def publish():
            message = JointState(name=joints, position=[0.1] * len(joints), velocity=[0.0] * len(joints))
            message.header.stamp = node.get_clock().now().to_msg()
            publisher.publish(message)

        node.create_timer(period, publish)

    def ends(self, name):
        spinner, node = self._nodes.pop(name)
        self._spinners.remove(spinner)
        leave(spinner, node)

    def until(self, condition, patience=10.0):
        end = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < end
            self.spin(0.02)

    def spin(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for spinner in self._spinners:
                spinner.spin_once(timeout_sec=0.001)

    def close(self):
        for name in [*self._nodes]:
            self.ends(name)

    def _node(self, name):
        context = rclpy.Context()
        rclpy.init(args=[], context=context, domain_id=self._domain, signal_handler_options=SignalHandlerOptions.NO)
        node, spinner = rclpy.create_node(name, context=context), executor(context)
        spinner.add_node(node)
        self._spinners.append(spinner)
        self._nodes[name] = spinner, node
        return node


@pytest.fixture
def room():
    domain = free_domain()
    with isolated(domain), contextlib.ExitStack() as stack:
        made = Room(domain, stack)
        stack.callback(made.close)
        yield made


def test_an_arm_and_its_gripper_are_one_robot(room):
    room.publishes("driver", ARM[:3], 0.01)
    room.publishes("wrist", ARM[3:], 0.01)
    room.publishes("gripper", FINGERS, 0.005)
    room.until(lambda: not checks.state_problems(room.topic))
    room.spin(1.0)
    assert room.doubled == []


def test_a_second_publisher_of_the_same_joints_is_found_and_named_until_it_ends(room):
    room.publishes("driver", ARM, 0.01)
    room.publishes("gripper", FINGERS, 0.01)
    room.spin(1.0)
    assert room.doubled == []
    room.publishes("fake", ARM[2:], 0.1)
    room.until(lambda: room.doubled == ["/driver and /fake both publish joint 'elbow_joint' on /joint_states; only one may"])
    room.ends("fake")
    room.until(lambda: not room.doubled)
