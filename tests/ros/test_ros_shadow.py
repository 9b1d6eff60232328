"""A policy in the shadow decides beside whoever drives the robot, and commands nothing."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

from ros_bench import bench
from ros_policies import resolved_rate
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from isthmus.guard import LimitGuard
from isthmus.kinematics import Kinematics
from isthmus.records import reorder
from isthmus.robot import load_robot
from isthmus.trace import read_trace
from isthmus_ros.common import wire
from isthmus_ros.evaluation.processes import RosError, free_domain, isolated
from isthmus_sim.tasks import get_task

CONTRACT = get_task("reach").contract
GOAL = [0.3, -0.3, 0.3]
COMMANDS = {
    "guard/command": JointState,
    "guard/executed": JointState,
    "/forward_velocity_controller/commands": Float64MultiArray,
    "/forward_position_controller/commands": Float64MultiArray,
    "/scaled_joint_trajectory_controller/joint_trajectory": JointTrajectory,
}


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    path = tmp_path_factory.mktemp("policy") / "policy.isthmus"
    resolved_rate(CONTRACT).save(path)
    return path


def listen(nodes, kind, topic):
    """What is heard on a topic from now on."""
    heard = []
    nodes.link._node.create_subscription(kind, topic, heard.append, 100)
    return heard


@pytest.mark.ros
def test_decisions_appear_and_no_command_does(policy, tmp_path_factory):
    prefix = tmp_path_factory.mktemp("trace") / "trace"
    with bench(policy, clock="wall", simulator={}, guarding=None, shadow=True, record=str(prefix)) as nodes:
        decisions = listen(nodes, JointState, "policy/shadow")
        commands = {topic: listen(nodes, kind, topic) for topic, kind in COMMANDS.items()}
        assert nodes.configure()
        nodes.activate()
        with pytest.raises(RosError, match="input 'goal' is missing"):
            nodes.link.trigger("policy/start")
        nodes.reach_for(CONTRACT, GOAL)
        nodes.link.trigger("policy/start")
        nodes.wait(lambda: len(decisions) > 30 and nodes.link.states, "decisions")
        publishers = {topic: nodes.link._node.count_publishers(topic) for topic in COMMANDS}
        services = dict(nodes.link._node.get_service_names_and_types())
        nodes.link.trigger("policy/stop")
        nodes.wait(lambda: nodes.link.status["policy"] == "idle", "end")
        still = [message.velocity for message in nodes.link.states.values()]
    assert {topic: len(heard) for topic, heard in commands.items()} == dict.fromkeys(COMMANDS, 0)
    assert publishers == dict.fromkeys(COMMANDS, 0)
    assert not [name for name in services if name.startswith("/guard/")]
    assert np.abs(still).max() < load_robot("ur5e").monitors.standstill
    assert [wire.sequence_of(message) for message in decisions] == list(range(len(decisions)))
    expected = proportional(wire.column(next(iter(nodes.link.states.values())), "position", load_robot("ur5e").joint_names))
    np.testing.assert_allclose(wire.column(decisions[-1], "velocity", CONTRACT.action.elements)[0], expected, atol=1e-3)
    trace = read_trace(prefix.with_name("trace-000.mcap"))
    assert trace.metadata["shadow"] == "true"
    assert np.isnan(trace.executed).all()
    assert np.isfinite(trace.command).all()
    assert len(trace.decisions) > 30


def proportional(position):
    """What `resolved_rate` asks for, computed beside its graph: the policy must have seen the robot and the goal."""
    robot = load_robot("ur5e")
    tool = Kinematics(robot.urdf_path).poses(robot.joint_names, position, [robot.tool_frame])[robot.tool_frame].position
    observation = {signal.name: np.zeros((1, 1, len(signal.elements)), dtype=np.float32) for signal in CONTRACT.observation}
    observation |= {robot.tool_frame: tool[:, None].astype(np.float32), "goal": np.array([[GOAL]], dtype=np.float32)}
    return resolved_rate(CONTRACT).policy().act(observation).actions[0, 0]


@pytest.mark.ros
def test_the_previous_action_of_a_shadow_is_what_the_robot_does(policy, tmp_path_factory):
    """Somebody else drives: the shadow sees it, does not disturb it, and tells what the guard would make of its own decisions."""
    prefix = tmp_path_factory.mktemp("trace") / "trace"
    with bench(policy, clock="wall", simulator={}, guarding=None, shadow=True, record=str(prefix)) as nodes:
        node = nodes.link._node
        driver = node.create_publisher(Float64MultiArray, "/forward_velocity_controller/commands", wire.COMMAND)
        nodes.wait(driver.get_subscription_count, "the robot")

        def drive():
            driver.publish(Float64MultiArray(data=[0.2, 0.0, 0.0, 0.0, 0.0, 0.0]))

        timer = node.create_timer(0.02, drive)
        assert nodes.configure()
        nodes.activate()
        nodes.reach_for(CONTRACT, GOAL)
        nodes.link.spin(1.0)
        nodes.link.trigger("policy/start")
        nodes.link.spin(2.0)
        nodes.punctual()
        status = dict(nodes.link.status)
        nodes.link.trigger("policy/stop")
        nodes.wait(lambda: nodes.link.status["policy"] == "idle", "end, though the robot still moves")
        node.destroy_timer(timer)
    assert status["policy"] == "run"
    assert sum(int(status[f"opinions.{rung}"]) for rung in ("pass", "clamp")) > 20
    trace = read_trace(prefix.with_name("trace-000.mcap"))
    (previous,) = [signal for signal in CONTRACT.observation if signal.source == "previous_action"]
    seen = trace.observations[previous.name][5:, -1]
    np.testing.assert_allclose(seen[:, list(previous.elements).index("shoulder_pan_joint")], 0.2, atol=0.02)


@pytest.mark.parametrize(("asked", "rung"), [(0.3, 0), (40.0, 1), (np.nan, 2)])
def test_opinions_are_those_of_the_guard_on_the_robot_as_it_moves(asked, rung):
    """At 2 rad/s, 2.3 rad/s passes, though an arm at rest could not reach it within a period."""
    from isthmus_ros.policy.shadow import ShadowDrive

    robot = load_robot("ur5e")
    guard = LimitGuard(robot, CONTRACT.limits.tightest(robot.limits()), CONTRACT.mode)
    speed = 0.5 * guard.limits.velocity[0]

    class Standing:
        realtime, batch, period, sequence, stamp = True, 1, CONTRACT.control_period, -1, 1
        written = ()

        def __init__(self):
            self.robot = robot

        def alarm(self):
            return ""

        def fault(self):
            return ""

        def read(self):
            from isthmus.records import Measurement

            velocity = np.full((1, 6), 0.0)
            velocity[0, 0] = speed
            return Measurement(np.ones(1), robot.joint_names, robot.home[None], velocity)

        def write(self, command):
            self.written = (*self.written, command)

    plant = Standing()
    step = ShadowDrive(plant, CONTRACT)
    step.sense()
    action = np.zeros((1, 6))
    action[0, 0] = speed + asked
    decision = step.decide(reorder(action, robot.joint_names, CONTRACT.action.elements))
    assert decision.rung[0] == rung
    assert len(plant.written) == 1  # what the policy wants is told, whatever the guard thinks of it
    assert step.at_rest()
    plant.alarm = lambda: "wrist_1_joint oscillates"  # which is a stop at once
    alarmed = step.decide(reorder(action, robot.joint_names, CONTRACT.action.elements))
    assert (alarmed.rung[0], alarmed.cause) == (3, ("wrist_1_joint oscillates",))


@pytest.mark.ros
def test_deploy_in_the_shadow_begins_without_arming_and_ends_at_once(policy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = "import sys; from isthmus_cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", run, "deploy", str(policy), "--sim", "--shadow", "--start", "--inputs", "goal=0.1,-0.5,0.5"]
    with isolated(free_domain()) as environment:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            told = []
            for line in process.stdout:
                told.append(line)
                if "the guard would say pass" in line:
                    break
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            told += process.stdout.readlines()
            assert process.wait(30) == 0, told
        finally:
            process.kill()
    assert any("nothing is commanded" in line for line in told), told
    assert list(tmp_path.glob("recordings/*/metadata.yaml"))
