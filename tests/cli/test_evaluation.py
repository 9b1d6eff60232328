"""Intervals, summaries and whole evaluations from Python."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.artifact import load_policy
from isthmus.trace import read_trace
from isthmus_cli.evaluation import evaluate, return_interval, success_interval, summarize
from isthmus_sim.episodes import EpisodeResult
from isthmus_sim.tasks import get_task

TASK = get_task("pendulum")
RESULT = EpisodeResult(7, -3.0, True, 200, "", False, False, {"angle": -3.0}, {"pass": 200})


@settings(max_examples=20, deadline=None)
@given(returns=st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=30))
def test_return_interval_holds_the_mean_and_stays_among_the_returns(returns):
    values = np.array(returns)
    low, high = return_interval(values)
    assert values.min() - 1e-6 <= low <= values.mean() + 1e-6
    assert values.mean() - 1e-6 <= high <= values.max() + 1e-6
    assert return_interval(values) == (low, high)


@given(episodes=st.integers(1, 200), share=st.floats(0, 1))
def test_success_interval_holds_the_rate_and_never_claims_certainty(episodes, share):
    successes = round(share * episodes)
    low, high = success_interval(successes, episodes)
    assert 0 <= low <= successes / episodes + 1e-12
    assert successes / episodes - 1e-12 <= high <= 1
    assert high - low > 0.01


def test_wilson_interval_of_19_in_20():
    assert success_interval(19, 20) == pytest.approx((0.7639, 0.9911), abs=1e-4)


def test_summary_of_one_episode():
    summary = summarize("pendulum", "mujoco", 7, [RESULT], {"steps": 200})
    assert summary["return"] == {"mean": -3.0, "low": -3.0, "high": -3.0}
    assert summary["per_episode"][0]["return"] == -3.0
    assert summary["per_episode"][0]["seed"] == 7


def test_a_return_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="the return of the episode with seed 7 is nan; whoever runs episodes must end such a row"):
        summarize("pendulum", "mujoco", 7, [replace(RESULT, total_reward=np.nan)], {})


def test_chunks_of_rows_are_what_single_episodes_are(policies):
    policy = load_policy(policies / "pendulum.isthmus")
    together = evaluate(TASK, policy, "pybullet", episodes=12, seed=3)
    alone = evaluate(TASK, policy, "pybullet", episodes=1, seed=14)
    assert [episode["seed"] for episode in together["per_episode"]] == list(range(3, 15))
    assert together["per_episode"][-1] == alone["per_episode"][0]
    assert together["cadence"]["steps"] == 2 * TASK.episode_steps


def test_traces_hold_the_scored_episodes(policies, tmp_path):
    policy = load_policy(policies / "reach.isthmus")
    summary = evaluate(get_task("reach"), policy, episodes=2, seed=5, record=tmp_path, parameters={"payload": 1.0})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mujoco-000005.mcap", "mujoco-000006.mcap"]
    trace = read_trace(tmp_path / "mujoco-000006.mcap")
    assert trace.complete
    assert len(trace) == summary["per_episode"][1]["steps"]
    assert trace.metadata["seed"] == "6"
    assert trace.metadata["parameter.payload"] == "1.0"
    assert float(trace.metadata["return"]) == summary["per_episode"][1]["return"]


def test_wrong_requests_are_refused(policies):
    policy = load_policy(policies / "pendulum.isthmus")
    with pytest.raises(ValueError, match="episodes must be >= 1, got 0"):
        evaluate(TASK, policy, episodes=0)
    with pytest.raises(ValueError, match="task 'pendulum' runs on mujoco, not on 'pybullet'"):
        evaluate(replace(TASK, plants=("mujoco",)), policy, "pybullet")
    with pytest.raises(ValueError, match=r"another contract than task 'reach' \(there\): robot is 'pendulum' here, 'ur5e' there"):
        evaluate(get_task("reach"), policy)
