import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transitions import small_contract

from isthmus_policies.replay import Replay
from isthmus_sim.suites import get_suite_task

CONTRACT = small_contract(size=1)
GAMMA = 0.5


class World:
    """Rows that count: observation t of episode e is 100 e + t, and so is the reward of the period that begins there."""

    def __init__(self, rows, capacity):
        self.replay = Replay(CONTRACT, capacity, rows)
        self.rows = rows
        self.episode = np.arange(rows) * 1000
        self.time = np.zeros(rows, dtype=int)

    def observe(self):
        return {"state": (100.0 * self.episode + self.time)[:, None, None]}

    def step(self, terminated, truncated, lost=None):
        before, action = self.observe(), (self.time % 3 - 1.0)[:, None]
        previous = np.where(self.time[:, None] > 0, (self.time[:, None] - 1) % 3 - 1.0, 0.0)
        self.time = self.time + 1
        after = self.observe()
        self.replay.add(before, previous, action, before["state"][:, 0, 0], terminated, truncated, after, lost)
        for row in np.flatnonzero(terminated | truncated):
            self.episode[row] += 1
            self.time[row] = 0


@given(seed=st.integers(0, 10**6), rows=st.integers(1, 3), capacity=st.integers(30, 90), steps=st.integers(1, 4))
@settings(deadline=None, max_examples=40)
def test_transitions_are_what_happened_whatever_ends_and_is_overwritten(seed, rows, capacity, steps):
    generator = np.random.default_rng(seed)
    world = World(rows, capacity)
    ends = {}
    for _ in range(60):
        terminated, truncated = generator.random(rows) < 0.1, generator.random(rows) < 0.1
        for row in range(rows):
            if terminated[row] or truncated[row]:
                ends[world.episode[row]] = (world.time[row] + 1, bool(terminated[row]))
        world.step(terminated, truncated)
    batch = world.replay.sample(200, GAMMA, steps, generator)
    state = batch.observation["state"][:, 0, 0].numpy()
    for first, last, previous, action, reward, discount in zip(
        state[:200], state[200:], batch.previous[:, 0], batch.action[:, 0], batch.reward, batch.discount, strict=True
    ):
        episode, time = divmod(first, 100)
        length, died = ends.get(episode, (world.time[world.episode == episode].sum(), False))
        count = int(min(steps, length - time))
        assert last == first + count
        assert action == time % 3 - 1
        assert previous == ((time - 1) % 3 - 1 if time else 0)
        assert reward == pytest.approx(sum(GAMMA**k * (first + k) for k in range(count)), rel=1e-5)
        assert discount == pytest.approx(0.0 if died and time + count == length else GAMMA**count)


def test_a_cut_keeps_the_successor_and_starts_anew():
    world = World(1, 30)
    no = np.zeros(1, dtype=bool)
    for _ in range(3):
        world.step(no, no)
    world.replay.cut()
    world.replay.cut()  # nothing has happened since, so nothing is kept twice
    world.episode += 1
    world.time[:] = 0
    world.step(no, no)
    batch = world.replay.sample(100, GAMMA, 2, np.random.default_rng(0))
    state = batch.observation["state"][:, 0, 0].numpy()
    assert set(zip(state[:100], state[100:], strict=True)) == {(0, 2), (1, 3), (2, 3), (100, 101)}
    assert set(batch.discount.tolist()) == {0.25, 0.5}


def test_a_loaded_replay_draws_the_same():
    world = World(2, 40)
    generator = np.random.default_rng(0)
    for _ in range(33):
        world.step(generator.random(2) < 0.1, generator.random(2) < 0.1)
    other = Replay(CONTRACT, 40, 2)
    other.load(world.replay.state())
    first, second = (replay.sample(50, GAMMA, 3, np.random.default_rng(1)) for replay in (world.replay, other))
    assert torch.equal(first.observation["state"], second.observation["state"])
    assert torch.equal(first.reward, second.reward)
    assert torch.equal(first.discount, second.discount)


def test_a_million_transitions_of_halfcheetah_fit_into_the_promised_memory():
    assert Replay(get_suite_task("gym:HalfCheetah-v5").contract, 10**6).nbytes <= 0.35e9


def test_a_lost_period_is_no_transition_and_the_one_before_keeps_its_successor():
    """An explosion, or a command that is not finite: with any reward it would be worth learning from, or not, by accident."""
    world = World(1, 30)
    no, yes = np.zeros(1, dtype=bool), np.ones(1, dtype=bool)
    for lost in (no, no, yes, yes, no):
        world.step(no, lost, lost)
    batch = world.replay.sample(100, GAMMA, 2, np.random.default_rng(0))
    state = batch.observation["state"][:, 0, 0].numpy()
    assert set(zip(state[:100], state[100:], strict=True)) == {(0, 2), (1, 2), (200, 201)}
    assert set(batch.discount.tolist()) == {0.25, 0.5}


def test_a_replay_of_nothing_but_lost_periods_is_an_error_and_not_a_search_without_end():
    world = World(1, 30)
    for _ in range(3):
        world.step(np.zeros(1, dtype=bool), np.ones(1, dtype=bool), np.ones(1, dtype=bool))
    with pytest.raises(ValueError, match="the replay holds no transition: every control period so far was lost"):
        world.replay.sample(4, GAMMA, 1, np.random.default_rng(0))
