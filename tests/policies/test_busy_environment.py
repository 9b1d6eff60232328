"""A training whose environment does not wait: what takes long is done between episodes."""

import json
import signal

import pytest

import isthmus_sim
from isthmus_policies.environment import LostError
from isthmus_policies.outcome import Evaluation
from isthmus_policies.sac import Sac, SacConfig
from isthmus_policies.training import train

CONFIG = SacConfig(steps=100, learning_starts=20, batch_size=8, hidden=(8, 8), evaluate_every=30, checkpoint_every=45)
PERIODS = 25  # of an episode


class Robot:
    """The pendulum with short episodes; it is busy from the moment in which the learner begins an episode to its last control period."""

    num_envs, progress, diverged = 1, 0.0, 0

    def __init__(self, lost=None, waits=None):
        self.inside, self.waits = isthmus_sim.make_vec("pendulum", 1), waits
        self.hidden, self.busy, self.done, self.lost = self.inside.hidden, False, 0, lost
        self.resets = 0

    def reset(self, *, seed):
        self.resets, self.seed, self.busy = self.resets + 1, seed, False
        self.observation = {name: 0 * values for name, values in self.inside.reset(seed=seed)[0].items()}
        return self.observation, {}

    def begin(self, enough):
        if self.done == self.waits:  # for a person, who does not come
            signal.raise_signal(signal.SIGINT)
            assert enough()
            return None
        assert not enough()
        if not self.busy:
            self.observation, _ = self.inside.reset(seed=self.seed + self.done)
            self.busy = True
        return self.observation

    def step(self, actions):
        if self.done == self.lost:
            raise LostError("the driver has ended")
        assert self.busy
        self.done += 1
        self.observation, reward, terminated, truncated, info = self.inside.step(actions)
        self.busy = self.done % PERIODS != 0
        if not self.busy:
            truncated = truncated | True
            info["final_obs"] = self.observation
        return self.observation, reward, terminated, truncated, info


class Watched(Sac):
    """Notes when it is updated; decides on what the robot shows now."""

    def act(self, observation, previous, fresh):
        assert observation is self.robot.observation
        assert self.robot.busy
        return super().act(observation, previous, fresh)

    def update(self, draw, rate):
        self.busy |= self.robot.busy
        self.moments.append(self.robot.done)
        return super().update(draw, rate)


def training(out, robot, config=CONFIG, **options):
    learner = Watched(robot.inside.task.contract, config, 0)
    learner.robot, learner.busy, learner.moments, scored = robot, False, [], []

    def score(policy):
        scored.append(robot.done)
        return Evaluation(0.0, 0.0)

    result = train(learner, robot, score, out, config=config, seed=0, **options)
    return learner, scored, result


def test_updates_evaluations_and_checkpoints_wait_for_the_end_of_an_episode(tmp_path):
    robot = Robot()
    learner, scored, result = training(tmp_path, robot)
    assert not learner.busy
    assert sorted(set(learner.moments)) == [25, 50, 75, 100]
    assert learner.moments.count(25) == 5
    assert len(learner.moments) == 80  # none is lost
    assert scored == [50, 75, 100]  # what was due at 30, at 60, and at 90
    assert robot.resets == 2  # at the beginning, and with the checkpoint that was due at 45; that of 90 is the end
    assert result.steps == 100
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [50, 75, 100]


def test_ctrl_c_while_the_environment_waits_for_a_person_begins_nothing_and_keeps_what_was_learned(tmp_path):
    """On 8ed61cf it went on waiting, and began an episode as soon as somebody armed the guard."""
    robot = Robot(waits=50)
    _, _, result = training(tmp_path, robot)
    assert (result.interrupted, result.steps, robot.done) == (True, 50, 50)
    assert result.checkpoint.stem.endswith("50")
    _, _, result = training(tmp_path, Robot(), CONFIG, resume=True)
    assert result.steps == 100


def test_what_was_learned_is_kept_when_the_environment_is_lost_and_goes_on(tmp_path):
    with pytest.raises(LostError, match="the driver has ended"):
        training(tmp_path, Robot(lost=60))
    _, _, result = training(tmp_path, Robot(), CONFIG, resume=True)
    assert result.steps == 100
