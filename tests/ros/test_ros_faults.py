import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray
from ros_bench import Late, backwards, bench, delayed, in_time, lagging, without
from ros_policies import resolved_rate

from isthmus_ros.evaluation.coordinator import RosError, evaluate_over_ros
from isthmus_sim.episodes import episode_start
from isthmus_sim.tasks import get_task

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def task():
    return get_task("reach")


@pytest.fixture(scope="module")
def goal(task):
    return episode_start(task, [0]).inputs["goal"][0].tolist()


@pytest.fixture(scope="module")
def policy_file(task, tmp_path_factory):
    path = tmp_path_factory.mktemp("policy") / "policy.isthmus"
    resolved_rate(task.contract).save(path)
    return path


def test_policy_node_imports_no_simulator_and_no_learner():
    unwanted = {"mujoco", "pybullet", "torch", "gymnasium", "isthmus_sim", "isthmus_policies"}
    code = f"import isthmus_ros.policy.policy_node, sys; print(sorted({unwanted!r} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"robot": "pendulum"}, "policy was made for robot 'ur5e', this is 'pendulum'"),
        ({"robot": "pendulum"}, "expects joint 'elbow_joint', which robot 'pendulum' does not have"),
        ({"robot": "ur5"}, "did you mean 'ur5e'?"),
        ({"stamp_check": "none"}, "parameter stamp_check must be one of absolute, relative, got 'none'"),
        ({"clock": "sundial"}, "parameter clock must be one of wall, stepped, got 'sundial'"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_moves(policy_file, parameters, complaint):
    with bench(policy_file, guarding=None, **{"clock": "wall", **parameters}) as nodes:
        assert not nodes.configure()
        assert complaint in nodes.policy.complaint
        with pytest.raises(RosError, match="policy/start refused: the node is not active"):
            nodes.link.trigger("policy/start")
        assert not nodes.link.executed


def test_evaluation_passes_the_nodes_complaint_on(task, policy_file, tmp_path):
    (tmp_path / "policy.isthmus").write_bytes(b"not a policy")
    with pytest.raises(RosError, match=r"guard_node: cannot configure: .*policy.isthmus"):
        evaluate_over_ros(task, tmp_path / "policy.isthmus", [0])
    with pytest.raises(RosError, match=r"sim_node ended with exit code 1: unknown parameter 'paylod'; did you mean 'payload'"):
        evaluate_over_ros(task, policy_file, [0], parameters={"paylod": 1.0})


@pytest.mark.parametrize("options", [{"guarding": None}, {"alone": True}], ids=["policy", "guard"])
def test_missing_joint_refuses_activation(policy_file, options):
    with bench(policy_file, simulator={}, relayed=True, **options) as nodes:
        nodes.relay.tamper = without("elbow_joint")
        assert nodes.configure()
        assert "joint 'elbow_joint' is missing in /joint_states" in nodes.refusal()


@pytest.mark.parametrize(("seconds", "complaint"), [(0.3, "s old when it arrived"), (-0.3, "s ahead of this node's clock")])
def test_stamps_far_from_the_clock_refuse_activation_unless_they_are_checked_relatively(policy_file, seconds, complaint):
    for check, activates in (("absolute", False), ("relative", True)):
        with bench(policy_file, clock="wall", simulator={}, guarding=None, relayed=True, stamp_check=check) as nodes:
            nodes.relay.tamper = delayed(seconds)
            assert nodes.configure()
            if activates:
                nodes.activate()
            else:
                assert complaint in nodes.refusal()


def test_a_guard_and_a_policy_in_stepped_time_refuse_a_robot_whose_time_passes_by_itself(policy_file):
    with bench(policy_file, simulator={"clock": "wall"}) as nodes:
        assert nodes.configure()
        nodes.activate()
        nodes.arm()
        nodes.wait(lambda: "the clock must be wall, not stepped" in nodes.link.status["cause"], "the guard's stop")
        assert "the clock must be wall, not stepped" in nodes.start_refusal()
        nodes.link.spin(0.5)
        assert all(not any(message.velocity) for message in nodes.link.executed.values())


def test_start_needs_arming_and_a_valid_input(task, policy_file, goal):
    wanted = task.contract.signal("goal")
    with bench(policy_file, simulator={}) as nodes:
        assert nodes.configure()
        nodes.activate()
        assert "the guard is not armed" in nodes.start_refusal()
        nodes.arm()
        nodes.wait(
            lambda: "input 'goal' is missing; publish it on policy/input/goal" in nodes.start_refusal(), "the guard is known as armed"
        )
        nodes.link.publish_input(wanted, [9.0, 0.0, 0.0], "base_link")
        nodes.wait(lambda: "x must be from" in nodes.policy.complaint, "refusal of a goal out of range")
        nodes.link.publish_input(wanted, goal, "camera_link")
        nodes.wait(lambda: "its frame must be 'base_link', got 'camera_link'" in nodes.policy.complaint, "refusal of a frame")
        with pytest.raises(RosError, match="input 'goal' is missing"):
            nodes.link.trigger("policy/start")
        nodes.reach_for(task.contract, goal)
        nodes.link.publish_input(wanted, [9.0, 0.0, 0.0], "base_link")
        nodes.wait(lambda: "the previous value is kept" in nodes.policy.complaint, "the second refusal")
        for service, rung, armed in (("policy/stop", "pass", "true"), ("guard/stop", "stop", "false")):
            nodes.link.status = {}
            nodes.start()
            nodes.wait(lambda: nodes.link.status.get("policy") == "run", "the run")
            with pytest.raises(RosError, match="policy/start refused: the policy is in state run"):
                nodes.link.trigger("policy/start")
            nodes.link.trigger(service)
            nodes.wait(lambda: nodes.link.status["policy"] == "idle", "standstill")
            nodes.wait(lambda wanted=(rung, armed): (nodes.link.status.get("rung"), nodes.link.status.get("armed")) == wanted, "the status")
        with pytest.raises(RosError, match="call guard/reset first"):
            nodes.link.arm()


@pytest.mark.parametrize(
    ("fault", "rungs", "stopped"),
    [
        (lambda: without("wrist_2_joint"), ("stop",), "joint 'wrist_2_joint' is missing in /joint_states"),
        (lagging, ("hold", "stop"), "stale| s old, 0.085 s are allowed"),
        (backwards, ("hold", "stop"), "stale| s old, 0.085 s are allowed"),
    ],
    ids=["joint missing", "stamps too old", "stamps backwards"],
)
def test_states_that_are_wrong_in_motion_end_in_a_stop(task, policy_file, goal, fault, rungs, stopped):
    with bench(policy_file, clock="wall", simulator={}, relayed=True) as nodes:
        begin_motion(nodes, task, goal)
        said = []

        def note(message):
            values = {pair.key: pair.value for pair in message.status[0].values}
            if values["rung"] in ("hold", "stop"):
                said.append((values["rung"], values["cause"]))

        nodes.link._node.create_subscription(DiagnosticArray, "guard/status", note, 100)
        nodes.relay.tamper = fault()
        nodes.wait(lambda: said and said[-1][0] == "stop", "the guard's stop")
        if "no command came" in said[0][1]:
            raise Late
        assert said[0][0] in rungs
        nodes.link.until(lambda: re.search(stopped, said[-1][1]), 1.0, f"the cause is {said[-1]}")
        nodes.wait(lambda: max(map(abs, nodes.link.executed[max(nodes.link.executed)].velocity)) == 0, "the end of braking")
        nodes.relay.tamper = lambda message: message
        nodes.wait(lambda: nodes.link.status["policy"] == "idle", "the end of the policy's motion")
        with pytest.raises(RosError, match="policy/start refused: the guard is stopped"):
            nodes.link.trigger("policy/start")


def test_stepped_policy_gives_up_when_the_robot_falls_silent(task, policy_file, goal):
    with bench(policy_file, simulator={}) as nodes:
        begin_motion(nodes, task, goal)
        nodes.simulator.send(signal.SIGSTOP)
        try:
            nodes.wait(lambda: nodes.link.status["policy"] == "idle", "the end of the motion")
            assert (nodes.link.status["rung"], nodes.link.status["cause"]) == ("stop", "no command within 5 s")
        finally:
            nodes.simulator.send(signal.SIGCONT)


def test_two_interrupts_in_motion_end_at_rest_with_exit_code_0(task, policy_file, goal):
    with bench(policy_file, clock="wall", simulator={}) as nodes:
        begin_motion(nodes, task, goal)
        for _ in range(2):
            nodes.policy.interrupt()
            time.sleep(0.02)
        end = time.monotonic() + 8
        while nodes.policy.exit_code is None and time.monotonic() < end:
            nodes.link.spin(0.05)
        assert nodes.policy.exit_code == 0, nodes.policy.log
        nodes.link.spin(0.2)
        np.testing.assert_array_equal(nodes.link.executed[max(nodes.link.executed)].velocity, 0.0)
        for _ in range(2):
            nodes.simulator.interrupt()
        assert nodes.simulator.end() == 0


def begin_motion(nodes, task, goal):
    """Run the policy until the arm moves."""
    assert nodes.configure()
    nodes.activate()
    nodes.reset(0)
    nodes.arm()
    nodes.reach_for(task.contract, goal)
    nodes.start()
    nodes.wait(lambda: any(max(map(abs, message.velocity)) > 0.2 for message in nodes.link.executed.values()), "motion")


def test_episode_in_wall_time_is_scored_and_its_cadence_reported(task, policy_file):
    found = evaluate_over_ros(task, policy_file, [0], clock="wall", plant="mujoco")
    in_time(found.episodes[0].stopped_by_guard)
    assert found.episodes[0].success
    assert found.episodes[0].steps == found.cadence["steps"] == task.episode_steps
    assert found.cadence["realtime"]
    assert found.cadence["lateness_ms"]["p50"] >= 0
