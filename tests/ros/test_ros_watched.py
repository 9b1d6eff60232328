"""A watcher that may end a motion, and who notices that it is gone. On commit a229d9e only `isthmus deploy` and launch did, and only its death."""

import contextlib
import dataclasses
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from ros_bench import Late, bench
from ros_policies import resolved_rate
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool

from isthmus.robot import load_robot
from isthmus.specification import Specification
from isthmus_ros.common import wire
from isthmus_ros.common.spin import executor, leave
from isthmus_ros.evaluation import coordinator
from isthmus_ros.evaluation.graph import Condition
from isthmus_ros.evaluation.link import Link
from isthmus_ros.evaluation.processes import NodeProcess, RosError, free_domain, isolated
from isthmus_ros.policy.watcher import Watcher
from isthmus_sim.tasks import get_task

CONTRACT = get_task("reach").contract
ARM = list(load_robot("ur5e").joint_names)
GOAL = [0.3, -0.3, 0.3]
BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    path = tmp_path_factory.mktemp("policy") / "policy.isthmus"
    dataclasses.replace(resolved_rate(CONTRACT), specification=Specification("always[0,1] (goal.x <= 1)")).save(path)
    return path


def spoken(name, on_violation="stop"):
    return DiagnosticArray(status=[DiagnosticStatus(name=name, values=[KeyValue(key="on_violation", value=on_violation)])])


def test_a_watcher_watches_while_it_speaks():
    heard = []
    watcher = Watcher(SimpleNamespace(create_subscription=lambda kind, topic, callback, quality: heard.append((topic, callback))), 0.05)
    ((topic, hear),) = heard
    assert topic == "monitor/status"
    assert watcher.look() == "nobody watches the specification: nothing is heard on monitor/status; is monitor_node running and configured?"
    for nobody in (spoken("somebody"), spoken("monitor", "report"), spoken("monitor", "report"), spoken("monitor")):
        hear(nobody)  # the last may be an old word, kept for whoever comes later
        assert watcher.problem
    hear(spoken("monitor"))
    assert [watcher.look() for _ in range(20)] == [""] * 20
    assert watcher.look() == watcher.problem == "nobody watches the specification any more: monitor_node has been silent for 1 s"
    hear(spoken("monitor"))
    assert watcher.problem == ""


@pytest.mark.ros
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_motion_ends_with_its_watcher_however_that_ends(policy, number):
    with bench(policy, clock="wall", simulator={"plant": "mujoco"}, monitoring={"on_violation": "stop"}, watched=True) as found:
        assert found.configure()
        found.activate()
        found.reach_for(CONTRACT, GOAL)
        found.arm()
        try:
            found.start()
            found.in_motion(0.05)
        except RosError as error:  # the guard has stopped before, on a busy computer
            raise Late from error
        with contextlib.ExitStack() as stack:
            if number == signal.SIGKILL:
                found.kill("monitor_node")
            else:
                stack.callback(found.nodes["monitor_node"].send, signal.SIGCONT)
                found.nodes["monitor_node"].send(number)
            found.wait(lambda: found.link.status.get("policy") == "idle", "the end of the motion", 20.0)
        found.punctual()
        assert found.link.status["failure"] == "nobody watches the specification any more: monitor_node has been silent for 1 s"
        if number == signal.SIGKILL:
            assert "nobody watches the specification any more" in found.start_refusal()


@pytest.mark.ros
def test_nothing_is_started_before_the_watcher_speaks(policy):
    with bench(policy, clock="wall", simulator={"plant": "mujoco"}, watched=True) as found:
        assert found.configure()
        found.activate()
        found.reach_for(CONTRACT, GOAL)
        found.arm()
        assert "nobody watches the specification: nothing is heard on monitor/status" in found.start_refusal()


def deployed(policy, *words):
    run = "import sys; from isthmus_cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", run, "deploy", str(policy), "--sim", "--start", "--inputs", "goal=0.3,-0.3,0.3", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def told_until(process, words):
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return lines
    raise AssertionError(lines)


@pytest.mark.ros
def test_deploy_ends_with_a_monitor_that_may_stop_and_says_so(policy):
    with isolated(free_domain()):
        process = deployed(policy, "--monitor", "stop")
        try:
            told_until(process, "policy run")
            children = subprocess.run(["pgrep", "-P", str(process.pid), "-f", "monitor_node"], capture_output=True, text=True, check=True)
            (monitor,) = children.stdout.split()
            subprocess.run(["kill", "-KILL", monitor], check=True)
            rest, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 1
    assert "isthmus: monitor_node ended with exit code -9" in rest


@pytest.mark.ros
def test_deploy_ends_with_the_motion_that_it_has_started_and_says_why(policy):
    domain = free_domain()
    with isolated(domain):
        process = deployed(policy)
        try:
            told_until(process, "policy run")
            link = Link("/joint_states", domain)
            link.trigger("guard/stop")
            link.close()
            rest, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 1
    assert "isthmus: the motion was ended: guard/stop was called" in rest
    assert "guard/arm refused: the robot moves" not in rest


class Speaker:
    """A node that publishes 20 times a second, when it is spun."""

    def __init__(self, name, domain):
        context = rclpy.Context()
        rclpy.init(args=[], context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        self.node, self.spinner = rclpy.create_node(name, context=context), executor(context)
        self.spinner.add_node(self.node)

    def publishes(self, kind, topic, quality, make):
        publisher = self.node.create_publisher(kind, topic, quality)
        self.node.create_timer(0.05, lambda: publisher.publish(make()))
        return publisher

    def states(self, names, quality=10):
        def make():
            message = JointState(name=names, position=[0.1] * len(names), velocity=[0.0] * len(names))
            message.header.stamp = self.node.get_clock().now().to_msg()
            return message

        return self.publishes(JointState, "/joint_states", quality, make)

    def leave(self):
        leave(self.spinner, self.node)


@contextlib.contextmanager
def speakers(*names):
    domain = free_domain()
    with isolated(domain) as environment:
        made = [Speaker(name, domain) for name in names]
        try:
            yield domain, environment, made
        finally:
            for speaker in made:
                speaker.leave()


def spun(made, condition, seconds=15.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        for speaker in made:
            speaker.spinner.spin_once(timeout_sec=0.005)
    return condition()


@pytest.mark.ros
@pytest.mark.parametrize("quality", [BEST_EFFORT, 10])
def test_joint_states_of_any_quality_are_heard_and_nobody_is_warned_of_messages_that_will_not_come(quality, capfd):
    """On commit a229d9e best effort was neither: `isthmus deploy` took such a robot for silent."""
    with speakers("driver") as (domain, _, made):
        link = Link("/joint_states", domain, reliable=False)
        made[0].states(ARM, quality)
        for _ in range(3):
            assert spun(made, lambda: link.spin(0.01) or len(link.states) > 5)
            link.rely()
            link.forget()
        assert (link._sensed[0].qos_profile.reliability == ReliabilityPolicy.RELIABLE) == (quality is not BEST_EFFORT)
        link.close()
    assert "incompatible" not in capfd.readouterr().err


@pytest.mark.ros
def test_an_evaluation_ends_when_its_monitor_is_silent_or_a_joint_has_two_publishers():
    with speakers("driver", "fake") as (domain, _, made):
        watched = []
        link = Link("/joint_states", domain, watched)
        made[0].publishes(DiagnosticArray, "monitor/status", wire.LATCHED, lambda: spoken("monitor"))
        made[0].states(ARM)
        doubled = link.doubled(ARM)
        watched += [Condition(lambda: coordinator._unwatched(link)), Condition(lambda: "; ".join(doubled.look()))]
        assert spun(made, lambda: link.spin(0.01) or link.unwatched >= 0)
        assert spun(made, lambda: link.check() or link.spin(0.01) or len(link.states) > 20)
        with pytest.raises(RosError, match=r"nobody watches any more: nothing was heard on monitor/status for 2 s"):
            link.until(lambda: False, 10.0, "nobody noticed")
        watched.pop(0)
        made[1].states(ARM[2:])
        with pytest.raises(RosError, match="/driver and /fake both publish joint 'elbow_joint' on /joint_states; only one may"):
            spun(made, lambda: link.check() or link.spin(0.01))
        doubled.close()
        link.close()


@pytest.mark.ros
def test_recorder_and_monitor_name_two_publishers_of_a_joint_and_the_recorder_is_no_listener_of_a_button(policy, tmp_path):
    """On commit a229d9e neither noticed. A button that waits for one listener, and keeps nothing for late readers, must not find the recorder."""
    with speakers("driver", "fake") as (_, environment, made):
        shared = {"policy": str(policy)}
        nodes = [
            NodeProcess("record_node", {**shared, "folder": str(tmp_path)}, environment),
            NodeProcess("monitor_node", shared, environment),
        ]
        try:
            made[0].states(ARM[:3])
            made[1].states([*ARM[3:], "finger"])
            button = made[1].publishes(
                Bool, "emergency_stop", QoSProfile(depth=10, durability=DurabilityPolicy.VOLATILE), lambda: Bool(data=True)
            )
            assert spun(made, lambda: "recording" in nodes[0].log and "watching" in nodes[1].log)
            spun(made, lambda: False, 2.0)
            assert button.get_subscription_count() == 0
            assert not any("both publish" in node.log for node in nodes)
            made[1].states(ARM[2:])
            twice = "/driver and /fake both publish joint 'elbow_joint' on /joint_states; only one may"
            assert spun(made, lambda: all(twice in node.log for node in nodes)), [node.log for node in nodes]
        finally:
            codes = [node.end() for node in nodes]
            logs = [node.log for node in nodes]
            for node in nodes:
                node.clean_up()
    assert codes == [0, 0], logs
    assert not any("incompatible" in log for log in logs)
    from bags import messages_of

    (bag,) = (file.parent for file in tmp_path.glob("*/metadata.yaml"))
    assert {len(message.name) for message in messages_of(bag, "joint_states")} == {3, 4}
