"""Names are looked for in the graph as they are remapped: on 2579444 a remapped `/joint_states` hid a second publisher."""

import contextlib
import time
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy")

import rclpy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from isthmus.robot import load_robot
from isthmus_ros.common import wire
from isthmus_ros.common.spin import executor, leave
from isthmus_ros.evaluation.processes import free_domain, isolated
from isthmus_ros.guard.checks import other_publishers, several_senders
from isthmus_ros.guard.plant import RosPlant
from isthmus_sim.tasks import get_task

pytestmark = pytest.mark.ros
ROBOT, CONTRACT = load_robot("ur5e"), get_task("reach").contract
COMMANDS = wire.joined("/", ROBOT.ros.command_topics["velocity"])


@pytest.fixture
def graph():
    domain = free_domain()
    with isolated(domain), contextlib.ExitStack() as ends:
        rules = ["--ros-args", "-r", "/joint_states:=/arm/states", "-r", f"{COMMANDS}:=/arm/commands", "-r", "guard/command:=asked"]
        context = rclpy.Context()
        rclpy.init(args=rules, context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        node = rclpy.create_node("guard_node", context=context)
        spinner = executor(context)
        spinner.add_node(node)
        ends.callback(leave, spinner, node)
        listening = {"realtime": True, "namespace": "/", "stamp_check": "absolute", "prefix": ""}
        setup = SimpleNamespace(
            contract=CONTRACT, robot=ROBOT, digest="f" * 64, namespace="/", prefix="", realtime=True, listening=listening
        )
        plant = RosPlant(node, setup, "forward_velocity", CONTRACT.limits)
        ends.callback(plant.close)
        yield SimpleNamespace(node=node, plant=plant, spin=lambda seconds: spin(spinner, seconds))


def spin(spinner, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        spinner.spin_once(timeout_sec=0.02)


def test_two_publishers_of_a_joint_and_of_commands_are_found_behind_remaps(graph):
    assert (graph.plant.state_topic, graph.plant.command_topic) == ("/arm/states", "/arm/commands")
    drivers = [rclpy.create_node(name, context=graph.node.context, use_global_arguments=False) for name in ("driver", "fake")]
    states = [driver.create_publisher(JointState, "/arm/states", 10) for driver in drivers]
    kept = [driver.create_publisher(JointState, "/asked", 10) for driver in drivers]
    kept.append(drivers[1].create_publisher(Float64MultiArray, "/arm/commands", 10))
    doubled = []
    for _ in range(20):
        for state in states:
            state.publish(JointState(name=["elbow_joint"], position=[0.0], velocity=[0.0]))
        graph.spin(0.1)
        doubled = graph.plant.doubled() or doubled
    assert doubled == ["/driver and /fake both publish joint 'elbow_joint' on /arm/states; only one may"]
    assert other_publishers(graph.node, graph.plant.command_topic)[0].startswith("/fake also publishes /arm/commands")
    assert several_senders(graph.node)[0].startswith("/driver and /fake all publish guard/command")
    for driver in drivers:
        driver.destroy_node()
