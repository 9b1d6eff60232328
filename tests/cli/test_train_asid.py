"""`isthmus train asid`: from a task to a motion that tells what is unknown of it, or a sentence that says why not."""

import numpy as np
import pytest

from isthmus.artifact import Artifact
from isthmus.kinds.excitation import MultiSine, excitation_artifact
from isthmus_policies.asid.motion import excitation_contract
from isthmus_sim.tasks import get_task

SMALL = [
    f"--{word}"
    for word in ["motion=sines", "population=6", "samples=2", "rounds=2", "finalists=1", "harmonics=2", "duration=1.5", "draws=3"]
]


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    """One search, for all tests of what it leaves; ten seconds of simulation, most of them for the pre-flight."""
    from isthmus_cli.main import main

    out = tmp_path_factory.mktemp("asid") / "out"
    assert main(["train", "asid", "slide", "--unknown", "puck.friction", "--force", *SMALL, "--out", str(out)]) == 0
    return out


def test_the_file_is_a_motion_and_says_what_it_tells(explored, isthmus):
    artifact = Artifact.load(explored / "policy.isthmus")
    assert artifact.kind == "excitation"
    assert artifact.contract.task == "slide"
    facts = artifact.training["exploration"]
    assert facts["unknown"] == {"puck.friction": [0.05, 0.3]}
    assert 0 <= facts["expected_share_of_range"]["puck.friction"] <= 1
    assert facts["expected_sd"]["puck.friction"] == pytest.approx(0.25 * facts["expected_share_of_range"]["puck.friction"])
    assert facts["duration_s"] == 1.5
    assert 0 < facts["peak_speed_share_of_limit"] <= 1.1
    assert facts["draws"] == 3
    assert facts["forced"]
    code, shown, _ = isthmus("inspect", explored / "policy.isthmus")
    assert code == 0
    for words in ("exploration.expected_sd.puck.friction", "exploration.duration_s", "exploration.peak_speed_share_of_limit"):
        assert words in shown


def test_the_motion_begins_at_rest_where_the_task_begins(explored):
    artifact = Artifact.load(explored / "policy.isthmus")
    command = artifact.policy().act({"time": np.zeros((1, 1, 1))}).actions
    assert command.shape == (1, 1, 6)
    assert not command.any()
    assert artifact.contract.start == get_task("slide").contract.start
    assert artifact.contract.limits == get_task("slide").contract.limits


def test_what_stays_unknown_is_refused_by_name_and_nothing_is_written(tmp_path, refuse, monkeypatch):
    still = MultiSine((0.0,) * 6, ((0.0,),) * 6, (1.0,), ((0.0,),) * 6, 0.1, 0.5)
    artifact = excitation_artifact(excitation_contract(get_task("slide").contract), still)
    monkeypatch.setattr("isthmus_cli.train.asid.find_explorations", lambda *asked: [artifact])
    told = refuse("train", "asid", "slide", *SMALL, "--duration", "0.5", "--out", tmp_path / "out")
    assert "leaves puck.friction within" in told
    assert "puck.mass within" in told
    assert "--force" in told
    assert not (tmp_path / "out").exists()


def test_wrong_words_are_refused_before_anything_moves(explored, tmp_path, refuse):
    (tmp_path / "p.yaml").write_text("unknown: {puck.friction: [0.05, 20]}\n")
    asid = ("train", "asid")
    for words, told in (
        ((*asid, "reach"), "task 'reach' names nothing that a robot cannot know about it"),
        ((*asid, "slide", "--unknown", "puck.colour"), "unknown parameter 'puck.colour' of task 'slide'; Known: puck.friction, puck.mass"),
        ((*asid, "slide", "--parameters", tmp_path / "p.yaml"), "prior of 'puck.friction' must lie in 0 … 10 1, got 0.05 … 20"),
        ((*asid, "slide", "--duration", "0.1"), "--duration must be >= 0.5"),
        ((*asid, "slide", "--unknown", "puck.friction", "--out", explored), "already holds an exploration"),
        ((*asid, "nowhere"), "unknown task 'nowhere'"),
    ):
        assert told in refuse(*words)


def test_a_policy_that_sees_what_it_does_is_told_nothing_that_a_robot_does_not_know(tmp_path, isthmus, monkeypatch):
    """A training of a moment: what the critic is told is no signal of the contract, and the file says what it tells."""
    from isthmus_policies.ppo import Ppo

    told = []
    made = Ppo.__init__
    monkeypatch.setattr(Ppo, "__init__", lambda self, *given, **how: (told.append(how["hidden"]), made(self, *given, **how))[1])
    tiny = [f"--{word}" for word in ["steps=80", "num-envs=4", "periods=10", "evaluate-every=80", "checkpoint-every=80", "duration=0.5"]]
    words = ("train", "asid", "slide", "--unknown", "puck.friction", "--closed-loop", "--force", "--draws", "2", *tiny, "--out", tmp_path)
    code, _, error = isthmus(*words)
    assert code == 0, error
    artifact = Artifact.load(tmp_path / "policy.isthmus")
    assert artifact.kind == "graph"
    assert told == [3]  # the friction, its information and the share of the episode
    assert [signal.name for signal in artifact.contract.observation] == ["joint_position", "tool0", "puck", "previous_action", "time"]
    assert artifact.contract.signal("puck").history == 4
    assert artifact.training["exploration"]["expected_verdict"] == {"puck.friction": "NOT IDENTIFIABLE"}
    code, _, error = isthmus(*words)
    assert code == 2
    assert "already holds an exploration" in error
