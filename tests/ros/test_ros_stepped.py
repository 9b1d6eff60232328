import dataclasses

import numpy as np
import pytest

pytest.importorskip("rclpy")

from ros_bench import bench, swapped
from ros_policies import resolved_rate

from isthmus.artifact import Artifact
from isthmus.recording import read_trace
from isthmus.robot import load_robot
from isthmus_policies.export import export_graph
from isthmus_policies.srl import Srl, SrlConfig
from isthmus_ros.evaluation.coordinator import evaluate_over_ros
from isthmus_sim.episodes import episode_start, run_episodes
from isthmus_sim.plants import make_plant
from isthmus_sim.tasks import get_task

pytestmark = pytest.mark.ros

SEEDS = (3, 4)
PAYLOAD = {"payload": 1.5}


@pytest.fixture(scope="module")
def task():
    return get_task("reach")


@pytest.fixture(scope="module")
def policy_file(task, tmp_path_factory):
    path = tmp_path_factory.mktemp("policy") / "policy.isthmus"
    resolved_rate(task.contract).save(path)
    return path


@pytest.fixture(scope="module")
def in_process(task, policy_file):
    """Ticks and result per seed, without ROS."""
    policy = Artifact.load(policy_file).policy()
    plant = make_plant("pybullet", load_robot("ur5e"), mode="velocity", period=task.contract.control_period)
    episodes = {}
    for seed in SEEDS:
        ticks = []
        ((result,), _) = run_episodes(task, policy, plant, [seed], parameters=PAYLOAD, on_tick=ticks.append)
        episodes[seed] = (ticks, result)
    return episodes


def assert_same(path, ticks):
    trace = read_trace(path)
    assert len(trace) == len(ticks)
    np.testing.assert_array_equal(trace.position, np.concatenate([tick.measurement.position for tick in ticks]))
    np.testing.assert_array_equal(trace.velocity, np.concatenate([tick.measurement.velocity for tick in ticks]))
    np.testing.assert_array_equal(trace.executed, np.concatenate([tick.decision.command.values for tick in ticks]))
    decided = [tick.observation for tick in ticks if tick.chunk is not None]
    for name, values in trace.observations.items():
        np.testing.assert_array_equal(values, np.concatenate([observation[name] for observation in decided]))


def test_stepped_run_over_topics_equals_the_run_in_one_process_bit_for_bit(task, policy_file, in_process, tmp_path):
    found = evaluate_over_ros(task, policy_file, SEEDS, parameters=PAYLOAD, record=tmp_path / "trace")
    assert found.cadence["steps"] == len(SEEDS) * task.episode_steps
    for number, (seed, episode) in enumerate(zip(SEEDS, found.episodes, strict=True)):
        ticks, expected = in_process[seed]
        assert_same(tmp_path / f"trace-{number:03d}.mcap", ticks)
        assert (episode.seed, episode.success, episode.steps, episode.stopped_by_guard) == (seed, True, 100, "")
        assert episode.total_reward == pytest.approx(expected.total_reward, abs=1.0)  # executed instead of asked actions


def test_a_sequence_is_played_out_between_decisions_and_begins_after_what_was_executed(tmp_path):
    learner = Srl(get_task("reach").contract, SrlConfig(hidden=16, critic_hidden=(8,), model_hidden=(8,), sequence=8), seed=1)
    task = dataclasses.replace(get_task("reach"), contract=learner.contract)
    draw = np.random.default_rng(0)
    samples = {s.name: draw.uniform(-1, 1, (9, s.history, *s.shape)).astype(np.float32) for s in learner.contract.observation}
    path = tmp_path / "policy.isthmus"
    export_graph(learner.contract, learner.policy(), samples).save(path)
    evaluate_over_ros(task, path, [5], replan=8, record=tmp_path / "trace")
    ticks = []
    plant = make_plant("pybullet", load_robot("ur5e"), mode="velocity", period=task.contract.control_period)
    run_episodes(task, Artifact.load(path).policy(), plant, [5], replan=8, on_tick=ticks.append)
    assert_same(tmp_path / "trace-000.mcap", ticks)
    trace = read_trace(tmp_path / "trace-000.mcap")
    assert trace.decisions.tolist() == list(range(0, len(ticks), 8))  # 2.5 Hz of 20 Hz
    np.testing.assert_allclose(trace.observations["previous_action"][1:, 0], trace.executed[7:-1:8], atol=1e-7)
    assert np.abs(np.diff(trace.executed, axis=0)).max(axis=1).min() > 0  # no action twice


def test_swapped_and_additional_joints_change_nothing(task, policy_file, in_process, tmp_path):
    record, physical = str(tmp_path / "trace"), [f"payload:={PAYLOAD['payload']}"]
    with bench(policy_file, simulator={"parameters": physical}, relayed=True, record=record, max_steps=task.episode_steps) as nodes:
        nodes.relay.tamper = swapped
        evaluate_over_ros(task, policy_file, SEEDS, attach=True, domain_id=nodes.domain)
    for number, seed in enumerate(SEEDS):
        assert_same(tmp_path / f"trace-{number:03d}.mcap", in_process[seed][0])


def test_start_ramps_slowly_to_the_start_pose(task, tmp_path):
    robot, tolerance = load_robot("ur5e"), 0.02
    contract = dataclasses.replace(task.contract, start={joint.name: (joint.home, tolerance) for joint in robot.joints})
    resolved_rate(contract).save(tmp_path / "policy.isthmus")
    goal = episode_start(task, [0]).inputs["goal"][0].tolist()
    with bench(tmp_path / "policy.isthmus", simulator={}, record=str(tmp_path / "trace"), max_steps=5) as nodes:
        assert nodes.configure()
        nodes.activate()
        nodes.reset(7)
        nodes.arm()
        nodes.reach_for(contract, goal)
        nodes.link.forget()
        nodes.start()
        nodes.wait(lambda: nodes.link.number("run_sequence") >= 0 and nodes.link.status["policy"] == "idle", "the run")
        first = nodes.link.number("run_sequence")
        ramp = np.array([message.velocity for number, message in nodes.link.executed.items() if number < first])
    assert len(ramp) > 20
    assert 0.1 < np.abs(ramp).max() <= 0.25
    assert np.abs(np.diff(ramp, axis=0)).max() < 0.05  # rad/s per control period
    began = read_trace(tmp_path / "trace-000.mcap").position[0]
    assert np.abs(began - robot.home).max() <= tolerance
