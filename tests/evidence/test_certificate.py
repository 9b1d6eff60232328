"""Certificates: cells in two engines, margins by bisection, and what is kept in the policy file."""

import json
import shutil
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

from isthmus.artifact import Artifact, ArtifactError
from isthmus.cadence import Cadence
from isthmus.ladder import CERTIFICATE
from isthmus_controllers.scripted import scripted_artifact
from isthmus_evidence import certify
from isthmus_evidence.disturbances import Disturbance, disturbances
from isthmus_evidence.margins import DROP, find_margin
from isthmus_evidence.provenance import provenance
from isthmus_evidence.reports.certificate_report import certificate_report
from isthmus_evidence.summary import summarize
from isthmus_evidence.trajectories import TrajectoryRecorder, divergence
from isthmus_sim.episodes import EpisodeResult
from isthmus_sim.tasks import get_task

DELAY = Disturbance("delay", "commands take effect later", "s", 0.5, values={"action_delay": (0.0, 1.0)})


def episodes(fails):
    results = [EpisodeResult(seed, 0.0, not failed, 10, "", False, False, {}, {}) for seed, failed in enumerate(fails)]
    return summarize("reach", "mujoco", 0, results, {}, episode_steps=10)


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    file = tmp_path_factory.mktemp("scripts") / "script.isthmus"
    scripted_artifact(get_task("reach").contract).save(file)
    return file


@pytest.fixture(scope="module")
def found(script):
    steps = []
    certificate = certify(script, episodes=2, margins=[], progress=lambda done, total, now: steps.append((done, total, now)))
    assert steps == [(0, 2, "nominal in mujoco"), (1, 2, "nominal in pybullet")]
    return certificate


@pytest.mark.parametrize("count", [40, 200])
def test_a_margin_lies_where_success_has_fallen_by_ten_points(count):
    """Episode i of n fails once the delay is more than 0.2 + 0.2 · i / n: ten points are lost at 0.22."""
    asked = []

    def run(parameters):
        asked.append(parameters["action_delay"])
        return episodes(asked[-1] > 0.2 + 0.2 * np.arange(count) / count)

    found = find_margin(DELAY, episodes([False] * count), run)
    assert found["low"] < found["margin"] < found["high"]
    assert found["low"] < 0.22 < found["high"]
    assert found["margin"] == pytest.approx(0.22, rel=0.1)
    assert found["high"] - found["low"] < (0.12 if count == 40 else 0.06)
    assert len(set(asked)) == len(asked) <= 20
    for row in found["tried"]:
        assert row["low"] <= row["difference"] <= row["high"]
        assert (row["low"] >= DROP) <= (row["amount"] >= found["high"])


def test_what_is_never_reached_is_none_and_too_few_episodes_know_nothing():
    found = find_margin(DELAY, episodes([False] * 100), lambda parameters: episodes([False] * 100))
    assert (found["margin"], found["low"], found["high"], len(found["tried"])) == (None, None, None, 1)
    found = find_margin(DELAY, episodes([False] * 4), lambda parameters: episodes([False] * 4))
    assert (found["margin"], found["low"]) == (None, 0.0)


def test_where_nothing_succeeds_nothing_is_searched():
    """Of 100 episodes 0 and 9 succeed: neither can lose ten points; 10 can."""
    for successes, words in ((0, "0.00 (0.00 … 0.04)"), (9, "0.09 (0.05 … 0.16)")):
        nominal, asked = episodes([True] * (100 - successes) + [False] * successes), []
        row = find_margin(DELAY, nominal, asked.append)
        assert row["refused"] == f"no margin: nominal success is {words}, which cannot fall by 0.10"
        assert not asked
        assert "margin" not in row
    row = find_margin(DELAY, episodes([True] * 90 + [False] * 10), lambda parameters: episodes([True] * 100))
    assert row["margin"] is not None


def test_a_factor_goes_down_from_one():
    weak = Disturbance("weak-servos", "", "1", 0.1, True, {"elbow_joint.gain": (1.0, 1.0)})
    found = find_margin(weak, episodes([False] * 60), lambda parameters: episodes([parameters["elbow_joint.gain"] < 0.5] * 60))
    assert found["margin"] == pytest.approx(0.5, rel=0.1)
    assert found["high"] <= found["margin"] <= found["low"]


def test_what_an_engine_cannot_express_is_said():
    def run(parameters):
        raise ValueError("plant 'pybullet' cannot express parameter 'elbow_joint.gain': it has none")

    assert "cannot express" in find_margin(DELAY, episodes([False] * 4), run)["refused"]


def test_disturbances_are_those_that_a_task_has_words_for():
    assert {"delay", "noise", "friction", "payload", "weak-servos", "drop-out", "jitter"} <= disturbances(get_task("reach")).keys()
    assert {"slippery", "heavy"} <= disturbances(get_task("push")).keys()
    assert "heavy" not in disturbances(get_task("reach"))
    assert disturbances(get_task("rod"))["noise"].unit == "rad or m"  # its robot has a gripper
    for one in disturbances(get_task("push")).values():
        table = get_task("push").parameters
        for share in (0.0, 0.5, 1.0):
            assert all(table[name].low <= value <= table[name].high for name, value in one.parameters(one.amount(share)).items()), one.name


def test_trajectories_tell_jerk_and_divergence():
    contract = get_task("pendulum").contract
    (joint,) = contract.action.elements
    recorder, period = TrajectoryRecorder(contract), contract.control_period

    def sample(step):
        time = step * period
        return SimpleNamespace(joints=(joint,), position=np.array([[time], [0.0]]), velocity=np.array([[time**2], [0.0]]))

    for step in range(10):
        recorder.observe(SimpleNamespace(before=sample(step), after=sample(step + 1)))
    recorder.conclude([SimpleNamespace(steps=10), SimpleNamespace(steps=4)])
    assert recorder.jerks == pytest.approx([2.0, 0.0])
    assert [len(positions) for positions in recorder.positions] == [11, 5]
    apart = divergence([recorder.positions[0]], [recorder.positions[1]])
    assert apart["largest"]["mean"] == pytest.approx(4 * period)
    assert apart["rms"]["mean"] == pytest.approx(np.sqrt((np.arange(5) ** 2).mean()) * period)


def test_cells_are_the_same_seeds_in_both_engines(found):
    assert [(cell["condition"], cell["engine"], cell["episodes"]) for cell in found["cells"]] == [
        ("nominal", "mujoco", 2),
        ("nominal", "pybullet", 2),
    ]
    (pair,) = found["pairs"]
    assert (pair["engine"], pair["against"], pair["episodes"]) == ("pybullet", "mujoco", 2)
    assert 0 < pair["divergence"]["rms"]["mean"] < pair["divergence"]["largest"]["mean"] < 0.05
    for cell in found["cells"]:
        assert cell["jerk"]["low"] <= cell["jerk"]["mean"] <= cell["jerk"]["high"]
        assert cell["motion"]["intervals"]["clamped"] is not None
    assert len(list(certificate_report(found))) == 4


def test_the_command_stores_what_deploy_asks_for(isthmus, script, tmp_path):
    file = tmp_path / "policy.isthmus"
    shutil.copy(script, file)
    calibration = tmp_path / "calibration.yaml"
    calibration.write_text(CALIBRATION)
    loop = tmp_path / "robot.json"
    cadence = Cadence(0.05, realtime=True, steps=100)
    cadence.work.extend([0.01] * 100)
    loop.write_text(json.dumps(cadence.summary()))
    files = ("--calibration", calibration, "--cadence", loop)
    words = ("certify", file, "--episodes", 2, "--margins", "jitter", "--randomize", "none", *files)
    code, out, error = isthmus(*words, "--out", tmp_path / "out")
    assert code == 0, error
    assert "stored in" in out
    stored = Artifact.load(file).evidence[CERTIFICATE]
    assert stored["engines"] == ["mujoco", "pybullet"]
    assert [cell["condition"] for cell in stored["cells"]] == [name for name in ("nominal", "randomised", "calibrated") for _ in range(2)]
    delay = stored["conditions"]["randomised"]["content"]["parameters"]["action_delay"]
    assert min(delay["latency"]["times"]) == pytest.approx(get_task("reach").parameters["action_delay"].nominal + 0.01)
    assert stored["made"]["command"] == provenance()["command"]
    page = (tmp_path / "out" / "report.html").read_text()
    ElementTree.fromstring(page.removeprefix("<!DOCTYPE html>"))
    assert Artifact.load(file).policy_digest in page
    assert json.loads((tmp_path / "out" / "report.json").read_text())["margins"] == stored["margins"]
    content = bytearray(file.read_bytes())
    place = content.index(b'"engines":["mujoco"') + 15
    content[place] ^= 1
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"evidence/certificate\.json"):
        Artifact.load(file)


def test_bad_names_are_refused(refuse, script, tmp_path):
    assert "unknown margin 'delai'; did you mean 'delay'?" in refuse("certify", script, "--margins", "delai", "--out", tmp_path)
    assert "does not run in engine 'isaacgym'" in refuse("certify", script, "--engines", "mujoco", "isaacgym", "--out", tmp_path)
    assert "the policy (here) has another contract" in refuse("certify", script, "--task", "pendulum", "--out", tmp_path)
    assert Artifact.load(script).evidence == {}


CALIBRATION = """
target: reach
parameters:
  payload: {value: 0.5, sd: 0.05, interval: [0.4, 0.6], verdict: known, unit: kg, nominal: 0.0}
covariance: [[0.0025]]
chi2_dof: 1.0
held_out: {}
data: {}
holdout: ""
engine: mujoco
timestep: 0.005
"""
