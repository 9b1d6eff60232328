"""Comparisons on the same seeds: what they say, what they fix beforehand, and what they refuse."""

import json
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from isthmus.artifact import Artifact
from isthmus_controllers.scripted import scripted_artifact
from isthmus_evidence import compare
from isthmus_evidence.comparison import verdict_of
from isthmus_evidence.motions import motion_summary
from isthmus_evidence.profiles import performance_profile, probability_of_improvement
from isthmus_evidence.protocol import Protocol, World, load_protocol
from isthmus_evidence.reports.comparison_report import verdict_words
from isthmus_evidence.statistics import mean_interval, paired_rate_interval, sign_flip_test
from isthmus_sim.tasks import get_task

PROTOCOL = """
task: reach
worlds: [{plant: mujoco}, {plant: pybullet, parameters: {payload: 1.0}, name: heavy}]
seed: 3
episodes: 4
metric: return
threshold: 2.0
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    file = tmp_path_factory.mktemp("scripts") / "script.isthmus"
    scripted_artifact(get_task("reach").contract).save(file)
    return file


@pytest.fixture(scope="module")
def found(script, policies):
    return compare([policies / "reach.isthmus", script], Protocol("reach", episodes=6))


def test_a_script_is_better_than_a_policy_that_does_nothing(found):
    (row,) = found["differences"]
    assert (row["here"]["policy"], row["there"]["policy"]) == ("script", "reach")
    assert row["verdict"]["verdict"] == "better"
    assert row["verdict"]["low"] == row["success"]["low"] > 0
    assert row["improvement"]["rate"] == 1
    assert row["iqm"]["low"] <= row["iqm"]["difference"] <= row["iqm"]["high"]
    assert row["motion"]["reversals_per_second"]["low"] <= row["motion"]["reversals_per_second"]["high"]
    assert list(found["seeds"]) == [str(seed) for seed in range(6)]
    assert all(values == [0.0, 1.0] for values in found["seeds"].values())


def test_every_figure_has_its_number_and_interval(found):
    for entry in found["entries"]:
        assert entry["episodes"] == 6
        for score in ("return", "success", "iqm"):
            assert entry[score]["low"] <= entry[score].get("mean", entry[score].get("rate")) <= entry[score]["high"]
        for name in ("clamped", "reversals_per_second"):
            ends = entry["motion"]["intervals"][name]
            assert ends["low"] <= entry["motion"][name] <= ends["high"]
        assert len(entry["profile"]["share"]) == len(entry["profile"]["score"]) == len(entry["profile"]["low"])


def test_a_policy_against_itself_is_undecided_and_more_would_not_help(policies):
    found = compare([policies / "reach.isthmus"] * 2, Protocol("reach", episodes=3), names=("one", "same"))
    verdict = found["differences"][0]["verdict"]
    assert (verdict["verdict"], verdict["more"], verdict["difference"]) == ("undecided", None, 0)


def test_what_is_undecided_says_how_many_more(script):
    found = compare([script], Protocol("reach", (World(), World(parameters={"payload": 3.0})), episodes=8, metric="return", threshold=1e-6))
    verdict = found["differences"][0]["verdict"]
    assert verdict["pairs"] == 8
    assert (verdict["verdict"] == "undecided") == (verdict["more"] is not None)


def judged(both, first, second, neither):
    apart = np.repeat([0.0, 1.0, -1.0, 0.0], [both, first, second, neither])
    return verdict_of(apart, *paired_rate_interval(both, first, second, neither), Protocol("reach"))


def test_too_few_pairs_decide_nothing_and_say_how_many_more():
    found = judged(0, 2, 0, 0)
    assert (found["verdict"], found["p"], found["few"], found["more"]) == ("undecided", 0.5, True, 4)
    ends = {"policy": "one", "world": "mujoco"}, {"policy": "two", "world": "mujoco"}
    words = verdict_words({"here": ends[0], "there": ends[1], "verdict": found})
    assert words.endswith(
        "too few pairs differ to go by the interval (exact test, p = 0.5); about 4 more pairs would decide, if they go like these"
    )
    assert judged(0, 5, 0, 5)["verdict"] == "undecided"
    assert (judged(0, 6, 0, 0)["verdict"], judged(0, 0, 6, 0)["verdict"]) == ("better", "worse")
    for pairs, verdict in ((5, "undecided"), (6, "better")):
        assert verdict_of(np.ones(pairs), 1.0, 1.0, Protocol("reach", metric="return"))["verdict"] == verdict


def test_equal_policies_get_a_verdict_in_at_most_five_percent():
    """Success, exactly, from every outcome of n pairs; and 1 000 times n normal returns."""
    draw = np.random.default_rng(0)
    for pairs in (2, 3, 4, 6, 8, 12, 20):
        wrong = dict.fromkeys([(0.25, 0.25), (0.0, 0.5), (0.1, 0.4), (0.81, 0.09)], 0.0)  # chances of both, and of either alone
        for both in range(pairs + 1):
            for first in range(pairs + 1 - both):
                for second in range(pairs + 1 - both - first):
                    counts = (both, first, second, pairs - both - first - second)
                    if judged(*counts)["verdict"] != "undecided":
                        ways = math.factorial(pairs) / math.prod(map(math.factorial, counts))
                        for one, other in wrong:
                            wrong[one, other] += ways * one**both * other ** (first + second) * (1 - one - 2 * other) ** counts[3]
        assert max(wrong.values()) <= 0.05, (pairs, wrong)
        assert decided(draw.normal(0, 1, (1000, pairs)), "return") <= 70, pairs


def decided(apart, metric, threshold=0.0):
    """How many rows get a verdict: none of those whose interval holds 0."""
    protocol, ends = Protocol("reach", metric=metric, threshold=threshold), [mean_interval(row) for row in apart]
    rows = [(row, low, high) for row, (low, high) in zip(apart, ends, strict=True) if low > threshold or high < -threshold]
    return sum(verdict_of(row, low, high, protocol)["verdict"] != "undecided" for row, low, high in rows)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_equal_returns_that_take_few_values_get_a_verdict_in_at_most_five_percent(threshold):
    """Differences of ±1 beside the threshold, exactly from every outcome of n pairs: an interval alone would decide 7 % of them."""
    alone = []
    for pairs in range(2, 21):
        outcomes = [threshold + np.repeat([1.0, -1.0], [ups, pairs - ups]) for ups in range(pairs + 1)]
        chances = [math.comb(pairs, ups) / 2**pairs for ups in range(pairs + 1)]
        wrong = sum(chance for row, chance in zip(outcomes, chances, strict=True) if decided([row], "return", threshold))
        assert wrong <= 0.05, pairs
        ends = [mean_interval(row) for row in outcomes]
        alone.append(sum(chance for (low, high), chance in zip(ends, chances, strict=True) if low > threshold or high < -threshold))
    assert max(alone[4:]) > 0.06
    draw = np.random.default_rng(1)
    for pairs in (6, 10, 16):
        assert decided(threshold + draw.choice([-1.0, 0.0, 0.0, 1.0], (600, pairs)), "return", threshold) <= 45, pairs


def test_a_sign_flip_test_is_exact_and_finds_what_is_there():
    assert sign_flip_test(np.array([3.0, 1.0, 2.0])) == pytest.approx(2 / 8)
    assert sign_flip_test(np.array([3.0, -1.0, 2.0, 0.0])) == pytest.approx(4 / 8)
    assert sign_flip_test(np.zeros(5)) == 1
    assert sign_flip_test(np.random.default_rng(0).normal(1, 1, 40)) < 0.001


def test_a_protocol_fixes_and_names_everything(tmp_path):
    (tmp_path / "protocol.yaml").write_text(PROTOCOL)
    protocol = load_protocol(tmp_path / "protocol.yaml")
    assert [world.title for world in protocol.worlds] == ["mujoco", "heavy"]
    assert re.fullmatch("[0-9a-f]{64}", protocol.digest())
    for changed in ("seed: 4", "episodes: 5", "metric: success", "threshold: 1.0", "payload: 2.0"):
        name = changed.split(":")[0]
        (tmp_path / "other.yaml").write_text(re.sub(rf"{name}: [\w.]+", changed, PROTOCOL))
        assert load_protocol(tmp_path / "other.yaml").digest() != protocol.digest()
    (tmp_path / "ranges.yaml").write_text("parameters: {payload: {uniform: {low: 0, high: 1}}}")
    (tmp_path / "drawn.yaml").write_text("task: reach\nworlds: [{randomize: ranges.yaml}]\n")
    before = load_protocol(tmp_path / "drawn.yaml").digest()
    (tmp_path / "ranges.yaml").write_text("parameters: {payload: {uniform: {low: 0, high: 2}}}")
    assert load_protocol(tmp_path / "drawn.yaml").digest() != before


def test_bad_protocols_are_refused(tmp_path):
    for text, why in (
        ("task: reach\nmetrik: return\n", "metrik"),
        ("task: reach\nmetric: speed\n", "unknown metric 'speed'"),
        ("task: reach\nepisodes: 1\n", "episodes of a comparison must be >= 2, got 1"),
        ("task: reach\nworlds: [{plant: mujoco}, {plant: mujoco}]\n", "two worlds are called 'mujoco'; name them"),
        ("task: reach\nthreshold: -1\n", "threshold must be"),
    ):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(ValueError, match=re.escape(why)):
            load_protocol(tmp_path / "bad.yaml")


def test_the_command_names_the_hash_and_writes_the_page(isthmus, refuse, script, policies, tmp_path):
    protocol = tmp_path / "protocol.yaml"
    protocol.write_text(PROTOCOL)
    words = ("compare", script, policies / "reach.isthmus", "--protocol", protocol, "--out", tmp_path / "out")
    code, out, error = isthmus(*words)
    assert code == 0, error
    digest = load_protocol(protocol).digest()
    assert out.index(f"protocol {digest}\n") < out.index("reach in heavy against script in heavy: ")
    page = (tmp_path / "out" / "report.html").read_text()
    ElementTree.fromstring(page.removeprefix("<!DOCTYPE html>"))
    assert digest in page
    assert Artifact.load(script).policy_digest in page
    assert page.count('class="chart"') == 2
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["protocol"]["digest"] == digest
    assert len(report["differences"]) == 2
    usual = ("--plants", "mujoco", "--episodes", 50, "--seed", 0, "--metric", "success", "--threshold", 0)
    assert f"fixes what is compared, so {' and '.join(usual[::2])} cannot be given" in refuse(*words, *usual)
    code, out, error = isthmus("compare", script, "--out", tmp_path)
    assert (code, out) == (2, "")  # no protocol is told of what is refused
    assert "one policy in one world is nothing to compare" in error
    assert "metric 'robustness' is not known of all episodes of 'reach'; valid here: success, return" in refuse(
        "compare", script, script, "--metric", "robustness", "--episodes", 2, "--out", tmp_path
    )


def test_profiles_and_improvement():
    profile = performance_profile(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 2.0, 4.0]))
    assert profile["share"] == [1, 0.5, 0]
    assert profile["low"][1] < 0.5 < profile["high"][1]
    found = probability_of_improvement(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 1.0, 1.0, 9.0]))
    assert (found["rate"], found["pairs"]) == (0.625, 4)


def test_shares_over_episodes_of_unequal_length_are_held_by_their_interval():
    """Of 1 000 evaluations, 30 episodes each: the longer an episode, the more of it is clamped."""
    from isthmus.motion import Motion

    draw, held = np.random.default_rng(0), 0
    for _ in range(1000):
        periods = draw.integers(20, 100, 30)
        motions = [Motion(int(count), clamped=float(draw.binomial(count, count / 200) / count), held=0.0, stopped=0.0) for count in periods]
        ends = motion_summary(motions, "rad/s")["intervals"]["clamped"]
        sizes = np.arange(20, 100)
        held += ends["low"] <= (sizes**2).sum() / 200 / sizes.sum() <= ends["high"]
    assert 0.93 <= held / 1000 <= 0.97
    alike = [Motion(10, clamped=value, held=0.0, stopped=0.0) for value in (0.1, 0.2, 0.4)]
    ends = motion_summary(alike, "rad/s")["intervals"]["clamped"]
    assert (ends["low"], ends["high"]) == (0.0, pytest.approx(mean_interval(np.array([0.1, 0.2, 0.4]))[1]))
