import numpy as np
import pytest
from transitions import small_contract

import isthmus_sim
from isthmus.guard import HOLD, STOP
from isthmus.sequence import sequence_contract
from isthmus_policies.explorer import Explorer
from isthmus_policies.replay import Replay

CONTRACT = sequence_contract(small_contract(), 3)  # actions from −1 to 3


class Script:
    """Two rows: the first terminates in the third period, the second is truncated in the fourth; the guard holds the second in the second.

    The observation is 10 × episode + period, and what the guard executes is half of what was asked.
    """

    num_envs = 2
    progress = 0.0
    hidden = np.zeros((2, 0))

    def reset(self, *, seed):
        self.episode, self.period, self.asked = np.zeros(2), np.zeros(2), np.ones((2, 1))
        return self.seen(), {}

    def seen(self):
        state = (10 * self.episode + self.period)[:, None, None] * np.ones((2, 1, 2))
        return {"state": state.astype(np.float32), "previous_action": (self.asked[:, None] / 2).astype(np.float32)}

    def step(self, actions):
        self.period += 1
        self.asked = actions
        terminated, truncated = (self.period == 3) & [True, False], (self.period == 4) & [False, True]
        info = {"rung": np.where((self.period == 2) & (self.episode == 0) & [False, True], HOLD, 0), "final_obs": self.seen()}
        info["diverged"] = (self.period == 4) & [False, True]
        ended = terminated | truncated
        self.episode, self.period = self.episode + ended, np.where(ended, 0, self.period)
        self.asked = np.where(ended[:, None], 2.0, self.asked)  # after a reset the middle of the range was executed
        return self.seen(), self.period + 100 * ended, terminated, truncated, info


class Tape:
    """A learner and a replay that write down what they are given."""

    contract = CONTRACT

    def __init__(self):
        self.acted, self.added, self.lost, self.earned = [], [], [], []

    def act(self, observation, previous, fresh):
        self.acted.append((observation["state"][:, 0, 0].tolist(), previous[:, 0].tolist(), fresh.tolist()))
        return np.full((2, 1), -0.5 if len(self.acted) % 2 else 0.5, dtype=np.float32)  # 0 and 2 in SI units

    def ended(self, returns):
        self.earned.append(returns)

    def add(self, observation, previous, action, reward, terminated, truncated, following, lost, hidden):
        self.lost.append(lost.tolist())
        told = (observation["state"][:, 0, 0], previous[:, 0], action[:, 0], reward, terminated, truncated, following["state"][:, 0, 0])
        self.added.append([values.tolist() for values in told])


@pytest.fixture
def tape():
    made = Tape()
    explorer = Explorer(made, Script(), made, np.random.default_rng(0), 0.9)
    explorer.begin_episodes(0, 0.0)
    for _ in range(5):
        explorer.advance(0.0, at_random=False)
    made.explorer = explorer
    return made


def test_the_learner_sees_what_was_executed_and_where_a_plan_no_longer_holds(tape):
    states, previous, fresh = zip(*tape.acted, strict=True)
    assert states == ([0, 0], [1, 1], [2, 2], [10, 3], [11, 10])
    # Executed: half of what was asked, 0 and 1 in SI units, are −0.5 and 0; 1 after a reset is 0; at the very beginning it is 0.5, that is −0.25.
    assert previous == ([-0.25, -0.25], [-0.5, -0.5], [0, 0], [0, -0.5], [0, 0])
    assert fresh == ([True, True], [False, False], [False, True], [True, False], [False, True])


def test_the_replay_gets_the_final_observation_and_how_each_episode_ended(tape):
    observation, previous, action, reward, terminated, truncated, following = zip(*tape.added, strict=True)
    assert observation == ([0, 0], [1, 1], [2, 2], [10, 3], [11, 10])
    assert following == ([1, 1], [2, 2], [3, 3], [11, 4], [12, 11])
    assert terminated == ([False] * 2, [False] * 2, [True, False], [False] * 2, [False] * 2)
    assert truncated == ([False] * 2, [False] * 2, [False] * 2, [False, True], [False] * 2)
    assert action == ([-0.5, -0.5], [0.5, 0.5], [-0.5, -0.5], [0.5, 0.5], [-0.5, -0.5])
    assert previous[1:] == tuple(values for _, values, _ in tape.acted[1:])
    assert reward == ([1, 1], [2, 2], [100, 3], [1, 100], [2, 1])
    assert tape.lost == [[False, False]] * 3 + [[False, True], [False, False]]  # it exploded
    assert tape.explorer.recent_return == pytest.approx((103 + 106) / 2)


def test_a_stop_is_worth_as_much_as_the_worst_period_forever_and_never_more_than_nothing():
    class Stopping(Script):
        rewards = ((-2.0, 1.0), (-1.0, 2.0))

        def step(self, actions):
            period = int(self.period[0])
            seen, _, never, _, _ = super().step(actions)
            stopped = np.full(2, period == 1)
            return seen, np.array(self.rewards[period]), never & False, stopped, {"rung": np.where(stopped, STOP, 0), "final_obs": seen}

    tape = Tape()
    explorer = Explorer(tape, Stopping(), tape, np.random.default_rng(0), 0.9)
    explorer.begin_episodes(0, 0.0)
    for _ in range(2):
        explorer.advance(0.0, at_random=False)
    _, _, _, reward, terminated, truncated, _ = zip(*tape.added, strict=True)
    assert reward == ([-2.0, 1.0], [pytest.approx(-1 - 2 * 0.9 / 0.1), 2.0])
    assert (terminated[1], truncated[1]) == ([True, True], [False, False])
    assert explorer.recent_return == 0.0  # (−3 + 3) / 2: what is told of the course is what was earned
    assert tape.earned == [[pytest.approx(-3 - 18), 3.0]]  # and the learner is told of the price


def test_an_explosion_leaves_nothing_to_learn_from():
    """Its successor is its own observation: as a transition it would be a loop, worth staying in wherever its reward is better than the truth."""
    env = isthmus_sim.make_vec("pendulum", 2)
    learner = Tape()
    learner.contract = env.task.contract
    replay = Replay(learner.contract, 200, 2)
    explorer = Explorer(learner, env, replay, np.random.default_rng(0), 0.9)
    explorer.begin_episodes(0, 0.0)
    for period in range(12):
        if period == 7:
            env.plant.reset(np.array([1]), state={"velocity": np.full((1, 1), 1e200)})
        explorer.advance(0.0, at_random=True)
    assert env.diverged == 1
    batch = replay.sample(2000, 0.9, 1, np.random.default_rng(0))
    assert len(np.unique(batch.slots)) == 2 * 12 - 1
    stayed = [(now == after).flatten(1).all(1) for now, after in (values.chunk(2) for values in batch.observation.values())]
    assert not np.logical_and.reduce([same.numpy() for same in stayed]).any()
    assert (batch.reward < 0).all()
    assert (batch.discount > 0).all()


def test_what_a_person_did_instead_is_remembered_as_the_action():
    class Corrected(Script):
        def step(self, actions):
            *told, info = super().step(actions)
            return *told, {**info, "executed": np.array([[1.5], [9.0]])}  # of −1 … 3

    tape = Tape()
    explorer = Explorer(tape, Corrected(), tape, np.random.default_rng(0), 0.9)
    explorer.begin_episodes(0, 0.0)
    explorer.advance(0.0, at_random=False)
    ((_, _, action, *_),) = tape.added
    assert action == [0.25, 1.0]
