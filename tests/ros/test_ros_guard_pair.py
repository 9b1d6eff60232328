import re
import signal

import numpy as np
import pytest

pytest.importorskip("rclpy")

from ros_bench import bench, fastest
from ros_policies import resolved_rate
from std_srvs.srv import Trigger

from isthmus.artifact import Artifact
from isthmus.recording import read_trace
from isthmus.robot import load_robot
from isthmus_ros.evaluation.coordinator import evaluate_over_ros
from isthmus_ros.evaluation.processes import RosError
from isthmus_sim.episodes import episode_start, run_episodes
from isthmus_sim.plants import make_plant
from isthmus_sim.tasks import get_task

pytestmark = pytest.mark.ros

SEEDS = (3, 4, 5)


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


def test_stepped_run_through_guard_and_policy_equals_the_run_in_one_process_bit_for_bit(task, policy_file, tmp_path):
    found = evaluate_over_ros(task, policy_file, SEEDS, record=tmp_path / "trace")
    plant = make_plant("pybullet", load_robot("ur5e"), mode="velocity", period=task.contract.control_period)
    policy = Artifact.load(policy_file).policy()
    for number, (seed, episode) in enumerate(zip(SEEDS, found.episodes, strict=True)):
        ticks = []
        run_episodes(task, policy, plant, [seed], on_tick=ticks.append)
        trace = read_trace(tmp_path / f"trace-{number:03d}.mcap")
        assert len(trace) == len(ticks) == task.episode_steps
        np.testing.assert_array_equal(trace.position, np.concatenate([tick.measurement.position for tick in ticks]))
        np.testing.assert_array_equal(trace.velocity, np.concatenate([tick.measurement.velocity for tick in ticks]))
        np.testing.assert_array_equal(trace.executed, np.concatenate([tick.decision.command.values for tick in ticks]))
        for name, values in trace.observations.items():
            np.testing.assert_array_equal(values, np.concatenate([tick.observation[name] for tick in ticks]))
        assert (episode.seed, episode.success, episode.stopped_by_guard) == (seed, True, "")


def ready(nodes, task, goal):
    assert nodes.configure()
    nodes.activate()
    nodes.reset(0)
    nodes.reach_for(task.contract, goal)


def begin_motion(nodes, task, goal):
    """Run the policy until the arm moves."""
    ready(nodes, task, goal)
    nodes.arm()
    nodes.start()
    nodes.wait(lambda: any(max(map(abs, message.velocity)) > 0.2 for message in nodes.link.executed.values()), "motion")


def at_rest(nodes):
    return max(map(abs, nodes.link.executed[max(nodes.link.executed)].velocity)) == 0


def test_start_needs_an_armed_guard_and_stop_leaves_it_armed(task, policy_file, goal):
    with bench(policy_file, clock="wall", simulator={}) as nodes:
        ready(nodes, task, goal)
        assert nodes.start_refusal() == "policy/start refused: the guard is not armed; call guard/arm first"
        nodes.arm()
        nodes.start()
        nodes.wait(lambda: any(max(map(abs, message.velocity)) > 0.2 for message in nodes.link.executed.values()), "motion")
        with pytest.raises(RosError, match="the robot moves"):
            nodes.link.arm()
        nodes.link.trigger("policy/stop")
        nodes.wait(lambda: nodes.link.status["policy"] == "idle", "standstill")
        assert at_rest(nodes)
        nodes.link.spin(0.7)
        assert (nodes.link.status["rung"], nodes.link.status["armed"]) == ("pass", "true")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_policy_that_dies_in_motion_is_braked_for(task, policy_file, goal, number):
    with bench(policy_file, clock="wall", simulator={}) as nodes:
        begin_motion(nodes, task, goal)
        if number == signal.SIGKILL:
            nodes.kill("policy_node")
        else:
            nodes.policy.send(number)
        nodes.wait(lambda: nodes.link.status["rung"] == "stop" and nodes.link.status["armed"] == "false", "the stop")
        assert "no command came" in nodes.link.status["cause"]
        assert at_rest(nodes)
        if number == signal.SIGSTOP:
            nodes.link.spin(0.3)  # the guard's last words may come after its status
            nodes.link.forget()
            nodes.policy.send(signal.SIGCONT)
            nodes.wait(lambda: nodes.link.status["policy"] == "idle", "the end of the motion")
            assert not nodes.link.executed


def test_a_start_that_waited_in_a_sleeping_process_is_not_carried_out_after_a_stop(task, policy_file, goal):
    with bench(policy_file, clock="wall", simulator={}) as nodes:
        ready(nodes, task, goal)
        nodes.arm()
        client = nodes.link._node.create_client(Trigger, "policy/start")
        nodes.wait(client.service_is_ready, "policy/start")
        nodes.policy.send(signal.SIGSTOP)
        nodes.link.spin(1.0)
        asked = client.call_async(Trigger.Request())
        nodes.link.spin(0.5)
        nodes.link.trigger("guard/stop")
        nodes.wait(lambda: nodes.link.status["armed"] == "false", "the stop")
        nodes.link.insist(lambda: nodes.link.trigger("guard/reset"), 10.0)
        nodes.arm()
        nodes.link.forget()
        nodes.policy.send(signal.SIGCONT)
        nodes.wait(asked.done, "the answer")
        assert re.fullmatch(
            r"policy/start refused: this process did not run for \d+\.\d s, and what was asked meanwhile may come late; .*",
            asked.result().message,
        )
        nodes.link.spin(1.0)
        assert max(map(fastest, nodes.link.states.values())) < 0.01


def test_guard_stop_ends_the_policys_motion(task, policy_file, goal, tmp_path):
    with bench(policy_file, clock="wall", simulator={}, record=str(tmp_path / "trace")) as nodes:
        begin_motion(nodes, task, goal)
        nodes.link.trigger("guard/stop")
        nodes.wait(lambda: nodes.link.status["policy"] == "idle" and nodes.link.status["armed"] == "false", "standstill")
        assert nodes.link.number("stop_sequence") >= 0
        assert at_rest(nodes)
        with pytest.raises(RosError, match=r"policy/start refused: the guard is stopped \(guard/stop was called\)"):
            nodes.link.trigger("policy/start")
    trace = read_trace(tmp_path / "trace-000.mcap")
    fastest = task.contract.limits.acceleration[0] * task.contract.control_period
    assert np.abs(trace.executed[0]).max() == pytest.approx(fastest)  # what the guard sent, not what was asked for
    assert (trace.rungs[0], trace.rungs[-1]) == ("clamp", "stop")


def test_silent_guard_makes_the_policy_call_the_stop_services(task, policy_file, goal):
    with bench(policy_file, clock="wall", simulator={}) as nodes:
        begin_motion(nodes, task, goal)
        nodes.link.spin(0.2)
        nodes.kill("guard_node")
        nodes.wait(lambda: nodes.link.status["policy"] == "idle", "the end of the motion")
        assert "the guard left 3 commands in a row without an answer" in nodes.link.status["failure"]
        nodes.wait(lambda: "the guard is silent" in nodes.policy.log, "the line of the stop services")
        with pytest.raises(RosError, match="not active: the guard left 3 commands in a row without an answer; it was last heard"):
            nodes.link.trigger("policy/start")


@pytest.mark.parametrize("phase", ["braking for a stop", "idle"])
def test_a_guard_that_falls_silent_without_motion_of_the_policy_makes_it_call_the_stop_services_too(task, policy_file, goal, phase):
    """Line 6, row 78: on 0188891 nobody did, and the arm went on at 0.74 rad/s."""
    with bench(policy_file, clock="wall", simulator={"command_timeout": 0.0}) as nodes:
        if phase == "idle":
            ready(nodes, task, goal)
            nodes.arm()
            nodes.wait(lambda: nodes.link.status["armed"] == "true", "arming")
            nodes.link.spin(0.3)
        else:
            begin_motion(nodes, task, goal)
            nodes.link.trigger("guard/stop")
        nodes.kill("guard_node")
        nodes.wait(lambda: "calling /io_and_status_controller/hand_back_control" in nodes.policy.log, "the stop services")
        said = ("the guard is armed and has been silent for", "without an answer")
        nodes.wait(lambda: any(words in nodes.policy.log for words in said), "the reason, which is said after the call")
        nodes.wait(lambda: nodes.speed < 0.02, "standstill", 3)
        nodes.wait(lambda: nodes.link.status["policy"] == "idle", "the end of the motion")
        with pytest.raises(RosError, match="not active"):
            nodes.link.trigger("policy/start")


def test_a_policy_process_started_anew_under_an_armed_guard_moves_at_once_or_never(task, policy_file, goal):
    """Line 2, row 76: on 0188891 the arm moved seconds after policy/start, when the sequence had caught up."""
    with bench(policy_file, clock="wall", simulator={}) as nodes:
        begin_motion(nodes, task, goal)
        nodes.link.trigger("policy/stop")
        nodes.wait(lambda: nodes.link.status["policy"] == "idle", "standstill")
        nodes.replace("policy_node")
        nodes.careful = ["policy_node"]
        assert nodes.configure()
        nodes.activate()
        nodes.link.status.pop("input.goal", None)
        nodes.reach_for(task.contract, goal)
        nodes.link.spin(0.5)
        nodes.punctual()
        assert nodes.link.status["armed"] == "true"
        with pytest.raises(RosError, match="the guard was armed for another policy process; call guard/arm again"):
            nodes.link.trigger("policy/start")
        nodes.link.forget()
        nodes.link.spin(2.0)
        assert not any(any(message.velocity) for message in nodes.link.executed.values())
        nodes.arm()


@pytest.mark.parametrize("watched", [True, False])
def test_guard_stop_in_stepped_time_brakes_the_arm(task, policy_file, goal, watched):
    """Whether the policy sees every state of the braking or, suspended, only the last."""
    with bench(policy_file, simulator={}) as nodes:
        begin_motion(nodes, task, goal)
        if not watched:
            nodes.policy.send(signal.SIGSTOP)
        nodes.link.trigger("guard/stop")
        if not watched:
            nodes.wait(lambda: nodes.link.status["armed"] == "false", "the end of the braking")
            nodes.policy.send(signal.SIGCONT)
        nodes.wait(lambda: nodes.link.status["policy"] == "idle" and nodes.link.status["armed"] == "false", "standstill")
        assert at_rest(nodes)
        assert not nodes.link.status["failure"]
