"""`isthmus asid`: each stage leaves its files, is not done twice, and what cannot be identified ends the loop with one sentence."""

import json
import shlex
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from isthmus.artifact import Artifact
from isthmus.guard import STOP
from isthmus.runner import Runner
from isthmus.trace import read_trace
from isthmus_controllers.scripted import STRIKE, scripted_artifact
from isthmus_evidence.asid import stages
from isthmus_evidence.asid.exploration import Checked
from isthmus_evidence.asid.learned import learn, nominal_belief, prior_belief
from isthmus_evidence.asid.real import explore, find_real
from isthmus_evidence.asid.strikes import strike_space
from isthmus_evidence.summary import summarize
from isthmus_sim.episodes import EpisodeResult
from isthmus_sim.identification.fit import FitOptions
from isthmus_sim.identification.information_preflight import Expected
from isthmus_sim.identification.information_run import Run
from isthmus_sim.identification.information_task import find_unknown
from isthmus_sim.identification.problem import Unknown
from isthmus_sim.tasks import get_task

TRUTH, FRICTION = 0.2, ("--unknown", "puck.friction", "--no-film", "--episodes", "4")
SLIDE = get_task("slide")


@pytest.fixture
def quick(monkeypatch):
    """Stages without their simulations: what is searched, identified and scored is made up, in proportion to what they are told; counts calls."""
    called = []

    def found(asked, space, *rest):
        called.append("search")
        return [space.artifact(np.zeros(4))]

    def checked(asked, policies, draws, progress):
        nothing = np.zeros(1)
        run = Run(nothing.astype(bool), nothing, nothing + 0.5, nothing + 0.5, nothing + 3.5)
        return Checked(0, np.full(1, 0.01), Expected(np.full(1, 0.03), np.zeros((1, 1)), run), 1.0, 2.0, 1.5)

    def learned(task, unknown, recording, folder, options, progress):
        called.append(f"identify {folder.name}")
        value = TRUTH if folder.name == "asid" else 0.1
        one = {"value": value, "sd": 0.005, "interval": [value - 0.01, value + 0.01], "verdict": "IDENTIFIED"}
        told = {"identified": True, "why": [], "parameters": {"puck.friction": one}, "covariance": [[2.5e-5]], "chi2_dof": 1.0}
        folder.mkdir(parents=True)
        (folder / "learned.json").write_text(json.dumps(told))
        return told

    def solved(task, belief, config, seed, progress):
        called.append("solve")
        return {"settings": {"friction": float(belief.draw(200, np.random.default_rng(0))["puck.friction"].mean())}, "expected": 1.0}

    def scored(task, policy, engine, *, episodes, seed, parameters):
        called.append("episodes")
        right = abs(policy.friction - parameters["puck.friction"]) < 0.01
        one = EpisodeResult(seed, 0.0, right, 80, "", False, False, {}, {})
        made = [replace(one, seed=seed + number) for number in range(episodes)]
        return summarize(task.name, engine, seed, made, {}, episode_steps=80, unit="rad/s")

    for name, made in (
        ("find_explorations", found),
        ("check_best", checked),
        ("learn", learned),
        ("solve", solved),
        ("evaluate_task", scored),
    ):
        monkeypatch.setattr(stages, name, made)
    return called


@pytest.fixture
def truth(tmp_path):
    file = tmp_path / "truth.yaml"
    file.write_text(f"puck.friction: {TRUTH}\n")
    return f"mujoco:{file}"


def test_a_loop_leaves_one_folder_with_a_report_and_goes_on_where_it_was(tmp_path, truth, quick, isthmus, refuse, monkeypatch):
    words = ("asid", "slide", "--real", truth, *FRICTION, "--strikes", "1", "--duration", "1.0", "--out", tmp_path / "loop")
    whole = stages.evaluate_task
    monkeypatch.setattr(stages, "evaluate_task", lambda *given, **how: (_ for _ in ()).throw(KeyboardInterrupt))
    code, shown, error = isthmus(*words)
    assert (code, error) == (130, "isthmus: interrupted; the stages that are finished are kept\n")
    monkeypatch.setattr(stages, "evaluate_task", whole)
    said = next(line for line in shown.splitlines() if line.startswith("go on with: isthmus "))
    code, shown, error = isthmus(*shlex.split(said.removeprefix("go on with: isthmus ")))
    assert code == 0, error
    assert quick.count("search") == 1
    assert [one for one in quick if one.startswith("identify")] == ["identify asid", "identify random"]
    assert quick.count("solve") == quick.count("episodes") == 4
    assert "puck.friction: 0.2, 95 % interval 0.19 … 0.21, IDENTIFIED" in shown
    assert "asid less randomised: +100 % success" in shown
    told = json.loads((tmp_path / "loop" / "report.json").read_text())
    assert told["episodes"]["asid"]["success"]["rate"] == 1.0
    assert told["episodes"]["nominal"]["success"]["rate"] == 0.0
    assert told["explored"]["asid"]["expected_share_of_range"] == {"puck.friction": 0.03}
    page = (tmp_path / "loop" / "report.html").read_text()
    for words_ in ("prior and posterior", "domain randomisation over the prior", "What was learned", "The task, before and after"):
        assert words_ in page
    assert Artifact.load(tmp_path / "loop" / "task" / "asid" / "policy.isthmus").policy().friction == pytest.approx(TRUTH, abs=0.01)
    assert (tmp_path / "loop" / "run" / "asid.mcap").is_file()
    assert "holds a loop with another episodes" in refuse(*words, "--episodes", "5")


def test_a_robot_is_never_moved_by_the_loop(tmp_path, quick, isthmus):
    code, _, error = isthmus("asid", "slide", "--real", "ros", *FRICTION, "--out", tmp_path / "loop")
    assert code == 1
    assert "ros2 launch isthmus_bringup identify.launch.py policy:=" in error
    assert f"log_dir:={tmp_path / 'loop' / 'run' / 'asid'}; then give the same command again" in error
    assert quick == ["search"]


def test_an_exploration_that_touches_nothing_ends_in_a_sentence_and_calibrates_nothing(tmp_path, truth, isthmus, monkeypatch):
    space = strike_space(SLIDE, find_unknown(SLIDE, ["puck.friction"]), 1.5)
    far = scripted_artifact(space.contract, {**space.size, "width": 0.3, "reach": 0.0, "speed": 0.5}, STRIKE)
    monkeypatch.setattr(stages, "find_explorations", lambda *asked: [far])
    monkeypatch.setattr(stages, "check_best", lambda *asked: SimpleNamespace(best=0))
    monkeypatch.setattr(stages, "check_told", lambda *asked: None)
    monkeypatch.setattr(stages, "facts_of", lambda *asked, **how: {})
    words = ("asid", "slide", "--real", truth, *FRICTION, "--duration", "1.5", "--strikes", "1", "--out", tmp_path / "loop")
    code, _, error = isthmus(*words)
    assert code == 1
    assert "puck.friction: NOT IDENTIFIABLE, because 'puck' does not move in" in error
    assert "nothing was calibrated" in error
    assert not (tmp_path / "loop" / "identified" / "asid" / "calibration.yaml").exists()
    assert not (tmp_path / "loop" / "task").exists()


class Stopping(Runner):
    """Its guard stops in period 20."""

    def tick(self, **how):
        tick = super().tick(**how)
        stopped = replace(tick.decision, rung=np.array([STOP]), kept=("too fast",))
        return replace(tick, decision=stopped) if tick.index == 20 else tick


def test_after_a_stop_of_the_guard_what_was_recorded_until_then_is_what_there_is(tmp_path, truth, monkeypatch):
    monkeypatch.setattr("isthmus_evidence.asid.real.Runner", Stopping)
    space = strike_space(SLIDE, find_unknown(SLIDE, ["puck.friction"]), 3.0)
    told = explore(find_real(truth, SLIDE), SLIDE, space.artifact(np.zeros(4)), tmp_path / "asid.mcap", 0, 60)
    assert told == {"steps": 21, "stopped_by_guard": "too fast"}
    assert len(read_trace(tmp_path / "asid.mcap")) == 21
    found = learn(
        "slide", (Unknown("puck.friction", 0.05, 0.3),), tmp_path / "asid.mcap", tmp_path / "out", FitOptions(1), lambda *news: None
    )
    assert not found["identified"]
    assert "NOT IDENTIFIABLE" in found["why"][0]


def test_wrong_words_are_refused_before_anything_is_searched(tmp_path, refuse):
    (tmp_path / "p.yaml").write_text("puck.colour: 3.0\n")
    (tmp_path / "q.yaml").write_text("puck.friction: 30.0\n")
    for words, told in (
        (("slide", "--real", "gazebo"), "unknown plant 'gazebo' in --real; Known: mujoco, pybullet, ros"),
        (("slide", "--real", "mujoco"), "--real mujoco needs a file of parameters"),
        (("slide", "--real", f"mujoco:{tmp_path / 'p.yaml'}"), "plant 'mujoco' cannot express parameter 'puck.colour'"),
        (("slide", "--real", f"mujoco:{tmp_path / 'q.yaml'}"), "parameter 'puck.friction' must be in 0 … 10 1, got 30"),
        (("pendulum", "--real", "ros"), "task 'pendulum' has no scripted policy"),
        (("slide", "--real", "ros", "--unknown", "puck.colour"), "unknown parameter 'puck.colour' of task 'slide'"),
        (("slide", "--real", "ros", "--specification", "always[0,1] (nowhere >= 0)"), "nowhere"),
    ):
        assert told in refuse("asid", *words, "--out", tmp_path / "loop")
    assert not (tmp_path / "loop" / "explore").exists()


def test_beliefs_are_drawn_within_the_bounds():
    unknown = (Unknown("a", 0.0, 1.0), Unknown("b", -1.0, 1.0))
    prior = prior_belief(unknown).draw(2000, np.random.default_rng(0))
    assert prior["b"].mean() == pytest.approx(0.0, abs=0.05)
    assert prior["b"].std() == pytest.approx(2 / np.sqrt(12), abs=0.03)
    assert set(nominal_belief(unknown, [0.3, -2.0]).draw(3, np.random.default_rng(0))["b"]) == {-1.0}
    known = replace(prior_belief(unknown), mean=np.array([0.5, 0.9]), covariance=np.diag([0.01, 1.0])).draw(2000, np.random.default_rng(0))
    assert known["a"].std() == pytest.approx(0.1, abs=0.01)
    assert known["b"].max() == 1.0
