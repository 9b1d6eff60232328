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
        context = rclpy.Context()
        rclpy.init(args=[], context=context, domain_id=nodes.domain, signal_handler_options=SignalHandlerOptions.NO)
        twin = rclpy.create_node("guard_node", context=context, start_parameter_services=False, enable_rosout=False)
        robot = load_robot("ur5e")
        twin.create_publisher(Float64MultiArray, wire.joined("/", robot.ros.command_topics["velocity"]), 1)
        try:
            topic = wire.joined("/", robot.ros.command_topics["velocity"])
            infos = nodes.link._node.get_publishers_info_by_topic
            nodes.wait(lambda: [info.node_name for info in infos(topic)] == ["guard_node"] * 2, "the discovery of both")
            nodes.link.spin(0.5)
            with pytest.raises(RosError, match="/guard_node also publishes"):
                nodes.link.arm()
        finally:
            twin.destroy_node()
            rclpy.try_shutdown(context=context)
