"""Summaries and whole evaluations from Python."""

from dataclasses import replace

import numpy as np
import pytest

from isthmus.artifact import load_policy
from isthmus.guard import RUNGS
from isthmus.motion import motion_of
from isthmus.records import ActionChunk
from isthmus.trace import read_trace
from isthmus_evidence.summary import summarize
from isthmus_evidence.task_evaluation import evaluate_task
from isthmus_sim.episodes import EpisodeResult
from isthmus_sim.tasks import get_task

TASK = get_task("pendulum")


class Shaking:
    """Asks for full speed, one way and the other."""

    def __init__(self, policy):
        self.contract, self._sign = policy.contract, 1.0

    def reset(self, rows=None, seed=None):
        pass

    def act(self, observation):
        self._sign = -self._sign
        rows = len(next(iter(observation.values())))
        return ActionChunk(np.full((rows, 1, len(self.contract.action.elements)), self._sign), {})


RESULT = EpisodeResult(7, -3.0, True, 200, "", False, False, {"angle": -3.0}, {"pass": 200})


def test_summary_of_one_episode():
    summary = summarize("pendulum", "mujoco", 7, [RESULT], {"steps": 200}, episode_steps=200)
    assert summary["return"] == {"mean": -3.0, "low": -3.0, "high": -3.0}
    assert summary["per_episode"][0]["return"] == -3.0
    assert summary["per_episode"][0]["seed"] == 7


def test_a_return_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="the return of the episode with seed 7 is nan; whoever runs episodes must end such a row"):
        summarize("pendulum", "mujoco", 7, [replace(RESULT, total_reward=np.nan)], {}, episode_steps=200)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "time limit"),
        ({"stopped_by_guard": "limit cycle", "steps": 11}, "stopped by the guard"),
        ({"fallen": True, "steps": 50}, "fallen"),
        ({"diverged": True, "steps": 50}, "exploded"),
        ({"invalid": "command of hinge is not finite", "steps": 50}, "not finite"),
        ({"steps": 50}, "ended early"),
    ],
)
def test_why_episodes_ended_is_counted(changes, why):
    ended = replace(RESULT, **changes)
    assert summarize("pendulum", "mujoco", 7, [ended, ended], {}, episode_steps=200)["ends"] == {why: 2}


def test_the_motion_is_that_of_the_recorded_episode(policies, tmp_path):
    policy = load_policy(policies / "reach.isthmus")
    summary = evaluate_task(get_task("reach"), Shaking(policy), "pybullet", episodes=2, seed=5, record=tmp_path)
    for number, episode in enumerate(summary["per_episode"]):
        trace = read_trace(tmp_path / f"pybullet-{5 + number:06d}.mcap")
        expected = motion_of(trace.contract, trace.executed, rungs=np.array([RUNGS.index(rung) for rung in trace.rungs]))
        found = episode["motion"]
        assert found["periods"] == episode["steps"] == len(trace)
        for name in ("clamped", "held", "stopped", "command_change_rms", "reversals_per_second"):
            assert found[name] == pytest.approx(getattr(expected, name))
        assert found["peak_speed"] >= np.abs(trace.velocity).max() / 1.5 - 0.01  # the truth, not what sensors say
    assert summary["motion"]["clamped"] > 0.5
    assert summary["motion"]["unit"] == "rad/s"
    assert summary["motion"]["peak_acceleration"] > 0.5
    still = evaluate_task(get_task("reach"), policy, episodes=2, seed=5)["motion"]
    assert (still["clamped"], still["reversals_per_second"]) == (0.0, 0.0)


def test_chunks_of_rows_are_what_single_episodes_are(policies):
    policy = load_policy(policies / "pendulum.isthmus")
    together = evaluate_task(TASK, policy, "pybullet", episodes=12, seed=3)
    alone = evaluate_task(TASK, policy, "pybullet", episodes=1, seed=14)
    assert [episode["seed"] for episode in together["per_episode"]] == list(range(3, 15))
    assert together["per_episode"][-1] == alone["per_episode"][0]
    assert together["cadence"]["steps"] == 2 * TASK.episode_steps


def test_traces_hold_the_scored_episodes(policies, tmp_path):
    policy = load_policy(policies / "reach.isthmus")
    summary = evaluate_task(get_task("reach"), policy, episodes=2, seed=5, record=tmp_path, parameters={"payload": 1.0})
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
        evaluate_task(TASK, policy, episodes=0)
    with pytest.raises(ValueError, match="task 'pendulum' runs on mujoco, not on 'pybullet'"):
        evaluate_task(replace(TASK, plants=("mujoco",)), policy, "pybullet")
    with pytest.raises(ValueError, match=r"another contract than task 'reach' \(there\): robot is 'pendulum' here, 'ur5e' there"):
        evaluate_task(get_task("reach"), policy)
