"""The Frequency-Averaged Score: golden numbers, and the lengths at which policies are run."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.artifact import Artifact
from isthmus.records import ActionChunk
from isthmus_evidence.enough import EnoughError
from isthmus_evidence.frequency import FixedLength, evaluate_frequencies, frequency_seed
from isthmus_evidence.frequency_score import LENGTHS, ReturnRange, frequency_averaged_score, published_range
from isthmus_evidence.reports.frequency_report import frequency_report
from isthmus_evidence.suite_evaluation import evaluate_suite
from isthmus_evidence.task_evaluation import evaluate_task
from isthmus_sim.suites import get_suite_task
from isthmus_sim.tasks import get_task

HOPPER = published_range("gym:Hopper-v5")
RANGE = ("--fas-range", -1500, 0)


def test_lengths_are_those_of_the_paper():
    assert LENGTHS == (1, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)


def test_the_highest_return_at_every_length_scores_29_of_30():
    assert frequency_averaged_score(np.full(16, 3600.0), HOPPER) == pytest.approx(29 / 30)
    assert frequency_averaged_score(np.full(16, -200.0), published_range("gym:Pendulum-v1")) == pytest.approx(29 / 30)


def test_returns_that_fall_linearly_to_nothing_score_half_of_it():
    assert frequency_averaged_score(np.interp(LENGTHS, (1, 30), (3600, 0)), HOPPER) == pytest.approx(0.483333, abs=1e-6)


def test_the_first_two_lengths_lie_closer_together():
    """By hand: (1/2 · 1 + 1/2 · 2) / 30 for a return of 1 at length 2 alone."""
    assert frequency_averaged_score(np.eye(16)[1], ReturnRange(0, 1)) == pytest.approx(1.5 / 30)


@given(
    returns=st.lists(st.floats(-1e4, 1e4), min_size=16, max_size=16),
    low=st.floats(-1e3, 1e3),
    span=st.floats(1, 1e4),
    shift=st.floats(-1e3, 1e3),
)
def test_the_score_knows_no_zero_and_no_unit_of_return(returns, low, span, shift):
    values = np.array(returns)
    score = frequency_averaged_score(values, ReturnRange(low, low + span))
    moved = ReturnRange(3 * (low + shift), 3 * (low + shift + span))
    assert frequency_averaged_score(3 * (values + shift), moved) == pytest.approx(score, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("task", "low", "high", "source"),
    [
        ("gym:Pendulum-v1", -1550, -200, "Pendulum-v1"),
        ("pendulum", -1550, -200, "Pendulum-v1"),
        ("gym:Reacher-v5", -65, -5, "Reacher-v2"),
        ("gym:InvertedPendulum-v5", 0, 1000, "InvertedPendulum-v2"),
        ("gym:HalfCheetah-v5@84", 0, 17000, "HalfCheetah-v2"),
    ],
)
def test_ranges_are_the_published_ones(task, low, high, source):
    assert published_range(task) == ReturnRange(low, high, source)


@pytest.mark.parametrize("task", ["reach", "gym:Hopper", "dmc:hopper-hop", "gym:Pusher-v5"])
def test_other_tasks_have_no_published_range(task):
    assert published_range(task) is None


def test_a_range_and_a_number_of_returns_that_are_wrong_are_named():
    with pytest.raises(ValueError, match="two finite numbers LOW < HIGH, got 5 5"):
        ReturnRange(5, 5)
    with pytest.raises(ValueError, match=r"the score is of 16 returns, got \[3\]"):
        frequency_averaged_score(np.zeros(3), HOPPER)


class Plan:
    """Plans three actions: 0, 1, 2."""

    def __init__(self, horizon=3):
        self.contract = replace(get_task("pendulum").contract, horizon=horizon)

    def reset(self, rows=None, seed=None):
        pass

    def act(self, observation):
        return ActionChunk(np.arange(self.contract.horizon, dtype=float)[None, :, None])


@pytest.mark.parametrize(("length", "executed"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (6, [0, 1, 2, 2, 2, 2])])
def test_a_plan_is_cut_or_its_last_action_repeated(length, executed):
    policy = FixedLength(Plan(), length)
    assert policy.contract.horizon == length
    assert policy.act({}).actions[0, :, 0].tolist() == executed


def test_a_reactive_policy_repeats_its_action():
    assert FixedLength(Plan(horizon=1), 4).act({}).actions[0, :, 0].tolist() == [0, 0, 0, 0]


class Damping:
    """Brakes, which is good only as long as it looks often."""

    def __init__(self, contract):
        self.contract = contract
        self.decisions = 0

    def reset(self, rows=None, seed=None):
        self.decisions = 0

    def act(self, observation):
        self.decisions += 1
        return ActionChunk(-2.0 * observation["joint_velocity"][:, -1:])


def test_the_curve_begins_with_the_ordinary_evaluation_and_decides_ever_less_often():
    task, counts = get_task("pendulum"), []
    policy = Damping(task.contract)
    done = []
    summary = evaluate_frequencies(
        task, policy, bounds=None, episodes=2, seed=7, progress=lambda *told: (done.append(told), counts.append(policy.decisions))
    )
    assert [point["length"] for point in summary["curve"]] == list(LENGTHS)
    assert summary["curve"][3]["decision_period"] == pytest.approx(0.3)
    ordinary = evaluate_task(task, Damping(task.contract), episodes=2, seed=7)
    assert summary["curve"][0]["return"] == ordinary["return"]
    assert done[-1] == (16 * 200, 16 * 200)
    assert counts[199::200] == [-(-200 // length) for length in LENGTHS]
    assert summary["score"] is None


def test_eval_writes_curve_score_chart_and_evidence(isthmus, policies, tmp_path):
    file, told, chart = tmp_path / "policy.isthmus", tmp_path / "fas.json", tmp_path / "fas.png"
    shutil.copy(policies / "pendulum.isthmus", file)
    code, out, _ = isthmus(
        "eval", file, "--fas", "--episodes", 2, "--plant", "pybullet", "--json", told, "--plot", chart, "--evidence", "--seed", 3
    )
    assert code == 0
    assert "as published for Pendulum-v1" in out
    summary = json.loads(told.read_text())
    assert (summary["episodes"], summary["seed"], summary["plant"]) == (2, 3, "pybullet")
    assert summary["range"] == {"low": -1550, "high": -200, "source": "Pendulum-v1"}
    returns = np.array([point["return"]["mean"] for point in summary["curve"]])
    assert summary["score"] == pytest.approx(frequency_averaged_score(returns, published_range("pendulum")))
    assert np.ptp(returns) == pytest.approx(0, abs=1e-6)  # it asks for nothing, however often
    del summary["policy"]  # the file says itself what it is
    stored = Artifact.load(file).evidence["fas-pybullet"]
    assert stored.pop("made")["command"] == summary.pop("made")["command"]
    assert stored == {**summary, "parameters": {}}
    from PIL import Image

    with Image.open(chart) as opened:
        assert opened.format == "PNG"


def test_a_task_without_a_published_range_has_a_score_once_one_is_given(isthmus, policies):
    words = ("eval", policies / "reach.isthmus", "--fas", "--episodes", 1)
    assert "no range of returns is published for reach; give one with --fas-range LOW HIGH" in isthmus(*words)[1]
    assert "with returns from -1500 to 0 as given" in isthmus(*words, *RANGE)[1]


def test_the_first_seed_is_that_of_the_training_and_100(policies):
    artifact = Artifact.load(policies / "pendulum.isthmus")
    assert frequency_seed(artifact) == 100
    assert frequency_seed(replace(artifact, training={"seed": 4})) == 104


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--fas --plant ros", "--fas is not available with --plant ros; it works with the simulators"),
        ("--fas --replan 1 --record x", "--fas runs the episodes at many lengths, so --replan and --record cannot be used with it"),
        ("--fas --fas-range 3 2", "a range of returns is two finite numbers LOW < HIGH, got 3 2"),
        ("--fas-range 0 1", "--fas-range goes with --fas"),
        ("--fas --episodes 0", "episodes must be >= 1, got 0"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(refuse, policies, words, sentence):
    assert sentence in refuse("eval", policies / "pendulum.isthmus", *words.split())


class Brake:
    """Brakes the pole of Pendulum-v1."""

    def __init__(self, contract):
        self.contract = contract

    def reset(self, rows=None, seed=None):
        pass

    def act(self, observation):
        return ActionChunk(-2 * np.sign(observation["observation"][:, -1:, 2:]))


def test_suite_tasks_have_a_score():
    task = get_suite_task("gym:Pendulum-v1")
    policy = Brake(task.contract)
    summary = evaluate_frequencies(task, policy, bounds=published_range(task.name), episodes=1, seed=5)
    assert summary["plant"] == "gym"
    assert summary["score"] == frequency_averaged_score(
        np.array([point["return"]["mean"] for point in summary["curve"]]), published_range(task.name)
    )
    assert summary["curve"][0]["return"] == evaluate_suite(task, policy, episodes=1, seed=5)["return"]
    assert len({point["return"]["mean"] for point in summary["curve"]}) > 8


class Impatient:
    """A progress that has had enough of it from some moment on."""

    def __init__(self, after):
        self.calls, self.after = 0, after

    def __call__(self, done, total, news=""):
        self.calls += 1
        if self.calls > self.after:
            raise EnoughError


@pytest.mark.parametrize(("name", "after", "finished"), [("pendulum", 500, 2), ("gym:Pendulum-v1", 2, 3)])
def test_who_has_had_enough_keeps_the_lengths_that_are_finished(name, after, finished):
    """On 8ed61cf they were lost; a suite went on to the end."""
    task = get_suite_task(name) if ":" in name else get_task(name)
    policy = Brake(task.contract) if ":" in name else Damping(task.contract)
    impatient = Impatient(after)
    summary = evaluate_frequencies(task, policy, bounds=published_range(name), episodes=2, seed=5, progress=impatient)
    assert impatient.calls == after + 1
    assert [point["length"] for point in summary["curve"]] == list(LENGTHS[:finished])
    assert summary["score"] is None
    *_, said = frequency_report(summary)
    assert said == f"no score: it is of 16 lengths, and {finished} are known"


def test_who_has_had_enough_before_anything_is_finished_gets_nothing():
    with pytest.raises(EnoughError):
        evaluate_frequencies(get_task("pendulum"), Damping(get_task("pendulum").contract), bounds=None, episodes=2, progress=Impatient(100))


def test_an_analytic_system_has_no_score(refuse, tmp_path, isthmus):
    assert isthmus("mpc", "stl:traffic", "--out", tmp_path / "plan.isthmus")[0] == 0
    told = refuse("eval", tmp_path / "plan.isthmus", "--fas")
    assert "'stl:traffic' is an analytic model, so --fas cannot be used with it" in told
