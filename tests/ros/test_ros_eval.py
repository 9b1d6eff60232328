"""`isthmus eval --plant ros` beside the same episode in one process."""

import numpy as np
import pytest

pytest.importorskip("rclpy")

from isthmus.trace import read_trace
from isthmus_controllers.scripted import scripted_artifact
from isthmus_sim.recordings import recorded_episodes
from isthmus_sim.tasks import get_task

pytestmark = pytest.mark.ros


def test_over_topics_in_stepped_time_an_episode_is_the_one_in_process(read_json, policies, tmp_path):
    words = ("eval", policies / "pendulum.isthmus", "--episodes", 1, "--seed", 2, "--parameters", "payload=0.2", "--json", "-")
    topics = read_json(*words, "--plant", "ros", "--engine", "pybullet", "--record", tmp_path)
    process = read_json(*words, "--plant", "pybullet")
    assert topics["plant"] == "ros"
    assert topics["per_episode"][0]["steps"] == process["per_episode"][0]["steps"]
    assert topics["return"]["mean"] == pytest.approx(process["return"]["mean"], rel=1e-3)
    for name in ("command_change_rms", "reversals_per_second", "peak_speed"):
        assert topics["motion"][name] == pytest.approx(process["motion"][name], rel=1e-3, abs=1e-9)
    assert topics["motion"]["clamped"] is None
    assert len(list(tmp_path.glob("ros-*.mcap"))) == 1


def test_what_a_policy_node_recorded_over_topics_is_rewarded_like_the_episode_in_process(isthmus, tmp_path):
    task = get_task("reach")
    scripted_artifact(task.contract).save(tmp_path / "reach.isthmus")
    for plant in (("ros", "--engine", "pybullet"), ("pybullet",)):
        words = ("eval", tmp_path / "reach.isthmus", "--episodes", 1, "--seed", 3, "--record", tmp_path / plant[0], "--plant", *plant)
        code, _, error = isthmus(*words)
        assert code == 0, error
    (topics,), (process,) = (
        recorded_episodes(read_trace(next((tmp_path / name).glob("*.mcap"))), task, task.contract) for name in ("ros", "pybullet")
    )
    assert len(topics.reward) == len(process.reward) == task.episode_steps - 1
    np.testing.assert_allclose(topics.reward, process.reward, atol=1e-3)
    np.testing.assert_allclose(topics.observation["tool0"], process.observation["tool0"], atol=1e-4)


def test_in_stepped_time_noise_that_looks_like_motion_keeps_no_episode_from_beginning(read_json, policies):
    """No newer sample comes before something is sent, so a start that had to wait for one waited for ever."""
    policy = policies / "reach.isthmus"
    words = ("--episodes", 3, "--json", "-", "--plant", "ros", "--engine", "mujoco", "--parameters", "velocity_noise=0.012")
    assert read_json("eval", policy, *words)["episodes"] == 3
