"""Who counts as the robot's controller, without DDS. On 0188891 a bridge, a viewer and an inactive controller did."""

from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy")

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Float64MultiArray

from isthmus.robot import RosProfile, interface, load_robot
from isthmus_ros.common import wire
from isthmus_ros.guard import transports
from isthmus_ros.guard.activity import ControllerActivity
from isthmus_ros.guard.listeners import ANY, Listeners

CONTROLLER = "forward_velocity_controller"
TOPIC = f"/{CONTROLLER}/commands"
NOBODY = f"nobody subscribes {TOPIC} with a matching QoS; is the robot's controller"


def endpoint(name, quality=wire.COMMAND, kind="std_msgs/msg/Float64MultiArray"):
    return SimpleNamespace(node_name=name, node_namespace="/", topic_type=kind, qos_profile=quality)


def problem(controller, *ends, matched=1):
    publisher = SimpleNamespace(
        topic_name=TOPIC, msg_type=Float64MultiArray, qos_profile=wire.COMMAND, get_subscription_count=lambda: matched
    )
    return Listeners(SimpleNamespace(get_subscriptions_info_by_topic=lambda topic: ends), publisher, controller).problem()


@pytest.mark.parametrize("name", [CONTROLLER, "sim_node"])
def test_the_controller_and_the_simulated_robot_count(name):
    assert problem(CONTROLLER, endpoint("rosbridge_websocket"), endpoint(name)) == ""


ONLOOKERS = ["ros_gz_bridge", "rosbridge_websocket", "foxglove_bridge", "rviz2", "record_node", f"{CONTROLLER}_viewer", "sim_node_2"]


@pytest.mark.parametrize("name", ONLOOKERS)
def test_others_do_not(name):
    cure = "if it is the controller, name it in the profile, ros: controllers:"
    assert problem(CONTROLLER, endpoint(name)) == f"{NOBODY} {CONTROLLER} running? (/{name}: listening, but does not count; {cure})"


def test_any_controller_counts_where_none_is_named_but_no_onlooker():
    assert problem(ANY, endpoint("diff_drive")) == ""
    for onlooker in ("ros_gz_bridge", "foxglove_bridge", "_ros2cli_12", "rosbag2_recorder"):
        assert problem(ANY, endpoint(onlooker)).startswith(f"{NOBODY} running?")


def test_a_bridge_that_the_profile_names_counts():
    assert problem("ros_gz_bridge", endpoint("ros_gz_bridge")) == ""


def test_who_is_not_reached_does_not_count():
    latched = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    assert problem(CONTROLLER, endpoint(CONTROLLER, latched)) == f"{NOBODY} {CONTROLLER} running?"
    assert problem(CONTROLLER, endpoint(CONTROLLER, kind="std_msgs/msg/String"))
    assert problem(CONTROLLER, endpoint(CONTROLLER), matched=0)


def test_controllers_are_named_by_the_topic_or_by_the_profile():
    ur5e = load_robot("ur5e").ros
    assert ur5e.controller_of("trajectory", ur5e.transports["trajectory"]) == "scaled_joint_trajectory_controller"
    assert ur5e.controller_of("forward_velocity", ur5e.command_topics["velocity"]) == CONTROLLER
    assert load_robot("diffbot").ros.controller_of("cmd_vel", "cmd_vel") == ANY
    named = RosProfile({}, controllers={"cmd_vel": "diffbot_base_controller"})
    assert named.controller_of("cmd_vel", "cmd_vel") == "diffbot_base_controller"
    with pytest.raises(ValueError, match=r"ros\.controllers: unknown transport 'trajectroy'; did you mean 'trajectory'"):
        RosProfile({}, controllers={"trajectroy": "x"})


def test_the_core_knows_the_transports():
    assert set(interface.TRANSPORTS) == set(transports.TRANSPORTS)


class Manager:
    """A controller_manager that answers when it is told to."""

    Request = SimpleNamespace

    def __init__(self, **states):
        self.states, self.offered, self.now, self.asked = states, True, 0.0, []
        node = SimpleNamespace(create_client=lambda kind, name: self, destroy_client=lambda client: None)
        self.activity = ControllerActivity(node, "/", CONTROLLER, self, lambda: self.now)

    def service_is_ready(self):
        return self.offered

    def call_async(self, request):
        listed = [SimpleNamespace(name=name, state=state) for name, state in self.states.items()]
        answer = SimpleNamespace(done=lambda: True, exception=lambda: None, result=lambda: SimpleNamespace(controller=listed))
        self.asked.append(self.now)
        return answer

    def problem(self):
        for _ in range(2):
            self.activity.look()
            self.now += 0.2
        return self.activity.problem()


def test_an_active_controller_obeys_and_is_asked_about_once_a_second():
    manager = Manager(forward_velocity_controller="active")
    assert "has not said yet" in manager.activity.problem()
    for _ in range(10):
        assert manager.problem() == ""
    assert len(manager.asked) == 4
    manager.now += 10
    assert "has not said yet" in manager.activity.problem()


@pytest.mark.parametrize(
    ("states", "sentence"),
    [
        (
            {CONTROLLER: "inactive"},
            f"controller {CONTROLLER} is inactive and obeys nobody (ros2 control set_controller_state {CONTROLLER} active)",
        ),
        ({"other": "active"}, f"/controller_manager/list_controllers does not list controller {CONTROLLER}; it lists: other"),
    ],
)
def test_a_controller_that_is_not_active_obeys_nobody(states, sentence):
    assert Manager(**states).problem() == sentence


def test_where_nobody_can_be_asked_nobody_is():
    manager = Manager()
    manager.offered = False
    assert manager.problem() == ""
    node = SimpleNamespace()
    for controller, kind in ((CONTROLLER, None), (ANY, manager)):
        activity = ControllerActivity(node, "/", controller, kind)
        activity.look()
        assert activity.problem() == ""
        activity.close()
