"""`isthmus train asid`: from a task to a motion that tells what is unknown of it, or a sentence that says why not."""

import numpy as np
import pytest

from isthmus.artifact import Artifact

SMALL = [
    "--population",
    "6",
    "--samples",
    "2",
    "--rounds",
    "2",
    "--finalists",
    "1",
    "--harmonics",
    "2",
    "--duration",
    "1.5",
    "--draws",
    "4",
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
    assert facts["draws"] == 4
    assert facts["forced"]
    code, shown, _ = isthmus("inspect", explored / "policy.isthmus")
    assert code == 0
    for words in ("exploration.expected_sd.puck.friction", "exploration.duration_s", "exploration.peak_speed_share_of_limit"):
        assert words in shown


def test_the_motion_runs_like_any_policy(explored, isthmus):
    code, _, error = isthmus("eval", explored / "policy.isthmus", "--episodes", "1")
    assert code in (0, 1), error
    command = Artifact.load(explored / "policy.isthmus").policy().act({"time": np.zeros((1, 1, 1))}).actions
    assert command.shape == (1, 1, 6)
    assert not command.any()  # it begins at rest


def test_what_stays_unknown_is_refused_by_name_and_nothing_is_written(tmp_path, refuse):
    told = refuse("train", "asid", "slide", "--unknown", "puck.mass", *SMALL, "--out", tmp_path / "out")
    assert "leaves puck.mass within" in told
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
