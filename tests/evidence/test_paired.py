"""Two evaluations on the same seeds."""

import numpy as np
import pytest

from isthmus_cli.console import write_json
from isthmus_evidence.paired import load_evaluation, paired_difference
from isthmus_evidence.summary import summarize
from isthmus_sim.episodes import EpisodeResult


def evaluation(returns, successes, seed=0, plant="mujoco", task="reach"):
    results = [
        EpisodeResult(seed + row, value, success, 100, "", False, False, {}, {})
        for row, (value, success) in enumerate(zip(returns, successes, strict=True))
    ]
    return summarize(task, plant, seed, results, {}, episode_steps=100)


def test_what_the_starts_explain_is_no_part_of_the_interval():
    draw = np.random.default_rng(0)
    starts = draw.normal(100, 10, 30)
    here, there = (evaluation(starts + shift + draw.normal(0, 0.5, 30), [True] * 30) for shift in (0, 2.8))
    assert here["return"]["high"] > there["return"]["low"]  # apart they overlap
    found = paired_difference(here, there)
    assert found["return"]["low"] < -2.8 < found["return"]["high"] < -2
    assert found["success"]["difference"] == 0


def test_pairs_are_found_by_seed():
    here = evaluation([1.0, 2.0, 3.0], [True, True, False], seed=4)
    there = evaluation([9.0, 0.0, 0.0, 1.0], [True, False, True, False], seed=3, plant="pybullet")
    found = paired_difference(here, there)
    assert (found["against"], found["episodes"], found["return"]["difference"]) == ("pybullet", 3, pytest.approx(5 / 3))
    assert [found["success"][name] for name in ("both", "here", "there", "neither")] == [1, 1, 0, 1]
    assert found["success"]["low"] < 1 / 3 < found["success"]["high"]


def test_a_suite_without_successes_is_compared_by_returns():
    here, there = evaluation([1.0, 2.0], [None, None]), evaluation([1.0, 1.0], [None, None])
    assert paired_difference(here, there)["success"] is None


def test_what_cannot_be_paired_is_refused(tmp_path):
    here = evaluation([1.0], [True])
    with pytest.raises(ValueError, match="episodes of task 'reach' cannot be paired with those of task 'push'"):
        paired_difference(here, evaluation([1.0], [True], task="push"))
    with pytest.raises(ValueError, match="the evaluations share no seed: here from 0 to 0, there from 7 to 8"):
        paired_difference(here, evaluation([1.0, 2.0], [True, True], seed=7))
    write_json({"curve": []}, tmp_path / "curve.json")
    with pytest.raises(ValueError, match=r"curve\.json is no evaluation of episodes, as isthmus eval --json writes it"):
        load_evaluation(tmp_path / "curve.json")


def test_eval_prints_and_stores_the_difference(isthmus, refuse, read_json, policies, tmp_path):
    file, result = policies / "reach.isthmus", tmp_path / "mujoco.json"
    assert isthmus("eval", file, "--episodes", 3, "--json", result)[0] == 0
    code, out, _ = isthmus("eval", file, "--episodes", 2, "--seed", 1, "--plant", "pybullet", "--against", result)
    assert code == 0
    assert "less mujoco on the same 2 seeds: return " in out
    found = read_json("eval", file, "--episodes", 2, "--against", result, "--json", "-")["paired"]
    assert found["return"] == {"difference": 0, "low": 0, "high": 0}
    assert "the evaluations share no seed: here from 9 to 9, there from 0 to 2" in refuse(
        "eval", file, "--seed", 9, "--episodes", 1, "--against", result
    )
    assert "No such file" in refuse("eval", file, "--against", tmp_path / "nothing.json")
    assert "--fas runs the episodes at many lengths, so --against cannot be used with it" in refuse(
        "eval", file, "--fas", "--against", result
    )
