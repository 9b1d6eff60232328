import pytest

pytest.importorskip("rclpy")

import rclpy
from rclpy.signals import SignalHandlerOptions
from ros_bench import bench
from ros_policies import resolved_rate
from std_msgs.msg import Float64MultiArray

from isthmus.robot import load_robot
from isthmus_ros.common import wire
from isthmus_ros.evaluation.processes import RosError
from isthmus_sim.tasks import get_task

pytestmark = pytest.mark.ros


@pytest.fixture
def policy_file(tmp_path):
    path = tmp_path / "policy.isthmus"
    resolved_rate(get_task("reach").contract).save(path)
    return path


def test_second_node_of_the_same_name_refuses_arming(policy_file):
    with bench(policy_file, simulator={}) as nodes:
        assert nodes.configure()
        nodes.activate()
        nodes.arm()
        context = rclpy.Context()
        rclpy.init(args=[], context=context, domain_id=nodes.domain, signal_handler_options=SignalHandlerOptions.NO)
        twin = rclpy.create_node("policy_node", context=context, start_parameter_services=False, enable_rosout=False)
        robot = load_robot("ur5e")
        twin.create_publisher(Float64MultiArray, wire.joined("/", robot.ros.command_topics["velocity"]), 1)
        try:
            seen = ""
            for _ in range(50):  # until the twin has been discovered
                nodes.link.spin(0.2)
                try:
                    nodes.link.arm()
                except RosError as error:
                    seen = str(error)
                    if "/policy_node also publishes" in seen:
                        break
                    nodes.link.trigger("guard/reset")  # in motion or idle, another publisher is a stop
            assert "/policy_node also publishes" in seen
        finally:
            twin.destroy_node()
            rclpy.try_shutdown(context=context)
