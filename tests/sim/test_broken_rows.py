"""A row that breaks ends as what it is: counted and named, never better off for it, and nothing to the others."""

import dataclasses

import numpy as np
import pytest

from isthmus import ActionChunk
from isthmus_sim.episodes import run_episodes
from isthmus_sim.plants import task_plant
from isthmus_sim.task import Scorer, Term
from isthmus_sim.tasks import get_task
from isthmus_sim.vector_env import TaskVectorEnv

REACH = dataclasses.replace(get_task("reach"), episode_steps=40)
PENDULUM = get_task("pendulum")
FASTEST = np.full((1, 6), 1e200)  # rad/s
SEEDS = [3, 4, 5, 6]
BROKEN, OTHERS = 2, [0, 1, 3]


class Swaying:
    """Moves as it sees, and asks for NaN in the period `bad` of the rows that it is told by their goals."""

    def __init__(self, contract, goals=(), bad=None):
        self.contract, self.goals, self.bad, self.periods = contract, goals, bad, 0

    def reset(self, rows=None, seed=None):
        self.periods = 0

    def act(self, observation):
        action = 0.3 * np.cos(observation["joint_position"][:, -1].astype(np.float64))
        if self.periods == self.bad:
            action[[goal in self.goals for goal in observation["goal"][:, -1, 0].tolist()], 1] = np.nan
        self.periods += 1
        return ActionChunk(action[:, None])


class Efforts(Swaying):
    def act(self, observation):
        return ActionChunk(np.full((len(observation["joint_position"]), 1, 1), 0.5))


def goal_of(task, seed):
    return float(np.float32(task.start([np.random.default_rng(seed)]).inputs["goal"][0, 0]))


def run(task, policy, change=lambda plant, period: None, seeds=SEEDS):
    """Results, ticks and transitions; `change` may break the plant after each period."""
    plant = task_plant("mujoco", task, len(seeds))
    ticks, transitions = [], []

    def look(tick):
        ticks.append(tick)
        change(plant, tick.index)

    results, _ = run_episodes(task, policy, plant, seeds, on_tick=look, on_transition=transitions.append)
    plant.close()
    return results, ticks, transitions


def explode_at(period):
    def explode(plant, now):
        if now == period:
            plant.reset(np.array([BROKEN]), state={"velocity": FASTEST[:, : len(plant.robot.joints)]})

    return explode


def rewards_of(task, transitions):
    scorer = Scorer(task, len(SEEDS))
    return np.array([scorer.score(transition).reward for transition in transitions])  # [T, B]


def test_a_command_that_is_not_finite_ends_its_own_row_and_is_named():
    whole, _, _ = run(REACH, Swaying(REACH.contract))
    policy = Swaying(REACH.contract, goals=[goal_of(REACH, SEEDS[BROKEN])], bad=6)
    broken, ticks, transitions = run(REACH, policy)
    assert [broken[row] for row in OTHERS] == [whole[row] for row in OTHERS]
    result, name = broken[BROKEN], REACH.contract.action.elements[1]
    assert (result.invalid, result.success, result.steps) == (f"command of {name} is not finite", False, 7)
    assert not result.diverged
    assert [BROKEN in tick.rows for tick in ticks] == [True] * 7 + [False] * 33
    rewards = rewards_of(REACH, transitions)[:7, BROKEN]
    assert result.total_reward == pytest.approx(rewards.sum() + 33 * min(rewards.min(), 0))


def test_a_reward_that_is_not_finite_ends_its_own_row_and_is_named():
    broken = Term("odd", 1.0, "1", lambda step: np.where((np.arange(4) == BROKEN) & (step.time > 0.32), np.nan, -1.0))
    task = dataclasses.replace(REACH, reward=(*REACH.reward, broken))
    results, _, _ = run(task, Swaying(REACH.contract))
    assert [result.invalid for result in results] == ["", "", "reward odd is not finite", ""]
    assert results[BROKEN].steps == 7
    assert np.isfinite(results[BROKEN].total_reward)
    assert not results[BROKEN].success


def test_an_explosion_costs_the_worst_period_so_far_for_each_that_is_left():
    """Where rewards are negative, an episode that ends early would have the better return."""
    task = dataclasses.replace(PENDULUM, episode_steps=60)
    policy = Efforts(task.contract)
    whole, _, _ = run(task, policy)
    broken, _, transitions = run(task, policy, explode_at(9))
    assert [broken[row] for row in OTHERS] == [whole[row] for row in OTHERS]
    result, rewards = broken[BROKEN], rewards_of(task, transitions)[:11, BROKEN]  # the eleventh of staying where it was
    assert (result.diverged, result.success, result.steps) == (True, False, 10)
    assert result.total_reward == pytest.approx(rewards.sum() + 49 * rewards.min())


@pytest.mark.parametrize("price", [-1.0, 1.0])
def test_a_stop_of_the_guard_costs_the_worst_period_so_far_for_each_that_is_left(price):
    """Where rewards are negative it would look the better the earlier it came; where they are positive it earns nothing more."""

    def fail(plant, period):
        if period == 5:
            read = plant.read
            plant.read = lambda: blind(read())

    def blind(sample):
        return dataclasses.replace(sample, velocity=np.where(np.arange(4)[:, None] == BROKEN, np.nan, sample.velocity))

    task = dataclasses.replace(REACH, reward=(Term("time", price, "1", lambda step: np.minimum(step.time, 0.4)), *REACH.reward))
    results, _, transitions = run(task, Swaying(REACH.contract), fail)
    rewards = rewards_of(task, transitions)
    for row, result in enumerate(results):
        assert bool(result.stopped_by_guard) == (row == BROKEN)
        own = rewards[: result.steps, row]
        assert result.total_reward == pytest.approx(own.sum() + (40 - result.steps) * min(own.min(), 0))
        assert sum(result.terms.values()) == pytest.approx(result.total_reward)
    assert results[BROKEN].steps < 20


def environment(task, rows=4):
    env = TaskVectorEnv(task, task_plant("mujoco", task, rows))
    env.reset(seed=0)
    return env


def test_a_step_returns_no_reward_that_is_not_finite_and_marks_the_row_that_asked_for_it():
    env, same = environment(REACH), environment(REACH)
    actions = np.full((4, 6), 0.1)
    spoilt = actions.copy()
    spoilt[BROKEN, 3] = np.nan
    _, reward, terminated, truncated, info = env.step(spoilt)
    _, expected, *_ = same.step(actions)
    assert np.isfinite(reward).all()
    np.testing.assert_array_equal(reward[OTHERS], expected[OTHERS])
    assert info["invalid"].tolist() == truncated.tolist() == [False, False, True, False]
    assert not terminated.any()
    assert not info["success"][BROKEN]
    assert np.isfinite(env.step(actions)[1]).all()


def test_an_explosion_is_no_way_out_of_rewards_that_are_negative():
    """Its successor is its own observation, so with a reward of 0 it would be worth more than going on."""
    env = environment(PENDULUM)
    stayed = env.step(np.zeros((4, 1)))[1][BROKEN]
    env.plant.reset(np.array([BROKEN]), state={"velocity": FASTEST[:, :1]})
    _, reward, _, truncated, info = env.step(np.zeros((4, 1)))
    assert truncated[BROKEN]
    assert info["diverged"][BROKEN]
    assert reward[BROKEN] == pytest.approx(stayed, rel=0.2)
    assert reward[BROKEN] < -0.1
    assert sum(values[BROKEN] for values in info["terms"].values()) == pytest.approx(reward[BROKEN])
