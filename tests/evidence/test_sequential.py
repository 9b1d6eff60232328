"""Ending an evaluation early: when, with which mistakes, and with which interval."""

import numpy as np
import pytest

from isthmus_evidence import evaluate
from isthmus_evidence.sequential import SequentialTest
from isthmus_evidence.statistics import mean_interval, success_interval


def simulated(test, rates, seed=0):
    """Where the test ends on one evaluation per rate: successes and episodes, `[n]` each."""
    successes = np.random.default_rng(seed).random((len(rates), test.episodes)) < np.asarray(rates)[:, None]
    ends = np.array([test.stop(row) for row in successes])
    return successes, np.array([row[:end].sum() for row, end in zip(successes, ends, strict=True)]), ends


@pytest.mark.parametrize(("threshold", "lowest"), [(0.9, 0.7), (0.5, 0.2)])
def test_intervals_after_a_stop_hold_the_rate(threshold, lowest):
    test, rates = SequentialTest(threshold, 100), np.random.default_rng(1).uniform(lowest, 0.98, 2000)
    _, successes, ends = simulated(test, rates)
    found = {pair: test.interval(*pair) for pair in set(zip(successes.tolist(), ends.tolist(), strict=True))}
    low, high = np.array([found[pair] for pair in zip(successes.tolist(), ends.tolist(), strict=True)]).T
    assert 0.93 <= ((low <= rates) & (rates <= high)).mean() <= 0.97


@pytest.mark.parametrize("rate", [0.8, 0.88, 0.92, 0.99])
def test_a_verdict_is_wrong_in_at_most_five_percent(rate):
    test = SequentialTest(0.9, 200)
    _, successes, ends = simulated(test, np.full(1000, rate))
    verdicts = [test.verdict(*pair) for pair in zip(successes.tolist(), ends.tolist(), strict=True)]
    assert verdicts.count("missed" if rate > 0.9 else "reached") <= 50
    assert rate not in (0.8, 0.99) or verdicts.count("undecided") < 200


def test_returns_after_a_stop_are_held_by_their_interval_too():
    """Of a return that knows of success, as most do."""
    test, rate = SequentialTest(0.9, 100), 0.8
    draw, held = np.random.default_rng(2), 0
    successes, _, ends = simulated(test, np.full(2000, rate))
    returns = 10 * successes + draw.normal(0, 5, successes.shape)
    for row, end in zip(returns, ends, strict=True):
        low, high = mean_interval(row[:end])
        held += low <= 10 * rate <= high
    assert 0.93 <= held / 2000 <= 0.97


def test_without_a_verdict_the_interval_is_nearly_that_of_a_fixed_number():
    assert SequentialTest(0.5, 60).interval(33, 60) == pytest.approx(success_interval(33, 60), abs=0.01)
    low, high = SequentialTest(0.9, 60).interval(45, 45)
    assert low == pytest.approx(success_interval(45, 45)[0], abs=0.04)
    assert high == 1


def test_it_ends_after_43_successes_in_a_row_and_says_so():
    test = SequentialTest(0.9, 100)
    assert test.stop([True] * 60) == 43
    assert test.stop([True] * 42) is None
    assert test.plain(43, 43) == {"threshold": 0.9, "verdict": "reached", "episodes": 43, "of": 100, "more": None}
    assert test.stop([False] * 9) == 2
    assert test.verdict(0, 2) == "missed"


def test_an_undecided_one_says_how_many_more():
    told = SequentialTest(0.9, 100).plain(94, 100)
    assert (told["verdict"], 100 < told["more"] < 400) == ("undecided", True)
    assert SequentialTest(0.9, 100).plain(90, 100)["more"] is None


def test_bad_thresholds_are_refused():
    with pytest.raises(ValueError, match="the success rate that is asked for must be > 0 and < 1, got 1"):
        SequentialTest(1, 100)
    with pytest.raises(ValueError, match="a sequential test needs 1 … 10000 episodes, got 20000"):
        SequentialTest(0.9, 20000)


def test_eval_ends_as_soon_as_it_is_decided(isthmus, read_json, refuse, policies):
    code, out, _ = isthmus("eval", policies / "reach.isthmus", "--episodes", 40, "--until", 0.9)
    assert code == 0
    assert "decided after 2 of 40 episodes: a success rate of 0.9 is not reached" in out
    found = read_json("eval", policies / "reach.isthmus", "--plant", "pybullet", "--episodes", 1, "--until", 0.9, "--json", "-")
    assert (found["until"]["verdict"], len(found["per_episode"])) == ("undecided", 1)
    assert "must be > 0 and < 1, got 1.5" in refuse("eval", policies / "reach.isthmus", "--until", 1.5)


@pytest.mark.parametrize(("threshold", "count"), [(0.9, 2), (0.5, 10)])
def test_recordings_are_those_of_the_episodes_that_count(policies, tmp_path, monkeypatch, threshold, count):
    """Ten episodes run at once; the verdict may come within them, or with the last one."""
    monkeypatch.setattr(SequentialTest, "stop", lambda self, successes: count)
    found = evaluate(policies / "pendulum.isthmus", episodes=20, until=threshold, record=tmp_path, seed=7)
    seeds = [episode["seed"] for episode in found["per_episode"]]
    assert seeds == list(range(7, 7 + count))
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"mujoco-{seed:06d}.mcap" for seed in seeds]
