import re

import numpy as np
import pytest

pytest.importorskip("rclpy")

from ros_bench import Commander, bench
from ros_policies import resolved_rate

from isthmus_ros.evaluation.processes import RosError
from isthmus_sim.episodes import episode_start
from isthmus_sim.tasks import get_task

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def task():
    return get_task("reach")


@pytest.fixture(scope="module")
def policy_file(task, tmp_path_factory):
    path = tmp_path_factory.mktemp("policy") / "policy.isthmus"
    resolved_rate(task.contract).save(path)
    return path


def test_robot_stops_on_the_braking_tail_when_guard_and_policy_are_killed(task, policy_file):
    with bench(policy_file, clock="wall", simulator={"transport": "trajectory"}, guarding={"transport": "trajectory"}, alone=True) as nodes:
        assert nodes.configure()
        nodes.activate()
        nodes.arm()
        with Commander(nodes.domain, task.contract, lambda count: np.full(6, 0.4 * np.sin(count / 8))):
            nodes.in_motion(0.2)
            nodes.kill("guard_node")
            nodes.link.spin(0.5)
            assert nodes.speed < 0.02


def test_forward_velocity_keeps_moving_until_the_policy_calls_the_stop_services(task, policy_file):
    goal = episode_start(task, [0]).inputs["goal"][0].tolist()
    with bench(policy_file, clock="wall", simulator={"command_timeout": 0.0}) as nodes:
        assert nodes.configure()
        nodes.activate()
        nodes.arm()
        nodes.reach_for(task.contract, goal)
        nodes.link.spin(0.3)
        try:
            nodes.start()
        except RosError:
            nodes.punctual()
            raise
        nodes.in_motion(0.1)
        nodes.kill("guard_node")
        nodes.wait(lambda: nodes.link.status["policy"] == "idle", "the end of the motion")
        nodes.wait(lambda: "calling /io_and_status_controller/hand_back_control" in nodes.policy.log, "the line of the stop services")
        nodes.wait(lambda: nodes.speed < 0.02, "standstill", 3)


def test_velocity_without_a_deadman_is_refused_on_a_forward_controller_only(policy_file):
    for transport, configures in (("forward_velocity", False), ("trajectory", True)):
        with bench(policy_file, clock="wall", guarding={"transport": transport, "accept_no_deadman": False}, alone=True) as nodes:
            assert nodes.configure() is configures
            if not configures:
                assert "give accept_no_deadman:=true" in nodes.guard.complaint


def test_prefixed_joints_reach_the_robot(task, policy_file):
    named = {"joint_prefix": "left_", "transport": "trajectory"}
    with bench(policy_file, clock="wall", simulator=named, guarding=named, alone=True) as nodes:
        assert nodes.configure()
        nodes.activate()
        nodes.arm()
        with Commander(nodes.domain, task.contract, lambda count: np.full(6, 0.4 * np.sin(count / 8))):
            nodes.in_motion(0.2)
        assert nodes.link.states[max(nodes.link.states)].name[0] == "left_shoulder_pan_joint"


@pytest.mark.parametrize(
    ("fault", "cause"),
    [("protective_stop:=1", "program does not run|speed is scaled to 0 of 100"), ("speed_scaling:=0.5", "speed is scaled to 50 of 100")],
)
def test_robot_that_is_not_ready_refuses_arming_and_stops_in_motion(task, policy_file, fault, cause):
    with bench(policy_file, clock="wall", simulator={}, alone=True) as nodes:
        assert nodes.configure()
        nodes.activate()
        nodes.arm()
        with Commander(nodes.domain, task.contract, lambda count: np.full(6, 0.4 * np.sin(count / 8))) as commander:
            nodes.in_motion(0.2)
            nodes.fault(fault)
            nodes.wait(lambda: nodes.link.status["rung"] == "stop", "the stop")
            nodes.punctual()
            assert re.search(cause, nodes.link.status["cause"]), nodes.link.status["cause"]
            commander.pause()
            nodes.wait(lambda: nodes.link.status["armed"] == "false", "standstill")
        with pytest.raises(RosError, match=cause):
            nodes.link.trigger("guard/reset")


def test_robot_that_moves_against_its_commands_is_stopped_by_its_driver(task, policy_file):
    with bench(policy_file, clock="wall", simulator={}, alone=True) as nodes:
        assert nodes.configure()
        nodes.activate()
        nodes.arm()
        with Commander(nodes.domain, task.contract, lambda count: np.full(6, 0.4 * np.sin(count / 8))) as commander:
            nodes.in_motion(0.2)
            nodes.fault("runaway:=elbow_joint=1.5")
            nodes.wait(lambda: nodes.link.status["rung"] == "stop", "the stop")
            nodes.wait(
                lambda: "a joint runs away from its command: calling /io_and_status_controller/hand_back_control" in nodes.guard.log,
                "the stop services",
            )
            commander.pause()


def test_listener_with_another_quality_of_service_is_none(policy_file):
    with bench(policy_file, clock="wall", simulator={}, alone=True) as nodes:
        assert nodes.configure()
        nodes.activate()
        nodes.fault("command_qos:=true")
        nodes.link.spin(0.5)
        with pytest.raises(RosError, match="with a matching QoS"):
            nodes.link.arm()
