"""Rows of a batch are single runs: whatever another row is held, stopped or ended by changes nothing for them."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus import ActionChunk
from isthmus_sim.episodes import run_episodes
from isthmus_sim.plants import task_plant
from isthmus_sim.tasks import get_task

HORIZON, PERIODS = 4, 24
REACH = dataclasses.replace(
    get_task("reach"), contract=dataclasses.replace(get_task("reach").contract, horizon=HORIZON), episode_steps=PERIODS
)


class Towards:
    """Plans H velocities from what it sees, so that what it does depends on when it is asked."""

    def __init__(self, contract):
        self.contract, self.asked = contract, 0

    def reset(self, rows=None, seed=None):
        pass

    def act(self, observation):
        self.asked += len(observation["goal"])
        seen, goal = (observation[name][:, -1].astype(np.float64) for name in ("joint_position", "goal"))
        plan = np.sin(5 * seen)[:, None] * np.linspace(0.2, 0.5, HORIZON)[None, :, None]
        return ActionChunk(plan + 0.3 * goal[:, :1, None])


class Recorded:
    """Plays actions back, one chunk after the other, each row from where its seed says."""

    def __init__(self, contract, actions):
        self.contract, self.actions, self.times = contract, actions, {}

    def reset(self, rows=None, seed=None):
        if rows is None:
            self.times = {}
        else:
            self.times[int(rows[0])] = 3 * seed

    def act(self, observation):
        return self.act_rows(observation, np.arange(len(observation["goal"])))

    def act_rows(self, observation, rows):
        begins = [self.times[row] for row in rows.tolist()]
        self.times |= {row: begin + 1 for row, begin in zip(rows.tolist(), begins, strict=True)}
        return ActionChunk(self.actions[np.add.outer(begins, np.arange(HORIZON)) % len(self.actions)])


def failing(plant, seeds):
    """The plant, whose velocity sensors fail: for two periods where 3 divides the seed, which is a hold that passes, for good where 4 does."""
    read, count = plant.read, [0]
    briefly, for_good = (np.array([seed % divisor == 0 for seed in seeds]) for divisor in (3, 4))

    def sometimes():
        sample = read()
        count[0] += 1
        rows = (briefly & (count[0] in (7, 8))) | (for_good & (count[0] > 5))
        return dataclasses.replace(sample, velocity=np.where(rows[:, None], np.nan, sample.velocity))

    plant.read = sometimes
    return plant


def run(policy, seeds, *, task=REACH, replan=None):
    seeds = list(seeds)
    plant = failing(task_plant("mujoco", task, len(seeds)), seeds)
    ticks = []
    results, _ = run_episodes(task, policy, plant, seeds, replan=replan, on_tick=ticks.append)
    return results, ticks


POLICIES = {
    "scripted": lambda: Towards(REACH.contract),
    "recorded": lambda: Recorded(REACH.contract, np.random.default_rng(5).uniform(-0.5, 0.5, (40, 6))),
}


@pytest.mark.parametrize("name", POLICIES)
@settings(max_examples=6, deadline=None)
@given(rows=st.integers(2, 9), first=st.integers(0, 40), replan=st.integers(1, HORIZON))
def test_rows_of_a_batch_are_single_runs_with_holds_and_stops_among_them(name, rows, first, replan):
    seeds = range(first, first + rows)
    together, _ = run(POLICIES[name](), seeds, replan=replan)
    alone = [run(POLICIES[name](), [seed], replan=replan)[0][0] for seed in seeds]
    assert together == alone


def test_the_runs_compared_have_holds_that_pass_and_stops():
    results, _ = run(POLICIES["scripted"](), range(9))
    assert [bool(result.stopped_by_guard) for result in results] == [seed % 4 == 0 for seed in range(9)]
    assert [result.rungs["hold"] > 0 for result in results] == [seed % 4 == 0 or seed % 3 == 0 for seed in range(9)]


def test_a_policy_is_asked_only_for_rows_that_need_it_and_have_not_ended():
    policy = Towards(REACH.contract)
    results, ticks = run(policy, range(9))
    decided = np.zeros((PERIODS, 9), dtype=bool)
    for tick in ticks:
        decided[tick.index, tick.rows] = True
    assert policy.asked == decided.sum()
    for row, result in enumerate(results):
        if result.stopped_by_guard:
            assert not decided[result.steps :, row].any()
        elif not result.rungs["hold"]:
            assert np.flatnonzero(decided[:, row]).tolist() == list(range(0, PERIODS, HORIZON))
