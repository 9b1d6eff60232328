"""`isthmus train dsac-t` and `isthmus train srl`: small trainings from the command line, and what else runs their files."""

import pytest

from isthmus.artifact import Artifact

SMALL = ("--steps", 150, "--learning-starts", 50, "--batch-size", 16, "--hidden", 16, "--evaluate-every", 100)


@pytest.fixture(scope="module", params=["pendulum", "gym:Pendulum-v1"])
def sequences(request, tmp_path_factory):
    from isthmus_cli.main import main

    folder = tmp_path_factory.mktemp("srl")
    words = ("train", "srl", request.param, "--out", folder, *SMALL, "--sequence", 4, "--critic-hidden", 16, "--model-hidden", 16)
    assert main([str(word) for word in words]) == 0
    return folder / "policy.isthmus"


def test_dsac_t_leaves_a_policy_that_eval_runs(isthmus, read_json, tmp_path):
    assert isthmus("train", "dsac-t", "pendulum", "--out", tmp_path, *SMALL)[0] == 0
    assert Artifact.load(tmp_path / "policy.isthmus").training["algorithm"] == "dsac-t"
    assert read_json("eval", tmp_path / "policy.isthmus", "--episodes", 2, "--json", "-")["episodes"] == 2


def test_srl_leaves_a_policy_for_sequences_of_any_length(sequences, read_json):
    artifact = Artifact.load(sequences)
    assert artifact.contract.horizon == 30
    assert (artifact.training["sequence"], artifact.training["replan"]) == (4, 4)
    returns = {}
    for replan in (None, 1, 4, 30):
        words = () if replan is None else ("--replan", replan)
        returns[replan] = read_json("eval", sequences, "--episodes", 2, "--json", "-", *words)["return"]["mean"]
    assert returns[None] == returns[4]
    assert len({returns[1], returns[4], returns[30]}) == 3


def test_a_replanning_period_out_of_range_is_named(sequences, refuse):
    assert "replan must be in 1 … 30, got 31" in refuse("eval", sequences, "--episodes", 1, "--replan", 31)


def test_srl_resumes(sequences, isthmus):
    if Artifact.load(sequences).contract.task == "pendulum":
        words = (
            "train",
            "srl",
            "pendulum",
            "--out",
            sequences.parent,
            *SMALL,
            "--sequence",
            4,
            "--critic-hidden",
            16,
            "--model-hidden",
            16,
        )
        assert isthmus(*words, "--resume")[0] == 0


@pytest.mark.parametrize("algorithm", ["dsac-t", "srl"])
def test_what_a_task_asks_travels_with_a_trained_policy(algorithm, isthmus, tmp_path):
    from isthmus_sim.tasks import get_task

    small = ("--steps", 60, "--learning-starts", 30, "--batch-size", 8, "--hidden", 8, "--evaluate-every", 1000)
    small += ("--critic-hidden", 8, "--model-hidden", 8) if algorithm == "srl" else ()
    assert isthmus("train", algorithm, "navigate", "--out", tmp_path, *small)[0] == 0
    for name in ("policy", "last"):
        assert Artifact.load(tmp_path / f"{name}.isthmus").specification == get_task("navigate").specification
